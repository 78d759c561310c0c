"""Speaks HTTP to the action API with the standard library alone."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import urlencode

from celerytrail.action_api.client.errors import NoAnswer, NotReached, Problem
from celerytrail.action_api.client.settings import ClientSettings

MAX_ANSWER_BYTES = 64 * 1024 * 1024
_CUT_OFF = (BrokenPipeError, ConnectionResetError, ConnectionAbortedError)
"""A connection that was open when it failed: some of the request may have arrived."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A token must not follow wherever an answer points."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        """Follow nothing."""


class Calls:
    """Sends requests with the token of the settings; no proxy is used and no redirect followed."""

    def __init__(self, settings: ClientSettings) -> None:
        self._settings = settings
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect())

    def get(self, path: str, parameters: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Return the answer to a request to read. Raises ClientError."""
        query = f"?{urlencode(parameters)}" if parameters else ""
        return self._send(urllib.request.Request(self._settings.url + path + query))

    def post(
        self, path: str, parameters: Mapping[str, str], *, key: str | None = None
    ) -> dict[str, Any]:
        """Return the answer to a request to act; ``key`` is sent as Idempotency-Key.

        Raises Problem when it was refused, NotReached when nothing was sent, NoAnswer when nobody
        knows.
        """
        request = urllib.request.Request(
            self._settings.url + path,
            data=json.dumps(dict(parameters)).encode(),
            method="POST",
            headers={"Content-Type": "application/json", "X-Celerytrail-Action": "1"},
        )
        if key is not None:
            request.add_header("Idempotency-Key", key)
        return self._send(request)

    def _send(self, request: urllib.request.Request) -> dict[str, Any]:
        request.add_unredirected_header("Authorization", f"Bearer {self._settings.token}")
        url = self._settings.url
        try:
            with self._opener.open(request, timeout=self._settings.timeout_seconds) as response:
                return _object(response.read(MAX_ANSWER_BYTES), url)
        except urllib.error.HTTPError as exc:
            with exc:
                raise _problem(exc, url) from None
        except (OSError, http.client.HTTPException) as exc:
            # urllib wraps what happens until the request is sent, and nothing after that.
            reason = getattr(exc, "reason", None)
            if isinstance(exc, urllib.error.URLError) and not isinstance(reason, _CUT_OFF):
                raise NotReached(f"cannot reach the action API at {url}: {reason}") from exc
            raise NoAnswer(
                f"the action API at {url} did not answer ({type(exc).__name__}): it may have been "
                "done; look at the audit dashboard before you ask again"
            ) from exc


def _problem(error: urllib.error.HTTPError, url: str) -> Problem:
    document: Any = None
    with suppress(ValueError, OSError, http.client.HTTPException):
        document = json.loads(error.read(MAX_ANSWER_BYTES))
    if not isinstance(document, dict) or "code" not in document:
        return Problem(
            f"{url} answered {error.code}, and not as the action API does: is "
            "CELERYTRAIL_ACTIONS_URL right?",
            {"status": error.code, "code": "not_the_action_api"},
        )
    return Problem(f"{document.get('detail')} ({document['code']})", document)


def _object(content: bytes, url: str) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise NoAnswer(f"{url} did not answer as the action API does")
    return found
