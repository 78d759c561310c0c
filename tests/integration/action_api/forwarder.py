"""A port that leads nowhere until it is opened, and then to a database."""

from __future__ import annotations

import select
import socket
import threading
from typing import TYPE_CHECKING

from psycopg.conninfo import conninfo_to_dict, make_conninfo

if TYPE_CHECKING:
    from typing_extensions import Self


class Forwarder:
    """Takes connections on a port of its own; drops them at once until ``open``, then forwards."""

    def __init__(self, dsn: str) -> None:
        parameters = conninfo_to_dict(dsn)
        self._target = (str(parameters["host"]), int(str(parameters["port"])))
        self._listener = socket.create_server(("127.0.0.1", 0))
        port = self._listener.getsockname()[1]
        self.dsn = make_conninfo(dsn, host="127.0.0.1", port=port)
        self._opened = threading.Event()
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def open(self) -> None:
        self._opened.set()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if not self._opened.is_set():
                client.close()
                continue
            threading.Thread(target=_forward, args=(client, self._target), daemon=True).start()


def _forward(client: socket.socket, target: tuple[str, int]) -> None:
    """Copy both ways until one side ends."""
    with client, socket.create_connection(target) as server:
        other = {client: server, server: client}
        while True:
            for ready in select.select([client, server], [], [])[0]:
                try:
                    content = ready.recv(65536)
                    other[ready].sendall(content)
                except OSError:
                    return
                if not content:
                    return
