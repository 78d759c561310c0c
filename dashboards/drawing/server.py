"""Serves sheets, the bundled page, fonts and icons to a browser of this machine."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

NODE_PROJECT: Final = Path(__file__).resolve().parents[1] / "pictures"

_MODULES: Final = NODE_PROJECT / "node_modules"
_PAGES: Final = {"/": "page.html", "/transform": "transform.html"}
# The beginning of an address, and the folders in which its file may be.
_FOLDERS: Final = (
    ("/dist/", (NODE_PROJECT / "dist",)),
    (
        "/fonts/",
        (_MODULES / "inter-ui" / "web", _MODULES / "@fontsource" / "roboto-mono" / "files"),
    ),
    # Where @grafana/ui asks for its icons.
    (
        "/public/build/img/icons/",
        (_MODULES / "@grafana" / "ui" / "dist" / "public" / "img" / "icons",),
    ),
)
_TYPES: Final = {
    ".css": "text/css",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".ttf": "font/ttf",
    ".woff2": "font/woff2",
}


@contextmanager
def serving(sheets: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Serve on 127.0.0.1, on a free port, while the block runs; yield the address.

    It only gives out what it was given: no query can be asked through it.
    """
    bodies = {name: json.dumps(page, allow_nan=False).encode() for name, page in sheets.items()}
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(bodies))
    thread = threading.Thread(target=server.serve_forever, name="sheets", daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(sheets: Mapping[str, bytes]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = unquote(urlsplit(self.path).path)
            sheet = sheets.get(path.removeprefix("/sheets/"))
            # Another host name is another web page that asks by way of the browser.
            host, port = self.connection.getsockname()[:2]
            if self.headers.get("Host") != f"{host}:{port}":
                self._answer(403, "text/plain", b"")
            elif sheet is not None:
                self._answer(200, _TYPES[".json"], sheet)
            else:
                file = NODE_PROJECT / _PAGES[path] if path in _PAGES else _file(path)
                if file is None:
                    self._answer(404, "text/plain", b"")
                else:
                    self._answer(200, _TYPES[file.suffix], file.read_bytes())

        def _answer(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing: what goes wrong is seen in the browser, and is in its report."""

    return Handler


def _file(path: str) -> Path | None:
    for start, folders in _FOLDERS:
        if path.startswith(start):
            for folder in folders:
                file = (folder / path.removeprefix(start)).resolve()
                inside = file.is_relative_to(folder.resolve())
                if inside and file.is_file() and file.suffix in _TYPES:
                    return file
    return None
