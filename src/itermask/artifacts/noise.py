"""Rician noise: thermal noise in both channels of the receiver; the magnitudes follow a Rice distribution.

Severity: standard deviation in each channel, 1.5 % of the brain's 90th percentile a step; severity 5 is 7.5 %.
"""

import numpy as np

from itermask.artifacts.base import Artifact, Parameters, Subject, register

DEVIATION = 0.015  # of the reference intensity, for each step of severity


def draw(subject: Subject, severity: float, rng: np.random.Generator) -> Parameters:
    """How strong the noise is.

    Returns:
        `deviation`: standard deviation in the real and in the imaginary channel, in the image's intensities;
        `seed`: what the noise is made from, so that it can be made again.
    """
    return {"deviation": DEVIATION * severity * subject.reference, "seed": int(rng.integers(2**32))}


def apply(image: np.ndarray, parameters: Parameters) -> np.ndarray:
    """Magnitude of the image plus complex Gaussian noise."""
    rng = np.random.default_rng(parameters["seed"])
    real, imaginary = parameters["deviation"] * rng.standard_normal((2, *image.shape), dtype=np.float32)
    return np.hypot(image + real, imaginary)


register(Artifact("noise", draw, apply))
