"""The focal score: how much the regions of an anomaly mask stand out, in healthy units.

A region's excess is its error, over what is high in healthy scans, times its volume; so 1 is a millilitre at a level
that the highest hundredth of a healthy brain reaches. The score is the root of the sum of the squared excesses: the
largest region decides, scattered small ones add little, and whatever is added to a mask raises it.
"""

import math
from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from itermask.core.boxes import box_of

FOCAL = "focal"  # name of the score
HIGH = 99.0  # percentile of a brain's errors that is high
FEW_TIMES = 3.0  # a score this many times the borderline is outside
USUAL, TWICE = 90.0, 2.0  # percentile of the healthy scores, and how many times it borderline is at most


def focal_score(mask: np.ndarray, error: np.ndarray, unit: float, voxel_ml: float) -> float:
    """Return how much a mask's regions stand out; 0 for an empty mask.

    Args:
        mask: boolean, 3D.
        error: error map of the same shape, not negative.
        unit: error level that is high in healthy scans, see `high_level`.
        voxel_ml: volume of a voxel in mL.

    Example:
        >>> mask = np.zeros((4, 4, 4), bool)
        >>> mask[:2, 0, 0] = mask[3, 3, 3] = True
        >>> error = np.where(mask, 6.0, 1.0)
        >>> round(focal_score(mask, error, unit=2.0, voxel_ml=1.0), 3)
        6.708
    """
    if not mask.any():
        return 0.0
    window = box_of(mask)
    labels, count = ndimage.label(mask[window], np.ones((3, 3, 3)))
    sums = np.bincount(labels.ravel(), weights=error[window].ravel(), minlength=count + 1)[1:]
    return float(np.sqrt(((sums / unit * voxel_ml) ** 2).sum()))


def high_level(error: np.ndarray, brain: np.ndarray) -> float:
    """Return the error that the highest hundredth of a brain reaches.

    Args:
        error: error map.
        brain: boolean of its shape, not empty.

    Example:
        >>> high_level(np.arange(1000.0), np.ones(1000, bool))
        989.01
    """
    return float(np.percentile(error[brain], HIGH))


def focal_limits(healthy: Sequence[float]) -> tuple[float, float]:
    """Return the focal scores above which a scan is borderline, and outside the healthy range.

    Borderline is the conformal 95 % quantile of n healthy scans, their (n + 1) · 0.95th smallest, or their highest if
    they are fewer than 19; and at most twice their 90th percentile, so that one odd subject, whose scans come in
    several contrasts, cannot hide what stands out. Outside is three times that, and no healthy scan is.

    Example:
        >>> focal_limits([0.1, 0.3, 0.2])
        (0.3, 0.9)
    """
    ordered = sorted(healthy)
    rank = min(len(ordered), math.ceil(0.95 * (len(ordered) + 1)))
    usual = TWICE * float(np.percentile(ordered, USUAL))
    borderline = max(min(float(ordered[rank - 1]), usual), 1e-3)
    return borderline, max(round(FEW_TIMES * borderline, 9), float(ordered[-1]))
