"""A ledger with a few blocks in it, written by the sink's own code."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from celerytrail.exporter.sink.ledger import Ledger
from tests.chain.chained_ledger import ChainedLedger, chain_of_six

if TYPE_CHECKING:
    from tests.databases import MigratedDatabase


@pytest.fixture
def chained(migrated: MigratedDatabase, ledger: Ledger) -> ChainedLedger:
    """A ledger of six blocks: four of spans, one of an action, one of spans."""
    return chain_of_six(migrated, ledger)
