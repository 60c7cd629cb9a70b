"""Folding (wrap-around): the field of view is smaller than the head; what lies beyond one side appears at the other.

Severity: how far the wrapped part of the head reaches into the brain, 4 mm a step along the phase axis; severity 5
is 20 mm. Both are measured on the lines through the brain, from where they fill a tenth of its largest section: a
nose is no head, and a pole no brain. The field of view is whole slices wide, lies about the head's middle (within
5 mm), and the volume is background beyond it.
"""

import numpy as np

from itermask.synth.artifacts.base import FOREGROUND, Artifact, Parameters, Subject, choose_axis, register, slab

REACH = 4.0  # mm, for each step of severity
COVERED = 0.1  # share of the brain's largest section that a slice must fill to count
OFFSET = 5.0  # mm, largest distance of the field of view from the head's middle


def draw(subject: Subject, severity: float, rng: np.random.Generator) -> Parameters:
    """Draw which field of view the scan has.

    One end of the head, shifted by the field of view, is to reach so far into the brain's other end; of the two, the
    one that needs the larger field. The head is the brain, and what is above a tenth of the 99th percentile.

    Returns:
        `axis`: the phase axis, the one asked for or a random one;
        `start`, `stop`: the field of view's slices (stop excluded);
        `field_mm`: its size;
        `background`: the value beyond it (the image's minimum).

    Raises:
        ValueError: the field of view would be empty.

    Example:
        >>> sorted(draw(subject, 5.0, np.random.default_rng(0)))
        ['axis', 'background', 'field_mm', 'start', 'stop']
    """
    axis = choose_axis(subject, rng)
    spacing, size = subject.spacing[axis], subject.image.shape[axis]
    head = (subject.image > FOREGROUND * np.percentile(subject.image, 99)) | subject.brain
    sections = subject.brain.sum(axis=tuple(a for a in range(3) if a != axis))
    least = COVERED * sections.max()
    low, high = _bulk(head & subject.brain.any(axis=axis, keepdims=True), axis, least)
    first, last = _bulk(subject.brain, axis, least)
    field = max(last - low, high - first) - max(1, round(REACH * severity / spacing))
    if field < 1:
        raise ValueError(f"a wrapped part of {REACH * severity:g} mm leaves no field of view on a brain so small")
    middle = (low + high) / 2 + rng.uniform(-OFFSET, OFFSET) / spacing
    start = int(np.clip(round(middle - field / 2), 0, size - field))
    return {
        "axis": axis,
        "start": start,
        "stop": start + field,
        "field_mm": field * spacing,
        "background": float(subject.image.min()),
    }


def apply(image: np.ndarray, parameters: Parameters) -> np.ndarray:
    """Return the image plus its copies shifted by whole fields of view, within the field; background beyond.

    Example:
        >>> parameters = draw(subject, 5.0, np.random.default_rng(0))
        >>> bool((apply(subject.image, parameters) != subject.image).any())
        True
    """
    axis, start, stop = parameters["axis"], parameters["start"], parameters["stop"]
    field, size = stop - start, image.shape[axis]
    corrupted = np.full_like(image, parameters["background"])
    window = corrupted[slab(axis, start, stop)]
    window[...] = 0
    most = size // field + 1
    for shift in range(-most * field, most * field + 1, field):
        low, high = max(start + shift, 0), min(stop + shift, size)
        if low < high:
            window[slab(axis, low - start - shift, high - start - shift)] += image[slab(axis, low, high)]
    return corrupted


def _bulk(mask: np.ndarray, axis: int, least: float) -> tuple[int, int]:
    """Return the first slice along `axis` with at least so many voxels of a mask, and one past the last."""
    sizes = mask.sum(axis=tuple(a for a in range(3) if a != axis))
    large = np.flatnonzero(sizes >= least)
    return int(large[0]), int(large[-1]) + 1


register(Artifact("folding", draw, apply))
