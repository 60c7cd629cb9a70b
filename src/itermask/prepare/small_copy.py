"""A brain in coarse voxels: what registration and the search for missing tissue look at."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from itermask.core.boxes import box_of

REDUCED = 4.0  # mm; voxels of the small copy


@dataclass(frozen=True)
class SmallCopy:
    """A scan's brain in coarse voxels.

    Attributes:
        mask: float32, share of each voxel that is brain.
        masked: float32, mean of scaled intensity × mask; the brain's 2nd and 98th percentile are 0 and 1.
        affine: 4×4, voxel indices → scanner millimetres.
    """

    mask: np.ndarray
    masked: np.ndarray
    affine: np.ndarray

    @property
    def centre(self) -> np.ndarray:
        """Centre of the mask's mass, scanner millimetres."""
        return np.asarray(self.affine[:3, :3] @ ndimage.center_of_mass(self.mask) + self.affine[:3, 3])


def small_copy(image: np.ndarray, brain: np.ndarray, affine: np.ndarray) -> SmallCopy:
    """Return a brain in voxels of about 4 mm, along the scan's own axes.

    Args:
        image: 3D intensities.
        brain: boolean of the same shape, not empty.
        affine: 4×4, voxel indices → scanner millimetres.

    Raises:
        ValueError: the brain is constant, or holds NaN or infinite voxels.

    Example:
        >>> type(small_copy(scan.image, scan.brain_mask, scan.affine)).__name__
        'SmallCopy'
    """
    window = box_of(brain)
    inside = brain[window]
    values = image[window][inside].astype(np.float32)
    if not np.isfinite(values).all():
        raise ValueError("the brain holds NaN or infinite voxels")
    low, high = np.percentile(values[:: max(1, len(values) // 100_000)], [2, 98])
    if not high > low:
        raise ValueError("the brain's intensities are constant")
    scaled = np.zeros(inside.shape, dtype=np.float32)
    scaled[inside] = np.clip((values - low) / (high - low), -0.2, 1.2)
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    factors = np.maximum(1, np.rint(REDUCED / spacing)).astype(int)
    margin = np.ceil(12.0 / (spacing * factors)).astype(int)  # coarse voxels around the brain, so that edges have room
    reduced = [_block_mean(volume, factors, margin) for volume in (inside.astype(np.float32), scaled)]
    coarse = np.eye(4)
    coarse[:3, :3] = np.diag(factors)
    coarse[:3, 3] = [cut.start for cut in window] + (factors - 1) / 2 - margin * factors
    return SmallCopy(reduced[0], reduced[1], affine @ coarse)


def _block_mean(volume: np.ndarray, factors: np.ndarray, margin: np.ndarray) -> np.ndarray:
    """Return means over blocks of voxels, with `margin` empty blocks around."""
    ends = [-size % factor for size, factor in zip(volume.shape, factors, strict=True)]
    padded = np.pad(volume, [(0, end) for end in ends])
    for axis, factor in enumerate(factors):
        if factor > 1:
            padded = np.add.reduceat(padded, np.arange(0, padded.shape[axis], factor), axis=axis) / factor
    return np.pad(padded, [(int(size), int(size)) for size in margin]).astype(np.float32)
