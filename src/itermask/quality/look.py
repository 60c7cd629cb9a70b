"""A scan, made ready to be measured: its brain's box, intensities relative to the brain's level, what is well inside.

Everything that the score looks at lies within the brain, so it is the same with the skull on or off; and on the scan's
own voxels, for noise, ringing and stripes are averaged away by any coarser grid.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from itermask.scan import Scan

LEVEL = 90.0  # percentile of the brain's intensities that all others are relative to
INSIDE = 3.0  # mm from the brain's border
BASE = 12.0  # mm, width of the box whose mean is taken off
EMPTY = 0.02  # of the level; brain voxels below it hold no tissue


@dataclass(frozen=True)
class Look:
    """What the features are computed from.

    Attributes:
        image: float32 box around the brain, intensities over the brain's 90th percentile.
        brain: boolean, the brain mask in the box.
        inside: boolean, the brain's voxels at least 3 mm from its border, and on tissue.
        detail: float32, `image` minus its local mean within the brain; 0 outside `inside`.
        spacing: voxel size in mm along each axis.
        right: axis that runs from left to right.
        up: axis that runs along the head.
        open: for each axis, whether the brain ends before the volume does, at its low and its high end.
    """

    image: np.ndarray
    brain: np.ndarray
    inside: np.ndarray
    detail: np.ndarray
    spacing: tuple[float, float, float]
    right: int
    up: int
    open: tuple[tuple[bool, bool], ...]


def look_at(scan: Scan) -> Look:
    """Cut out the brain, and set its intensities in relation to its level.

    Args:
        scan: with its brain mask; voxels that are not finite count as empty.

    Raises:
        ValueError: no brain mask, an empty one, or a brain that holds nothing but zeros.
    """
    if scan.brain_mask is None or not scan.brain_mask.any():
        raise ValueError(f"{scan.name}: image quality needs a brain mask that is not empty")
    box = ndimage.find_objects(scan.brain_mask.view(np.uint8))[0]
    brain = np.ascontiguousarray(scan.brain_mask[box])
    image = np.where(brain, scan.image[box], 0).astype(np.float32)
    np.nan_to_num(image, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
    level = float(np.percentile(image[brain], LEVEL))
    if not level > 0:
        raise ValueError(f"{scan.name}: the brain holds no signal, so its quality cannot be measured")
    image /= level
    inside = brain & (image > EMPTY)
    for axis, size in enumerate(scan.spacing):
        width = 2 * max(1, round(INSIDE / size)) + 1
        if brain.shape[axis] > 2 * width:
            inside = ndimage.minimum_filter1d(inside.view(np.uint8), width, axis=axis, mode="constant").view(bool)
    if not inside.any():
        inside = brain & (image > EMPTY)
    detail = np.where(inside, image - _local_mean(image, brain, scan.spacing), 0).astype(np.float32)
    directions = np.abs(np.asarray(scan.affine)[:3, :3] / np.asarray(scan.spacing))
    right = int(np.argmax(directions[0]))
    up = int(np.argmax(np.where(np.arange(3) == right, -1, directions[2])))
    open_ = tuple((part.start > 0, part.stop < size) for part, size in zip(box, scan.brain_mask.shape, strict=True))
    return Look(image, brain, inside, detail, scan.spacing, right, up, open_)


def _local_mean(image: np.ndarray, brain: np.ndarray, spacing: tuple[float, float, float]) -> np.ndarray:
    """Mean of the brain's voxels in a box of `BASE` mm about each voxel."""
    total, weight = image, brain.astype(np.float32)
    for axis, size in enumerate(spacing):
        width = 2 * max(1, round(BASE / size / 2)) + 1
        total = ndimage.uniform_filter1d(total, width, axis=axis, mode="constant")
        weight = ndimage.uniform_filter1d(weight, width, axis=axis, mode="constant")
    return np.divide(total, weight, out=np.zeros_like(total), where=weight > 1e-3)
