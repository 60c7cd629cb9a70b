"""The former name of `itermask.run_scans`, kept for one version."""

import warnings
from typing import Any

from itermask import run_scans


def __getattr__(name: str) -> Any:
    """Return a name of `itermask.run_scans`, with a warning."""
    if name.startswith("__"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    warnings.warn(
        "itermask.look is now itermask.run_scans and will be removed in version 0.3; itermask.run stays",
        DeprecationWarning,
        stacklevel=2,
    )
    return getattr(run_scans, name)
