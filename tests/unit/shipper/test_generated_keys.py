"""Keys as ``celerytrail keys generate`` makes them: what is shipped with them opens with them only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from celerytrail.exporter.key_files import (
    PRIVATE_FILE,
    PSK_FILE,
    PUBLIC_FILE,
    read_private_key,
    read_psk,
)
from celerytrail.exporter.sealed import Binding, CannotOpen, open_container
from celerytrail.exporter.shipper.config import ShipperConfig
from celerytrail.exporter.shipper.keys_command import keys
from celerytrail.exporter.spool.record import Record
from tests.unit.shipper.segments import STREAM, body, headers, sent
from tests.unit.shipper.test_payload import LABEL, container, ship

BODY = body(("ann", {"password": "hunter2"}))


@dataclass(frozen=True, slots=True)
class Keys:
    """The files of one deployment."""

    directory: Path

    @property
    def private(self) -> X25519PrivateKey:
        return read_private_key(self.directory / PRIVATE_FILE)

    @property
    def psk(self) -> bytes:
        return read_psk(self.directory / PSK_FILE)

    def seal(self, task_id: str, seq: int) -> tuple[bytes, Binding]:
        """Return a container as a shipper with these settings makes it, and what it is bound to."""
        config = ShipperConfig.from_env(
            {
                "CELERYTRAIL_ENDPOINT": "http://sink:4318",
                "CELERYTRAIL_SPOOL_DIR": "/spool",
                "CELERYTRAIL_SEAL_PUBLIC_KEY_FILE": str(self.directory / PUBLIC_FILE),
                "CELERYTRAIL_SEAL_PSK_FILE": str(self.directory / PSK_FILE),
            }
        )
        item = Record.from_tuple(sent(seq, "t", BODY, headers=headers("t", task=task_id)))
        logs, said = ship(self.directory / "s.seg", item, config.sealing)
        assert "celerytrail.body.withheld" not in said
        return container(logs), Binding("", LABEL, "t", 0, STREAM, seq)


@pytest.fixture
def generate(tmp_path: Path) -> Callable[[str], Keys]:
    def made(name: str) -> Keys:
        done = CliRunner().invoke(keys, ["generate", "--out", str(tmp_path / name)])
        assert done.exit_code == 0, done.output
        assert (tmp_path / name / PSK_FILE).read_text().strip() not in done.output
        return Keys(tmp_path / name)

    return made


def test_a_body_opens_byte_for_byte_with_the_private_key_and_the_psk(
    generate: Callable[[str], Keys],
) -> None:
    ours = generate("ours")
    sealed, binding = ours.seal("shop.pay", 2)
    assert b"hunter2" not in sealed
    assert open_container(sealed, binding, [ours.private], ours.psk).body == BODY


def test_it_opens_with_the_keys_of_nobody_else(generate: Callable[[str], Keys]) -> None:
    ours, theirs = generate("ours"), generate("theirs")
    sealed, binding = ours.seal("shop.pay", 2)
    for private, psk in (
        (theirs.private, theirs.psk),
        (theirs.private, ours.psk),
        (ours.private, theirs.psk),
        (ours.private, None),
    ):
        with pytest.raises(CannotOpen) as refused:
            open_container(sealed, binding, [private], psk)
        for secret in (b"hunter2".hex(), "hunter2", ours.psk.hex()):
            assert secret not in str(refused.value)
    # What the shipper's host has is not enough: that is the point of a public key.
    with pytest.raises(CannotOpen):
        open_container(sealed, binding, [], ours.psk)


def test_a_body_that_was_moved_is_refused(generate: Callable[[str], Keys]) -> None:
    ours = generate("ours")
    (first, here), (second, there) = ours.seal("shop.pay", 2), ours.seal("shop.refund", 3)
    for sealed, binding in ((first, there), (second, here)):
        with pytest.raises(CannotOpen, match="does not open"):
            open_container(sealed, binding, [ours.private], ours.psk)
    for change in (
        {"task_id": "u"}, {"retries": 1}, {"deployment": "shop/orders/live"}, {"ledger_id": "x"},
        {"stream_id": "f" * 32},
    ):  # fmt: skip
        with pytest.raises(CannotOpen, match="does not open"):
            open_container(first, replace(here, **change), [ours.private], ours.psk)


def test_parts_of_two_bodies_make_none(generate: Callable[[str], Keys]) -> None:
    """Every piece is taken from a body that opens: head, wrapped key, salt, ciphertext."""
    ours = generate("ours")
    (first, here), (second, _) = ours.seal("shop.pay", 2), ours.seal("shop.pay", 3)
    for cut in (2, 10, 90, 122, 130, len(first) - 16):
        for grafted in (first[:cut] + second[cut:], second[:cut] + first[cut:]):
            if grafted != first:
                with pytest.raises(CannotOpen):
                    open_container(grafted, here, [ours.private], ours.psk)
