"""Times as Celery writes them into messages, read as nanoseconds since 1970."""

from __future__ import annotations

from datetime import datetime, timezone

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def parse(text: object) -> datetime | None:
    """Read an ISO 8601 time from a message header; one without a zone is UTC, as in Celery.

    Returns None for anything else: headers come from other people's processes.
    """
    if not isinstance(text, str):
        return None
    try:
        # Python 3.10 does not know the Z.
        moment = datetime.fromisoformat(text[:-1] + "+00:00" if text.endswith("Z") else text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).astimezone(
            timezone.utc
        )
    except (ValueError, OverflowError):
        return None


def unix_nano(moment: datetime) -> int:
    """Return nanoseconds since 1970, exactly."""
    since = moment - _EPOCH
    return ((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds) * 1_000


def rfc3339(moment: datetime) -> str:
    """Return the time in RFC 3339, in UTC, to the microsecond."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ").rjust(27, "0")
