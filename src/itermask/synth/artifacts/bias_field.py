"""Bias field: uneven sensitivity of the receive coil; one side of the head is brighter than the other.

Severity: the field in the brain's bright regions over that in its dark ones (its 95th over its 5th percentile there),
a factor of 1.2 a step; severity 1 is 1.2, severity 5 is 2.5, severity 10 is 6.2. The field is the exponential of a
polynomial of third order in the volume's coordinates (Van Leemput et al. 1999), made by TorchIO's `BiasField`; its
logarithm has mean 0 over the brain.
"""

import numpy as np

from itermask.synth.artifacts.base import Artifact, Parameters, Subject, register
from itermask.synth.artifacts.torchio_transform import transform

RATIO = 1.2  # for each step of severity
ENDS = (5.0, 95.0)  # percentiles of the field in the brain that the ratio is between
ORDER = 3


def draw(subject: Subject, severity: float, rng: np.random.Generator) -> Parameters:
    """Draw the polynomial, scaled so that those percentiles are the logarithm of the ratio apart. It has no axis.

    Returns:
        `ratio`: 95th over 5th percentile of the field within the brain;
        `coefficients`: of the polynomial on coordinates from −1 to 1, in the order that TorchIO takes them in: power
            of the third axis counting fastest, of the first slowest, all powers together at most `order`;
        `order`: of the polynomial.

    Example:
        >>> sorted(draw(subject, 5.0, np.random.default_rng(0)))
        ['coefficients', 'order', 'ratio']
    """
    grid = np.zeros((ORDER + 1,) * 3)
    indices = tuple(np.array(power) for power in zip(*_powers(ORDER), strict=True))
    grid[indices] = rng.uniform(-1, 1, len(indices[0]))
    grid[0, 0, 0] = 0
    x, y, z = (np.linspace(-1, 1, size) if size > 1 else np.zeros(1) for size in subject.image.shape)
    field = np.polynomial.polynomial.polygrid3d(x, y, z, grid)[subject.brain]
    ratio = RATIO**severity
    dark, bright = np.percentile(field, ENDS)
    if bright > dark:
        grid[0, 0, 0] = -field.mean()
        grid *= np.log(ratio) / (bright - dark)
    return {"ratio": ratio, "coefficients": grid[indices].tolist(), "order": ORDER}


def apply(image: np.ndarray, parameters: Parameters) -> np.ndarray:
    """Return the image times the field.

    Example:
        >>> parameters = draw(subject, 5.0, np.random.default_rng(0))
        >>> bool((apply(subject.image, parameters) != subject.image).any())
        True
    """
    arguments = {"coefficients": parameters["coefficients"], "order": parameters["order"]}
    return transform("BiasField", image, (1.0, 1.0, 1.0), **arguments)


def _powers(order: int) -> list[tuple[int, int, int]]:
    """Return powers of the three coordinates, in TorchIO's order."""
    triples = np.ndindex((order + 1,) * 3)
    return [(x, y, z) for x, y, z in triples if x + y + z <= order]


register(Artifact("bias_field", draw, apply))
