"""``celerytrail ship``: the shipper as a service, or once by hand."""

from __future__ import annotations

from pathlib import Path

import click

from celerytrail.exporter.shipper.config import ShipperConfig
from celerytrail.exporter.shipper.errors import DeliveryError, ShipperError
from celerytrail.exporter.shipper.process import log_to_stderr, run_shipper, ship_once
from celerytrail.exporter.spool.errors import SpoolError


class _NotDelivered(click.ClickException):
    exit_code = 1


class _CannotBegin(click.ClickException):
    exit_code = 2


@click.command()
@click.option(
    "--spool",
    type=click.Path(path_type=Path, file_okay=False),
    help="Spool directory. [CELERYTRAIL_SPOOL_DIR]",
)
@click.option(
    "--endpoint",
    help="Where to, such as http://sink:4318. [CELERYTRAIL_ENDPOINT; http://127.0.0.1:4318]",
)
@click.option("--once", is_flag=True, help="Deliver what is there, and end.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=60.0,
    show_default=True,
    help="Seconds that --once may take.",
)
@click.option("--exit-when-idle", is_flag=True, help="End when nobody writes and all is delivered.")
@click.option(
    "--stay-for-writers",
    is_flag=True,
    help="At SIGTERM go on until nobody writes, at most CELERYTRAIL_DRAIN_SECONDS.",
)
@click.option("--wait", "wait_for_lock", is_flag=True, help="Wait for another shipper's end.")
def ship(
    spool: Path | None,
    endpoint: str | None,
    once: bool,
    timeout: float,
    exit_when_idle: bool,
    stay_for_writers: bool,
    wait_for_lock: bool,
) -> None:
    """Deliver a spool directory to an OTLP endpoint.

    Runs until SIGTERM, then drains for CELERYTRAIL_DRAIN_SECONDS (10) and ends with 0; what is left
    stays in the spool. With --once it ends with 0 when everything was delivered, with 1 and the
    reason when not. A wrong setting is 2. The token is CELERYTRAIL_TOKEN or in the file
    CELERYTRAIL_TOKEN_FILE; the standard OTEL_EXPORTER_OTLP_* variables are read too.
    """
    log_to_stderr()
    try:
        config = ShipperConfig.from_env(spool=spool, endpoint=endpoint)
        if not once:
            run_shipper(
                config,
                exit_when_idle=exit_when_idle,
                wait_for_lock=wait_for_lock,
                stay_for_writers=stay_for_writers,
            )
            return
        outcome = ship_once(config, timeout)
    except DeliveryError as exc:
        raise _NotDelivered(f"not everything was delivered: {exc}") from exc
    except (ShipperError, SpoolError) as exc:
        raise _CannotBegin(str(exc)) from exc
    if outcome.left_out:
        raise _NotDelivered(
            f"{outcome.left_out} records were refused for good or could not be read; see the log "
            "above and the folder rejected/ of the spool"
        )
    click.echo(f"delivered {outcome.spans} spans and {outcome.payloads} payloads")
