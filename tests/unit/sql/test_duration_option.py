"""Options that say how long take numbers that a wait can be given."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from celerytrail.sql.checkpoint.checkpoint_command import checkpoint
from celerytrail.sql.maintain_command import maintain
from celerytrail.sql.retain_command import retain
from celerytrail.sql.verify_command import verify


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "-1"])
@pytest.mark.parametrize(
    "command", [checkpoint, maintain, retain, verify], ids=lambda one: one.name
)
def test_no_wait_is_no_number_or_endless(command: click.Command, value: str) -> None:
    options = [
        option.opts[0] for option in command.params if isinstance(option.type, click.FloatRange)
    ]
    assert options
    for option in options:
        told = CliRunner().invoke(command, [option, value])
        assert told.exit_code == 2, told.output
        assert f"Invalid value for '{option}'" in told.output
