"""Where white matter usually lies, brought to a scan by its brain's bounding box.

`white_matter.npz` holds it, `white_matter.md` says whose scans it was made from and under which licence, and
`scripts/white_matter_prior.py` makes it.
"""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
from scipy import ndimage

from itermask.types import Prepared

FILE = Path(__file__).with_name("white_matter.npz")


@cache
def white_matter() -> np.ndarray:
    """Return the prior: float32 shares from 0 to 1, axes right, anterior, superior, from edge to edge of a brain's box.

    Example:
        >>> prior = white_matter()
        >>> prior.ndim, 0 <= float(prior.min()) <= float(prior.max()) <= 1
        (3, True)
    """
    with np.load(FILE, allow_pickle=False) as stored:
        prior = stored["share"].astype(np.float32) / 255
    prior.flags.writeable = False
    return prior


def stretched(prior: np.ndarray, shape: Sequence[int], bounds: Sequence[tuple[int, int]]) -> np.ndarray:
    """Return a map that fills a brain's bounding box → a map on the grid that the brain lies on, interpolated linearly.

    Args:
        prior: 3D map from edge to edge of the bounding box.
        shape: of the grid.
        bounds: first index of the bounding box along each axis, and the one after its last.

    Returns:
        float32 of that shape; 0 outside the bounding box.

    Example:
        >>> stretched(np.array([0.0, 1.0]).reshape(2, 1, 1), (6, 1, 1), [(1, 5), (0, 1), (0, 1)]).ravel().tolist()
        [0.0, 0.0, 0.25, 0.75, 1.0, 0.0]
    """
    coordinates = [
        (np.arange(high - low) + 0.5) / (high - low) * size - 0.5
        for (low, high), size in zip(bounds, prior.shape, strict=True)
    ]
    found = np.zeros(shape, dtype=np.float32)
    inside = tuple(slice(low, high) for low, high in bounds)
    found[inside] = ndimage.map_coordinates(prior, np.meshgrid(*coordinates, indexing="ij"), order=1, mode="nearest")
    return found


def prior_for(prepared: Prepared, prior: np.ndarray | None = None) -> np.ndarray:
    """Return the share of white matter that is expected in each voxel of a prepared scan.

    Of a scan's own slices the box holds all from the first to the last with brain, also those that are too empty to be
    processed; so the whole box counts along them.

    Args:
        prepared: the scan on a model's grid.
        prior: axes right, anterior, superior; `white_matter` if None.

    Returns:
        float32 of the box's shape, 0 to 1; 0 outside the brain.

    Raises:
        ValueError: an empty brain, or a single slice, which does not tell how high in the brain it lies.
    """
    brain = prepared.brain
    if not brain.any():
        raise ValueError("the brain mask is empty")
    bounds = [(part.start, part.stop) for part in ndimage.find_objects(brain.astype(np.uint8))[0]]
    if prepared.plane:
        bounds[2] = (0, brain.shape[2])
    if min(high - low for low, high in bounds) < 2:
        raise ValueError(
            "a single slice does not tell where in the brain it lies, so no white matter is expected there"
        )
    axes = getattr(prepared.placement, "axes", (0, 1, 2))
    turned = np.transpose(white_matter() if prior is None else prior, axes)
    return np.where(brain, stretched(turned, brain.shape, bounds), np.float32(0))
