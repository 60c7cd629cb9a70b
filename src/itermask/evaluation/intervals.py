"""Bootstrap confidence intervals over scans."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

AT_ONCE = 1_000_000  # values drawn in one go


class Interval(NamedTuple):
    """A mean (or another estimate) with its confidence interval."""

    mean: float
    low: float
    high: float


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
    values = _finite(values)
    _check(level, repeats)
    at_once = max(AT_ONCE // len(values), 1)
    counts = [min(at_once, repeats - start) for start in range(0, repeats, at_once)]
    means = [values[rng.integers(len(values), size=(count, len(values)))].mean(axis=1) for count in counts]
    low, high = np.quantile(np.concatenate(means), [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(values.mean()), float(low), float(high))


def auroc_interval(
    healthy_scores: Sequence[float] | np.ndarray,
    anomalous_scores: Sequence[float] | np.ndarray,
    rng: np.random.Generator,
    level: float = 0.95,
    repeats: int = 2000,
) -> Interval:
    """Area under the ROC curve with its stratified percentile bootstrap interval.

    Healthy and anomalous scans are resampled apart, so every resampling has as many of either as there are.

    Args:
        healthy_scores: scan-level scores of normal scans; higher is less normal.
        anomalous_scores: scan-level scores of scans with something to find.
        rng: random generator; the only source of randomness.
        level: share of resampled areas inside the interval, between 0 and 1.
        repeats: number of resamplings.

    Returns:
        area (as field `mean`), lower and upper end. Where every pair is in order, all three are 1: the
        bootstrap cannot see beyond its scans.

    Raises:
        ValueError: either is empty, a score is NaN or infinite, or `level` or `repeats` out of range.
    """
    healthy, anomalous = _finite(healthy_scores), _finite(anomalous_scores)
    _check(level, repeats)
    wins = (anomalous[:, None] > healthy) + 0.5 * (anomalous[:, None] == healthy)
    areas = np.sum((_draws(len(anomalous), repeats, rng) @ wins) * _draws(len(healthy), repeats, rng), axis=1)
    low, high = np.quantile(areas, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(wins.mean()), float(low), float(high))


def _draws(count: int, repeats: int, rng: np.random.Generator) -> np.ndarray:
    """For each resampling, the weight of each scan: how often it was drawn, over their number."""
    return rng.multinomial(count, np.full(count, 1 / count), repeats) / count


def _finite(values: Sequence[float] | np.ndarray) -> np.ndarray:
    values = np.asarray(values, dtype=np.float64).ravel()
    if not len(values) or not np.isfinite(values).all():
        raise ValueError("values are missing, NaN or infinite")
    return values


def _check(level: float, repeats: int) -> None:
    if not 0 < level < 1 or repeats < 1:
        raise ValueError(f"level {level} must be between 0 and 1, repeats {repeats} at least 1")
