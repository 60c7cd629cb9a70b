"""A small web server for pages of this machine.

It answers only to its own name, so that no page elsewhere can reach it through a name that leads here, and sends each
answer with a policy of what the page may load.
"""

import hashlib
import logging
import socket
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from socketserver import TCPServer
from typing import Any
from urllib.parse import unquote, urlsplit

from itermask.apps.web.access import OPEN, Access, Gate, https
from itermask.errors import InputError

LOG = logging.getLogger("itermask.web")
NOTHING = "default-src 'none'; frame-ancestors 'none'"
SILENT = 30.0  # seconds
WHO = ":who"  # among the headers: the user name of whoever gave the password; no client can send such a name


@dataclass(frozen=True)
class Answer:
    """What is sent.

    Attributes:
        content: the bytes.
        kind: media type; texts are in UTF-8.
        status: of HTTP.
        policy: Content-Security-Policy, what a page may load.
        tag: names this content, so that who has it already is not sent it again; "" without one.
    """

    content: bytes = b""
    kind: str = "text/plain"
    status: HTTPStatus = HTTPStatus.OK
    policy: str = NOTHING
    tag: str = ""


def tag_of(content: bytes) -> str:
    """Return a name that differs where the content does.

    Example:
        >>> tag_of(b"page") == tag_of(b"page")
        True
    """
    return f'"{hashlib.sha256(content).hexdigest()[:24]}"'


def missing() -> Answer:
    """Return the answer where there is nothing to show.

    Example:
        >>> int(missing().status)
        404
    """
    return Answer(b"there is nothing here\n", status=HTTPStatus.NOT_FOUND)


class WebServer:
    """Serves in threads of its own; what it serves, `get` and `post` say.

    Args:
        host: IP address to listen at, or `localhost`.
        port: 0 takes a free one.
        advice: what to do where it cannot listen there.
        access: password, encryption and further names.

    Attributes:
        host: as given.
        port: that is listened at.
        longest: bytes of the longest content that may be sent to it.
    """

    longest = 0

    def __init__(self, host: str, port: int, advice: str, access: Access = OPEN) -> None:
        self.host, self.port, self._advice, self.access = host, port, advice, access
        self.gate = Gate(access.password)
        self._server: ThreadingHTTPServer | None = None

    def get(self, path: str, headers: Mapping[str, str]) -> Answer:
        """Return what is shown at a path; `headers` have names in lower case."""
        return missing()

    def post(self, path: str, headers: Mapping[str, str], content: bytes) -> Answer:
        """Return what comes of content that is sent to a path; nothing may be sent unless this says otherwise."""
        return Answer(status=HTTPStatus.NOT_IMPLEMENTED)

    @property
    def scheme(self) -> str:
        """`https` or `http`."""
        return "http" if self.access.certificate is None else "https"

    @property
    def address(self) -> str:
        """Where to look, for browsers."""
        return f"{self.scheme}://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}/"

    def start(self) -> None:
        """Serve.

        Raises:
            InputError: the address or port cannot be used.
        """
        own = self
        context = https(self.access)

        class Handler(_Handler):
            server_of = own

        class Server(ThreadingHTTPServer):
            address_family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
            daemon_threads = True
            server_bind = TCPServer.server_bind  # without asking the network for this machine's name

            def get_request(self) -> tuple[Any, Any]:
                request, address = super().get_request()
                request.settimeout(SILENT)
                if context is not None:  # hands are shaken when it is first read from, in a thread of its own
                    request = context.wrap_socket(request, server_side=True, do_handshake_on_connect=False)
                return request, address

            def handle_error(self, request: Any, client_address: Any) -> None:
                """Ignore a connection that failed."""
                if isinstance(sys.exception(), OSError):  # cut, silent, or not encrypted
                    return
                LOG.error("page: %r for %s", sys.exception(), client_address[0])

        try:
            self._server = Server((self.host, self.port), Handler)
        except (OSError, OverflowError) as error:
            raise InputError(
                f"{self.host} port {self.port}: the page cannot be served there ({error}); {self._advice}"
            ) from error
        self.port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, args=(0.05,), name="page", daemon=True).start()

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

    def is_own_name(self, host: str) -> bool:
        """Return whether a request was meant for this server; other names may be an attack through a visited page."""
        name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
        name = name.strip("[]").lower()
        if name in ("localhost", self.host, *(each.lower() for each in self.access.names)):
            return True
        try:
            return ip_address(name).is_loopback or ip_address(self.host).is_unspecified
        except ValueError:
            return False


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    server_of: WebServer
    server_version, sys_version = "itermask", ""
    protocol_version = "HTTP/1.1"
    timeout = SILENT
    _who: str | None = None

    def do_GET(self) -> None:
        """Answer with what is shown at the path."""
        if self._is_welcome():
            self._send(self.server_of.get(self._path(), self._headers()))

    do_HEAD = do_GET  # noqa: N815 - the library's name

    def do_POST(self) -> None:
        """Take content, if it is of a known length that is not too large."""
        length = self.headers.get("Content-Length", "0" if "Transfer-Encoding" not in self.headers else "")
        if not (length.isascii() and length.isdigit()):
            self.close_connection = True
            self._send(Answer(b"of unknown length\n", status=HTTPStatus.LENGTH_REQUIRED))
        elif int(length) > self.server_of.longest:
            self.close_connection = True
            self._send(Answer(b"too long\n", status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE))
        else:
            content = self.rfile.read(int(length))
            if self._is_welcome():
                self._send(self.server_of.post(self._path(), self._headers(), content))

    def _is_welcome(self) -> bool:
        """Return whether there is to be an answer; a request under another name is refused here."""
        if self.server_of.stopped:  # a connection from before
            self.close_connection = True
            return False
        if not self.server_of.is_own_name(self.headers.get("Host", "")):
            self._send(Answer(b"this page is known by another name\n", status=HTTPStatus.FORBIDDEN))
            return False
        address = str(self.client_address[0])
        if self.server_of.gate.must_wait(address):
            self._send(Answer(b"too many wrong passwords; wait a minute\n", status=HTTPStatus.TOO_MANY_REQUESTS))
            return False
        self._who = self.server_of.gate.name(self.headers.get("Authorization", ""), address)
        if self._who is None:
            self._send(Answer(b"this page needs a password\n", status=HTTPStatus.UNAUTHORIZED))
            return False
        return True

    def _path(self) -> str:
        return unquote(urlsplit(self.path).path)

    def _headers(self) -> dict[str, str]:
        return {name.lower(): value for name, value in self.headers.items()} | {WHO: self._who or ""}

    def _send(self, answer: Answer) -> None:
        """Send an answer, without its content to whoever has it already."""
        known = bool(answer.tag) and self.headers.get("If-None-Match") == answer.tag
        self.send_response(HTTPStatus.NOT_MODIFIED if known else answer.status)
        if not known:
            kind = answer.kind
            self.send_header("Content-Type", f"{kind}; charset=utf-8" if kind.startswith("text/") else kind)
            self.send_header("Content-Length", str(len(answer.content)))
        if answer.status == HTTPStatus.UNAUTHORIZED:
            self.send_header("WWW-Authenticate", 'Basic realm="itermask", charset="UTF-8"')
        if answer.tag:
            self.send_header("ETag", answer.tag)
        if self.close_connection:
            self.send_header("Connection", "close")
        for name, value in (
            ("Cache-Control", "no-cache" if answer.tag else "no-store"),
            ("Content-Security-Policy", answer.policy),
            ("Cross-Origin-Resource-Policy", "same-origin"),
            ("X-Content-Type-Options", "nosniff"),
            ("Referrer-Policy", "no-referrer"),
        ):
            self.send_header(name, value)
        self.end_headers()
        if not known and self.command != "HEAD":
            self.wfile.write(answer.content)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Log no request."""
