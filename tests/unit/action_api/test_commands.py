from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from celerytrail.action_api.client import commands, picture
from celerytrail.action_api.command import action_api
from celerytrail.action_api.verbs.terminate import SIGNALS


def test_the_signals_of_the_command_are_those_of_the_verb() -> None:
    assert commands.SIGNALS == SIGNALS


def test_the_configuration_can_be_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CELERYTRAIL_DSN", "host=db")
    file = tmp_path / "actions.toml"
    file.write_text('[[deployment]]\nservice = "shop"\nbroker_url = "redis://"\n')
    done = CliRunner().invoke(action_api, ["--check", "--config", str(file)])
    assert (done.exit_code, done.output) == (0, "1 deployments, 0 organisations\n")
    file.write_text("nonsense = 1\n")
    done = CliRunner().invoke(action_api, ["--check", "--config", str(file)])
    assert done.exit_code == 1
    (line,) = done.stderr.splitlines()
    assert f"{file}: [[deployment]]: there is none" in line


def test_a_long_action_is_shown_short() -> None:
    tasks = [
        {"task_id": f"t{n}", "result": "sent", "new_task_id": f"n{n}", "message": None}
        for n in range(2000)
    ]
    lines = list(
        picture.action(
            {
                "action_id": "a",
                "verb": "retry-chord",
                "state": "partial",
                "message": "half of it",
                "duplicate": True,
                "actor": "grafana:1:alice",
                "tasks": tasks,
            },
            "https://grafana.example",
        )
    )
    assert lines[0] == "retry-chord: done in part. half of it"
    assert any("by grafana:1:alice" in line for line in lines)
    assert "  2000 sent" in lines
    assert "  ... and 1990 more" in lines
    assert lines[-1].endswith("https://grafana.example/d/celerytrail-audit")
    assert len(lines) < 20


@pytest.mark.parametrize(
    ("preview", "lines"),
    [
        ({"depth": 1, "oldest_age_seconds": None, "sample": []}, ["q of l holds 1 message."]),
        (
            {
                "depth": 3,
                "oldest_age_seconds": 7300.0,
                "sample": [{"task_id": "t", "task_name": None}],
            },
            ["q of l holds 3 messages.", "  the oldest waits for 2 h", "  (no name)  t"],
        ),
    ],
)
def test_the_picture_of_a_purge(preview: dict[str, object], lines: list[str]) -> None:
    assert list(picture.purge_preview("q", "l", preview)) == lines


def test_the_picture_of_a_chord() -> None:
    preview = {
        "group_id": "g",
        "kind": "chord",
        "members": 20,
        "failed": 2,
        "succeeded": 18,
        "body": {"task_id": "b", "task_name": "shop.sum"},
        "sample": [{"task_id": "t", "task_name": "shop.pay", "state": "failed"}],
    }
    assert list(picture.chord_preview("g", "l", preview)) == [
        "chord g of l: 20 tasks, 2 failed, 18 succeeded.",
        "  then shop.sum  b",
        "  shop.pay  t  failed",
    ]
