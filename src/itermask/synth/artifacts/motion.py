"""Motion: the head moves between k-space lines; edges get echoes and blur along the phase axis.

Severity: how far each new position is from the first, up to 0.5 mm and 0.5° a step; severity 5 is 2.5 mm and 2.5°. The
head moves 4 to 8 times, about evenly over the lines; the centre of k-space shows it at rest (Shaw et al. 2019, as
TorchIO's `Motion` has it). The head turns about the volume's centre.
"""

import numpy as np

from itermask.synth.artifacts.base import Artifact, Parameters, Subject, choose_axis, register
from itermask.synth.artifacts.torchio_transform import transform

STEP = 0.5  # mm and degrees, for each step of severity
MOVES = (4, 8)
LEAST = 0.5  # the smallest movement, as a share of the largest
JITTER = 0.3  # of the time between two movements


def draw(subject: Subject, severity: float, rng: np.random.Generator) -> Parameters:
    """Draw when the head moves, and where it is from then on.

    Returns:
        `axis`: the phase axis, the one asked for or a random one;
        `times`: of the movements, as a share of the acquisition; lines are acquired from −k to +k;
        `translations_mm`, `rotations_deg`: one list a movement, along and about each of the volume's axes; not of
            the movement, but of the position after it; signs are TorchIO's (LPS);
        `spacing_mm`: voxel size along each axis.

    Example:
        >>> sorted(draw(subject, 5.0, np.random.default_rng(0)))
        ['axis', 'rotations_deg', 'spacing_mm', 'times', 'translations_mm']
    """
    axis = choose_axis(subject, rng)
    count = int(rng.integers(MOVES[0], MOVES[1] + 1))
    times = (np.arange(1, count + 1) + rng.uniform(-JITTER, JITTER, count)) / (count + 1)
    ways = rng.standard_normal((2, count, 3))
    ways *= rng.uniform(LEAST, 1, (2, count, 1)) / np.linalg.norm(ways, axis=2, keepdims=True)
    translations, rotations = STEP * severity * ways
    return {
        "axis": axis,
        "times": times.tolist(),
        "translations_mm": translations.tolist(),
        "rotations_deg": rotations.tolist(),
        "spacing_mm": list(subject.spacing),
    }


def apply(image: np.ndarray, parameters: Parameters) -> np.ndarray:
    """Return the magnitude of the image put together from k-space lines of the head in each of its positions.

    TorchIO takes the last axis as phase axis, so the axes are reordered for it and back again; and it gives the
    image's real part, which in tissue is the magnitude to first order.

    Example:
        >>> parameters = draw(subject, 5.0, np.random.default_rng(0))
        >>> bool((apply(subject.image, parameters) != subject.image).any())
        True
    """
    order = [a for a in range(3) if a != parameters["axis"]] + [parameters["axis"]]
    moved = transform(
        "Motion",
        image.transpose(order),
        [parameters["spacing_mm"][a] for a in order],
        times=np.array(parameters["times"]),
        translation=np.array(parameters["translations_mm"])[:, order],
        degrees=np.array(parameters["rotations_deg"])[:, order],
        image_interpolation="linear",
    )
    return np.abs(moved).transpose(np.argsort(order))


register(Artifact("motion", draw, apply))
