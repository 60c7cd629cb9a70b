"""Methods compared where all of them flag as much of healthy brains: thresholds, what they find, and gains.

A threshold that one method may choose and another may not decides more than the methods do. Here every method's error
map is cut where it flags the same share of healthy brains, and what it finds of lesions there is its result. A mask is
`error > threshold`, inside the brain.
"""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np

from itermask.evaluation.metrics.arrays import errors_in_brain
from itermask.evaluation.metrics.intervals import Interval, bootstrap_interval
from itermask.evaluation.metrics.lesionwise import match_lesions
from itermask.evaluation.metrics.overlap import dice, sensitivity

MEASURES = ("dice", "sensitivity", "lesions_found", "lesions_false", "false_ml")
Scan = tuple[Any, str]  # whose scan it is, and which
EXACT = 1e-9  # shares that differ by less are equal


def matched_thresholds(
    errors: Sequence[np.ndarray], shares: Sequence[float], subjects: Sequence[Hashable] | None = None
) -> np.ndarray:
    """Find the lowest thresholds at which no more than given shares of healthy brains are flagged.

    The share is the mean over subjects, each of which counts the same, however large the brain and however many scans.

    Args:
        errors: one array a healthy scan, any shape: the errors of its brain (or of its lesion-free slices' brain).
        shares: wanted shares, each above 0 and below 1.
        subjects: whose scan each is; every scan is another subject's if None.

    Returns:
        float64, one threshold a share. Where many voxels have one error, fewer than wanted may be flagged; see
        `flagged_share`.

    Raises:
        ValueError: no scan, an empty one, NaN or infinite errors, or a share out of range.

    Example:
        >>> healthy = [np.arange(100.0), 2 * np.arange(100.0)]
        >>> matched_thresholds(healthy, [0.01, 0.1]).tolist()
        [194.0, 158.0]
    """
    values, weights = _weighted(errors, subjects)
    wanted = np.asarray(shares, dtype=np.float64)
    if not wanted.size or not ((wanted > 0) & (wanted < 1)).all():
        raise ValueError(f"shares of healthy brains lie between 0 and 1, not {list(shares)}")
    order = np.argsort(-values, kind="stable")
    flagged = np.cumsum(weights[order])  # share of brain in the highest errors
    most = np.searchsorted(flagged, wanted + EXACT, side="right")
    return values[order[np.minimum(most, len(order) - 1)]].astype(np.float64)


def flagged_share(errors: Sequence[np.ndarray], threshold: float, subjects: Sequence[Hashable] | None = None) -> float:
    """Return the share of healthy brains above a threshold, mean over subjects, 0 to 1; see `matched_thresholds`.

    Example:
        >>> flagged_share([np.arange(100.0), 2 * np.arange(100.0)], 158.0)
        0.1

    Raises:
        ValueError: no scan, an empty one, or NaN or infinite errors.
    """
    values, weights = _weighted(errors, subjects)
    return float(weights[values > threshold].sum().round(12))


def matched_measures(
    error: np.ndarray, lesion: np.ndarray, brain: np.ndarray, spacing: Sequence[float], threshold: float
) -> dict[str, float]:
    """Measure what one scan's error map finds at a threshold.

    Args:
        error: error map, 3D; only its values in the brain matter.
        lesion: boolean mask of that shape; what it holds outside the brain is missed.
        brain: boolean mask of that shape, not empty.
        spacing: voxel size in mm along each axis.
        threshold: flag what is above it.

    Returns:
        `dice` and `sensitivity` (voxels, 0 to 1), `lesions_found` (share of the lesions that the mask touches),
        `lesions_false` (number of its connected parts that touch none) and `false_ml` (flagged outside lesions).
        `sensitivity` and `lesions_found` are NaN where there is no lesion.

    Raises:
        ValueError: shapes differ, the brain is empty, or the error is NaN or infinite in it.

    Example:
        >>> lesion = np.zeros((6, 6, 6), bool)
        >>> lesion[2:4, 2:4, 2:4] = True
        >>> matched_measures(lesion.astype(float), lesion, np.ones((6, 6, 6), bool), (1.0, 1.0, 1.0), 0.5)["dice"]
        1.0
    """
    brain, lesion = np.asarray(brain, dtype=bool), np.asarray(lesion, dtype=bool)
    errors_in_brain(error, lesion, brain)
    mask = (np.asarray(error) > threshold) & brain
    lesions = match_lesions(mask, lesion, spacing)
    return {
        "dice": dice(mask, lesion),
        "sensitivity": sensitivity(mask, lesion),
        "lesions_found": lesions.detection_rate,
        "lesions_false": float(len(lesions.false_volumes)),
        "false_ml": float((mask & ~lesion).sum() * np.prod(spacing) / 1000),
    }


def paired_gain(values: Mapping[Scan, float], reference: Mapping[Scan, float], rng: np.random.Generator) -> Interval:
    """Return how much higher one method's values are than another's on the same scans, with an interval.

    Args:
        values: (subject, scan) → one method's value.
        reference: the same of the method it is compared with; scans that only one of them has do not count.
        rng: random generator; the only source of randomness.

    Returns:
        mean difference over scans, lower and upper end; NaN each if no scan is in both.

    Example:
        >>> mine, other = {("a", "1"): 0.5, ("b", "1"): 0.7}, {("a", "1"): 0.4, ("b", "1"): 0.6}
        >>> [round(end, 3) for end in paired_gain(mine, other, np.random.default_rng(0))]
        [0.1, 0.1, 0.1]
    """
    both = [key for key in values if key in reference]
    if not both:
        return Interval(float("nan"), float("nan"), float("nan"))
    gains = [values[key] - reference[key] for key in both]
    return bootstrap_interval(gains, rng, subjects=[subject for subject, _ in both])


def _weighted(errors: Sequence[np.ndarray], subjects: Sequence[Hashable] | None) -> tuple[np.ndarray, np.ndarray]:
    """Return all errors, and the share of all brains that each voxel stands for; the shares add up to 1."""
    scans = [np.asarray(one).ravel() for one in errors]
    names: list[Hashable] = [*range(len(scans))] if subjects is None else list(subjects)
    if not scans or len(scans) != len(names) or not all(one.size for one in scans):
        raise ValueError("healthy scans are missing, or hold no brain")
    values = np.concatenate(scans)
    if not np.isfinite(values).all():
        raise ValueError("an error is NaN or infinite")
    people = len(set(names))
    weights = [1 / (people * names.count(name) * one.size) for name, one in zip(names, scans, strict=True)]
    return values, np.repeat(weights, [one.size for one in scans])
