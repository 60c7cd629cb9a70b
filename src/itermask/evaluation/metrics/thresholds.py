"""Thresholds on error maps chosen with the labels in sight: upper bounds, for comparison with papers.

A mask is `error > threshold`, inside the brain. `best_threshold_dice` lets every scan have its own;
`best_shared_threshold` takes one for a whole test set, as the papers' tables do.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from itermask.evaluation.metrics.arrays import errors_in_brain

COARSE, FINE = 400, 400  # candidate thresholds: over all brain errors, then around the best so far
ROUNDS = 3  # of fine search
POOLED = 4_000_000  # most errors that candidates are taken from


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


class RankedErrors(NamedTuple):
    """What is needed of a scan to tell its Dice at any threshold; a few bytes a brain voxel.

    Attributes:
        errors: the brain's errors in rising order; of the lowest value only one is kept.
        more_lowest: how many more voxels have the lowest value.
        label_errors: the errors of label voxels in the brain, in rising order.
        labelled: label voxels in the brain and outside.
    """

    errors: np.ndarray
    more_lowest: int
    label_errors: np.ndarray
    labelled: int

    def dice(self, thresholds: np.ndarray) -> np.ndarray:
        """Return the Dice of `error > threshold`, for each threshold; 1 if nothing is flagged and nothing labelled."""
        flagged = len(self.errors) - np.searchsorted(self.errors, thresholds, side="right")
        flagged = flagged + self.more_lowest * (np.asarray(thresholds) < self.errors[0])
        hits = len(self.label_errors) - np.searchsorted(self.label_errors, thresholds, side="right")
        total = flagged + self.labelled
        return np.divide(2 * hits, total, out=np.ones(len(flagged)), where=total > 0)


def rank_errors(error: np.ndarray, label: np.ndarray, brain: np.ndarray) -> RankedErrors:
    """Sort a scan's brain errors.

    Args:
        error: error map, any shape; only its values in the brain matter.
        label: boolean mask of the same shape.
        brain: boolean mask of the same shape, not empty.

    Raises:
        ValueError: shapes differ, the brain is empty, or the error is NaN or infinite in it.

    Example:
        >>> ranked = rank_errors(np.array([0.1, 0.9, 0.5]), np.array([0, 1, 0]), np.ones(3))
        >>> type(ranked).__name__
        'RankedErrors'
    """
    values, truth = errors_in_brain(error, label, brain)
    ordered = np.sort(values)
    more_lowest = int(np.searchsorted(ordered, ordered[0], side="right")) - 1
    return RankedErrors(ordered[more_lowest:].copy(), more_lowest, np.sort(values[truth]), int(np.count_nonzero(label)))


def best_threshold_dice(error: np.ndarray, label: np.ndarray, brain: np.ndarray) -> BestThreshold:
    """Return the best Dice that any threshold on one scan's error map can reach: an upper bound, with the label seen.

    All thresholds are tried. Label voxels outside the brain count as missed.

    Args:
        error: error map, any shape; only its values in the brain matter.
        label: boolean mask of the same shape.
        brain: boolean mask of the same shape, not empty.

    Returns:
        the threshold (the highest of the best) and its Dice. An empty label: the highest error and 1.

    Raises:
        ValueError: shapes differ, the brain is empty, or the error is NaN or infinite in it.

    Example:
        >>> best_threshold_dice(np.array([0.1, 0.9, 0.5]), np.array([0, 1, 0]), np.ones(3)).dice
        1.0
    """
    scan = rank_errors(error, label, brain)
    ends = np.append(np.flatnonzero(np.diff(scan.errors)), len(scan.errors) - 1)  # last voxel of each error value
    thresholds = np.append(np.nextafter(scan.errors[0], -np.inf), scan.errors[ends])[::-1]
    values = scan.dice(thresholds)
    best = int(np.argmax(values))
    return BestThreshold(float(thresholds[best]), float(values[best]))


def best_shared_threshold(
    errors: Sequence[np.ndarray], labels: Sequence[np.ndarray], brains: Sequence[np.ndarray]
) -> SharedThreshold:
    """Return the one threshold that gives a test set its best mean Dice, as the papers' tables choose it.

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

    Example:
        >>> errors, labels = [np.array([0.1, 0.9]), np.array([0.2, 0.8])], [np.array([0, 1]), np.array([0, 1])]
        >>> best_shared_threshold(errors, labels, [np.ones(2), np.ones(2)]).dice.tolist()
        [1.0, 1.0]
    """
    if not len(errors) or not len(errors) == len(labels) == len(brains):
        raise ValueError(f"{len(errors)} error maps, {len(labels)} labels and {len(brains)} brain masks do not fit")
    return shared_threshold([rank_errors(*one) for one in zip(errors, labels, brains, strict=True)])


def shared_threshold(scans: Sequence[RankedErrors]) -> SharedThreshold:
    """Return `best_shared_threshold` for scans that are sorted already, so that no map need be kept.

    Raises:
        ValueError: no scans.

    Example:
        >>> ranked = [rank_errors(np.array([0.1, 0.9]), np.array([0, 1]), np.ones(2)) for _ in range(2)]
        >>> shared_threshold(ranked).dice.tolist()
        [1.0, 1.0]
    """
    if not len(scans):
        raise ValueError("no scans to choose a threshold for")
    most = max(POOLED // len(scans), 1)
    pooled = np.sort(np.concatenate([scan.errors[:: -len(scan.errors) // most] for scan in scans]))
    last = len(pooled) - 1
    top = last - np.geomspace(1, max(last, 1), COARSE // 2)
    ranks = np.unique(np.clip(np.concatenate([np.linspace(0, last, COARSE), top, [last]]), 0, last).astype(int))
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
