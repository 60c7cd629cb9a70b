"""Bootstrap confidence intervals. What is drawn anew are subjects, each with all that was measured on it.

Several scans of one subject, or one scan with several lesions put into it, say less than as many scans of different
subjects. An interval that drew them one by one would be too narrow.
"""

from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

AT_ONCE = 1_000_000  # values drawn in one go


class Interval(NamedTuple):
    """A mean (or another estimate) with its confidence interval."""

    mean: float
    low: float
    high: float


class Comparison(NamedTuple):
    """Scores of normal scans and of scans with something to find, and whose scans these are.

    Attributes:
        healthy: scores of normal scans; higher is less normal.
        anomalous: scores of scans with something to find.
        healthy_subjects: whose each normal scan is; None if each is another subject's.
        anomalous_subjects: whose each other scan is; None if each is another subject's.
    """

    healthy: Sequence[float] | np.ndarray
    anomalous: Sequence[float] | np.ndarray
    healthy_subjects: Sequence[Hashable] | None = None
    anomalous_subjects: Sequence[Hashable] | None = None


def bootstrap_interval(
    values: Sequence[float] | np.ndarray,
    rng: np.random.Generator,
    level: float = 0.95,
    repeats: int = 2000,
    subjects: Sequence[Hashable] | None = None,
) -> Interval:
    """Return the mean over scans with its percentile bootstrap interval (`scipy.stats.bootstrap`), drawn by subject.

    >>> bootstrap_interval([0.4, 0.4, 0.8, 0.8], np.random.default_rng(0), subjects=["a", "a", "b", "b"])
    Interval(mean=0.6000000000000001, low=0.4, high=0.8)

    Args:
        values: one number a scan.
        rng: random generator; the only source of randomness.
        level: share of resampled means inside the interval, between 0 and 1.
        repeats: number of resamplings.
        subjects: whose each value is; None if each is another subject's.

    Returns:
        mean, lower and upper end. The values of one subject alone are their own interval.

    Raises:
        ValueError: no values, NaN or infinity among them (leave undefined scans out first), as many subjects as
            values are not given, or `level` or `repeats` out of range.
    """
    values = _finite(values)
    _check(level, repeats)
    mean = float(values.mean())
    of, count = _numbered(values, subjects)
    if count == 1:
        return Interval(mean, mean, mean)
    sums, sizes = np.bincount(of, values), np.bincount(of).astype(float)
    found = stats.bootstrap(
        (sums, sizes),
        lambda total, number, axis: total.sum(axis=axis) / number.sum(axis=axis),
        n_resamples=repeats,
        batch=max(AT_ONCE // count, 1),
        paired=True,
        vectorized=True,
        confidence_level=level,
        method="percentile",
        random_state=rng,
    ).confidence_interval
    return Interval(mean, float(found.low), float(found.high))


def auroc_interval(
    healthy_scores: Sequence[float] | np.ndarray,
    anomalous_scores: Sequence[float] | np.ndarray,
    rng: np.random.Generator,
    level: float = 0.95,
    repeats: int = 2000,
    healthy_subjects: Sequence[Hashable] | None = None,
    anomalous_subjects: Sequence[Hashable] | None = None,
) -> Interval:
    """Return the area under the ROC curve with its percentile bootstrap interval; see `mean_auroc_interval`.

    Args:
        healthy_scores: scan-level scores of normal scans; higher is less normal.
        anomalous_scores: scan-level scores of scans with something to find.
        rng: random generator; the only source of randomness.
        level: share of resampled areas inside the interval, between 0 and 1.
        repeats: number of resamplings.
        healthy_subjects: whose each normal scan is.
        anomalous_subjects: whose each other scan is.

    Returns:
        area (as field `mean`), lower and upper end. Where every pair is in order, all three are 1: the
        bootstrap cannot see beyond its scans.

    Raises:
        ValueError: either is empty, a score is NaN or infinite, or `level` or `repeats` out of range.

    Example:
        >>> found = auroc_interval([0.1, 0.2, 0.3], [0.25, 0.8, 0.9], np.random.default_rng(0), repeats=100)
        >>> round(found.mean, 3), found.low <= found.mean <= found.high
        (0.889, True)
    """
    one = Comparison(healthy_scores, anomalous_scores, healthy_subjects, anomalous_subjects)
    return mean_auroc_interval([one], rng, level, repeats)


def mean_auroc_interval(
    comparisons: Sequence[Comparison], rng: np.random.Generator, level: float = 0.95, repeats: int = 2000
) -> Interval:
    """Return the mean of areas under ROC curves, such as those of several artifacts, with its interval.

    A subject is drawn with all its scans, normal or not, in all comparisons. Subjects with normal scans only, with
    others only, and with both are drawn apart, so every resampling has as many of each as there are.

    Args:
        comparisons: at least one.
        rng: random generator; the only source of randomness.
        level: share of resampled means inside the interval, between 0 and 1.
        repeats: number of resamplings.

    Returns:
        mean area, lower and upper end.

    Raises:
        ValueError: see `auroc_interval`.

    Example:
        >>> one = Comparison([0.1, 0.2, 0.3], [0.4, 0.5, 0.6])
        >>> mean_auroc_interval([one], np.random.default_rng(0), repeats=100).mean
        1.0
    """
    if not comparisons:
        raise ValueError("values are missing: there is nothing to compare")
    _check(level, repeats)
    sides: list[tuple[Any, Any, Any, Any]] = []
    for number, one in enumerate(comparisons):
        healthy, anomalous = _finite(one.healthy), _finite(one.anomalous)
        who = [
            _named(scores, subjects, (number, side))
            for side, (scores, subjects) in enumerate(
                ((healthy, one.healthy_subjects), (anomalous, one.anomalous_subjects))
            )
        ]
        sides.append((healthy, anomalous, who[0], who[1]))
    normal = {name for *_, names, _ in sides for name in names}
    other = {name for *_, names in sides for name in names}
    weights = _weights([normal - other, normal & other, other - normal], repeats, rng)
    areas, means = np.zeros(repeats), []
    for healthy, anomalous, healthy_names, anomalous_names in sides:
        wins = (anomalous[:, None] > healthy) + 0.5 * (anomalous[:, None] == healthy)
        means.append(float(wins.mean()))
        left, right = (
            np.stack([weights[name] for name in names], axis=1) for names in (anomalous_names, healthy_names)
        )
        pairs = left.sum(axis=1) * right.sum(axis=1)
        won = np.sum((left @ wins) * right, axis=1)
        areas += np.divide(won, pairs, out=np.full(repeats, np.nan), where=pairs > 0)
    low, high = np.nanquantile(areas / len(sides), [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(np.mean(means)), float(low), float(high))


def _weights(kinds: Sequence[set[Hashable]], repeats: int, rng: np.random.Generator) -> dict[Hashable, np.ndarray]:
    """Return how often each subject is drawn in each resampling; those of a kind are drawn among themselves."""
    weights: dict[Hashable, np.ndarray] = {}
    for kind in kinds:
        names = sorted(kind, key=repr)
        if names:
            drawn = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), repeats)
            weights |= dict(zip(names, drawn.T.astype(float), strict=True))
    return weights


def _named(values: np.ndarray, subjects: Sequence[Hashable] | None, own: Hashable) -> list[Hashable]:
    """Return each value's subject; one of its own for each where none are given."""
    if subjects is None:
        return [(own, index) for index in range(len(values))]
    if len(subjects) != len(values):
        raise ValueError(f"{len(values)} values and {len(subjects)} subjects do not fit")
    return list(subjects)


def _numbered(values: np.ndarray, subjects: Sequence[Hashable] | None) -> tuple[np.ndarray, int]:
    """Return the number of each value's subject, in the order in which they first come, and how many there are."""
    order: dict[Hashable, int] = {}
    of = np.array([order.setdefault(name, len(order)) for name in _named(values, subjects, 0)])
    return of, len(order)


def _finite(values: Sequence[float] | np.ndarray) -> np.ndarray:
    values = np.asarray(values, dtype=np.float64).ravel()
    if not len(values) or not np.isfinite(values).all():
        raise ValueError("values are missing, NaN or infinite")
    return values


def _check(level: float, repeats: int) -> None:
    if not 0 < level < 1 or repeats < 1:
        raise ValueError(f"level {level} must be between 0 and 1, repeats {repeats} at least 1")
