"""Missing chunk: slices that were not acquired or got lost; a slab of the volume holds background only.

Severity: thickness of the slab inside the brain, 6 mm a step; severity 5 is 30 mm (30 slices of 1 mm, as in the
IterMask3D tables, or 15 of 2 mm). Two positions: `missing_chunk` takes the brain's top and all that lies above
it, `missing_chunk_middle` a slab centred between 40 and 60 % of the brain's extent.
"""

from functools import partial

import numpy as np

from itermask.synth.artifacts.base import Artifact, Parameters, Subject, extent, register, slab

THICKNESS = 6.0  # mm for each step of severity
CENTRE = (0.4, 0.6)  # range of the middle slab's centre, share of the brain's extent


def draw(subject: Subject, severity: float, rng: np.random.Generator, position: str) -> Parameters:
    """Draw which slab is missing.

    Args:
        subject: the scan; `axis` is the slab's normal (the axis along the head if None).
        severity: up to 10, times 6 mm, rounded to whole slices, at least one.
        rng: random generator; the top slab has nothing random.
        position: `top` or `middle`.

    Returns:
        `axis`; `start` and `stop`, the slab's slices (stop excluded); `thickness_mm`, how much of the brain's
        extent they cover; `background`, the value they are set to (the image's minimum).

    Raises:
        ValueError: no slice of the brain would be left.

    Example:
        >>> sorted(draw(subject, 5.0, np.random.default_rng(0), position="top"))
        ['axis', 'background', 'start', 'stop', 'thickness_mm']
    """
    axis = subject.up if subject.axis is None else subject.axis
    low, high = extent(subject.brain, axis)
    count = max(1, round(THICKNESS * severity / subject.spacing[axis]))
    if count >= high - low:
        size = (high - low) * subject.spacing[axis]
        raise ValueError(f"a missing chunk of {THICKNESS * severity:g} mm leaves nothing of a brain of {size:g} mm")
    if position == "top":
        start, stop = (high - count, subject.image.shape[axis]) if subject.direction > 0 else (0, low + count)
    else:
        centre = low + rng.uniform(*CENTRE) * (high - low)
        start = min(max(low, round(centre - count / 2)), high - count)
        stop = start + count
    return {
        "axis": axis,
        "start": start,
        "stop": stop,
        "thickness_mm": count * subject.spacing[axis],
        "background": float(subject.image.min()),
    }


def region(shape: tuple[int, ...], parameters: Parameters) -> np.ndarray:
    """Return a boolean array of `shape`, True in the missing slab.

    Example:
        >>> parameters = draw(subject, 5.0, np.random.default_rng(0), position="top")
        >>> bool(region(subject.image.shape, parameters).any())
        True
    """
    missing = np.zeros(shape, dtype=bool)
    missing[slab(parameters["axis"], parameters["start"], parameters["stop"])] = True
    return missing


def apply(image: np.ndarray, parameters: Parameters) -> np.ndarray:
    """Return the image with the slab set to background; every other voxel as it was.

    Example:
        >>> parameters = draw(subject, 5.0, np.random.default_rng(0), position="top")
        >>> bool((apply(subject.image, parameters) != subject.image).any())
        True
    """
    return np.where(region(image.shape, parameters), np.float32(parameters["background"]), image)


register(Artifact("missing_chunk", partial(draw, position="top"), apply, region))
register(Artifact("missing_chunk_middle", partial(draw, position="middle"), apply, region))
