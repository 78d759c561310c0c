"""``celerytrail demo``: the whole way on this machine, with real parts."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from celerytrail.examples.demo.options import DemoOptions
    from celerytrail.examples.demo.summary import Summary

_ONCE_ORDERS = 20
_ONCE_EVERY_SECONDS = 0.25
_STREAM_EVERY_SECONDS = 0.5
_INTERRUPTED = 130


@click.command()
@click.option("--once", is_flag=True, help="Send a bounded workload, wait for it, verify, and end.")
@click.option(
    "--json", "as_json", is_flag=True, help="Print the summary as JSON, as the last line."
)
@click.option(
    "--orders", type=click.IntRange(1), help=f"Orders to send.  [{_ONCE_ORDERS} with --once]"
)
@click.option("--every", type=click.FloatRange(0.0), help="Seconds from one order to the next.")
@click.option("--dsn", help="Use this Postgres database, as a superuser, and not an embedded one.")
@click.option("--broker-url", help="Use this broker and not an embedded Valkey.")
@click.option("--postgres-bin", help="Which embedded Postgres: system, wheel, or a directory.")
@click.option(
    "--directory",
    type=click.Path(path_type=Path, file_okay=False),
    help="Keep data and logs here.  [a temporary directory, removed at the end]",
)
@click.option("--timeout", default=180.0, show_default=True, help="Seconds --once may wait.")
def demo(
    once: bool,
    as_json: bool,
    orders: int | None,
    every: float | None,
    dsn: str | None,
    broker_url: str | None,
    postgres_bin: str | None,
    directory: Path | None,
    timeout: float,
) -> None:
    """Record an example shop: real Postgres, broker, workers and beat, and a view of what happens.

    Without --once it goes on until Ctrl-C. Exits with 1 when something is missing or the chain is
    not whole.
    """
    # Imported late: this needs the extra [demo], and says so when it is not there.
    try:
        from celerytrail.examples.demo.options import DemoOptions
    except ImportError as error:
        raise click.ClickException(f"{error}: pip install 'celerytrail[demo]'") from error

    if once and orders is None:
        orders = _ONCE_ORDERS
    if every is None:
        every = _ONCE_EVERY_SECONDS if once else _STREAM_EVERY_SECONDS
    with _directory(directory) as place:
        options = DemoOptions(
            directory=place,
            orders=orders,
            every_seconds=every,
            as_json=as_json,
            timeout_seconds=timeout,
            dsn=dsn,
            broker_url=broker_url,
            postgres_bin=postgres_bin,
            grafana_url=os.environ.get("GRAFANA_URL"),
            docker=shutil.which("docker") is not None,
        )
        code = _demo(options, once)
        if code == 1:
            _say(f"data and logs are in {place}")
            sys.exit(code)
    sys.exit(code)


def _demo(options: DemoOptions, once: bool) -> int:
    """Run the demo and return its exit code."""
    import psycopg

    from celerytrail.examples.demo.errors import DemoError
    from celerytrail.examples.demo.run import running
    from celerytrail.examples.demo.watch import watch
    from celerytrail.examples.embedded.errors import EmbeddedServerError

    # The others are a Ctrl-C too: all unwind, so that whoever started something stops it.
    _on_signals(signal.default_int_handler)
    began = time.monotonic()
    try:
        with running(options, _say, before_stop=lambda: _on_signals(signal.SIG_IGN)) as run:
            if once:
                run.wait_until_done()
            else:
                with suppress(KeyboardInterrupt):
                    watch(run)
            _on_signals(signal.SIG_IGN)
            summary = run.finish(began)
    except KeyboardInterrupt:
        _say("stopped")
        return _INTERRUPTED if once else 0
    except (DemoError, EmbeddedServerError, psycopg.Error) as error:
        click.echo(f"celerytrail demo: {error}", err=True)
        return 1
    return _report(summary, options.as_json)


def _report(summary: Summary, as_json: bool) -> int:
    if as_json:
        click.echo(summary.as_json())
    else:
        click.echo(
            f"{summary.tasks_stored} of {summary.tasks_sent} tasks stored as {summary.spans_stored} "
            f"spans, {summary.events_missing} events missing, chain {summary.chain} "
            f"over {summary.blocks} blocks, in {summary.seconds:g} s"
        )
    complaints = summary.complaints()
    for complaint in complaints:
        _say(complaint)
    return 1 if complaints else 0


def _say(text: str) -> None:
    # A terminal that was closed must not keep us from stopping what we started.
    with suppress(OSError):
        click.echo(f"demo: {text}", err=True)


def _on_signals(handler: Callable[[int, FrameType | None], Any] | signal.Handlers) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, handler)


@contextmanager
def _directory(given: Path | None) -> Iterator[Path]:
    """Give the directory to keep, or one that is removed when all went well."""
    if given is not None:
        yield given.absolute()
        return
    place = Path(tempfile.mkdtemp(prefix="celerytrail-demo-"))
    # So that the user nobody reaches the database, where root has to become somebody else.
    place.chmod(0o711)
    yield place
    shutil.rmtree(place, ignore_errors=True)
