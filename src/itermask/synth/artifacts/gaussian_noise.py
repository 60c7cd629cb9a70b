"""Gaussian noise: zero-mean noise added to the magnitudes, as in many published test sets; air stays dark.

Severity: standard deviation, 1.5 % of the brain's 90th percentile a step on pixels of 2 mm, and more on smaller ones,
as in `noise`; severity 5 is 7.5 % on 2 mm and 15 % on 1 mm. In tissue it looks like `noise`, which is what a
receiver does; in air, where that one has a floor, values below 0 are cut off here.
"""

import numpy as np

from itermask.synth.artifacts.base import Artifact, Parameters, Subject, in_slice, register

DEVIATION = 0.015  # of the reference intensity, for each step of severity, on pixels of 2 mm


def draw(subject: Subject, severity: float, rng: np.random.Generator) -> Parameters:
    """Draw how strong the noise is.

    Returns:
        `deviation`: standard deviation, in the image's intensities;
        `seed`: what the noise is made from, so that it can be made again.

    Example:
        >>> sorted(draw(subject, 5.0, np.random.default_rng(0)))
        ['deviation', 'seed']
    """
    deviation = in_slice(DEVIATION * severity, subject.spacing)
    return {"deviation": deviation * subject.reference, "seed": int(rng.integers(2**32))}


def apply(image: np.ndarray, parameters: Parameters) -> np.ndarray:
    """Return the image plus Gaussian noise, with values below 0 set to 0.

    Example:
        >>> parameters = draw(subject, 5.0, np.random.default_rng(0))
        >>> bool((apply(subject.image, parameters) != subject.image).any())
        True
    """
    noise = np.random.default_rng(parameters["seed"]).standard_normal(image.shape, dtype=np.float32)
    return np.maximum(image + np.float32(parameters["deviation"]) * noise, 0)


register(Artifact("gaussian_noise", draw, apply))
