"""Gaussian noise: zero-mean noise added to the magnitudes, as in many published test sets; air stays dark.

Severity: standard deviation, 1.5 % of the brain's 90th percentile a step; severity 5 is 7.5 %. In tissue it looks
like `noise`, which is what a receiver does; in air, where that one has a floor, values below 0 are cut off here.
"""

import numpy as np

from itermask.artifacts.base import Artifact, Parameters, Subject, register

DEVIATION = 0.015  # of the reference intensity, for each step of severity


def draw(subject: Subject, severity: float, rng: np.random.Generator) -> Parameters:
    """How strong the noise is.

    Returns:
        `deviation`: standard deviation, in the image's intensities;
        `seed`: what the noise is made from, so that it can be made again.
    """
    return {"deviation": DEVIATION * severity * subject.reference, "seed": int(rng.integers(2**32))}


def apply(image: np.ndarray, parameters: Parameters) -> np.ndarray:
    """The image plus Gaussian noise, with values below 0 set to 0."""
    noise = np.random.default_rng(parameters["seed"]).standard_normal(image.shape, dtype=np.float32)
    return np.maximum(image + np.float32(parameters["deviation"]) * noise, 0)


register(Artifact("gaussian_noise", draw, apply))
