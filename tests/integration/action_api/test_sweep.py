"""The sweep: one action that cannot be looked at is in nobody's way, and what is known is written."""

from __future__ import annotations

import threading
from typing import Any

from celerytrail.action_api.config import DeploymentSettings
from celerytrail.action_api.intents.lease import Lease
from celerytrail.examples.embedded.valkey import EmbeddedValkey
from tests.integration.action_api.acting import Replica, replica
from tests.integration.action_api.stored_tasks import StoredTasks
from tests.integration.action_api.test_intents import TASK, die, shop, slow_publish, states, stored
from tests.span_rows import SHOP
from tests.waiting import wait_until

__all__ = ["shop", "stored"]

pytest_plugins = ["tests.databases"]


def retry(api: Replica, task_id: str = TASK) -> Any:
    return api.do("retry", deployment=SHOP, task_id=task_id)


def test_an_action_whose_look_fails_stops_no_other_and_ends_unknown(
    stored: StoredTasks,
    shop: DeploymentSettings,
    valkey: EmbeddedValkey,
) -> None:
    first = die(stored, valkey, "before")
    # What it is on was written by another release, or by hand: nothing can be made of it.
    broken = {"verb": "retry", "task": ["a list"]}
    with replica(
        stored.database.dsn("actions"),
        shop,
        sweep_seconds=1.0,
        lease_seconds=1.0,
        grace_seconds=2.0,
    ) as api:
        recover = api.verbs["retry"].recover

        def fault(expired: Any, **more: Any) -> Any:
            if expired.intent_id == first:
                raise KeyError(str(broken))
            return recover(expired, **more)

        api.verbs["retry"].recover = fault  # type: ignore[method-assign]
        wait_until(lambda: api.sweep().look() == 1, "the sweep gave up")
    assert states(stored) == ["unknown"]


def test_who_lost_the_lease_after_the_deed_still_tells_what_was_done(
    stored: StoredTasks,
    shop: DeploymentSettings,
) -> None:
    """A machine stands still for longer than a lease; another replica looks and finds nothing."""
    dsn = stored.database.dsn("actions")
    bounds: dict[str, Any] = {"lease_seconds": 1.0, "sweep_seconds": 1.0, "grace_seconds": 600.0}
    with replica(dsn, shop, **bounds) as one, replica(dsn, shop, **bounds) as two:
        one.ledger.renew_lease = lambda *_: True  # type: ignore[method-assign]
        go_on, published = threading.Event(), threading.Event()
        slow_publish(one, go_on, published)
        done: list[Any] = []
        thread = threading.Thread(target=lambda: done.append(retry(one)))
        thread.start()
        assert published.wait(60)
        two.brokers.of(SHOP).connections.change(
            lambda connection: connection.default_channel.queue_purge("orders")
        )
        looked = two.sweep()

        def taken_over() -> bool:
            looked.look()
            return bool(
                stored.database.value(
                    "SELECT holder = %s FROM celerytrail.intents", two.settings.holder
                )
            )

        wait_until(taken_over, "another replica looks")
        go_on.set()
        thread.join(60)
        assert done[0].outcome.state == "unknown"
        assert states(stored) == []
        sweep = one.sweep()
        wait_until(lambda: sweep.look() or states(stored), "who knows it writes it")
    assert states(stored) == ["succeeded"]


def test_a_late_thread_of_an_action_that_is_over_may_not_touch_the_broker(
    stored: StoredTasks,
    shop: DeploymentSettings,
) -> None:
    seen: list[Lease] = []
    with replica(stored.database.dsn("actions"), shop) as api:
        perform = api.verbs["retry"].perform

        def keep(plan: Any, intent: Any) -> Any:
            seen.append(intent)
            assert intent.still_ours()
            return perform(plan, intent)

        api.verbs["retry"].perform = keep  # type: ignore[method-assign]
        retry(api)
    assert not seen[0].still_ours()
