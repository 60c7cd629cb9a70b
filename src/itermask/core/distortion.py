"""Distortion: bright beside dark, where a bent field has piled signal up and thinned it, as near metal or air.

Both lobes are as smooth as a lesion, so one alone says nothing; but a lesion has no twin of the other sign beside it.
"""

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from itermask.core.shading import log_ratio

DISTORTION = "distortion"
WIDTH = 5.0  # mm, standard deviation of the average that leaves lobes and no folds
REACH = 24.0  # mm, how far a bright and a dark lobe may be from a place between them
COVERED = 0.3  # share of the average's weight that must lie in the brain


def distortion(image: np.ndarray, expected: np.ndarray, brain: np.ndarray, spacing: Sequence[float]) -> float:
    """Return how strong the strongest pair of a bright and a dark lobe near each other is.

    Args:
        image: 3D, intensities whose zero is no signal.
        expected: the same brain as a model expects it, in the same intensities.
        brain: boolean brain mask.
        spacing: voxel size in mm.

    Returns:
        the weaker lobe of that pair, in the smoothed logarithm of `image / expected`, over its spread in the brain
        (1.4826 MAD): 3 to 4 in healthy scans. NaN where there is no brain, or no signal.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> even, brain = np.full((40, 40, 40), 100.0), np.ones((40, 40, 40), bool)
        >>> noisy = even * np.exp(0.1 * rng.standard_normal(even.shape))
        >>> bent = noisy.copy()
        >>> bent[10:16, 16:22, 16:22] *= 1.4
        >>> bent[18:24, 16:22, 16:22] *= 0.6
        >>> spacing = (2.0, 2.0, 2.0)
        >>> distortion(bent, even, brain, spacing) > 2 * distortion(noisy, even, brain, spacing)
        True
    """
    log = log_ratio(image, expected, brain)
    if log is None:
        return float("nan")
    sigma = [WIDTH / size for size in spacing]
    weight = ndimage.gaussian_filter(brain.astype(np.float32), sigma, mode="constant", truncate=2.5)
    known = brain & (weight > COVERED)
    smooth = ndimage.gaussian_filter(log, sigma, mode="constant", truncate=2.5) / np.maximum(weight, 1e-3)
    if not known.any():
        return float("nan")
    smooth = np.where(known, smooth - np.median(smooth[known]), 0)
    spread = 1.4826 * float(np.median(np.abs(smooth[known])))
    if not spread > 0:
        return 0.0
    window = [2 * max(1, round(REACH / size)) + 1 for size in spacing]
    lobes = [ndimage.maximum_filter(np.maximum(sign * smooth, 0), window) for sign in (1, -1)]
    return float(np.minimum(*lobes)[brain].max() / spread)
