"""How well a reconstruction repeats what is normal in a scan; what is not normal ought to differ.

Both measures use normal tissue only: brain voxels outside the label. Nothing else has any influence.
"""

import numpy as np
from scipy import ndimage

from itermask.evaluation.metrics.arrays import as_masks, bounding_box


def psnr(
    image: np.ndarray,
    reconstruction: np.ndarray,
    label: np.ndarray,
    brain: np.ndarray,
    data_range: float | None = None,
) -> float:
    """Return the peak signal-to-noise ratio on normal tissue, `10 log10(range² / mean squared error)`, in dB.

    Args:
        image: intensities, any shape.
        reconstruction: in the image's intensities, of the same shape.
        label: boolean mask of what is not normal.
        brain: boolean mask.
        data_range: the peak; if None, the image's highest less its lowest intensity on normal tissue.

    Returns:
        dB; infinite if the two are equal. NaN if there is no normal tissue or it has no range.

    Raises:
        ValueError: shapes differ, an intensity of normal tissue is NaN or infinite, or `data_range` is not positive.

    Example:
        >>> image = np.arange(8.0).reshape(2, 2, 2)
        >>> round(psnr(image, image + 0.1, np.zeros_like(image), np.ones_like(image)), 1)
        36.9
    """
    image, reconstruction, normal = _normal(image, reconstruction, label, brain)
    peak = _range(image, normal, data_range)
    if not peak > 0:
        return float("nan")
    squared = float(np.mean((image[normal] - reconstruction[normal]) ** 2))
    return float(20 * np.log10(peak) - 10 * np.log10(squared)) if squared else float("inf")


def ssim(
    image: np.ndarray,
    reconstruction: np.ndarray,
    label: np.ndarray,
    brain: np.ndarray,
    data_range: float | None = None,
    window: int = 7,
) -> float:
    """Return the mean structural similarity on normal tissue.

    Wang et al. 2004 with a uniform window (scikit-image's `structural_similarity`), in as many dimensions as
    the image has. Only voxels whose whole window is normal tissue count.

    Args:
        image: intensities, any shape.
        reconstruction: in the image's intensities, of the same shape.
        label: boolean mask of what is not normal.
        brain: boolean mask.
        data_range: if None, the image's highest less its lowest intensity on normal tissue.
        window: edge length in voxels, odd, at least 3.

    Returns:
        −1 to 1, 1 for equal images; NaN if no window fits or normal tissue has no range.

    Raises:
        ValueError: shapes differ, an intensity of normal tissue is NaN or infinite, or `data_range` or `window`
            is out of range.
        MissingExtraError: scikit-image is not installed.

    Example:
        >>> image = np.random.default_rng(0).random((12, 12, 12))
        >>> round(ssim(image, image, np.zeros_like(image), np.ones_like(image)), 3)
        1.0
    """
    from itermask.evaluation.extras import structural_similarity

    if window < 3 or window % 2 == 0:
        raise ValueError(f"a window of {window} voxels is not odd and at least 3")
    image, reconstruction, normal = _normal(image, reconstruction, label, brain)
    peak = _range(image, normal, data_range)
    box = bounding_box(normal)
    image, reconstruction, normal = image[box], reconstruction[box], normal[box]
    whole = ndimage.minimum_filter(normal, size=window, mode="constant", cval=0)
    if not peak > 0 or not whole.any():
        return float("nan")
    middle = float(image[normal].mean())  # what lies elsewhere must not reach running sums
    first, second = (np.where(normal, array, middle) for array in (image, reconstruction))
    _, local = structural_similarity()(first, second, win_size=window, data_range=peak, full=True)
    return float(local[whole].mean())


def _normal(
    image: np.ndarray, reconstruction: np.ndarray, label: np.ndarray, brain: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return both images in float64, and where tissue is normal."""
    label, brain = as_masks(label=label, brain=brain)
    image, reconstruction = np.asarray(image, dtype=np.float64), np.asarray(reconstruction, dtype=np.float64)
    if not image.shape == reconstruction.shape == label.shape:
        raise ValueError(
            f"the shapes differ: image {image.shape}, reconstruction {reconstruction.shape}, label {label.shape}"
        )
    normal = brain & ~label
    if not (np.isfinite(image[normal]).all() and np.isfinite(reconstruction[normal]).all()):
        raise ValueError("the image or its reconstruction is NaN or infinite on normal tissue")
    return image, reconstruction, normal


def _range(image: np.ndarray, normal: np.ndarray, given: float | None) -> float:
    """Return the intensity range to compare with; NaN without normal tissue."""
    if given is not None and not (np.isfinite(given) and given > 0):
        raise ValueError(f"data_range {given} is not a positive number")
    if not normal.any():
        return float("nan")
    return float(np.ptp(image[normal])) if given is None else float(given)
