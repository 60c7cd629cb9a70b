"""Error maps: how far an image is from what a model expects."""

from collections.abc import Callable

import numpy as np
from scipy import ndimage

Reconstruct = Callable[[np.ndarray, np.ndarray], np.ndarray]

Measure = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def check_image(image: np.ndarray, brain: np.ndarray) -> np.ndarray:
    """Refuse what no method can work on; returns `brain` as booleans.

    Raises:
        ValueError: shapes differ, the brain is empty, NaN or infinity in the image, or a constant brain.

    Example:
        >>> check_image(np.array([1.0, 2.0, 3.0]), np.array([0, 1, 1])).tolist()
        [False, True, True]
    """
    brain = np.asarray(brain) > 0
    if image.shape != brain.shape:
        raise ValueError(f"the image {image.shape} and the brain mask {brain.shape} differ in shape")
    if not brain.any():
        raise ValueError("the brain mask is empty")
    if not np.isfinite(image).all():
        raise ValueError("the image holds NaN or infinite voxels")
    if np.ptp(image[brain]) == 0:
        raise ValueError("the image is constant over the brain")
    return brain


def error_map(image: np.ndarray, reconstruction: np.ndarray, brain: np.ndarray) -> np.ndarray:
    """Return E = (x − x̂)²·B, float32.

    Raises:
        ValueError: the reconstruction has another shape or is not finite in the brain.

    Example:
        >>> error_map(np.array([1.0, 2.0, 3.0]), np.array([1.0, 0.0, 0.0]), np.array([True, True, False])).tolist()
        [0.0, 4.0, 0.0]
    """
    if reconstruction.shape != image.shape:
        raise ValueError(f"the reconstruction {reconstruction.shape} does not have the image's shape {image.shape}")
    error = np.where(brain, (image - reconstruction) ** 2, 0).astype(np.float32)
    if not np.isfinite(error).all():
        raise ValueError("the reconstruction holds NaN or infinite voxels")
    return error


def smoothed_error(sigma: tuple[float, ...]) -> Measure:
    """Return an error measure that averages the squared error over a Gaussian neighbourhood in the brain.

    Args:
        sigma: standard deviation in voxels along each axis; all zero gives the plain squared error.

    Example:
        >>> image, brain = np.array([0.0, 0.0, 3.0, 0.0]), np.ones(4, bool)
        >>> measure = smoothed_error((1.0,))
        >>> [round(float(value), 2) for value in measure(image, np.zeros(4), brain)]
        [0.53, 2.18, 3.63, 2.66]
    """
    if not any(sigma):
        return error_map

    def measure(image: np.ndarray, reconstruction: np.ndarray, brain: np.ndarray) -> np.ndarray:
        error = error_map(image, reconstruction, brain)
        total = ndimage.gaussian_filter(error, sigma, truncate=3)
        weight = ndimage.gaussian_filter(brain.astype(np.float32), sigma, truncate=3)
        return np.divide(total, weight, out=np.zeros_like(error), where=brain)

    return measure
