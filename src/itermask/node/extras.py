"""The library of the extra `node`, imported when a connection is made."""

import logging
from types import ModuleType

from itermask.errors import MissingExtraError


def pynetdicom() -> ModuleType:
    """The library that speaks DICOM over the network; its own log is silenced, the node's says what matters.

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
