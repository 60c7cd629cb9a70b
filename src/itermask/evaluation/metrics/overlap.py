"""Overlap of a predicted mask with a label, voxel by voxel.

All masks are boolean, of any shape, and the same in one call; `ValueError` is raised if the shapes differ.
"""

import numpy as np

from itermask.evaluation.metrics.arrays import as_masks


def dice(prediction: np.ndarray, label: np.ndarray) -> float:
    """Return the overlap of two masks, `2|P ∩ L| / (|P| + |L|)`.

    Args:
        prediction: boolean mask, any shape.
        label: boolean mask of the same shape.

    Returns:
        0 to 1. Both empty: 1. One empty and the other not: 0.

    Raises:
        ValueError: the shapes differ.

    Example:
        >>> dice(np.array([1, 1, 0]), np.array([1, 0, 0]))
        0.6666666666666666
    """
    hits, predicted, labelled = _counts(prediction, label)
    return 2 * hits / (predicted + labelled) if predicted + labelled else 1.0


def jaccard(prediction: np.ndarray, label: np.ndarray) -> float:
    """Return the intersection over union, `|P ∩ L| / |P ∪ L|`, 0 to 1. Both empty: 1. One empty and the other not: 0.

    Raises:
        ValueError: the shapes differ.

    Example:
        >>> jaccard(np.array([1, 1, 0]), np.array([1, 0, 0]))
        0.5
    """
    hits, predicted, labelled = _counts(prediction, label)
    return hits / (predicted + labelled - hits) if predicted + labelled else 1.0


def precision(prediction: np.ndarray, label: np.ndarray) -> float:
    """Return the share of the prediction that is right, `|P ∩ L| / |P|`; NaN if nothing is predicted.

    Raises:
        ValueError: the shapes differ.

    Example:
        >>> precision(np.array([1, 1, 0]), np.array([1, 0, 0]))
        0.5
    """
    hits, predicted, _ = _counts(prediction, label)
    return hits / predicted if predicted else float("nan")


def sensitivity(prediction: np.ndarray, label: np.ndarray) -> float:
    """Return the share of the label that is found, `|P ∩ L| / |L|`; NaN if the label is empty.

    Raises:
        ValueError: the shapes differ.

    Example:
        >>> sensitivity(np.array([1, 1, 0]), np.array([1, 0, 0]))
        1.0
    """
    hits, _, labelled = _counts(prediction, label)
    return hits / labelled if labelled else float("nan")


def _counts(prediction: np.ndarray, label: np.ndarray) -> tuple[int, int, int]:
    """Return numbers of voxels in both masks, in the prediction, and in the label."""
    prediction, label = as_masks(prediction=prediction, label=label)
    return int((prediction & label).sum()), int(prediction.sum()), int(label.sum())
