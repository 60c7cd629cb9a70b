"""Coarse noise: random values on a wide grid, interpolated to voxels, so that it has the size of lesions."""

from collections.abc import Sequence

import numpy as np
from scipy import ndimage


def coarse_noise(shape: Sequence[int], spacing: Sequence[float], cell: float, rng: np.random.Generator) -> np.ndarray:
    """Return linearly interpolated Gaussian noise.

    Standard normal values are drawn on a grid that is `cell` wide and lies at a random position, and interpolated at
    the voxel centres. Source: the idea of Kascenas et al. 2022, noise of low resolution, scaled up.

    Args:
        shape: voxels along each axis, 2D or 3D.
        spacing: voxel size in mm.
        cell: distance of the values in mm.
        rng: random generator.

    Returns:
        float32 of shape `shape`, with mean 0; its variance is 1 at the grid's points and less between them.

    Raises:
        ValueError: `cell` is not positive.

    Example:
        >>> coarse_noise((8, 8, 8), (2.0, 2.0, 2.0), cell=8.0, rng=np.random.default_rng(0)).shape
        (8, 8, 8)
    """
    if not cell > 0:
        raise ValueError(f"the noise's grid must be wider than 0 mm, not {cell}")
    step = np.asarray(spacing, dtype=float) / cell
    start = rng.random(len(step))
    reach = [int(np.ceil(at + width * (size - 1))) + 1 for at, width, size in zip(start, step, shape, strict=True)]
    values = rng.standard_normal(reach, dtype=np.float32)
    return ndimage.affine_transform(values, step, start, tuple(shape), order=1, mode="nearest")
