"""The shop as a Celery application: queues, routes and a schedule. It knows nothing of celerytrail.

Broker and result backend come from Celery's own variables ``CELERY_BROKER_URL`` and
``CELERY_RESULT_BACKEND``.
"""

from __future__ import annotations

from celery import Celery

ORDERS, PAYMENTS, WAREHOUSE, MAIL = "shop.orders", "shop.payments", "shop.warehouse", "shop.mail"
NEWSLETTER = "shop.newsletter"
"""A queue that nobody consumes: somebody forgot to deploy its worker."""

app = Celery("shop", include=["celerytrail.examples.shop.tasks"])
app.conf.update(
    task_default_queue=ORDERS,
    task_routes={
        "shop.charge_card": {"queue": PAYMENTS},
        "shop.refund": {"queue": PAYMENTS},
        "shop.reserve_item": {"queue": WAREHOUSE},
        "shop.pack": {"queue": WAREHOUSE},
        "shop.scan_parcel": {"queue": WAREHOUSE},
        "shop.count_shelf": {"queue": WAREHOUSE},
        "shop.sum_shelves": {"queue": WAREHOUSE},
        "shop.render_invoice": {"queue": MAIL},
        "shop.notify": {"queue": MAIL},
        "shop.remind": {"queue": MAIL},
        "shop.offer": {"queue": MAIL},
        "shop.send_newsletter": {"queue": NEWSLETTER},
    },
    beat_schedule={
        "stocktake": {"task": "shop.stocktake", "schedule": 10.0},
        "sweep": {"task": "shop.sweep", "schedule": 5.0, "options": {"expires": 30}},
    },
    result_expires=3600,
    worker_prefetch_multiplier=2,
    broker_connection_retry_on_startup=True,
)
