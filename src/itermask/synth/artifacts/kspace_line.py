"""Corrupted k-space line: a radio burst during one read-out; frayed stripes of one width cross the image.

Severity: root mean square of the stripes, 2 % of the brain's 90th percentile a step on voxels of 2 mm; severity 5 is
10 %; on voxels of 1 mm, 14 %, so that the frayed stripes look as strong to who reads a slice. The burst
fills one line of k-space with noise, so the stripes run across the phase axis with one wavelength, 6 to 25 mm, but
their strength and phase change from voxel to voxel along the read-out and from slice to slice.
"""

import numpy as np

from itermask.synth.artifacts.base import Artifact, Parameters, Subject, along, choose_axis, on_line, register

STRENGTH = 0.02  # of the reference intensity, for each step of severity
WAVELENGTHS = (6.0, 25.0)  # mm


def draw(subject: Subject, severity: float, rng: np.random.Generator) -> Parameters:
    """Draw which line is hit and how hard.

    Returns:
        `axis`: the phase axis, the one asked for or a random one;
        `line`: of k-space, whole cycles over the field of view;
        `strength`: root mean square of what it adds to the image, real and imaginary part together;
        `seed`: what the burst is made from.

    Example:
        >>> sorted(draw(subject, 5.0, np.random.default_rng(0)))
        ['axis', 'line', 'seed', 'strength']
    """
    axis = choose_axis(subject, rng)
    size = subject.image.shape[axis]
    finest = min(edge for a, edge in enumerate(subject.spacing) if a != axis)
    wavelength = np.exp(rng.uniform(*np.log(WAVELENGTHS)))
    line = int(np.clip(np.rint(size * subject.spacing[axis] / wavelength), 1, max(1, (size - 1) // 2)))
    return {
        "axis": axis,
        "line": line * int(rng.choice([-1, 1])),
        "strength": on_line(STRENGTH * severity, finest) * subject.reference,
        "seed": int(rng.integers(2**32)),
    }


def apply(image: np.ndarray, parameters: Parameters) -> np.ndarray:
    """Return the magnitude of the image after complex Gaussian noise was added to every sample of the line.

    Example:
        >>> parameters = draw(subject, 5.0, np.random.default_rng(0))
        >>> bool((apply(subject.image, parameters) != subject.image).any())
        True
    """
    axis, size = parameters["axis"], image.shape[parameters["axis"]]
    rng = np.random.default_rng(parameters["seed"])
    shape = [1 if a == axis else n for a, n in enumerate(image.shape)]
    burst = rng.standard_normal((2, *shape), dtype=np.float32)
    burst = parameters["strength"] / np.sqrt(2) * (burst[0] + 1j * burst[1])
    wave = np.exp(2j * np.pi * parameters["line"] * np.arange(size) / size)
    return np.abs(image + burst.astype(np.complex64) * along(wave.astype(np.complex64), axis))


register(Artifact("kspace_line", draw, apply))
