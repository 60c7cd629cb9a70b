"""Histogram landmarks: percentiles of the brain's intensities, and the map that brings them to those of normal scans.

Source: the idea of Nyúl and Udupa 1999, piecewise-linear matching of percentiles.
"""

from collections.abc import Sequence

import numpy as np

PERCENTS = (5, 10, 20, 30, 40, 50, 60, 70, 80, 90)


def landmarks(values: np.ndarray) -> np.ndarray:
    """Return the percentiles `PERCENTS` of the brain's intensities (1D), rising.

    Example:
        >>> found = landmarks(np.linspace(0.0, 100.0, 1001))
        >>> len(found) == len(PERCENTS), float(found[-1])
        (True, 90.0)
    """
    return np.percentile(values, PERCENTS)


def rising(values: Sequence[float]) -> bool:
    """Return whether finite numbers never fall and do not all stay the same.

    Example:
        >>> rising([0.0, 1.0, 1.0]), rising([1.0, 0.0]), rising([1.0, 1.0])
        (True, False, False)
    """
    steps = np.diff(values)
    return bool(np.isfinite(values).all() and (steps >= 0).all() and steps.any())


def match(values: np.ndarray, own: np.ndarray, wanted: Sequence[float]) -> np.ndarray:
    """Map intensities so that the landmarks `own` go to `wanted`: piecewise linear, and linear beyond both ends.

    Args:
        values: intensities, any shape.
        own: the scan's landmarks, rising; of equal ones only the first counts.
        wanted: where they shall go, rising, as many.

    Returns:
        float32 of the shape of `values`, rising with them.

    Raises:
        ValueError: all landmarks of the scan are equal.

    Example:
        >>> match(np.array([0.0, 5.0, 10.0, 12.0]), np.array([0.0, 10.0]), [0.0, 1.0]).tolist()
        [0.0, 0.5, 1.0, 1.2000000476837158]
    """
    values_at, first = np.unique(own, return_index=True)
    if values_at.size < 2:
        raise ValueError(f"the brain's intensities are constant ({values_at[0]:g}) between the histogram's landmarks")
    goals = np.asarray(wanted, dtype=float)[first]
    slopes = np.diff(goals) / np.diff(values_at)
    matched = np.interp(values, values_at, goals)
    matched = np.where(values < values_at[0], goals[0] + slopes[0] * (values - values_at[0]), matched)
    matched = np.where(values > values_at[-1], goals[-1] + slopes[-1] * (values - values_at[-1]), matched)
    return matched.astype(np.float32)
