"""Corrupted k-space point (herringbone): one sample of every slice is far too large; fine stripes weave each slice.

Severity: amplitude of the stripes, 3 % of the brain's 90th percentile a step; severity 5 is 15 %. The scan counts as
acquired slice by slice: the same point is hit in every slice, each time with another phase, so that the stripes, 3 to
8 mm wide, run straight within a slice and break from one to the next. For a scan acquired as one volume, see `spike`.
"""

import numpy as np

from itermask.synth.artifacts.base import Artifact, Parameters, Subject, along, choose_axis, register

AMPLITUDE = 0.03  # of the reference intensity, for each step of severity
WAVELENGTHS = (3.0, 8.0)  # mm
TILT = (np.pi / 9, np.pi * 7 / 18)  # radians, 20 to 70 degrees, of the stripes against the slice's edges


def draw(subject: Subject, severity: float, rng: np.random.Generator) -> Parameters:
    """Draw which point is hit and how hard.

    Returns:
        `axis`: across the slices, the one asked for or a random one;
        `point`: position in k-space, whole cycles over the field of view along each axis, 0 across the slices;
        `amplitude`: what the point adds to the image, in its intensities;
        `seed`: what each slice's phase is made from.

    Example:
        >>> sorted(draw(subject, 5.0, np.random.default_rng(0)))
        ['amplitude', 'axis', 'point', 'seed']
    """
    axis = choose_axis(subject, rng)
    extent = np.array(subject.image.shape) * subject.spacing
    highest = (np.array(subject.image.shape) - 1) // 2
    wavelength = np.exp(rng.uniform(*np.log(WAVELENGTHS)))
    tilt, side = rng.uniform(*TILT), rng.choice([-1, 1])
    direction = np.insert([np.cos(tilt), side * np.sin(tilt)], axis, 0.0)
    point = np.clip(np.rint(direction * extent / wavelength), -highest, highest).astype(int)
    return {
        "axis": axis,
        "point": point.tolist(),
        "amplitude": AMPLITUDE * severity * subject.reference,
        "seed": int(rng.integers(2**32)),
    }


def apply(image: np.ndarray, parameters: Parameters) -> np.ndarray:
    """Return the magnitude of the image plus one plane wave, with a phase of its own in each slice.

    Example:
        >>> parameters = draw(subject, 5.0, np.random.default_rng(0))
        >>> bool((apply(subject.image, parameters) != subject.image).any())
        True
    """
    axis = parameters["axis"]
    turns = np.random.default_rng(parameters["seed"]).random(image.shape[axis])
    wave = parameters["amplitude"] * along(np.exp(2j * np.pi * turns).astype(np.complex64), axis)
    for a, (cycles, size) in enumerate(zip(parameters["point"], image.shape, strict=True)):
        wave = wave * along(np.exp(2j * np.pi * cycles * np.arange(size) / size).astype(np.complex64), a)
    return np.abs(image + wave)


register(Artifact("kspace_point", draw, apply))
