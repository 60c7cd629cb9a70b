"""High-frequency guidance: the part of the image a model may always see, also where voxels are hidden."""

from collections.abc import Sequence

import numpy as np
from scipy import fft

CUTOFF_3D = 15 / 192  # cycles/mm: radius 15 on the published grid of 192 voxels of 1 mm
CUTOFF_2D = 15 / 240  # cycles/mm: radius 15 on a slice of 240 mm
ON_THE_SPHERE = (
    1e-9  # relative; frequencies that differ from the cut-off by less lie on it, and rounding decides nothing
)


def is_coarse(shape: Sequence[int], spacing: Sequence[float], cutoff: float, real: bool = False) -> np.ndarray:
    """Return which bins of a Fourier transform lie below a cut-off; those on its sphere do not, along whatever axis.

    >>> is_coarse((6,), (1.0,), 1 / 3).astype(int)  # frequencies 0, 1/6, 1/3, -1/2, -1/3, -1/6 cycles/mm
    array([1, 1, 0, 0, 0, 1])

    Args:
        shape: of the image.
        spacing: voxel size in mm along each axis.
        cutoff: in cycles per mm.
        real: bins of the transform of a real image (`rfftn`), whose last axis has the non-negative half only.

    Returns:
        boolean array of the transform's shape.
    """
    squared = np.zeros(())
    for axis, (size, step) in enumerate(zip(shape, spacing, strict=True)):
        bins = fft.rfftfreq(size) * size if real and axis == len(shape) - 1 else fft.fftfreq(size) * size
        units = np.rint(bins) / (size * step * cutoff)  # of the cut-off; 1 lies on the sphere
        squared = squared[..., None] + units**2
    return squared < 1 - 2 * ON_THE_SPHERE


def high_frequency(image: np.ndarray, spacing: Sequence[float], cutoff: float = CUTOFF_3D) -> np.ndarray:
    """Remove the coarse amplitudes of an image and keep its phase and its fine amplitudes.

    The whole image is Fourier-transformed (unnormalised forward transform). Where the spatial frequency is
    *below* `cutoff`, the phase is kept and the amplitude set to 1; elsewhere, on the cut-off's sphere too, both are
    kept. The result says where edges are but not how bright the tissue between them is.

    >>> image = np.random.default_rng(0).normal(100, 1, (16, 16))
    >>> round(float(high_frequency(image, (2.0, 2.0)).mean()), 4)  # a mean of 100 becomes 1 over 256 pixels
    0.0039

    Source: `itermask3d.md`, "High-frequency guidance h"; Liang et al. 2026.

    Args:
        image: intensities, any shape, 2D or 3D (any number of axes).
        spacing: voxel size in mm along each axis of `image`.
        cutoff: cut-off in cycles per mm; 0.078 for volumes, 0.0625 for slices in the papers.

    Returns:
        float32 array of the shape of `image`.

    Raises:
        ValueError: `spacing` does not match the axes, a voxel size or the cut-off is not positive, or the
            image is empty or holds NaN or infinity.
    """
    image = np.asarray(image, dtype=np.float32)
    if len(spacing) != image.ndim:
        raise ValueError(f"spacing has {len(spacing)} values for an image with {image.ndim} axes")
    if any(not size > 0 for size in spacing) or not cutoff > 0:
        raise ValueError(f"spacing {tuple(spacing)} mm and cut-off {cutoff} cycles/mm must be positive")
    if image.size == 0 or not np.isfinite(image).all():
        raise ValueError("the image is empty or holds NaN or infinite voxels")
    spectrum = fft.rfftn(image)
    low = is_coarse(image.shape, spacing, cutoff, real=True)
    spectrum[low] = np.exp(1j * np.angle(spectrum[low]))
    return fft.irfftn(spectrum, s=image.shape).astype(np.float32)
