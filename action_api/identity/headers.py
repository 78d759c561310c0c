"""The headers that say who somebody is, read in a way that leaves no room for two answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from celerytrail.action_api.identity.refused import Why, refused

PROXY = "X-Celerytrail-Proxy"
TOKEN = "X-Grafana-Id"
CONTEXT = "X-Grafana-Context"
AUTHORIZATION = "Authorization"
PROOFS = (PROXY, TOKEN, CONTEXT, AUTHORIZATION)

REPEATED = "X-Celerytrail-Repeated"
"""Set by our server alone, over whatever a client sent: the proofs that came more than once.

WSGI joins repeated headers by a comma, and two halves of a JSON object joined so are an object.
"""

MAX_TOKEN_CHARACTERS = 8 * 1024
MAX_CONTEXT_CHARACTERS = 32 * 1024


@dataclass(frozen=True, slots=True)
class Headers:
    """The proofs of one request, each of them once or not at all.

    ``grafana`` says whether any header came that only Grafana sends.
    """

    proxy: str | None
    token: str | None
    context: str | None
    authorization: str | None
    grafana: bool


def read_headers(headers: Mapping[str, str]) -> Headers:
    """Pick the proofs out of the headers of a request; names are matched without case.

    Raises NotAuthenticated when one of them came twice. ``X-Grafana-User`` is never looked at:
    Grafana sends it or not by settings that have nothing to do with it.
    """
    named = {name.lower(): value for name, value in headers.items()}
    repeated = named.get(REPEATED.lower(), "").strip()
    if repeated:
        raise refused(Why.REPEATED, f"a header came more than once: {repeated}")
    for name in (PROXY, TOKEN, AUTHORIZATION):
        # None of the three can hold a comma, so one means that two values were joined.
        if "," in named.get(name.lower(), ""):
            raise refused(Why.REPEATED, f"a header came more than once: {name}")
    return Headers(
        proxy=named.get(PROXY.lower()),
        token=named.get(TOKEN.lower()),
        context=named.get(CONTEXT.lower()),
        authorization=named.get(AUTHORIZATION.lower()),
        grafana=any(name.startswith("x-grafana-") for name in named),
    )
