"""Susceptibility distortion: metal or air bends the field; tissue is shifted along the phase axis, piled up or thinned.

Severity: largest displacement along the phase axis, 2 mm a step; severity 5 is 10 mm. The field is off within a
ball of 32 to 40 mm radius about a place on the brain's surface, most at its centre. Signal is kept: where the
displacement changes by a voxel from one voxel to the next, brightness doubles or vanishes.
"""

import numpy as np
from scipy import ndimage

from itermask.synth.artifacts.base import Artifact, Parameters, Subject, choose_axis, register

DISPLACEMENT = 2.0  # mm, for each step of severity
RADII = (32.0, 40.0)  # mm


def draw(subject: Subject, severity: float, rng: np.random.Generator) -> Parameters:
    """Draw where the field is off and by how much.

    Returns:
        `axis`: the phase axis, the one asked for or a random one;
        `centre`: voxel on the brain's surface;
        `radius_mm`: of the ball;
        `displacement_mm`: at the centre, along the axis, either way;
        `spacing_mm`: voxel size along each axis.

    Example:
        >>> sorted(draw(subject, 5.0, np.random.default_rng(0)))
        ['axis', 'centre', 'displacement_mm', 'radius_mm', 'spacing_mm']
    """
    axis = choose_axis(subject, rng)
    surface = np.argwhere(subject.brain & ~ndimage.binary_erosion(subject.brain))
    return {
        "axis": axis,
        "centre": surface[rng.integers(len(surface))].tolist(),
        "radius_mm": float(rng.uniform(*RADII)),
        "displacement_mm": DISPLACEMENT * severity * int(rng.choice([-1, 1])),
        "spacing_mm": list(subject.spacing),
    }


def region(shape: tuple[int, ...], parameters: Parameters) -> np.ndarray:
    """Return a boolean array of `shape`, True in the ball.

    Example:
        >>> parameters = draw(subject, 5.0, np.random.default_rng(0))
        >>> bool(region(subject.image.shape, parameters).any())
        True
    """
    ball = np.zeros(shape, dtype=bool)
    box, offsets = _offsets(shape, parameters)
    ball[box] = _square(offsets, parameters) < 1
    return ball


def apply(image: np.ndarray, parameters: Parameters) -> np.ndarray:
    """Return the image read at `x + d(x)`, times `1 + ∂d/∂x`, along the phase axis; outside the ball as it was.

    `d = D·(1 − r²/R²)²` in a ball of radius `R`: smooth, and for every severity less steep than what would fold.

    Example:
        >>> parameters = draw(subject, 5.0, np.random.default_rng(0))
        >>> bool((apply(subject.image, parameters) != subject.image).any())
        True
    """
    axis, spacing = parameters["axis"], parameters["spacing_mm"][parameters["axis"]]
    box, offsets = _offsets(image.shape, parameters)
    inside = np.maximum(1 - _square(offsets, parameters), 0)
    displacement = parameters["displacement_mm"] * inside**2
    slope = parameters["displacement_mm"] * -4 * inside * offsets[axis] / parameters["radius_mm"] ** 2
    coordinates = np.array(np.broadcast_arrays(*np.ogrid[box]), dtype=float)
    coordinates[axis] += displacement / spacing
    corrupted = image.copy()
    corrupted[box] = ndimage.map_coordinates(image, coordinates, order=1, mode="nearest") * (1 + slope)
    return corrupted


def _offsets(shape: tuple[int, ...], parameters: Parameters) -> tuple[tuple[slice, ...], list[np.ndarray]]:
    """Return the box around the ball, and how far its voxels are from the centre along each axis, in mm."""
    centre, spacing = parameters["centre"], parameters["spacing_mm"]
    reach = [int(parameters["radius_mm"] / step) + 1 for step in spacing]
    box = tuple(slice(max(0, centre[a] - reach[a]), min(shape[a], centre[a] + reach[a] + 1)) for a in range(3))
    return box, [(index - centre[a]) * spacing[a] for a, index in enumerate(np.ogrid[box])]


def _square(offsets: list[np.ndarray], parameters: Parameters) -> np.ndarray:
    """Return the squared distance from the centre, 1 on the ball's surface."""
    x, y, z = offsets
    return (x**2 + y**2 + z**2) / parameters["radius_mm"] ** 2


register(Artifact("susceptibility", draw, apply, region))
