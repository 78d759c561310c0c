"""kill -9 of the shipper at many points: every span has its payload, byte for byte, and it opens."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from celerytrail.exporter.commitment import commit
from celerytrail.exporter.key_files import (
    PRIVATE_FILE,
    PSK_FILE,
    PUBLIC_FILE,
    generate,
    read_private_key,
    read_psk,
)
from celerytrail.exporter.sealed import Binding, open_container
from tests.integration.shipper.receiver import CUT_AFTER_TAKING, OtlpReceiver, attributes
from tests.integration.shipper.shippers import ship_once, shipping
from tests.integration.shipper.test_shipping import check_complete
from tests.unit.shipper.segments import STREAM, stream, write_stream
from tests.waiting import wait_until

KILLS = 50
COUNT = 40 * KILLS


def decide(receiver: OtlpReceiver, wanted: int, then: int, path: str, message: Any) -> int:
    """Answer requests before the wanted one, and cut that one off."""
    return 200 if len(receiver.seen) + 1 < wanted else then


def arrived(receiver: OtlpReceiver, count: int) -> bool:
    return len(receiver.seen) >= count


def test_killed_at_many_points_it_sends_the_same_bytes_again(tmp_path: Path) -> None:
    spool, keys = tmp_path / "spool", tmp_path / "keys"
    generate(keys)
    settings = {
        "CELERYTRAIL_SEAL_PUBLIC_KEY_FILE": str(keys / PUBLIC_FILE),
        "CELERYTRAIL_SEAL_PSK_FILE": str(keys / PSK_FILE),
    }
    write_stream(spool, stream(COUNT, secret="hunter2", padding=9000), per_segment=40)
    last = COUNT + 2
    with OtlpReceiver() as receiver:
        for kill in range(KILLS):
            # Killed while a request waits for its answer, after it was taken or before: requests of
            # logs and of spans in turn, since each round gets one further.
            before = len(receiver.seen)
            wanted = before + 1 + kill % 4

            receiver.decide = partial(
                decide, receiver, wanted, CUT_AFTER_TAKING if kill % 2 else 503
            )
            with shipping(spool, receiver.url, **settings) as shipper:
                wait_until(partial(arrived, receiver, wanted), f"request {wanted}")
                shipper.process.kill()
                shipper.process.wait()
        receiver.decide = None
        done = ship_once(spool, receiver.url, **settings)
        assert done.returncode == 0, done.stderr
        check_complete(receiver, last)

        payloads: dict[tuple[int, str], set[tuple[str, bytes]]] = {}
        for _, log in receiver.logs():
            about = attributes(log)
            content = log.body.bytes_value or log.body.string_value.encode()
            assert b"hunter2" not in content
            kind, salt = about["celerytrail.payload.kind"], about["celerytrail.payload.salt"]
            commitment = about["celerytrail.payload.commitment"]
            assert commit(kind, bytes.fromhex(salt), content).hex() == commitment
            key = (about["celerytrail.seq"], kind)
            payloads.setdefault(key, set()).add((commitment, content))
        assert all(len(versions) == 1 for versions in payloads.values())

        private, psk = read_private_key(keys / PRIVATE_FILE), read_psk(keys / PSK_FILE)
        opened = 0
        for name, span in receiver.spans():
            said = attributes(span)
            seq = said["celerytrail.seq"]
            for kind in ("args", "kwargs", "body"):
                commitment = said.get(f"celerytrail.commitment.{kind}")
                if commitment is not None:
                    assert {commitment} == {c for c, _ in payloads[seq, kind]}
            if name == STREAM and said["celerytrail.step"] == "sent":
                ((_, content),) = payloads[seq, "body"]
                binding = Binding("", "shop/orders/test", f"task-{seq}", 0, STREAM, seq)
                message = open_container(content, binding, [private], psk)
                assert b"hunter2" in message.body
                opened += 1
        assert opened >= COUNT
