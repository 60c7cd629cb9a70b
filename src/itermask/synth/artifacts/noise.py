"""Rician noise: thermal noise in both channels of the receiver; the magnitudes follow a Rice distribution.

Severity: standard deviation in each channel, 1.5 % of the brain's 90th percentile a step on pixels of 2 mm; severity 5
is 7.5 %. Smaller pixels get more, as in a scanner and so that a slice looks as noisy to its reader: 15 % on 1 mm.
"""

import numpy as np

from itermask.synth.artifacts.base import Artifact, Parameters, Subject, in_slice, register

DEVIATION = 0.015  # of the reference intensity, for each step of severity, on pixels of 2 mm


def draw(subject: Subject, severity: float, rng: np.random.Generator) -> Parameters:
    """Draw how strong the noise is.

    Returns:
        `deviation`: standard deviation in the real and in the imaginary channel, in the image's intensities;
        `seed`: what the noise is made from, so that it can be made again.

    Example:
        >>> sorted(draw(subject, 5.0, np.random.default_rng(0)))
        ['deviation', 'seed']
    """
    deviation = in_slice(DEVIATION * severity, subject.spacing)
    return {"deviation": deviation * subject.reference, "seed": int(rng.integers(2**32))}


def apply(image: np.ndarray, parameters: Parameters) -> np.ndarray:
    """Return the magnitude of the image plus complex Gaussian noise.

    Example:
        >>> parameters = draw(subject, 5.0, np.random.default_rng(0))
        >>> bool((apply(subject.image, parameters) != subject.image).any())
        True
    """
    rng = np.random.default_rng(parameters["seed"])
    real, imaginary = parameters["deviation"] * rng.standard_normal((2, *image.shape), dtype=np.float32)
    return np.hypot(image + real, imaginary)


register(Artifact("noise", draw, apply))
