"""The library of the extra `node`, imported when a connection is made."""

import logging
import socket
import threading
from contextlib import suppress
from types import ModuleType
from typing import Any

from itermask.errors import MissingExtraError


def pynetdicom() -> ModuleType:
    """Return the library that speaks DICOM over the network; its own log is silenced, the node's says what matters.

    Raises:
        MissingExtraError: not installed.
    """
    try:
        import pynetdicom as found
    except ImportError as error:
        raise MissingExtraError("pynetdicom is needed for a node: pip install 'itermask[node]'") from error
    own = logging.getLogger("pynetdicom")
    own.propagate = False
    if not own.handlers:
        own.addHandler(logging.NullHandler())
    return found


def shut_down(server: Any) -> None:
    """Stop a server of pynetdicom, at once: its loop, which looks only twice a second, is woken by a connection."""
    stopping = threading.Thread(target=server.shutdown)
    stopping.start()
    with suppress(OSError):
        socket.create_connection(server.server_address[:2], timeout=1.0).close()
    stopping.join()
