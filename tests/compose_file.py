"""docker-compose.yml as data: services with what they inherit, as Compose would merge it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
COMPOSE_FILE = ROOT / "docker-compose.yml"
_VARIABLE = re.compile(r"\$\$|\$\{(\w+)(?::-([^}]*))?\}")


@dataclass(frozen=True, slots=True)
class Mount:
    """One volume of a service: ``source`` is a path of the repository or the name of a volume."""

    source: str
    target: str
    read_only: bool

    @property
    def is_file_of_ours(self) -> bool:
        return self.source.startswith("./")


@dataclass(frozen=True, slots=True)
class Service:
    """One service of the file, variables replaced by their defaults."""

    name: str
    definition: dict[str, Any]

    @property
    def environment(self) -> dict[str, str]:
        return {key: str(value) for key, value in self.definition.get("environment", {}).items()}

    @property
    def command(self) -> list[str]:
        return [str(word) for word in self.definition.get("command", [])]

    @property
    def networks(self) -> set[str]:
        return set(self.definition.get("networks", []))

    @property
    def healthcheck(self) -> list[str]:
        """The command that says whether the service is well; empty where there is none."""
        return [str(word) for word in self.definition.get("healthcheck", {}).get("test", [])]

    @property
    def runs_once(self) -> bool:
        return self.definition.get("restart") == "no"

    @property
    def needs(self) -> dict[str, str]:
        """The condition that each service has to meet before this one is started."""
        return {
            name: how["condition"]
            for name, how in self.definition.get("depends_on", {}).items()
            if how.get("required", True)
        }

    @property
    def mounts(self) -> list[Mount]:
        return [
            Mount(parts[0], parts[1], parts[2:] == ["ro"])
            for parts in (entry.split(":") for entry in self.definition.get("volumes", []))
        ]


def load() -> dict[str, Any]:
    """Return the whole file, variables replaced by their defaults."""
    return _with_defaults(yaml.safe_load(COMPOSE_FILE.read_text()))  # type: ignore[no-any-return]


def services() -> dict[str, Service]:
    """Return all services by name."""
    return {name: Service(name, made) for name, made in load()["services"].items()}


def in_order() -> Iterator[Service]:
    """Yield services such that each comes after those it needs."""
    waiting = services()
    started: set[str] = set()
    while waiting:
        ready = [s for s in waiting.values() if set(s.needs) <= started]
        assert ready, f"these wait for each other: {', '.join(waiting)}"
        for service in ready:
            yield waiting.pop(service.name)
            started.add(service.name)


def _with_defaults(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: _with_defaults(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_with_defaults(value) for value in node]
    if isinstance(node, str):
        return _VARIABLE.sub(lambda m: "$" if m[0] == "$$" else (m[2] or ""), node)
    return node
