"""Notes as objects of a store: S3, Google, Azure, a directory. One object a note, never overwritten."""

from __future__ import annotations

from datetime import timedelta, timezone
from hashlib import sha256
from urllib.parse import urlsplit

from celerytrail.sql.checkpoint.checkpoint_file import NOTE_SUFFIX, Entry
from celerytrail.sql.checkpoint.errors import CheckpointError, DestinationDown


class ObjectStore:
    """Puts each note under ``<ledger>/<time>-<hash of the text>.note`` below a URL.

    Credentials come from the environment, as the store's own tools read them. Names sort by time, so
    a copy of the whole is a directory that ``verify --checkpoint`` reads. Raises CheckpointError for a
    URL that names no store.
    """

    def __init__(self, url: str, timeout_seconds: float) -> None:
        try:
            import obstore
            from obstore.exceptions import AlreadyExistsError, BaseError
            from obstore.store import from_url
        except ImportError as error:
            raise CheckpointError(
                "an object store needs the package obstore: pip install 'celerytrail[checkpoint]'"
            ) from error
        parts = urlsplit(url)
        self._name = f"{parts.scheme}://{parts.hostname or ''}{parts.path}"
        self._obstore, self._exists, self._failed = obstore, AlreadyExistsError, BaseError
        timeout = timedelta(seconds=timeout_seconds)
        try:
            if parts.scheme in ("file", "memory"):
                self._store = from_url(url)
            else:
                self._store = from_url(
                    url,
                    client_options={"timeout": timeout, "allow_http": True},
                    retry_config={"max_retries": 1, "retry_timeout": timeout},
                )
        except (BaseError, ValueError) as error:
            raise CheckpointError(f"{self._name} names no store: {_first_line(error)}") from error

    @property
    def name(self) -> str:
        """Return the name of the destination."""
        return f"store {self._name}"

    def publish(self, entry: Entry) -> None:
        """Put a note; one that is there already stays as it is. Raises DestinationDown."""
        try:
            self._obstore.put(
                self._store, object_name(entry), str(entry.note).encode(), mode="create"
            )
        except self._exists:
            return
        except (self._failed, OSError) as error:
            raise DestinationDown(f"{self._name}: {_first_line(error)}") from error

    def close(self) -> None:
        """The store holds no connection that would have to be closed."""


def object_name(entry: Entry) -> str:
    """Return the name of a note's object: in order of time, the same each time."""
    said = entry.statement
    time = said.time.astimezone(timezone.utc).strftime("%Y%m%dT%H%M%S.%fZ")
    digest = sha256(entry.note.text.encode()).hexdigest()[:16]
    return f"{said.ledger_id}/{time}-{digest}{NOTE_SUFFIX}"


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0][:200]
