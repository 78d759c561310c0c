"""What can go wrong with a broker: nothing was done, or nobody knows."""

from __future__ import annotations

from celerytrail.action_api.errors import ActionApiError, Unavailable


class BrokerDown(Unavailable):
    """The broker does not answer, and nothing was done."""

    code = "broker_unavailable"


class NoRoute(ActionApiError):
    """No queue takes the message; it was not sent."""

    status = 409
    code = "no_route"


class BrokerUncertain(ActionApiError):
    """The broker fell silent after it may have got the message. Verbs make an outcome of it."""

    status = 502
    code = "broker_uncertain"
