"""What can go wrong between the command line and the action API, and the exit code of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

DONE = 0
REFUSED = 1
UNCERTAIN = 3
UNREACHABLE = 4


class ClientError(Exception):
    """Base of the errors of the client; the message is meant for the person at the terminal."""

    exit_code = REFUSED


class SettingsError(ClientError):
    """A setting is missing or wrong; the message names it."""


class Problem(ClientError):
    """The action API answered that it does not do this; ``document`` is its problem document."""

    def __init__(self, message: str, document: Mapping[str, Any]) -> None:
        super().__init__(message)
        self.document = dict(document)


class NotReached(ClientError):
    """Nothing was sent: there is no connection, so nothing was done."""

    exit_code = UNREACHABLE


class NoAnswer(ClientError):
    """The request was sent and no answer came: it may have been done."""

    exit_code = UNCERTAIN
