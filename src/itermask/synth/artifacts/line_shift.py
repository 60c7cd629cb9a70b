"""Line shift: a band of image lines is written at the wrong place; anatomy is broken along two straight edges.

Severity: how far the band is displaced, and how thick it is, 2 mm a step each; severity 5 is 10 mm. What leaves the
volume is lost, and background follows.
"""

import numpy as np
from scipy import ndimage

from itermask.synth.artifacts.base import Artifact, Parameters, Subject, choose_axis, extent, register, slab

STEP = 2.0  # mm, for each step of severity
CENTRE = (0.3, 0.7)  # range of the band's centre, share of the brain's extent


def draw(subject: Subject, severity: float, rng: np.random.Generator) -> Parameters:
    """Draw which lines are displaced and how far.

    Returns:
        `axis`: across the lines, the one asked for or a random one;
        `start`, `stop`: the band's first line and one past its last;
        `along`: the axis that the lines are displaced along, a random one of the others;
        `shift`: in voxels along it, either way;
        `shift_mm`: the same in mm;
        `background`: what follows, the image's minimum.

    Example:
        >>> sorted(draw(subject, 5.0, np.random.default_rng(0)))
        ['along', 'axis', 'background', 'shift', 'shift_mm', 'start', 'stop']
    """
    axis = choose_axis(subject, rng)
    other = (axis + int(rng.integers(1, 3))) % 3
    low, high = extent(subject.brain, axis)
    count = int(np.clip(round(STEP * severity / subject.spacing[axis]), 1, high - low))
    centre = low + rng.uniform(*CENTRE) * (high - low)
    start = min(max(low, round(centre - count / 2)), high - count)
    shift = STEP * severity * int(rng.choice([-1, 1]))
    return {
        "axis": axis,
        "start": start,
        "stop": start + count,
        "along": other,
        "shift": shift / subject.spacing[other],
        "shift_mm": shift,
        "background": float(subject.image.min()),
    }


def region(shape: tuple[int, ...], parameters: Parameters) -> np.ndarray:
    """Return a boolean array of `shape`, True in the band.

    Example:
        >>> parameters = draw(subject, 5.0, np.random.default_rng(0))
        >>> bool(region(subject.image.shape, parameters).any())
        True
    """
    band = np.zeros(shape, dtype=bool)
    band[slab(parameters["axis"], parameters["start"], parameters["stop"])] = True
    return band


def apply(image: np.ndarray, parameters: Parameters) -> np.ndarray:
    """Return the image with the band displaced, linear between voxels; every other voxel as it was.

    Example:
        >>> parameters = draw(subject, 5.0, np.random.default_rng(0))
        >>> bool((apply(subject.image, parameters) != subject.image).any())
        True
    """
    band = slab(parameters["axis"], parameters["start"], parameters["stop"])
    shift = [parameters["shift"] if a == parameters["along"] else 0.0 for a in range(3)]
    corrupted = image.copy()
    corrupted[band] = ndimage.shift(image[band], shift, order=1, cval=parameters["background"])
    return corrupted


register(Artifact("line_shift", draw, apply, region))
