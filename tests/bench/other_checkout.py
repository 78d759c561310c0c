"""The agent of another checkout, in this process beside ours: two releases can take turns in one run."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any, NamedTuple


class OtherAgent(NamedTuple):
    """What puts that agent in place, and takes it away."""

    AgentConfig: Any
    install: Any
    uninstrument: Any


def other_agent(directory: Path) -> OtherAgent:
    """Import the agent of the package ``celerytrail`` in a directory; ours stays what is imported.

    Raises ValueError when there is none.
    """
    ours = {name: module for name, module in sys.modules.items() if _is_of_package(name)}
    _forget(ours)
    sys.path.insert(0, str(directory))
    try:
        config = importlib.import_module("celerytrail.exporter.agent.config")
        install = importlib.import_module("celerytrail.exporter.agent.install")
    finally:
        sys.path.remove(str(directory))
        _forget(filter(_is_of_package, list(sys.modules)))
        sys.modules.update(ours)
    if install.__file__ is None or not Path(install.__file__).is_relative_to(directory):
        raise ValueError(f"no package celerytrail in {directory}")
    return OtherAgent(config.AgentConfig, install.install, install.uninstrument)


def _forget(names: Any) -> None:
    for name in names:
        del sys.modules[name]


def _is_of_package(name: str) -> bool:
    return name.partition(".")[0] == "celerytrail"
