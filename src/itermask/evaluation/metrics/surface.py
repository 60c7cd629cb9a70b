"""How far the outlines of two masks lie apart."""

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from itermask.evaluation.metrics.arrays import as_masks, as_spacing, bounding_box


def surface(mask: np.ndarray) -> np.ndarray:
    """Return voxels of a mask with a face on its outside; what lies beyond the array's border is outside.

    Example:
        >>> surface(np.ones((3, 3), bool)).astype(int).tolist()
        [[1, 1, 1], [1, 0, 1], [1, 1, 1]]
    """
    mask = np.asarray(mask, dtype=bool)
    return mask & ~ndimage.binary_erosion(mask, border_value=0)


def assd(prediction: np.ndarray, label: np.ndarray, spacing: Sequence[float]) -> float:
    """Return the average symmetric surface distance, in mm.

    The mean over the surface voxels of both masks together of the distance to the other mask's nearest
    surface voxel, between voxel centres (Heimann et al. 2009, IEEE TMI 28(8)).

    Args:
        prediction: boolean mask, any number of axes.
        label: boolean mask of the same shape.
        spacing: voxel size in mm along each axis.

    Returns:
        mm, 0 for equal masks; NaN if either mask is empty.

    Raises:
        ValueError: shapes differ, or the spacing is not one positive number an axis.

    Example:
        >>> assd(np.array([1, 0, 0]), np.array([0, 1, 0]), spacing=(2.0,))
        2.0
    """
    prediction, label = as_masks(prediction=prediction, label=label)
    spacing = as_spacing(spacing, prediction.ndim)
    if not prediction.any() or not label.any():
        return float("nan")
    box = bounding_box(prediction | label)
    one, other = surface(prediction[box]), surface(label[box])
    to_other = ndimage.distance_transform_edt(~other, sampling=spacing)[one]
    to_one = ndimage.distance_transform_edt(~one, sampling=spacing)[other]
    return float((to_other.sum() + to_one.sum()) / (len(to_other) + len(to_one)))
