"""Customers: they send orders, and now and then something that never runs, and write down each one."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from celery.result import AsyncResult

from celerytrail.examples.shop.app import app
from celerytrail.examples.shop.record import SENT, Entry, write_down
from celerytrail.examples.shop.tasks import (
    EMPTY_SHELF,
    offer,
    place_order,
    remind,
    runs_dry,
    send_newsletter,
)

_ITEMS = ("teapot", "kettle", "cup", "saucer", "spoon", "tray")
_CUSTOMERS = ("Ada", "Grace", "Katherine", "Margaret", "Radia")
_REVOKE_AFTER_SECONDS = 3.0


def send_order(number: int) -> None:
    """Send one order, and with some of them something that will not run."""
    chosen = random.Random(number)
    items = chosen.sample(_ITEMS, chosen.randint(2, 4))
    if runs_dry(number):
        items[-1] = EMPTY_SHELF
    customer = chosen.choice(_CUSTOMERS)
    _written_down(
        place_order.apply_async(
            kwargs={
                "number": number,
                "customer": customer,
                "items": items,
                "card_number": f"4242424242{chosen.randint(0, 999999):06d}",
                "email": f"{customer.lower()}@example.com",
            },
            priority=chosen.choice((0, 3, 6)),
        )
    )
    if number % 10 == 1:
        _call_off(_written_down(remind.apply_async((number,), countdown=_REVOKE_AFTER_SECONDS)))
    if number % 10 == 2:
        _written_down(offer.apply_async((number,), countdown=1.5, expires=0.5))
    if number % 10 == 3:
        _written_down(send_newsletter.apply_async((f"issue {number}",)))


def run(orders: int | None, every_seconds: float, stopped: Callable[[], bool]) -> int:
    """Send ``orders`` orders, or go on until ``stopped()``, one each ``every_seconds``.

    Returns how many orders were sent.
    """
    number = 0
    while (orders is None or number < orders) and not stopped():
        number += 1
        send_order(number)
        until = time.monotonic() + every_seconds
        while time.monotonic() < until and not stopped():
            time.sleep(min(0.05, every_seconds))
    return number


def _written_down(result: AsyncResult) -> AsyncResult:
    write_down(Entry(SENT, result.id, ""))
    return result


def _call_off(result: AsyncResult) -> None:
    # Wait for the worker's answer, so that it knows before the task is due.
    app.control.revoke(result.id, reply=True, timeout=1.0, limit=2)
