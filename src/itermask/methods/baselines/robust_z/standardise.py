"""Smoothing within the brain, and standardising against the median or against a tissue."""

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

MAD_TO_SD = 1.4826  # of a normal distribution
TRIM = 2.5  # standard deviations beyond which a voxel is not taken for the tissue
ROUNDS = 10  # in which trimming usually settles
ENOUGH = 50  # voxels that a tissue's mean and deviation are taken from
ROUNDING = 1e-6  # a deviation this small, relative to the values, is what rounding leaves of none


def smoothed(
    image: np.ndarray, brain: np.ndarray, spacing: Sequence[float], smoothing: float, slices: bool = False
) -> np.ndarray:
    """Smooth an image with a Gaussian, from brain voxels only.

    Args:
        image: intensities, 3D.
        brain: boolean mask of that shape.
        spacing: voxel size in mm along each axis.
        smoothing: the Gaussian's standard deviation in mm; 0 leaves the image as it is.
        slices: whether the last axis counts slices, each of which is smoothed on its own.

    Returns:
        float64 of the image's shape; 0 outside the brain.

    Example:
        >>> line = np.array([0.0, 0.0, 8.0, 0.0, 0.0]).reshape(5, 1, 1)
        >>> smoothed(line, np.ones(line.shape, bool), (2.0, 2.0, 2.0), 2.0).ravel().round(1).tolist()
        [0.6, 2.1, 3.2, 2.1, 0.6]
    """
    inside = np.where(brain, image, 0).astype(np.float64)
    if not smoothing:
        return inside
    sigmas = [smoothing / size for size in spacing]
    if slices:
        sigmas[-1] = 0.0
    total, weight = (
        ndimage.gaussian_filter(values, sigmas, mode="constant", truncate=3)
        for values in (inside, brain.astype(np.float64))
    )
    return np.divide(total, weight, out=np.zeros_like(total), where=brain)


def middle_and_spread(values: np.ndarray) -> tuple[float, float]:
    """Return the median, and 1.4826 times the median absolute deviation from it.

    Args:
        values: intensities, any shape.

    Raises:
        ValueError: half of the values or more are the same.

    Example:
        >>> middle_and_spread(np.array([1.0, 2.0, 3.0, 4.0, 100.0]))
        (3.0, 1.4826)
    """
    middle = float(np.median(values))
    spread = MAD_TO_SD * float(np.median(np.abs(values - middle)))
    if not spread > ROUNDING * max(abs(middle), float(np.abs(values).max())):
        raise ValueError(f"half of the brain or more has one intensity ({middle:g})")
    return middle, spread


def trimmed_mean_and_spread(values: np.ndarray) -> tuple[float, float]:
    """Return the mean and standard deviation of a tissue, after voxels far from it were left out.

    From the median and the median absolute deviation on, voxels more than `TRIM` standard deviations from the mean are
    left out until no more are.

    Args:
        values: intensities of voxels most of which are of one tissue.

    Raises:
        ValueError: fewer than `ENOUGH` values, or half of them are the same.

    Example:
        >>> lesion = np.concatenate([np.linspace(9, 11, 101), np.full(20, 30.0)])
        >>> mean, spread = trimmed_mean_and_spread(lesion)
        >>> round(mean, 6), round(spread, 2)
        (10.0, 0.58)
    """
    if values.size < ENOUGH:
        raise ValueError(f"only {values.size} voxels lie where white matter is expected; {ENOUGH} are needed")
    mean, spread = middle_and_spread(values)
    kept = np.zeros(values.size, dtype=bool)
    for _ in range(ROUNDS):
        near = np.abs(values - mean) <= TRIM * spread
        if np.array_equal(near, kept):
            break
        kept, mean, spread = near, float(values[near].mean()), float(values[near].std())
    return mean, spread
