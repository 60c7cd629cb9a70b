"""The ways in which this package says no."""

from collections.abc import Iterator
from contextlib import contextmanager


class InputError(ValueError):
    """What the user supplied cannot be used: a file, an option, a model folder.

    The message is one line that names the file or option, says what is wrong and what to do. The command
    line prints it as it is and ends with exit code 2; cohort runs record it beside the scan.
    """


class MissingExtraError(InputError, ImportError):
    """An optional dependency is needed and not installed; the message names the extra to install."""


class PluginError(InputError):
    """What another package adds to this one cannot be used; the message names the package."""


@contextmanager
def needed(library: str, extra: str) -> Iterator[None]:
    """Turn a failed import into an error that says which extra to install.

    Args:
        library: what is imported, as its makers write it.
        extra: of this package that it belongs to.

    Raises:
        MissingExtraError: it is not installed.

    Example:
        >>> with needed("NumPy", "train"):
        ...     import numpy
        ...
    """
    try:
        yield
    except ImportError as error:
        raise MissingExtraError(f"{library} is needed: pip install 'itermask[{extra}]'") from error
