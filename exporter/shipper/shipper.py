"""The shipper's loop: read, build, send, acknowledge, delete; until there is nothing left to do."""

from __future__ import annotations

import logging
import time

from celerytrail.exporter.shipper.assembly import Assembly
from celerytrail.exporter.shipper.config import ShipperConfig, read_token
from celerytrail.exporter.shipper.delivery import Delivery
from celerytrail.exporter.shipper.errors import StoppedWaiting
from celerytrail.exporter.shipper.heartbeats import Heartbeats
from celerytrail.exporter.shipper.otlp_settings import LOGS, TRACES
from celerytrail.exporter.shipper.own_streams import OwnStreams, deployment_of, shipper_version
from celerytrail.exporter.shipper.patience import Patience
from celerytrail.exporter.shipper.payload import PayloadBuilder
from celerytrail.exporter.shipper.redaction import Redactor
from celerytrail.exporter.shipper.rejected import RejectedFolder
from celerytrail.exporter.shipper.requests import MAX_RECORDS
from celerytrail.exporter.shipper.transport import HttpTransport, Transport
from celerytrail.exporter.spool.chunk import Chunk
from celerytrail.exporter.spool.orphans import remove_orphans
from celerytrail.exporter.spool.reader import SpoolReader
from celerytrail.exporter.spool.shrink import shrink_segments

_log = logging.getLogger(__name__)

BATCH_BYTES = 512 * 1024
"""Spool bytes read for one batch: with what is built out of them they bound the memory used."""

POLL_SECONDS = 0.2
SLOW_POLL_SECONDS = 1.0
SLOW_AFTER_SECONDS = 10.0
IDLE_SECONDS = 10.0
"""Nothing to ship and nobody writing for so long: a shipper that was started by a worker ends."""


class Shipper:
    """Ships one spool directory. The caller holds the shipper's lock of the directory."""

    def __init__(
        self, config: ShipperConfig, patience: Patience, transport: Transport | None = None
    ) -> None:
        redactor = Redactor(config.rules)
        self.transport = transport or HttpTransport(f"celerytrail-shipper/{shipper_version()}")
        rejected = RejectedFolder(config.spool, config.rejected_bytes)
        rejected.sweep()
        token_file = config.token_file
        self.delivery = Delivery(
            {TRACES: config.traces, LOGS: config.logs},
            self.transport,
            rejected,
            patience,
            token=config.token,
            read_token=None if token_file is None else lambda: read_token(token_file),
            clean=redactor.hide_text,
        )
        remove_orphans(config.spool)
        self.reader = SpoolReader(config.spool)
        self._patience = patience
        self._others_shipped = 0
        self._assembly = Assembly(
            PayloadBuilder(redactor, max_body_bytes=config.max_body_bytes),
            config.sealing,
            arguments_on_spans=config.arguments_on_spans,
        )
        self._own = OwnStreams(config.spool)
        self._heartbeats = Heartbeats(config.spool, self._own, self.delivery)
        self._batch_was_full = False

    @property
    def left_out(self) -> int:
        """Records that could not be read or made into a span or a payload, or that were refused."""
        refused = sum(self.delivery.counts.rejected.values())
        failed = self._assembly.failed + self._assembly.without_payload
        return self.reader.unreadable_records + failed + refused

    def run(self, *, exit_when_idle: bool = False, stay_for_writers: bool = False) -> None:
        """Ship until asked to stop, or until idle; then drain within the patience's bounds.

        With ``stay_for_writers`` it goes on after it was asked to stop while somebody writes.
        Raises DeliveryError only where the patience says to give up.
        """
        shipped_at = written_at = time.monotonic()
        try:
            while not self._patience.stopping or (stay_for_writers and self._somebody_writes()):
                others = self._others_shipped
                self.ship_some()
                now = time.monotonic()
                self._heartbeats.beat(now)
                if self._others_shipped != others:
                    shipped_at = written_at = now
                    if not self._batch_was_full:
                        # What a request costs, here and in the sink, hardly depends on its size:
                        # let some more records come.
                        self._patience.wait(POLL_SECONDS)
                    continue
                if exit_when_idle:
                    if self._somebody_writes():
                        written_at = now
                    elif now - written_at >= IDLE_SECONDS and self.is_done():
                        break
                slow = now - shipped_at >= SLOW_AFTER_SECONDS
                self._patience.wait(SLOW_POLL_SECONDS if slow else POLL_SECONDS)
            self.drain(last_heartbeat=True)
        except StoppedWaiting as exc:
            if not self._patience.stopping:
                raise
            _log.warning("the rest stays in the spool, in %s: %s", self.reader.directory, exc)

    def drain(self, *, last_heartbeat: bool = False) -> None:
        """Ship what is there, and then the shipper's own goodbye, after its last heartbeat.

        Raises StoppedWaiting when the time is up before, DeliveryError where the patience says to
        give up.
        """
        while self.ship_some():
            self._patience.check("records come in faster than they are delivered")
        if last_heartbeat:
            self._heartbeats.beat(time.monotonic(), last=True)
        self._own.close()
        while self.ship_some():
            self._patience.check("records come in faster than they are delivered")

    def ship_some(self) -> bool:
        """Ship one batch, and delete what is done; return whether there was anything to do.

        Raises as ``drain``.
        """
        self.reader.refresh()
        chunks = self.reader.read(max_records=MAX_RECORDS, max_bytes=BATCH_BYTES)
        if chunks:
            batch = self._assembly.batch(chunks)
            try:
                # A span commits to its payload: who has the span must be able to have the payload.
                self.delivery.send(LOGS, batch.logs)
                self.delivery.send(TRACES, batch.spans)
            except BaseException:
                self.reader.rewind()
                raise
            for chunk in chunks:
                self.reader.acknowledge(chunk)
                self._note_shipped(chunk)
        self._batch_was_full = (
            sum(len(chunk.records) for chunk in chunks) >= MAX_RECORDS // 2
            or sum(item.size for chunk in chunks for item in chunk.records) >= BATCH_BYTES // 2
        )
        told = False
        for ended in self.reader.delete_finished():
            if self._own.has_to_tell(ended):
                if not self._own.report(ended):
                    # Perhaps for want of room: what is delivered can make some.
                    shrink_segments(self.reader.directory, ended.stream_id)
                    continue
                told = True
            # Nothing is delivered between the report and this: see OwnStreams.
            self.reader.forget(ended.stream_id)
        if told:
            self._own.remember_only(self.reader.stream_ids())
        return bool(chunks) or told

    def is_done(self) -> bool:
        """Look once more: nothing unread, nothing unacknowledged, nobody writing."""
        self.reader.refresh()
        return self.reader.everything_acknowledged() and not self._somebody_writes()

    def close(self) -> None:
        """Say goodbye and let go of the connections.

        What the shipper had to say itself and could not deliver stays in the spool for the next one.
        """
        self._own.close()
        self.transport.close()

    def _note_shipped(self, chunk: Chunk) -> None:
        # A heartbeat is no work: shipping one must not keep the shipper awake to write the next.
        if chunk.header.stream_id in self._own.stream_ids():
            self._heartbeats.delivered(chunk)
            return
        self._others_shipped += len(chunk.records)
        self._heartbeats.ships_for(deployment_of(chunk.header))

    def _somebody_writes(self) -> bool:
        return self.reader.has_living_writer(besides=self._own.stream_ids())
