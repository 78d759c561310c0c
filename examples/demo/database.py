"""The demo's database: an embedded server, or the one that was given."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from celerytrail.examples.demo.errors import DemoError
from celerytrail.examples.embedded.postgres import EmbeddedPostgres

if TYPE_CHECKING:
    from typing_extensions import Self

_NAME = "celerytrail"


class DemoDatabase:
    """Addresses of one database for each role of the ledger, while the context is open.

    A server of our own gives every role a password. On a server that was given, nothing of its
    roles is changed: we log in as given and take the role for the session, which a superuser may.
    """

    def __init__(self, directory: Path, dsn: str | None, bin_dir: str | None) -> None:
        self._given = dsn
        self._server = None if dsn else EmbeddedPostgres(directory, bin_dir=bin_dir)

    def __enter__(self) -> Self:
        if self._server is not None:
            self._server.start()
            try:
                if not self._exists():
                    self._server.create_database(_NAME)
            except BaseException:
                self._server.stop()
                raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._server is not None:
            self._server.stop()

    @property
    def description(self) -> str:
        """Say which server it is, without a secret."""
        if self._server is not None:
            return f"the Postgres of {self._server.bin_dir} on port {self._server.port}"
        parameters = conninfo_to_dict(self.administrator)
        return f"{parameters.get('host', 'the local socket')}, database {parameters.get('dbname')}"

    @property
    def own_server(self) -> bool:
        """Say whether the server is the demo's own: only there its roles are looked after."""
        return self._server is not None

    @property
    def administrator(self) -> str:
        """Return the address for whoever migrates."""
        return self._server.dsn(_NAME) if self._server is not None else str(self._given)

    def role(self, name: str) -> str:
        """Return the address for a role of the ledger, once it is migrated."""
        if self._server is not None:
            return self._server.dsn(_NAME, user=name)
        options = str(conninfo_to_dict(self.administrator).get("options") or "")
        return make_conninfo(self.administrator, options=f"{options} -c role={name}".strip())

    def connect(self) -> psycopg.Connection:
        """Open a connection for whoever migrates. Raises DemoError when there is no way in."""
        try:
            return psycopg.connect(self.administrator, autocommit=True)
        except psycopg.Error as error:
            raise DemoError(f"cannot connect to {self.description}: {error}") from error

    def _exists(self) -> bool:
        assert self._server is not None
        try:
            psycopg.connect(self._server.dsn(_NAME)).close()
        except psycopg.OperationalError:
            return False
        return True
