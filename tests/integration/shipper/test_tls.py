"""Over TLS only to a receiver whose certificate is trusted, and with ours where it asks for one."""

from __future__ import annotations

import ssl
from datetime import datetime, timedelta, timezone
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.integration.shipper.receiver import OtlpReceiver
from tests.integration.shipper.shippers import ship_once
from tests.unit.shipper.segments import stream, write_stream


def make_certificate(directory: Path, name: str) -> tuple[Path, Path]:
    """Write a self-signed certificate for 127.0.0.1, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    paths = directory / f"{name}.pem", directory / f"{name}.key"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return paths


@pytest.mark.parametrize("mutual", [False, True])
def test_tls(tmp_path: Path, mutual: bool) -> None:
    spool = tmp_path / "spool"
    write_stream(spool, stream(5))
    certificate, key = make_certificate(tmp_path, "server")
    client, client_key = make_certificate(tmp_path, "client")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    if mutual:
        context.load_verify_locations(client)
        context.verify_mode = ssl.CERT_REQUIRED
    with OtlpReceiver(tls=context) as receiver:
        untrusted = ship_once(spool, receiver.url, "--timeout", "1")
        assert untrusted.returncode == 1
        assert "certificate" in untrusted.stderr.lower()
        settings = {"OTEL_EXPORTER_OTLP_CERTIFICATE": str(certificate)}
        if mutual:
            refused = ship_once(spool, receiver.url, "--timeout", "1", **settings)
            assert refused.returncode == 1
            settings["OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"] = str(client)
            settings["OTEL_EXPORTER_OTLP_CLIENT_KEY"] = str(client_key)
        done = ship_once(spool, receiver.url, **settings)
        assert done.returncode == 0, done.stderr
        assert len(receiver.captured()) == 7


def test_files_that_are_no_certificates_are_named(tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    write_stream(spool, stream(1))
    junk = tmp_path / "junk.pem"
    junk.write_text("junk")
    done = ship_once(spool, "https://127.0.0.1:9", OTEL_EXPORTER_OTLP_CERTIFICATE=str(junk))
    assert done.returncode == 2
    assert "OTEL_EXPORTER_OTLP_CERTIFICATE" in done.stderr
