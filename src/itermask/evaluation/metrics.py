"""Measures of masks, error maps and scan scores, as plain functions.

A mask predicted from an error map is `error > threshold`, inside the brain. Undefined cases are stated with
each function: either a value by convention or NaN, never a warning.
"""

from collections.abc import Sequence
from types import ModuleType
from typing import NamedTuple

import numpy as np

from itermask.errors import MissingExtraError

COARSE, FINE = 400, 400  # candidate thresholds: over all brain errors, then around the best so far
ROUNDS = 3  # of fine search


class BestThreshold(NamedTuple):
    """A threshold chosen with the labels in sight, and the Dice it gives.

    Attributes:
        threshold: flag what is above it.
        dice: Dice at this threshold, 0 to 1.
    """

    threshold: float
    dice: float


class SharedThreshold(NamedTuple):
    """One threshold for a whole test set, chosen with the labels in sight.

    Attributes:
        threshold: flag what is above it.
        dice: float64, one value for each scan, in their order.
    """

    threshold: float
    dice: np.ndarray


class Interval(NamedTuple):
    """A mean with its confidence interval."""

    mean: float
    low: float
    high: float


def dice(prediction: np.ndarray, label: np.ndarray) -> float:
    """Overlap of two masks, `2|P ∩ L| / (|P| + |L|)`.

    Args:
        prediction: boolean mask, any shape.
        label: boolean mask of the same shape.

    Returns:
        0 to 1. Both empty: 1. One empty and the other not: 0.

    Raises:
        ValueError: the shapes differ.
    """
    hits, predicted, labelled = _counts(prediction, label)
    return 2 * hits / (predicted + labelled) if predicted + labelled else 1.0


def precision(prediction: np.ndarray, label: np.ndarray) -> float:
    """Share of the prediction that is right, `|P ∩ L| / |P|`; NaN if nothing is predicted.

    Raises:
        ValueError: the shapes differ.
    """
    hits, predicted, _ = _counts(prediction, label)
    return hits / predicted if predicted else float("nan")


def sensitivity(prediction: np.ndarray, label: np.ndarray) -> float:
    """Share of the label that is found, `|P ∩ L| / |L|`; NaN if the label is empty.

    Raises:
        ValueError: the shapes differ.
    """
    hits, _, labelled = _counts(prediction, label)
    return hits / labelled if labelled else float("nan")


def best_threshold_dice(error: np.ndarray, label: np.ndarray, brain: np.ndarray) -> BestThreshold:
    """The best Dice that any threshold on one scan's error map can reach: an upper bound, with the label seen.

    All thresholds are tried. Label voxels outside the brain count as missed.

    Args:
        error: error map, any shape; only its values in the brain matter.
        label: boolean mask of the same shape.
        brain: boolean mask of the same shape, not empty.

    Returns:
        the threshold (the highest of the best) and its Dice. An empty label: the highest error and 1.

    Raises:
        ValueError: shapes differ, the brain is empty, or the error is NaN or infinite in it.
    """
    scan = _ranked(error, label, brain)
    ends = np.append(np.flatnonzero(np.diff(scan.errors)), len(scan.errors) - 1)  # last voxel of each error value
    thresholds = np.append(np.nextafter(scan.errors[0], -np.inf), scan.errors[ends])[::-1]
    values = scan.dice(thresholds)
    best = int(np.argmax(values))
    return BestThreshold(float(thresholds[best]), float(values[best]))


def best_shared_threshold(
    errors: Sequence[np.ndarray], labels: Sequence[np.ndarray], brains: Sequence[np.ndarray]
) -> SharedThreshold:
    """The one threshold that gives a test set its best mean Dice, as the papers' tables choose it.

    The mean is over scans. Candidates are quantiles of all scans' brain errors pooled, closer together towards
    the highest, then closer together around the best; so the result is exact for small sets and within a small
    fraction of a percent of the voxels for large ones.

    Args:
        errors: one error map a scan, each of any shape.
        labels: one boolean mask a scan.
        brains: one boolean mask a scan, not empty.

    Returns:
        the threshold and every scan's Dice. A scan with an empty label has 1 if nothing is flagged in it, else 0.

    Raises:
        ValueError: no scans, lists of different lengths, or what `best_threshold_dice` raises.
    """
    if not len(errors) or not len(errors) == len(labels) == len(brains):
        raise ValueError(f"{len(errors)} error maps, {len(labels)} labels and {len(brains)} brain masks do not fit")
    scans = [_ranked(*one) for one in zip(errors, labels, brains, strict=True)]
    pooled = np.sort(np.concatenate([scan.errors for scan in scans]))
    last = len(pooled) - 1
    top = last - np.geomspace(1, max(last, 1), COARSE // 2)
    ranks = np.unique(np.concatenate([np.linspace(0, last, COARSE), top, [last]]).astype(int))
    lowest = np.nextafter(pooled[0], -np.inf)
    best, best_dice = lowest, np.array([scan.dice(np.array([lowest]))[0] for scan in scans])
    for _ in range(1 + ROUNDS):
        table = np.stack([scan.dice(pooled[ranks]) for scan in scans])
        means = table.mean(axis=0)
        step = int(np.argmax(means))
        if means[step] > best_dice.mean():
            best, best_dice = pooled[ranks[step]], table[:, step]
        low, high = ranks[max(step - 1, 0)], ranks[min(step + 1, len(ranks) - 1)]
        ranks = np.unique(np.linspace(low, high, FINE).astype(int))
    return SharedThreshold(float(best), best_dice)


def auroc(healthy_scores: Sequence[float], anomalous_scores: Sequence[float]) -> float:
    """Area under the ROC curve: how often an anomalous scan scores higher than a healthy one (a tie is half).

    Args:
        healthy_scores: scan-level scores of normal scans; higher is less normal.
        anomalous_scores: scan-level scores of scans with something to find.

    Returns:
        0 to 1; NaN if either is empty.

    Raises:
        ValueError: a score is NaN or infinite.
        MissingExtraError: scikit-learn is not installed.
    """
    healthy = np.asarray(healthy_scores, dtype=np.float64).ravel()
    anomalous = np.asarray(anomalous_scores, dtype=np.float64).ravel()
    scores = np.concatenate([healthy, anomalous])
    if not np.isfinite(scores).all():
        raise ValueError("a score is NaN or infinite")
    if not len(healthy) or not len(anomalous):
        return float("nan")
    labels = np.repeat([0, 1], [len(healthy), len(anomalous)])
    return float(_sklearn_metrics().roc_auc_score(labels, scores))


def auprc_voxels(error: np.ndarray, label: np.ndarray, brain: np.ndarray) -> float:
    """Area under the precision-recall curve (average precision) over one scan's brain voxels.

    Args:
        error: error map, any shape.
        label: boolean mask of the same shape.
        brain: boolean mask of the same shape, not empty.

    Returns:
        0 to 1; NaN if the label is empty in the brain. A map that says nothing gives the label's share of the brain.

    Raises:
        ValueError: shapes differ, the brain is empty, or the error is NaN or infinite in it.
        MissingExtraError: scikit-learn is not installed.
    """
    values, truth = _in_brain(error, label, brain)
    if not truth.any():
        return float("nan")
    return float(_sklearn_metrics().average_precision_score(truth, values))


def bootstrap_interval(
    values: Sequence[float] | np.ndarray, rng: np.random.Generator, level: float = 0.95, repeats: int = 2000
) -> Interval:
    """Mean over scans with its percentile bootstrap interval.

    Args:
        values: one number a scan.
        rng: random generator; the only source of randomness.
        level: share of resampled means inside the interval, between 0 and 1.
        repeats: number of resamplings.

    Returns:
        mean, lower and upper end. One value alone is its own interval.

    Raises:
        ValueError: no values, NaN or infinity among them (leave undefined scans out first), or `level` or `repeats`
            out of range.
    """
    values = np.asarray(values, dtype=np.float64).ravel()
    if not len(values) or not np.isfinite(values).all():
        raise ValueError("values are missing, NaN or infinite")
    if not 0 < level < 1 or repeats < 1:
        raise ValueError(f"level {level} must be between 0 and 1, repeats {repeats} at least 1")
    means = [values[rng.integers(len(values), size=len(values))].mean() for _ in range(repeats)]
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(values.mean()), float(low), float(high))


class _Ranked(NamedTuple):
    """One scan's brain errors in rising order, and how many label voxels lie above each of them."""

    errors: np.ndarray
    hits_from: np.ndarray  # hits_from[i]: label voxels among errors[i:]; one entry more than errors
    labelled: int

    def dice(self, thresholds: np.ndarray) -> np.ndarray:
        """Dice of `error > threshold`, for each threshold."""
        first = np.searchsorted(self.errors, thresholds, side="right")
        total = len(self.errors) - first + self.labelled
        return np.divide(2 * self.hits_from[first], total, out=np.ones(len(first)), where=total > 0)


def _ranked(error: np.ndarray, label: np.ndarray, brain: np.ndarray) -> _Ranked:
    values, truth = _in_brain(error, label, brain)
    order = np.argsort(values)
    hits_from = np.append(np.cumsum(truth[order][::-1])[::-1], 0)
    return _Ranked(values[order], hits_from, int(np.count_nonzero(label)))


def _in_brain(error: np.ndarray, label: np.ndarray, brain: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Errors (floating-point) and labels of the brain voxels."""
    error, label, brain = np.asarray(error), np.asarray(label, dtype=bool), np.asarray(brain, dtype=bool)
    if not error.shape == label.shape == brain.shape:
        raise ValueError(f"error {error.shape}, label {label.shape} and brain {brain.shape} have different shapes")
    values = error[brain]
    values = values if np.issubdtype(values.dtype, np.floating) else values.astype(np.float64)
    if not len(values) or not np.isfinite(values).all():
        raise ValueError("the brain mask is empty, or the error in it is NaN or infinite")
    return values, label[brain]


def _counts(prediction: np.ndarray, label: np.ndarray) -> tuple[int, int, int]:
    """Numbers of voxels in both masks, in the prediction, and in the label."""
    prediction, label = np.asarray(prediction, dtype=bool), np.asarray(label, dtype=bool)
    if prediction.shape != label.shape:
        raise ValueError(f"prediction {prediction.shape} and label {label.shape} have different shapes")
    return int((prediction & label).sum()), int(prediction.sum()), int(label.sum())


def _sklearn_metrics() -> ModuleType:
    try:
        from sklearn import metrics
    except ImportError as error:
        raise MissingExtraError("scikit-learn is needed: pip install 'itermask[evaluation]'") from error
    return metrics
