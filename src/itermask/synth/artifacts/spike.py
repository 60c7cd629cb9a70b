"""Spike: sparks during read-out add a large value to one or a few points of k-space; stripes cross the image.

Severity: amplitude of the stripes, 3 % of the brain's 90th percentile a step, shared by one to three points;
severity 5 is 15 %, so tissue goes up and down by that much. The stripes' wavelength is 5 to 20 mm.
"""

import numpy as np

from itermask.synth.artifacts.base import Artifact, Parameters, Subject, register

AMPLITUDE = 0.03  # of the reference intensity, for each step of severity
WAVELENGTHS = (5.0, 20.0)  # mm
MOST_POINTS = 3


def draw(subject: Subject, severity: float, rng: np.random.Generator) -> Parameters:
    """Draw which points of k-space are hit and how hard.

    Directions are uniform in space, so the axis asked for plays no role; wavelengths are log-uniform between 5
    and 20 mm and rounded to the grid of k-space.

    Returns:
        `points`: position in k-space, whole cycles over the field of view along each axis;
        `amplitudes`: what each point adds to the image, in its intensities;
        `phases`: radians.

    Example:
        >>> sorted(draw(subject, 5.0, np.random.default_rng(0)))
        ['amplitudes', 'phases', 'points']
    """
    count = int(rng.integers(1, MOST_POINTS + 1))
    extent = np.array(subject.image.shape) * subject.spacing
    highest = (np.array(subject.image.shape) - 1) // 2
    directions = rng.standard_normal((count, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    wavelengths = np.exp(rng.uniform(np.log(WAVELENGTHS[0]), np.log(WAVELENGTHS[1]), size=(count, 1)))
    points = np.clip(np.rint(directions * extent / wavelengths), -highest, highest).astype(int)
    shares = rng.dirichlet(np.full(count, 4.0))
    return {
        "points": points.tolist(),
        "amplitudes": (AMPLITUDE * severity * subject.reference * shares).tolist(),
        "phases": rng.uniform(0, 2 * np.pi, size=count).tolist(),
    }


def apply(image: np.ndarray, parameters: Parameters) -> np.ndarray:
    """Return the magnitude of the image plus the spikes.

    A point of k-space is a plane wave `a·exp(i(2π k·r/n + φ))` in the image, so the waves are added there.

    Example:
        >>> parameters = draw(subject, 5.0, np.random.default_rng(0))
        >>> bool((apply(subject.image, parameters) != subject.image).any())
        True
    """
    total = image.astype(np.complex64)
    drawn = zip(parameters["points"], parameters["amplitudes"], parameters["phases"], strict=True)
    for point, amplitude, phase in drawn:
        waves = [np.exp(2j * np.pi * k * np.arange(n) / n) for k, n in zip(point, image.shape, strict=True)]
        waves[0] = waves[0] * amplitude * np.exp(1j * phase)
        x, y, z = (wave.astype(np.complex64) for wave in waves)
        total += x[:, None, None] * y[:, None] * z
    return np.abs(total)


register(Artifact("spike", draw, apply))
