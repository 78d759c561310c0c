"""One run of the demo, from the first server started to the last one stopped."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timezone
from uuid import uuid4

from celerytrail.examples.demo.actions import Actions
from celerytrail.examples.demo.database import DemoDatabase
from celerytrail.examples.demo.errors import DemoError
from celerytrail.examples.demo.observation import Observer
from celerytrail.examples.demo.options import DemoOptions
from celerytrail.examples.demo.parts import Parts
from celerytrail.examples.demo.recorder import VERIFIER, Recorder
from celerytrail.examples.demo.shop import PUBLISHER, Shop
from celerytrail.examples.demo.summary import OK, Summary
from celerytrail.examples.embedded.valkey import EmbeddedValkey
from celerytrail.exporter.deployment import Deployment

_POLL_SECONDS = 0.5
_QUIET_SECONDS = 1.5


class Run:
    """A running demo. Made by ``running``, which stops all of it."""

    def __init__(
        self,
        options: DemoOptions,
        say: Callable[[str], None],
        parts: Parts,
        recorder: Recorder,
        shop: Shop,
        observer: Observer,
        button: str,
    ) -> None:
        self._options = options
        self._say = say
        self._parts = parts
        self._recorder = recorder
        self.shop = shop
        self.observer = observer
        self.button = button

    def start(self) -> None:
        """Start workers, beat and customers."""
        self.shop.start_workers()
        self.shop.start_beat()
        self.shop.start_publisher(self._options.orders, self._options.every_seconds)

    def check(self) -> None:
        """Raise DemoError when a part has ended that should not have."""
        self._parts.check(*([PUBLISHER] if self._parts.ended(PUBLISHER) == 0 else []))

    def wait_until_done(self) -> None:
        """Wait until the customers have gone, every task they caused has ended, and all is stored.

        Gives up, and says so, when that takes longer than it may.
        """
        deadline = time.monotonic() + self._options.timeout_seconds
        self._say(f"the workload sends {self._options.orders} orders")
        while self._parts.ended(PUBLISHER) is None and time.monotonic() < deadline:
            self.check()
            time.sleep(_POLL_SECONDS)
        self.check()
        self.shop.stop_sending()
        if not self.shop.sent():
            raise DemoError("the workload sent nothing: see publisher.log")
        self._say("waiting until every task has ended and is stored")
        seen: tuple[int, ...] = ()
        quiet_since = time.monotonic()
        while time.monotonic() < deadline:
            self.check()
            sent = self.shop.sent()
            found = self.observer.stored(sent)
            state = (len(sent), found.stored, found.unfinished)
            if state != seen:
                seen, quiet_since = state, time.monotonic()
                self._say("{} tasks written down, {} stored, {} not done".format(*state))
            all_there = found.stored == len(sent) and not found.unfinished
            if all_there and time.monotonic() - quiet_since > _QUIET_SECONDS:
                return
            time.sleep(_POLL_SECONDS)
        self._say(
            f"not done after {self._options.timeout_seconds:g} s, going on with what there is"
        )

    def finish(self, began: float) -> Summary:
        """Stop the shop, deliver what is left, verify, and count.

        ``began`` is the monotonic time from which the seconds are counted.
        """
        self.shop.stop_sending()
        self.shop.stop_workers()
        left = self._recorder.drain()
        if left:
            self._say(f"the shipper left {left} segments in {self._recorder.spool}")
        self._parts.stop(VERIFIER)
        self._say("verifying the whole ledger, inside and outside of the database")
        verdict = self._recorder.verify()
        for line in verdict.words.splitlines():
            self._say(line)
        sent = self.shop.sent()
        counts = self.observer.counts()
        chain = verdict.chain
        if chain == OK and self.observer.verified().broken:
            chain = "broken"
            self._say("the chain was broken while the demo ran")
        return Summary(
            tasks_sent=len(sent),
            tasks_stored=self.observer.stored(sent).stored,
            spans_stored=counts.spans,
            events_missing=counts.missing,
            chain=chain,
            blocks=counts.blocks,
            seconds=round(time.monotonic() - began, 1),
        )


@contextmanager
def running(
    options: DemoOptions, say: Callable[[str], None], before_stop: Callable[[], None]
) -> Iterator[Run]:
    """Start servers, recorder and shop; stop all of it in the reverse order when the block ends.

    ``before_stop`` is called before the stopping begins, also when something failed to start.
    """
    options.directory.mkdir(parents=True, exist_ok=True)
    deployment = Deployment("demo", "shop", _run_name())
    with ExitStack() as stack:
        try:
            say("starting Postgres" if options.dsn is None else "using the database that was given")
            database = stack.enter_context(
                DemoDatabase(options.directory / "postgres", options.dsn, options.postgres_bin)
            )
            say(f"database: {database.description}")
            broker_url, result_backend = _broker(options, stack, say)
            parts = Parts(options.directory, say)
            stack.callback(parts.stop_all)
            recorder = Recorder(parts, database, options.directory, deployment)
            say("migrating the database and making a token")
            recorder.start()
            observer = Observer(stack.enter_context(database.connect()), deployment)
            settings = recorder.agent_settings()
            actions = Actions(parts, database, recorder, options.directory, deployment)
            actions.start(broker_url, result_backend)
            for line in actions.told(options.grafana_url, docker=options.docker):
                say(line)
            shop = Shop(parts, options.directory, broker_url, result_backend, settings)
            run = Run(options, say, parts, recorder, shop, observer, actions.button)
            run.start()
            yield run
        finally:
            before_stop()


def _broker(options: DemoOptions, stack: ExitStack, say: Callable[[str], None]) -> tuple[str, str]:
    """Return broker URL and result backend; chords need a result backend, so we have one for any broker."""
    given = options.broker_url
    if given is not None and given.startswith(("redis://", "rediss://")):
        return given, given
    say("starting Valkey" if given is None else "starting Valkey for the results")
    server = stack.enter_context(EmbeddedValkey(options.directory / "valkey"))
    return given or server.url, server.url


def _run_name() -> str:
    now = datetime.now(timezone.utc)
    return f"{now:%Y%m%d-%H%M%S}-{os.getpid()}-{uuid4().hex[:4]}"
