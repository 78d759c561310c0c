"""The tasks of the shop: an order is a chain of a chord, a payment with retries, and a nested group.

What goes wrong is decided by the number of the order, so that a run can be repeated.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Any

from celery import Task, chain, chord, group

from celerytrail.examples.shop.app import app
from celerytrail.examples.shop.errors import CardDeclined, GatewayBusy, OutOfStock
from celerytrail.examples.shop.record import RAN, Entry, write_down

EMPTY_SHELF = "gold-teapot"


class ShopTask(Task):  # type: ignore[misc]
    """A task that writes down each of its runs before it does anything else."""

    def before_start(self, task_id: str, args: Any, kwargs: Any) -> None:
        """Write down this run."""
        write_down(Entry(RAN, task_id, self.name, self.request.retries))


def runs_dry(number: int) -> bool:
    """Say whether an order asks for something that is not there."""
    return number % 6 == 2


def is_declined(number: int) -> bool:
    """Say whether the bank refuses the card of an order."""
    return number % 6 == 5


def is_busy(number: int) -> bool:
    """Say whether the payment of an order has to be tried three times."""
    return number % 3 == 0


def breaks_scanner(number: int) -> bool:
    """Say whether the parcel of an order takes the process that scans it down."""
    return number % 9 == 4


@app.task(name="shop.place_order", base=ShopTask)
def place_order(
    number: int, customer: str, items: Sequence[str], card_number: str, email: str
) -> int:
    """Take an order and send its work: reserve, confirm, charge, then four things at once."""
    ship = chain(pack.si(number), scan_parcel.si(number))
    work = chain(
        chord(
            group(reserve_item.s(number, item) for item in items),
            confirm_reservation.s(number).on_error(apologise.s()),
        ),
        charge_card.si(number, amount=19.9 * len(items), card_number=card_number),
        group(
            ship,
            render_invoice.si(number, customer),
            notify.si(number, email).set(countdown=1, priority=6),
        ),
        close_order.s(number),
    )
    work.apply_async()
    return number


@app.task(name="shop.reserve_item", base=ShopTask)
def reserve_item(number: int, item: str) -> str:
    """Take one item off the shelf, if it is there."""
    if item == EMPTY_SHELF:
        raise OutOfStock(f"order {number}: there is no {item}")
    return item


@app.task(name="shop.confirm_reservation", base=ShopTask)
def confirm_reservation(reserved: Sequence[str], number: int) -> str:
    """Say that everything of an order is reserved."""
    return f"order {number}: {len(reserved)} reserved"


@app.task(name="shop.apologise", base=ShopTask)
def apologise(failed_task_id: str) -> str:
    """Write to the customer whose order could not be reserved."""
    return f"sorry about {failed_task_id}"


@app.task(name="shop.charge_card", base=ShopTask, bind=True, max_retries=4)
def charge_card(self: ShopTask, number: int, *, amount: float, card_number: str) -> str:
    """Charge the card; a busy gateway is asked again, a bank that says no is believed."""
    if is_declined(number):
        raise CardDeclined(f"order {number}: the card ending in {card_number[-4:]} was declined")
    if is_busy(number) and self.request.retries < 2:
        raise self.retry(exc=GatewayBusy(f"order {number}: come back later"), countdown=0.3)
    return f"order {number}: charged {amount:.2f}"


@app.task(name="shop.pack", base=ShopTask)
def pack(number: int) -> int:
    """Put everything into a box."""
    time.sleep(0.05)
    return number


@app.task(name="shop.scan_parcel", base=ShopTask)
def scan_parcel(number: int) -> str:
    """Scan the parcel with a driver that takes its process down now and then."""
    if breaks_scanner(number):
        os._exit(70)
    return f"parcel {number}"


@app.task(name="shop.render_invoice", base=ShopTask)
def render_invoice(number: int, customer: str) -> str:
    """Render an invoice, which is slow, and slower for some."""
    time.sleep(0.2 if number % 4 else 0.8)
    return f"invoice {number} for {customer}"


@app.task(name="shop.notify", base=ShopTask, ignore_result=False)
def notify(number: int, email: str) -> str:
    """Write to the customer that the parcel is on its way."""
    return f"wrote to {email} about {number}"


@app.task(name="shop.close_order", base=ShopTask)
def close_order(outcomes: Sequence[Any], number: int) -> str:
    """Close an order when all of its work is done."""
    return f"order {number}: closed after {len(outcomes)} steps"


@app.task(name="shop.remind", base=ShopTask)
def remind(number: int) -> None:
    """Remind a customer of a full basket; usually called off in time."""


@app.task(name="shop.offer", base=ShopTask)
def offer(number: int) -> None:
    """Make an offer that is only good for a moment."""


@app.task(name="shop.send_newsletter", base=ShopTask)
def send_newsletter(issue: str) -> None:
    """Send a newsletter."""


@app.task(name="shop.sweep", base=ShopTask)
def sweep() -> None:
    """Sweep the floor."""


@app.task(name="shop.stocktake", base=ShopTask)
def stocktake() -> None:
    """Count everything: a group of a chord and a chain."""
    shelves = chord(group(count_shelf.s(shelf) for shelf in range(3)), sum_shelves.s())
    group(shelves, chain(count_shelf.s(9), count_again.s())).apply_async()


@app.task(name="shop.count_shelf", base=ShopTask)
def count_shelf(shelf: int) -> int:
    """Count what is on one shelf."""
    return shelf * 10


@app.task(name="shop.sum_shelves", base=ShopTask)
def sum_shelves(counts: Sequence[int]) -> int:
    """Add up the shelves."""
    return sum(counts)


@app.task(name="shop.count_again", base=ShopTask)
def count_again(count: int) -> int:
    """Count a shelf a second time, to be sure."""
    return count
