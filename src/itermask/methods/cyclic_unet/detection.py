"""How translation methods look at a scan: there and back slice by slice, scored away from the brain's border."""

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from itermask.methods.slices import over_slices
from itermask.prepare.prepare import Prepared

if TYPE_CHECKING:
    from itermask.runtime.base import Runtime

FORWARD, BACKWARD = "a_to_b", "b_to_a"  # roles
TOLERANCE = 1e-6  # mm; distances that are equal but for rounding are equal


def eroded(brain: np.ndarray, spacing: tuple[float, ...], radius: float) -> np.ndarray:
    """The brain without its border, slice by slice: erosion by a disk.

    Args:
        brain: boolean (X, Y, Z).
        spacing: voxel size in mm.
        radius: of the disk in mm; 0 leaves the brain as it is.

    Returns:
        boolean (X, Y, Z), True where every pixel up to `radius` away in the slice is brain; there is none outside
        the box.

    Raises:
        ValueError: nothing is left.
    """
    inner = np.zeros_like(brain, dtype=bool)
    for at in np.flatnonzero(brain.any(axis=(0, 1))):
        distance = ndimage.distance_transform_edt(np.pad(brain[..., at], 1), sampling=spacing[:2])
        inner[..., at] = distance[1:-1, 1:-1] > (radius + TOLERANCE if radius else 0)
    if not inner.any():
        raise ValueError(f"nothing is left of the brain mask without the {radius:g} mm at its border")
    return inner


def there_and_back(prepared: Prepared, runtime: "Runtime") -> np.ndarray:
    """What comes back of a scan: `a_to_b`, then `b_to_a`.

    The background of the translated slices is set to what it is in every prepared scan before they go back.

    Args:
        prepared: the scan in sequence a.
        runtime: executes the networks `a_to_b` and `b_to_a`.

    Returns:
        float32 (X, Y, Z) in scaled intensities; outside the brain the image itself.
    """
    image, brain = prepared.image, prepared.brain
    translated = np.where(brain, over_slices(runtime, FORWARD, image[None], brain), image)
    return np.where(brain, over_slices(runtime, BACKWARD, translated, brain)[0], image)
