"""Maps of how far a scan departs from what is expected, and what is flagged in them.

Everything here is arithmetic on arrays; what is expected comes from `itermask.methods.anyscan.detection`.
"""

from collections.abc import Sequence

import numpy as np
from scipy import ndimage
from scipy.special import expit

LEAST_OWN_SPREAD = 0.05  # scaled intensities, added to the spread of a map
OPEN = 4.0  # a departure counts half where the logit of an anomaly is minus this
UNUSUAL = 0.4  # what dark evidence counts in sequences in which lesions are bright
SHARE = 0.25  # of its region's top that a voxel must exceed
TOP = 0.95  # quantile that stands for a region's top


def smooth_within(values: np.ndarray, brain: np.ndarray, sigma: Sequence[float]) -> np.ndarray:
    """Average over a Gaussian neighbourhood in the brain.

    Args:
        values: 3D map.
        brain: boolean brain mask.
        sigma: standard deviation in voxels along each axis.

    Returns:
        float32; 0 outside the brain.

    Example:
        >>> brain = np.ones((4, 4, 4), bool)
        >>> bool(np.allclose(smooth_within(np.full((4, 4, 4), 3.0), brain, (1, 1, 1)), 3))
        True
    """
    total = ndimage.gaussian_filter(np.where(brain, values, 0).astype(np.float32), sigma, mode="constant", truncate=2.5)
    weight = ndimage.gaussian_filter(brain.astype(np.float32), sigma, mode="constant", truncate=2.5)
    return np.divide(total, weight, out=np.zeros_like(total), where=brain & (weight > 1e-3))


def in_own_spread(values: np.ndarray, brain: np.ndarray) -> np.ndarray:
    """Divide a map by its own robust spread over the brain, so that one threshold suits any contrast.

    Args:
        values: signed map.
        brain: boolean brain mask, not empty.

    Returns:
        float32: in units of 1.4826 times the median absolute deviation (and a little, so that no scan's is 0).

    Example:
        >>> brain = np.ones((9, 9, 9), bool)
        >>> noise = np.random.default_rng(0).standard_normal((9, 9, 9))
        >>> round(float(in_own_spread(50 * noise, brain).std()), 1)
        1.0
    """
    inside = values[brain]
    spread = 1.4826 * float(np.median(np.abs(inside - np.median(inside)))) + LEAST_OWN_SPREAD
    return (values / spread).astype(np.float32)


def evidence(logits: np.ndarray, departure: np.ndarray, brain: np.ndarray) -> np.ndarray:
    """Weigh how far a scan departs from the restored image by how anomalous the network calls it.

    The product is better than either: the logit knows what lesions look like, the departure how strong they are.

    Args:
        logits: of an anomaly of one sign.
        departure: scan minus restored image, in units of its own spread; its sign turned for dark anomalies.
        brain: boolean brain mask.

    Returns:
        float32: the departure, where positive, times `σ((logit + OPEN)/2)`; 0 outside the brain.

    Example:
        >>> evidence(np.array([-4.0, -4.0, 90.0]), np.array([-3.0, 3.0, 3.0]), np.ones(3, bool)).tolist()
        [0.0, 1.5, 3.0]
    """
    weight = expit((logits + OPEN) / 2)
    return np.where(brain, np.maximum(departure, 0) * weight, 0).astype(np.float32)


def weight_of_sign(sign: int, sequence: str) -> float:
    """Return what evidence of a sign counts in a sequence.

    Lesions hold more water, as grey matter does, and are bright in T2w and FLAIR scans; dark evidence there is mostly
    of missing tissue or vessels. In T1w scans lesions are dark, but blood, fat and contrast agent are bright.

    Args:
        sign: 1 bright, −1 dark.
        sequence: of the scan.

    Example:
        >>> weight_of_sign(-1, "T1w"), weight_of_sign(-1, "FLAIR")
        (1.0, 0.4)
    """
    return UNUSUAL if sign < 0 and sequence in ("T2w", "FLAIR") else 1.0


def above_share_of_region(values: np.ndarray, threshold: float) -> np.ndarray:
    """Flag what exceeds a threshold and a quarter of the top of its own connected region.

    One threshold must be low enough for faint lesions; around a strong one it would flag a broad margin.

    Args:
        values: 3D map, not negative.
        threshold: above 0.

    Returns:
        boolean mask.

    Example:
        >>> above_share_of_region(np.array([[[0, 2, 4, 9, 12, 2, 0, 2, 0]]]), 1.0)[0, 0].astype(int).tolist()
        [0, 0, 1, 1, 1, 0, 0, 1, 0]
    """
    hot = values > threshold
    regions, count = ndimage.label(hot, np.ones((3,) * values.ndim))
    tops = np.zeros(count + 1)
    for number, window in enumerate(ndimage.find_objects(regions), 1):
        tops[number] = np.quantile(values[window][regions[window] == number], TOP)
    return hot & (values > SHARE * tops[regions])
