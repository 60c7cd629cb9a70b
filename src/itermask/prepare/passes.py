"""The pass that revealed each voxel, brought back to the scan's grid."""

import numpy as np
from scipy import ndimage

from itermask.prepare.prepare import Prepared


def restore_passes(revealed: np.ndarray, prepared: Prepared, inside: np.ndarray) -> np.ndarray:
    """Numbers of passes on the box → the scan's grid.

    The mask after each pass is brought back as the anomaly mask is, so that what is above the last number is that mask
    to the voxel. This takes one interpolation a pass, over no more than the brain.

    Args:
        revealed: uint8 of the box's shape: 1 and more in the brain, 0 elsewhere.
        prepared: what was looked at.
        inside: boolean brain mask of the scan's shape.

    Returns:
        uint8 of the scan's shape: 1 and more in `inside`, 0 elsewhere.
    """
    restored = inside.astype(np.uint8)
    if not inside.any():
        return restored
    window = ndimage.find_objects(inside.view(np.uint8))[0]
    to_native, brain = prepared.placement.to_native, prepared.brain
    weight = to_native(brain.astype(np.float32), window)
    known = inside[window] & (weight > 1e-3)
    half = np.where(known, weight / 2, np.float32(np.inf))  # comparing with the half is the same as dividing first
    for number in range(1, int(revealed.max())):
        restored[window] += to_native(((revealed > number) & brain).astype(np.float32), window) >= half
    return restored
