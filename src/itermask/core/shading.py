"""Shading: how unevenly a scan is lit against what a model expects of it.

A coil's uneven sensitivity looks like anatomy as long as nothing says what the brain should look like: white matter is
bright in the middle and grey matter dark at the border. Against a model's expectation only the coil is left.
"""

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

SHADING = "shading"
WIDTH = 20.0  # mm, standard deviation of the average that leaves the coil and no tissue
BLOCK = 4.0  # mm, edge of the blocks that are averaged first
FLOOR = 0.5  # of the 20th percentile; what is darker is fluid or empty, and its logarithm says nothing of the coil
FARTHEST = 1.0  # the logarithm counts no further from its median
FEWEST = 200  # blocks


def log_ratio(image: np.ndarray, expected: np.ndarray, where: np.ndarray) -> np.ndarray | None:
    """Return the logarithm of a scan over what is expected, from its median and at most `FARTHEST` off it.

    Args:
        image: 3D, intensities whose zero is no signal.
        expected: the same brain as a model expects it, in the same intensities.
        where: boolean, what counts.

    Returns:
        float32, 0 elsewhere; None where nothing counts or there is no signal.

    Example:
        >>> log_ratio(np.array([100.0, 200.0, 100.0]), np.full(3, 100.0), np.ones(3, bool)).round(2)
        array([0.  , 0.69, 0.  ], dtype=float32)
    """
    if not where.any():
        return None
    floor = FLOOR * float(np.percentile(image[where], 20))
    if not floor > 0:
        return None
    log = np.log(np.maximum(image, floor) / np.maximum(expected, floor))
    return np.where(where, np.clip(log - np.median(log[where]), -FARTHEST, FARTHEST), 0).astype(np.float32)


def shading(image: np.ndarray, expected: np.ndarray, where: np.ndarray, spacing: Sequence[float]) -> float:
    """Return how unevenly a scan is lit against what is expected.

    Args:
        image: 3D, intensities whose zero is no signal.
        expected: the same brain as a model expects it, in the same intensities.
        where: boolean, the brain without what is flagged as an anomaly.
        spacing: voxel size in mm.

    Returns:
        95th minus 5th percentile in the brain of the smoothed logarithm of `image / expected`: 0 is even, 0.7 means
        that bright parts are lit twice as much as dark ones. NaN where there is too little brain, or no signal.

    Example:
        >>> rows = np.linspace(-0.5, 0.5, 40)[:, None, None] * np.ones((40, 40, 40))
        >>> even, brain = np.full((40, 40, 40), 100.0), np.ones((40, 40, 40), bool)
        >>> shading(even, even, brain, (2.0, 2.0, 2.0))
        0.0
        >>> 0.2 < shading(even * np.exp(rows), even, brain, (2.0, 2.0, 2.0)) < 1.0
        True
    """
    log = log_ratio(image, expected, where)
    if log is None:
        return float("nan")
    total, weight, sigma = log, where.astype(np.float32), []
    for axis, size in enumerate(spacing):
        count = max(1, round(BLOCK / size))
        at = np.arange(0, total.shape[axis], count)
        total, weight = np.add.reduceat(total, at, axis=axis), np.add.reduceat(weight, at, axis=axis)
        sigma.append(WIDTH / (size * count))
    full = weight >= 0.5 * weight.max()
    if full.sum() < FEWEST:
        return float("nan")
    total, weight = (ndimage.gaussian_filter(one, sigma, mode="constant", truncate=2.5) for one in (total, weight))
    low, high = np.percentile((total / np.maximum(weight, 1e-6))[full], [5, 95])
    return float(high - low)
