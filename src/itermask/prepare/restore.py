"""The pass that revealed each voxel, brought back to the scan's grid."""

from collections.abc import Sequence

import numpy as np

from itermask.core.boxes import box_of
from itermask.types import Prepared


def restore_passes(revealed: np.ndarray, prepared: Prepared, inside: np.ndarray) -> np.ndarray:
    """Return numbers of passes on the box → the scan's grid.

    The mask after each pass is brought back as the anomaly mask is, so that what is above the last number is that mask
    to the voxel. This takes one interpolation a pass, over no more than the brain.

    Args:
        revealed: uint8 of the box's shape: 1 and more in the brain, 0 elsewhere.
        prepared: what was processed.
        inside: boolean brain mask of the scan's shape.

    Returns:
        uint8 of the scan's shape: 1 and more in `inside`, 0 elsewhere.

    Example:
        >>> from itermask.prepare.prepare import prepare
        >>> prepared = prepare(scan, model.grid)
        >>> restore_passes(prepared.brain.astype(np.uint8), prepared, scan.brain_mask).shape == scan.image.shape
        True
    """
    restored = inside.astype(np.uint8)
    if not inside.any():
        return restored
    window = box_of(inside)
    to_native, brain = prepared.placement.to_native, prepared.brain
    weight = to_native(brain.astype(np.float32), window)
    known = inside[window] & (weight > 1e-3)
    half = np.where(known, weight / 2, np.float32(np.inf))  # comparing with the half is the same as dividing first
    for number in range(1, int(revealed.max())):
        restored[window] += to_native(((revealed > number) & brain).astype(np.float32), window) >= half
    return restored


def restore_maps(maps: Sequence[np.ndarray], prepared: Prepared, inside: np.ndarray) -> list[np.ndarray]:
    """Return real-valued maps on the box → the scan's grid, 0 outside the native mask `inside`.

    Near the brain's border a map is interpolated from brain voxels only.

    Args:
        maps: arrays of the box's shape.
        prepared: what was processed.
        inside: boolean brain mask of the scan's shape.

    Returns:
        float32 arrays of the scan's shape, in the order of `maps`.

    Example:
        >>> from itermask.prepare.prepare import prepare
        >>> prepared = prepare(scan, model.grid)
        >>> [image.shape == scan.image.shape for image in restore_maps([prepared.image], prepared, scan.brain_mask)]
        [True]
    """
    inside = np.asarray(inside, dtype=bool)
    window = box_of(inside) if inside.any() else (slice(0, 0),) * inside.ndim
    weight = prepared.placement.to_native(prepared.brain.astype(np.float32), window)
    known = inside[window] & (weight > 1e-3)
    restored = []
    for values in maps:
        total = prepared.placement.to_native(np.where(prepared.brain, values, 0), window)
        whole = np.zeros(inside.shape, dtype=np.float32)
        np.divide(total, weight, out=whole[window], where=known)
        restored.append(whole)
    return restored


def restore_map(values: np.ndarray, prepared: Prepared, inside: np.ndarray) -> np.ndarray:
    """Return one map on the box → the scan's grid, see `restore_maps`.

    Example:
        >>> from itermask.prepare.prepare import prepare
        >>> prepared = prepare(scan, model.grid)
        >>> restore_map(prepared.image, prepared, scan.brain_mask).shape == scan.image.shape
        True
    """
    return restore_maps([values], prepared, inside)[0]


def restore_mask(mask: np.ndarray, prepared: Prepared, inside: np.ndarray) -> np.ndarray:
    """Return a mask on the box → the scan's grid, True where at least half of the interpolated mask is.

    Example:
        >>> from itermask.prepare.prepare import prepare
        >>> prepared = prepare(scan, model.grid)
        >>> restore_mask(prepared.brain, prepared, scan.brain_mask).dtype
        dtype('bool')
    """
    return half_or_more(restore_map(mask.astype(np.float32), prepared, inside))


def half_or_more(restored: np.ndarray) -> np.ndarray:
    """Return a mask that was restored as a map, as booleans.

    Example:
        >>> half_or_more(np.array([0.2, 0.5, 0.9])).tolist()
        [False, True, True]
    """
    return restored >= 0.5
