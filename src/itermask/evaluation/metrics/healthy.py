"""How much a mask flags: on a healthy scan, all of it is a false positive."""

from collections.abc import Sequence

import numpy as np

from itermask.evaluation.metrics.arrays import as_masks, as_spacing

MM3_PER_ML = 1000.0


def mask_volume(mask: np.ndarray, spacing: Sequence[float]) -> float:
    """Return the volume of a mask in mL; 0 if it is empty.

    Args:
        mask: boolean, 3D.
        spacing: voxel size in mm along each axis.

    Raises:
        ValueError: the mask is not 3D, or the spacing is not three positive numbers.

    Example:
        >>> mask_volume(np.ones((10, 10, 10), bool), (1.0, 1.0, 2.0))
        2.0
    """
    mask = np.asarray(mask, dtype=bool)
    if mask.ndim != 3:
        raise ValueError(f"a volume needs a 3D mask, not {mask.ndim}D")
    return float(mask.sum() * np.prod(as_spacing(spacing, 3)) / MM3_PER_ML)


def share_of_brain(mask: np.ndarray, brain: np.ndarray) -> float:
    """Return the share of the brain's voxels that a mask flags, `|M ∩ B| / |B|`, 0 to 1; NaN if the brain is empty.

    Raises:
        ValueError: the shapes differ.

    Example:
        >>> share_of_brain(np.array([1, 0, 0, 0]), np.array([1, 1, 1, 1]))
        0.25
    """
    mask, brain = as_masks(mask=mask, brain=brain)
    size = int(brain.sum())
    return int((mask & brain).sum()) / size if size else float("nan")
