"""Encryption of DICOM connections, where the configuration wants it: both sides must show a certificate."""

import logging
import ssl
from contextlib import suppress
from pathlib import Path
from typing import Any

from itermask.apps.node.config import Tls
from itermask.errors import InputError

LOG = logging.getLogger("itermask.node")
SILENT = 30.0  # seconds that a peer may take with a word


class _Telling(ssl.SSLSocket):
    """Says in the log why a connection came to nothing."""

    def recv(self, *arguments: Any) -> bytes:
        try:
            return super().recv(*arguments)
        except ssl.SSLError as error:
            address = "a peer"
            with suppress(OSError):
                address = str(self.getpeername()[0])
            LOG.warning("connection from %s ended: no TLS, or no accepted certificate (%s)", address, error.reason)
            raise


class _Unhurried(ssl.SSLContext):
    """Shakes hands when a connection is first read from, so that a silent peer does not keep others waiting."""

    sslsocket_class = _Telling

    def wrap_socket(self, sock: Any, *arguments: Any, **options: Any) -> ssl.SSLSocket:
        sock.settimeout(SILENT)
        return super().wrap_socket(sock, *arguments, **(options | {"do_handshake_on_connect": False}))


def server_side(tls: Tls) -> ssl.SSLContext:
    """Return the TLS context for connections that come in.

    Raises:
        InputError: a file of the configuration cannot be used.
    """
    context = _Unhurried(ssl.PROTOCOL_TLS_SERVER)
    context.verify_mode = ssl.CERT_REQUIRED
    return _filled(context, tls)


def client_side(tls: Tls) -> ssl.SSLContext:
    """Return the TLS context for connections that go out; the peer's certificate must be of the host's name or address.

    Raises:
        InputError: a file of the configuration cannot be used.
    """
    return _filled(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), tls)


def _filled(context: ssl.SSLContext, tls: Tls) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    for path in (tls.certificate, tls.key, tls.ca):
        if not Path(path).is_file():
            raise InputError(f"{path}: no such file; correct [tls]")
    try:
        context.load_cert_chain(tls.certificate, tls.key)
        context.load_verify_locations(tls.ca)
    except (ssl.SSLError, OSError) as error:
        raise InputError(f"{tls.certificate}, {tls.key}, {tls.ca}: cannot be used for TLS ({error})") from error
    return context
