"""Settings come from the environment once, and what is wrong is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from celerytrail.exporter.sink.config import ConfigError, SinkConfig


def test_defaults_and_the_secret_stays_hidden() -> None:
    config = SinkConfig.from_env({"CELERYTRAIL_DSN": "host=x password=hunter2"})
    assert config.dsn == "host=x password=hunter2"
    assert "hunter2" not in repr(config)
    assert (config.bind, config.workers) == ("127.0.0.1:4318", 1)
    assert config.threads > config.max_requests


def test_dsn_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "dsn"
    file.write_text("host=y\n")
    assert SinkConfig.from_env({"CELERYTRAIL_DSN_FILE": str(file)}).dsn == "host=y"


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({}, "CELERYTRAIL_DSN"),
        ({"CELERYTRAIL_DSN_FILE": "/does/not/exist"}, "/does/not/exist"),
        ({"CELERYTRAIL_DSN": "x", "CELERYTRAIL_SINK_WORKERS": "many"}, "CELERYTRAIL_SINK_WORKERS"),
        ({"CELERYTRAIL_DSN": "x", "CELERYTRAIL_SINK_THREADS": "0"}, "CELERYTRAIL_SINK_THREADS"),
        ({"CELERYTRAIL_DSN": "x", "CELERYTRAIL_SINK_CHAIN": "-1"}, "CHAIN has to be from 0 to 63"),
        (
            {"CELERYTRAIL_DSN": "x", "CELERYTRAIL_SINK_CHAINS": "65"},
            "CHAINS has to be from 1 to 64",
        ),
        (
            {
                "CELERYTRAIL_DSN": "x",
                "CELERYTRAIL_SINK_CHAIN": "62",
                "CELERYTRAIL_SINK_CHAINS": "3",
            },
            "goes beyond chain 63",
        ),
        (
            {"CELERYTRAIL_DSN": "x", "CELERYTRAIL_SINK_WAIT_FOR_DATABASE": "maybe"},
            "CELERYTRAIL_SINK_WAIT_FOR_DATABASE",
        ),
        (
            {"CELERYTRAIL_DSN": "x", "CELERYTRAIL_SINK_LOG_LEVEL": "loud"},
            "CELERYTRAIL_SINK_LOG_LEVEL",
        ),
    ],
)
def test_what_is_wrong_is_named(environ: dict[str, str], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        SinkConfig.from_env(environ)


@pytest.mark.parametrize(
    ("first", "count", "chains"),
    [
        ("", "", None),
        ("0", "", range(1)),
        ("2", "", range(2, 3)),
        ("", "4", range(4)),
        ("60", "4", range(60, 64)),
    ],
)
def test_chains_are_chosen_only_where_a_variable_names_some(
    first: str, count: str, chains: range | None
) -> None:
    named = {"CELERYTRAIL_SINK_CHAIN": first, "CELERYTRAIL_SINK_CHAINS": count}
    assert SinkConfig.from_env({"CELERYTRAIL_DSN": "x", **named}).chains == chains
