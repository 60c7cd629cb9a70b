"""How well scores rank what is not normal above what is: voxels of one scan, or whole scans.

A score is higher where there is more to find. No threshold is chosen, but for the ones that are named.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from itermask.evaluation.extras import sklearn_metrics
from itermask.evaluation.metrics.arrays import errors_in_brain

Scores = Sequence[float] | np.ndarray


class Youden(NamedTuple):
    """The best a threshold on scan scores can do, chosen with the truth in sight.

    Attributes:
        value: true-positive rate less false-positive rate, 0 to 1.
        threshold: scores from this one on are called anomalous; infinite if no threshold helps.
    """

    value: float
    threshold: float


def auroc_voxels(error: np.ndarray, label: np.ndarray, brain: np.ndarray) -> float:
    """Return the area under the ROC curve over one scan's brain voxels.

    Args:
        error: error map, any shape; only its values in the brain matter.
        label: boolean mask of the same shape.
        brain: boolean mask of the same shape, not empty.

    Returns:
        0 to 1, 0.5 for a map that says nothing; NaN if the label is empty, or holds all of the brain. Label voxels
        outside the brain count as missed: they rank below all of the brain.

    Raises:
        ValueError: shapes differ, the brain is empty, or the error is NaN or infinite in it.
        MissingExtraError: scikit-learn is not installed.

    Example:
        >>> auroc_voxels(np.array([0.1, 0.2, 0.9]), np.array([0, 0, 1]), np.ones(3))
        1.0
    """
    values, truth = _with_missed(error, label, brain)
    if truth.all() or not truth.any():
        return float("nan")
    return float(sklearn_metrics().roc_auc_score(truth, values))


def auprc_voxels(error: np.ndarray, label: np.ndarray, brain: np.ndarray) -> float:
    """Return the area under the precision-recall curve (average precision) over one scan's brain voxels.

    Args:
        error: error map, any shape.
        label: boolean mask of the same shape.
        brain: boolean mask of the same shape, not empty.

    Returns:
        0 to 1; NaN if the label is empty. A map that says nothing gives the label's share of the brain. Label voxels
        outside the brain count as missed: they rank below all of the brain.

    Raises:
        ValueError: shapes differ, the brain is empty, or the error is NaN or infinite in it.
        MissingExtraError: scikit-learn is not installed.

    Example:
        >>> auprc_voxels(np.array([0.1, 0.2, 0.9]), np.array([0, 1, 0]), np.ones(3))
        0.5
    """
    values, truth = _with_missed(error, label, brain)
    if not truth.any():
        return float("nan")
    return float(sklearn_metrics().average_precision_score(truth, values))


def auroc(healthy_scores: Scores, anomalous_scores: Scores) -> float:
    """Return the area under the ROC curve: how often an anomalous scan scores above a healthy one (a tie is half).

    Args:
        healthy_scores: scan-level scores of normal scans; higher is less normal.
        anomalous_scores: scan-level scores of scans with something to find.

    Returns:
        0 to 1; NaN if either is empty.

    Raises:
        ValueError: a score is NaN or infinite.
        MissingExtraError: scikit-learn is not installed.

    Example:
        >>> auroc([0.1, 0.4], [0.3, 0.9])
        0.75
    """
    truth, scores = _scans(healthy_scores, anomalous_scores)
    return float(sklearn_metrics().roc_auc_score(truth, scores)) if 0 < truth.sum() < len(truth) else float("nan")


def auprc(healthy_scores: Scores, anomalous_scores: Scores) -> float:
    """Return the average precision over scans; scores that say nothing give the anomalous scans' share of all.

    Args:
        healthy_scores: scan-level scores of normal scans; higher is less normal.
        anomalous_scores: scan-level scores of scans with something to find.

    Returns:
        0 to 1; NaN if either is empty. It depends on how many there are of either.

    Raises:
        ValueError: a score is NaN or infinite.
        MissingExtraError: scikit-learn is not installed.

    Example:
        >>> auprc([0.1, 0.2], [0.3, 0.9])
        1.0
    """
    truth, scores = _scans(healthy_scores, anomalous_scores)
    if not 0 < truth.sum() < len(truth):
        return float("nan")
    return float(sklearn_metrics().average_precision_score(truth, scores))


def fpr_at_tpr(healthy_scores: Scores, anomalous_scores: Scores, tpr: float) -> float:
    """Return the share of healthy scans flagged when at least the share `tpr` of the anomalous ones must be.

    Args:
        healthy_scores: scan-level scores of normal scans; higher is less normal.
        anomalous_scores: scan-level scores of scans with something to find.
        tpr: wanted true-positive rate, above 0 and at most 1.

    Returns:
        0 to 1: the lowest that a threshold of the form `score >= t` reaches, without interpolation. NaN if
        either is empty.

    Raises:
        ValueError: a score is NaN or infinite, or `tpr` is out of range.
        MissingExtraError: scikit-learn is not installed.

    Example:
        >>> fpr_at_tpr([0.1, 0.4], [0.3, 0.9], tpr=0.8)
        0.5
    """
    if not 0 < tpr <= 1:
        raise ValueError(f"tpr {tpr} is not above 0 and at most 1")
    truth, scores = _scans(healthy_scores, anomalous_scores)
    if not 0 < truth.sum() < len(truth):
        return float("nan")
    false, true, _ = sklearn_metrics().roc_curve(truth, scores, drop_intermediate=False)
    return float(false[true >= tpr - 1e-12].min())


def youden(healthy_scores: Scores, anomalous_scores: Scores) -> Youden:
    """Return the youden's index: the highest true-positive rate less false-positive rate over all thresholds.

    Args:
        healthy_scores: scan-level scores of normal scans; higher is less normal.
        anomalous_scores: scan-level scores of scans with something to find.

    Returns:
        value and threshold (the highest of the best). Both NaN if either is empty.

    Raises:
        ValueError: a score is NaN or infinite.
        MissingExtraError: scikit-learn is not installed.

    Example:
        >>> youden([0.1, 0.2], [0.3, 0.9])
        Youden(value=1.0, threshold=0.3)
    """
    truth, scores = _scans(healthy_scores, anomalous_scores)
    if not 0 < truth.sum() < len(truth):
        return Youden(float("nan"), float("nan"))
    false, true, thresholds = sklearn_metrics().roc_curve(truth, scores, drop_intermediate=False)
    best = int(np.argmax(true - false))
    return Youden(float(true[best] - false[best]), float(thresholds[best]))


def scan_detection(healthy_scores: Scores, anomalous_scores: Scores) -> dict[str, float]:
    """Return all scan-level measures: `auroc`, `auprc`, `fpr_at_80`, `fpr_at_90`, `youden`, `youden_threshold`.

    NaN each if there are no healthy or no anomalous scans; raises what they raise.

    Example:
        >>> sorted(scan_detection([0.1, 0.2], [0.3, 0.9]))
        ['auprc', 'auroc', 'fpr_at_80', 'fpr_at_90', 'youden', 'youden_threshold']
    """
    best = youden(healthy_scores, anomalous_scores)
    return {
        "auroc": auroc(healthy_scores, anomalous_scores),
        "auprc": auprc(healthy_scores, anomalous_scores),
        "fpr_at_80": fpr_at_tpr(healthy_scores, anomalous_scores, 0.8),
        "fpr_at_90": fpr_at_tpr(healthy_scores, anomalous_scores, 0.9),
        "youden": best.value,
        "youden_threshold": best.threshold,
    }


def _with_missed(error: np.ndarray, label: np.ndarray, brain: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return errors and labels of the brain's voxels, and of label voxels outside it, which rank below all."""
    values, truth = errors_in_brain(error, label, brain)
    outside = int(np.count_nonzero(label)) - int(truth.sum())
    below = np.full(outside, np.nextafter(values.min(), -np.inf))
    return np.append(values, below), np.append(truth, np.ones(outside, dtype=bool))


def _scans(healthy_scores: Scores, anomalous_scores: Scores) -> tuple[np.ndarray, np.ndarray]:
    """Return truth (0 healthy, 1 anomalous) and scores of all scans."""
    healthy = np.asarray(healthy_scores, dtype=np.float64).ravel()
    anomalous = np.asarray(anomalous_scores, dtype=np.float64).ravel()
    scores = np.concatenate([healthy, anomalous])
    if not np.isfinite(scores).all():
        raise ValueError("a score is NaN or infinite")
    return np.repeat([0, 1], [len(healthy), len(anomalous)]), scores


def roc_points(healthy_scores: Scores, anomalous_scores: Scores) -> list[tuple[float, float]]:
    """Return corners of the ROC curve: (false-positive rate, true-positive rate), from (0, 0) to (1, 1).

    Args:
        healthy_scores: scan-level scores of normal scans; higher is less normal.
        anomalous_scores: scan-level scores of scans with something to find.

    Returns:
        rising points; none if either is empty.

    Raises:
        ValueError: a score is NaN or infinite.
        MissingExtraError: scikit-learn is not installed.

    Example:
        >>> roc_points([0.0, 2.0], [1.0, 3.0])
        [(0.0, 0.0), (0.0, 0.5), (0.5, 0.5), (0.5, 1.0), (1.0, 1.0)]
    """
    truth, scores = _scans(healthy_scores, anomalous_scores)
    if not 0 < truth.sum() < len(truth):
        return []
    false, true, _ = sklearn_metrics().roc_curve(truth, scores)
    return [(float(one), float(other)) for one, other in zip(false, true, strict=True)]
