"""The examples for hosts that run workers: units, a pod, a compose file; what must be so holds in each."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from celerytrail.exporter.agent.config import AgentConfig
from celerytrail.exporter.shipper.config import DEFAULT_DRAIN_SECONDS, ShipperConfig
from celerytrail.exporter.spool.directory import prepare_directory
from celerytrail.exporter.spool.errors import SpoolDirectoryError

PROVISIONING = Path(__file__).parents[3] / "provisioning"
UNITS = PROVISIONING / "systemd"
SHIPPER = UNITS / "celerytrail-shipper.service"
DROP_IN = UNITS / "celery-worker.service.d" / "celerytrail.conf"
_SIZES = {"m": 1 << 20, "Mi": 1 << 20, "Gi": 1 << 30}


def unit(path: Path) -> dict[str, dict[str, list[str]]]:
    """Return sections, keys and all values of each key: a unit may repeat one."""
    values: dict[str, dict[str, list[str]]] = {}
    section = ""
    for line in path.read_text().splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif line and not line.startswith("#"):
            name, _, value = line.partition("=")
            values.setdefault(section, {}).setdefault(name, []).append(value)
    return values


def spoken(lines: list[str]) -> dict[str, str]:
    return dict(line.split("=", 1) for line in lines)


def size(text: str) -> int:
    found = re.fullmatch(r"([0-9]+)(m|Mi|Gi)", text)
    assert found, text
    return int(found[1]) * _SIZES[found[2]]


def test_the_units_are_read_without_a_complaint(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze here")
    # The programs and the user of the unit are those of another host.
    text = SHIPPER.read_text().replace("/opt/celerytrail/bin/celerytrail", sys.executable)
    (tmp_path / SHIPPER.name).write_text(text)
    worker = tmp_path / "celery-worker.service"
    worker.write_text(f"[Service]\nUser=celery\nExecStart={sys.executable} -m celery worker\n")
    shutil.copytree(DROP_IN.parent, tmp_path / "celery-worker.service.d")
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", f"./{SHIPPER.name}", f"./{worker.name}"],
        cwd=tmp_path,
        env={"SYSTEMD_UNIT_PATH": f"{tmp_path}:", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_unit_gives_the_shipper_no_right_too_many_and_time_to_drain() -> None:
    service = unit(SHIPPER)["Service"]
    assert service["User"] == ["celery"]
    assert "DynamicUser" not in service
    assert service["ProtectSystem"] == ["strict"]
    assert service["NoNewPrivileges"] == ["true"]
    assert service["CapabilityBoundingSet"] == [""]
    assert service["Restart"] == ["on-failure"]
    assert int(service["TimeoutStopSec"][0]) > DEFAULT_DRAIN_SECONDS
    assert "KillMode" not in service
    told = spoken(service["Environment"])
    assert (
        Path(told["CELERYTRAIL_SPOOL_DIR"]).parent
        == Path("/var/lib") / service["StateDirectory"][0]
    )
    assert service["ReadWritePaths"] == [str(Path(told["CELERYTRAIL_SPOOL_DIR"]).parent)]


def test_the_unit_of_a_worker_starts_after_and_stops_before_the_shipper() -> None:
    worker = unit(DROP_IN)
    assert worker["Unit"] == {"Wants": [SHIPPER.name], "After": [SHIPPER.name]}
    service = worker["Service"]
    assert service["KillMode"] == ["mixed"]
    told = spoken(service["Environment"])
    assert told.pop("CELERYTRAIL_SHIPPER") == "off"
    assert told == spoken(unit(SHIPPER)["Service"]["Environment"])
    assert service["EnvironmentFile"] == unit(SHIPPER)["Service"]["EnvironmentFile"]
    assert service["ReadWritePaths"] == unit(SHIPPER)["Service"]["ReadWritePaths"]


def pod() -> dict[str, Any]:
    made: dict[str, Any] = yaml.safe_load(
        (PROVISIONING / "kubernetes" / "worker-with-shipper.yaml").read_text()
    )
    spec: dict[str, Any] = made["spec"]["template"]["spec"]
    return spec


def compose() -> dict[str, Any]:
    made: dict[str, Any] = yaml.safe_load(
        (PROVISIONING / "compose" / "worker-and-shipper.yaml").read_text()
    )
    return made


def in_the_pod() -> tuple[dict[str, str], int]:
    (shipper,), (worker,) = pod()["initContainers"], pod()["containers"]
    assert shipper["env"] == worker["env"]
    (spool,) = (volume for volume in pod()["volumes"] if volume["name"] == "spool")
    assert spool["emptyDir"]["medium"] == "Memory"
    told = {item["name"]: item["value"] for item in shipper["env"]}
    return told, size(spool["emptyDir"]["sizeLimit"])


def in_compose() -> tuple[dict[str, str], int]:
    services = compose()["services"]
    assert services["worker"]["environment"] == services["shipper"]["environment"]
    options = dict(
        option.split("=") for option in compose()["volumes"]["spool"]["driver_opts"]["o"].split(",")
    )
    assert services["worker"]["user"] == f"{options['uid']}:{options['gid']}"
    assert options["mode"] == "0700"
    return services["worker"]["environment"], size(options["size"])


@pytest.mark.parametrize("told_and_size", [in_the_pod, in_compose])
def test_what_the_examples_say_makes_sense_and_fits_into_the_volume(
    told_and_size: Any, tmp_path: Path
) -> None:
    told, volume = told_and_size()
    token = tmp_path / "token"
    token.write_text("ctw_x")
    told = {**told, "CELERYTRAIL_TOKEN_FILE": str(token)}
    agent, shipper = AgentConfig.from_env(told), ShipperConfig.from_env(told)
    assert agent.spool_dir == shipper.spool
    assert agent.spawn_shipper is False
    assert agent.spool_max_bytes + shipper.rejected_bytes <= volume * 3 // 4


def test_both_containers_of_the_pod_are_closed_and_the_shipper_ends_last() -> None:
    (shipper,), (worker,) = pod()["initContainers"], pod()["containers"]
    assert shipper["restartPolicy"] == "Always"
    assert "--stay-for-writers" in shipper["command"]
    assert pod()["terminationGracePeriodSeconds"] > DEFAULT_DRAIN_SECONDS
    for container in (shipper, worker):
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert "runAsUser" not in container["securityContext"], "one user for both"
        assert "/var/spool/celerytrail" in {m["mountPath"] for m in container["volumeMounts"]}


def test_both_services_of_the_compose_file_are_closed_and_the_shipper_ends_last() -> None:
    services = compose()["services"]
    assert services["worker"]["depends_on"] == ["shipper"]
    assert "--stay-for-writers" in services["shipper"]["command"]
    assert int(services["shipper"]["stop_grace_period"].rstrip("s")) > DEFAULT_DRAIN_SECONDS
    for service in services.values():
        assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])


def test_a_spool_two_levels_below_a_volume_that_everybody_can_write_is_safe(
    tmp_path: Path,
) -> None:
    volume = tmp_path / "volume"
    volume.mkdir()
    volume.chmod(0o2777)
    with pytest.raises(SpoolDirectoryError, match="everybody can write its parent"):
        prepare_directory(volume / "spool")
    prepare_directory(volume / "own" / "spool")
    for directory in (volume / "own", volume / "own" / "spool"):
        assert directory.stat().st_mode & 0o777 == 0o700
