"""Smoothing: lost resolution; every point is spread to a Gaussian, along all axes or along one.

Severity: full width at half maximum of the point spread, 0.8 mm a step; severity 5 is 4 mm. With an axis, only
that axis is smoothed, as the decay during a long echo train does along the phase axis.
"""

import numpy as np
from scipy import fft, ndimage

from itermask.synth.artifacts.base import Artifact, Parameters, Subject, register

FWHM = 0.8  # mm, for each step of severity
FWHM_OF_SIGMA = np.sqrt(8 * np.log(2))


def draw(subject: Subject, severity: float, rng: np.random.Generator) -> Parameters:
    """Draw how wide a point becomes; nothing is random.

    Returns:
        `fwhm_mm`: full width at half maximum along each axis, 0 where nothing is smoothed;
        `spacing_mm`: voxel size along each axis.

    Example:
        >>> sorted(draw(subject, 5.0, np.random.default_rng(0)))
        ['fwhm_mm', 'spacing_mm']
    """
    axes = range(3) if subject.axis is None else (subject.axis,)
    return {
        "fwhm_mm": [FWHM * severity if axis in axes else 0.0 for axis in range(3)],
        "spacing_mm": list(subject.spacing),
    }


def apply(image: np.ndarray, parameters: Parameters) -> np.ndarray:
    """Return the magnitude of the image after its k-space was multiplied by the Gaussian's transform.

    In k-space the width may be less than a voxel; what leaves the volume at one side enters at the other.

    Example:
        >>> parameters = draw(subject, 5.0, np.random.default_rng(0))
        >>> bool((apply(subject.image, parameters) != subject.image).any())
        True
    """
    sigma = np.divide(parameters["fwhm_mm"], parameters["spacing_mm"]) / FWHM_OF_SIGMA
    spectrum = ndimage.fourier_gaussian(fft.rfftn(image), sigma, n=image.shape[2])
    return np.abs(fft.irfftn(spectrum, image.shape))


register(Artifact("smoothing", draw, apply))
