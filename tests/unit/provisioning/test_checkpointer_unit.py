"""The example unit of the checkpointer: as shut in as the shipper's, and a command that is one."""

from __future__ import annotations

import shlex
from pathlib import Path

from celerytrail.sql.checkpoint.checkpoint_command import checkpoint

UNITS = Path(__file__).parents[3] / "provisioning" / "systemd"


def service(name: str) -> dict[str, list[str]]:
    values: dict[str, list[str]] = {}
    for line in (UNITS / name).read_text().partition("[Service]\n")[2].splitlines():
        if line.startswith("["):
            break
        if line and not line.startswith("#"):
            key, _, value = line.partition("=")
            values.setdefault(key, []).append(value)
    return values


def test_it_is_shut_in_as_the_shipper_is():
    ours, shipper = (
        service("celerytrail-checkpoint.service"),
        service("celerytrail-shipper.service"),
    )
    alike = {
        name for name in shipper if name.startswith(("Protect", "Private", "Restrict", "System"))
    }
    alike |= {"NoNewPrivileges", "CapabilityBoundingSet", "LockPersonality", "UMask"}
    assert {name: ours.get(name) for name in alike} == {name: shipper[name] for name in alike}
    assert ours["User"] != shipper["User"]


def test_its_command_has_two_places_and_no_beginning():
    _, command, *arguments = shlex.split(service("celerytrail-checkpoint.service")["ExecStart"][0])
    assert command == "checkpoint"
    given = checkpoint.make_context("checkpoint", arguments, resilient_parsing=True).params
    assert (
        given["path"].parent
        == Path("/var/lib") / service("celerytrail-checkpoint.service")["StateDirectory"][0]
    )
    assert (given["begin"], given["allow_one"], len(given["stores"])) == (False, False, 1)
