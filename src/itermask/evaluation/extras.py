"""The libraries of the extra `evaluation`, imported when a measure needs one."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

from itermask.errors import MissingExtraError


def sklearn_metrics() -> ModuleType:
    """Return scikit-learn's `metrics`.

    Raises:
        MissingExtraError: not installed.
    """
    try:
        from sklearn import metrics
    except ImportError as error:
        raise MissingExtraError("scikit-learn is needed: pip install 'itermask[evaluation]'") from error
    return metrics


def structural_similarity() -> Callable[..., Any]:
    """Return scikit-image's function of that name.

    Raises:
        MissingExtraError: not installed.
    """
    try:
        from skimage.metrics import structural_similarity as found
    except ImportError as error:
        raise MissingExtraError("scikit-image is needed: pip install 'itermask[evaluation]'") from error
    return found
