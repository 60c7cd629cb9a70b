"""The libraries of the extra `evaluation`, imported when a measure needs one."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

from itermask.errors import needed


def sklearn_metrics() -> ModuleType:
    """Return scikit-learn's `metrics`.

    Raises:
        MissingExtraError: not installed.

    Example:
        >>> sklearn_metrics().__name__
        'sklearn.metrics'
    """
    with needed("scikit-learn", "evaluation"):
        from sklearn import metrics
    return metrics


def structural_similarity() -> Callable[..., Any]:
    """Return scikit-image's function of that name.

    Raises:
        MissingExtraError: not installed.

    Example:
        >>> structural_similarity().__name__
        'structural_similarity'
    """
    with needed("scikit-image", "evaluation"):
        from skimage.metrics import structural_similarity as found
    return found
