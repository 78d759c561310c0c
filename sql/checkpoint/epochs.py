"""A new epoch: after a restore or fail-over a person says from where on the ledger is believed."""

from __future__ import annotations

import uuid
from pathlib import Path

from celerytrail.sql import chain_hash
from celerytrail.sql.checkpoint.checkpoint_file import opened, read_file
from celerytrail.sql.checkpoint.checkpointer import last_signed
from celerytrail.sql.checkpoint.errors import FileUnusable, NotContinued
from celerytrail.sql.checkpoint.evidence import demanded, gather, off_ledger
from celerytrail.sql.checkpoint.note_keys import SigningKey, VerifierKey
from celerytrail.sql.checkpoint.statement import ChainChange, KeyChange, NewEpoch, check_words
from celerytrail.sql.checkpoint.trust import Place
from celerytrail.sql.head_file import Head
from celerytrail.sql.snapshot import snapshot
from celerytrail.sql.verification import Progress
from celerytrail.sql.verify import OUTSIDE, verify_ledger


def begin_epoch(
    dsn: str,
    path: Path,
    key: SigningKey,
    *,
    by: str,
    reason: str,
    despite_faults: bool = False,
    jobs: int = 1,
    progress: Progress | None = None,
) -> NewEpoch:
    """Verify the whole ledger at ``dsn``, and add a new epoch after the last checkpoint in the file.

    It says how far what was signed before still holds. Raises NotContinued for another ledger, or
    one that is broken in itself unless ``despite_faults``; NotANote for words that do not fit;
    FileUnusable, KeyUnusable, DatabaseUnreachable, CannotVerify.
    """
    check_words("the name of who says it", by)
    check_words("the reason", reason)
    with opened(path, begin=False) as file:
        last = last_signed(file, key)
        if last is None:
            raise FileUnusable(f"{path} has no checkpoint yet: there is nothing to begin anew")
        found = verify_ledger(
            dsn,
            ways=(OUTSIDE,),
            jobs=jobs,
            progress=None if progress is None else lambda _way: progress,
        )
        if found.ledger_id != last.ledger_id:
            raise NotContinued(
                f"{path} is of the ledger {last.ledger_id}, the database has {found.ledger_id}: give"
                " that one a checkpoint file of its own"
            )
        bad = found.readings[-1].bad
        if bad and not despite_faults:
            raise NotContinued(
                f"the ledger is broken in itself, {len(bad)} faults, the first: {bad[0]}. Restore it,"
                " or say --despite-faults, which is written into the epoch"
            )
        if found.time < last.time:
            raise NotContinued(f"{path} was signed at {last.time.isoformat()}, later than now")
        old = {head.chain: head for head in last.heads.chains}
        new = {head.chain: head for head in found.heads.chains}
        kept = _kept(dsn, path, key, found.ledger_id)
        changes = []
        for chain in sorted({*old, *new}):
            genesis = Head(chain, 0, chain_hash.genesis_hash(found.ledger_id.bytes, chain))
            stays = kept.get(chain, genesis)
            now = new.get(chain, genesis)
            changes.append(
                ChainChange(old.get(chain, genesis), stays if stays.n <= now.n else genesis, now)
            )
        epoch = NewEpoch(
            found.ledger_id,
            found.format_version,
            last.epoch + 1,
            found.time,
            by,
            reason,
            len(bad),
            tuple(changes),
        )
        file.append(key.sign(str(epoch)))
    return epoch


def _kept(dsn: str, path: Path, key: SigningKey, ledger_id: uuid.UUID) -> dict[int, Head]:
    """Return for each chain the highest head that was signed and that still is on it."""
    contents = read_file(path)
    # The file is our own: every key in it that was followed by ours is believed.
    keys: set[VerifierKey] = {key.verifier}
    for entry in contents.entries:
        if isinstance(entry.statement, KeyChange):
            keys.add(entry.statement.old)
    notes = gather([Place(path, contents)], sorted(keys, key=str)).notes
    heads = demanded(notes)
    with snapshot(dsn) as connection:
        off = {head for head, _ in off_ledger(connection, ledger_id, heads)}
    # A chain that went another way before a head cannot have it, and no higher one either.
    first_off: dict[int, int] = {}
    for head in off:
        first_off[head.chain] = min(head.n, first_off.get(head.chain, head.n))
    kept: dict[int, Head] = {}
    for head in heads:
        if head.n < first_off.get(head.chain, head.n + 1):
            before = kept.get(head.chain)
            kept[head.chain] = head if before is None or head.n > before.n else before
    return kept
