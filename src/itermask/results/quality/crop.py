"""A scan cropped to its brain and ready to be measured: the brain's box, relative intensities, what is well inside.

Everything that the score uses lies within the brain, so it is the same with the skull on or off; and on the scan's
own voxels, for noise, ringing and stripes are averaged away by any coarser grid.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from itermask.core.boxes import box_of
from itermask.types import Scan

LEVEL = 90.0  # percentile of the brain's intensities that all others are relative to
INSIDE = 3.0  # mm from the brain's border
BASE = 12.0  # mm, width of the box whose mean is taken off
HALVED = 1.3  # mm; of voxels smaller than this every other one is enough for what is slow
EMPTY = 0.02  # of the level; brain voxels below it hold no tissue


@dataclass(frozen=True)
class BrainCrop:
    """A scan cropped to its brain: what the features are computed from.

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


def crop_brain(scan: Scan) -> BrainCrop:
    """Cut out the brain, and set its intensities in relation to its level.

    Args:
        scan: with its brain mask; voxels that are not finite count as empty.

    Raises:
        ValueError: no brain mask, an empty one, or a brain that holds nothing but zeros.

    Example:
        >>> type(crop_brain(scan)).__name__
        'BrainCrop'
    """
    if scan.brain_mask is None or not scan.brain_mask.any():
        raise ValueError(f"{scan.name}: image quality needs a brain mask that is not empty")
    box = box_of(scan.brain_mask)
    brain = np.ascontiguousarray(scan.brain_mask[box])
    image = np.where(brain, scan.image[box], 0).astype(np.float32)
    np.nan_to_num(image, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
    level = float(np.percentile(image[brain], LEVEL))
    if not level > 0:
        raise ValueError(f"{scan.name}: the brain holds no signal, so its quality cannot be measured")
    image /= level
    steps = tuple(
        2 if size < HALVED and length > 16 else 1 for size, length in zip(scan.spacing, brain.shape, strict=True)
    )
    every = tuple(slice(None, None, step) for step in steps)
    edges = tuple(size * step for size, step in zip(scan.spacing, steps, strict=True))
    inside = _grown(_deep(brain[every] & (image[every] > EMPTY), edges), steps, brain.shape) & brain & (image > EMPTY)
    if not inside.any():
        inside = brain & (image > EMPTY)
    detail = image - _interpolated(_local_mean(image[every], brain[every], edges), steps, brain.shape)
    detail *= inside
    directions = np.abs(np.asarray(scan.affine)[:3, :3] / np.asarray(scan.spacing))
    right = int(np.argmax(directions[0]))
    up = int(np.argmax(np.where(np.arange(3) == right, -1, directions[2])))
    open_ = tuple((part.start > 0, part.stop < size) for part, size in zip(box, scan.brain_mask.shape, strict=True))
    return BrainCrop(image, brain, inside, detail, scan.spacing, right, up, open_)


def _deep(tissue: np.ndarray, spacing: tuple[float, ...]) -> np.ndarray:
    """Return voxels at least `INSIDE` mm from where there is no tissue, along every axis that is long enough."""
    for axis, size in enumerate(spacing):
        width = 2 * max(1, round(INSIDE / size)) + 1
        if tissue.shape[axis] > 2 * width:
            tissue = ndimage.minimum_filter1d(tissue.view(np.uint8), width, axis=axis, mode="constant").view(bool)
    return tissue


def _local_mean(image: np.ndarray, brain: np.ndarray, spacing: tuple[float, ...]) -> np.ndarray:
    """Return the mean of the brain's voxels in a box of `BASE` mm about each voxel."""
    total, weight = image, brain.astype(np.float32)
    for axis, size in enumerate(spacing):
        width = 2 * max(1, round(BASE / size / 2)) + 1
        total = ndimage.uniform_filter1d(total, width, axis=axis, mode="constant")
        weight = ndimage.uniform_filter1d(weight, width, axis=axis, mode="constant")
    return np.divide(total, weight, out=np.zeros_like(total), where=weight > 1e-3)


def _grown(mask: np.ndarray, steps: tuple[int, ...], shape: tuple[int, ...]) -> np.ndarray:
    """Return a mask of every other voxel, on all voxels."""
    for axis, step in enumerate(steps):
        if step > 1:
            mask = np.repeat(mask, step, axis=axis)
    return mask[tuple(slice(0, n) for n in shape)]


def _interpolated(values: np.ndarray, steps: tuple[int, ...], shape: tuple[int, ...]) -> np.ndarray:
    """Return a smooth map of every other voxel, on all voxels; linear between them."""
    for axis, step in enumerate(steps):
        if step == 1:
            continue
        known = np.moveaxis(values, axis, 0)
        full = np.empty((shape[axis], *known.shape[1:]), dtype=values.dtype)
        full[::2] = known
        full[1::2] = known[: shape[axis] // 2]
        full[1:-1:2] += known[1 : 1 + len(full[1:-1:2])]
        full[1:-1:2] /= 2
        values = np.moveaxis(full, 0, axis)
    return values
