"""The live page: a small web server that shows and never changes anything; by default for this machine only."""

import hashlib
import json
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from itermask.errors import InputError
from itermask.node.config import Page

OWN = {
    "/": ("page.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
}
KINDS = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".css": "text/css",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".gz": "application/gzip",
    ".nii": "application/octet-stream",
    ".dcm": "application/dicom",
}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; frame-ancestors 'none'"
)
# A report may hold its own scripts and pictures, and load what lies beside it; nothing from elsewhere.
REPORT_POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-inline' 'wasm-unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; connect-src 'self' data: blob:; worker-src 'self' blob:; frame-ancestors 'none'"
)
SILENT = 30.0  # seconds


class PageServer:
    """Serves the page, its state as JSON, and the reports.

    Args:
        page: address and port.
        state: gives what the page shows.
        results: folder of the results.

    Attributes:
        port: that is listened at.
    """

    def __init__(self, page: Page, state: Callable[[], dict[str, Any]], results: Path) -> None:
        self.page, self.port = page, page.port
        self._state, self._results = state, results.resolve()
        self._server: ThreadingHTTPServer | None = None

    @property
    def address(self) -> str:
        """Where to look."""
        host = f"[{self.page.address}]" if ":" in self.page.address else self.page.address
        return f"http://{host}:{self.port}/"

    def start(self) -> None:
        """Serve.

        Raises:
            InputError: the address or port cannot be used.
        """
        own = self

        class Handler(_Handler):
            server_of = own

        class Server(ThreadingHTTPServer):
            address_family = 10 if ":" in self.page.address else 2
            daemon_threads = True

        try:
            self._server = Server((self.page.address, self.page.port), Handler)
        except (OSError, OverflowError) as error:
            raise InputError(
                f"{self.page.address} port {self.page.port}: the page cannot be served there ({error}); "
                "choose another address or port under [page]"
            ) from error
        self.port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, name="page", daemon=True).start()

    def stop(self) -> None:
        """End."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    @property
    def stopped(self) -> bool:
        """Whether it has ended."""
        return self._server is None

    def state(self) -> bytes:
        """The state as JSON."""
        return json.dumps(self._state(), ensure_ascii=False, allow_nan=False).encode()

    def result(self, path: str) -> Path | None:
        """A file of the results; None if there is none, or it lies elsewhere."""
        found = (self._results / path).resolve()
        return found if found.is_relative_to(self._results) and found.is_file() else None

    def is_own_name(self, host: str) -> bool:
        """Whether a request was meant for this page; other names may be an attack through a visited page."""
        name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
        name = name.strip("[]").lower()
        if name == "localhost" or name == self.page.address:
            return True
        try:
            asked = ip_address(name)
        except ValueError:
            return False
        return asked.is_loopback or ip_address(self.page.address).is_unspecified


class _Handler(BaseHTTPRequestHandler):
    """One request."""

    server_of: PageServer
    server_version, sys_version = "itermask", ""
    protocol_version = "HTTP/1.1"
    timeout = SILENT

    def do_GET(self) -> None:
        """Answer with a page, a part of it, the state, or a result."""
        if self.server_of.stopped:  # a connection from before
            self.close_connection = True
            return
        path = unquote(urlsplit(self.path).path)
        if not self.server_of.is_own_name(self.headers.get("Host", "")):
            self._answer(HTTPStatus.FORBIDDEN, b"this page is known by another name\n", "text/plain")
        elif path == "/state.json":
            self._state()
        elif path in OWN:
            name, kind = OWN[path]
            self._answer(HTTPStatus.OK, files("itermask.node").joinpath("live", name).read_bytes(), kind)
        elif path.startswith("/results/") and (found := self.server_of.result(path.removeprefix("/results/"))):
            kind = KINDS.get(found.suffix.lower(), "application/octet-stream")
            self._answer(HTTPStatus.OK, found.read_bytes(), kind, policy=REPORT_POLICY)
        else:
            self._answer(HTTPStatus.NOT_FOUND, b"there is nothing here\n", "text/plain")

    do_HEAD = do_GET  # noqa: N815 - the library's name

    def _state(self) -> None:
        """The state, unless the page has it already."""
        content = self.server_of.state()
        tag = f'"{hashlib.sha256(content).hexdigest()[:24]}"'
        if self.headers.get("If-None-Match") == tag:
            self._answer(HTTPStatus.NOT_MODIFIED, b"", "", tag)
        else:
            self._answer(HTTPStatus.OK, content, "application/json", tag)

    def _answer(self, status: HTTPStatus, content: bytes, kind: str, tag: str = "", policy: str = POLICY) -> None:
        self.send_response(status)
        if kind:
            self.send_header("Content-Type", f"{kind}; charset=utf-8" if kind.startswith("text/") else kind)
        if status != HTTPStatus.NOT_MODIFIED:
            self.send_header("Content-Length", str(len(content)))
        if tag:
            self.send_header("ETag", tag)
        for name, value in (
            ("Cache-Control", "no-cache" if tag else "no-store"),
            ("Content-Security-Policy", policy),
            ("X-Content-Type-Options", "nosniff"),
            ("Referrer-Policy", "no-referrer"),
        ):
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Requests are not logged."""
