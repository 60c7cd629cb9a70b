"""High-frequency guidance: the part of the image a model may always see, also where voxels are hidden."""

from collections.abc import Sequence

import numpy as np
from scipy import fft

CUTOFF_3D = 15 / 192  # cycles/mm: radius 15 on the published grid of 192 voxels of 1 mm
CUTOFF_2D = 15 / 240  # cycles/mm: radius 15 on a slice of 240 mm


def high_frequency(image: np.ndarray, spacing: Sequence[float], cutoff: float = CUTOFF_3D) -> np.ndarray:
    """Remove the coarse amplitudes of an image and keep its phase and its fine amplitudes.

    The whole image is Fourier-transformed (unnormalised forward transform). Where the spatial frequency is
    *below* `cutoff`, the phase is kept and the amplitude set to 1; elsewhere both are kept. The result says
    where edges are but not how bright the tissue between them is.

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
    radius = np.zeros(spectrum.shape, dtype=np.float32)
    for axis, (size, step) in enumerate(zip(image.shape, spacing, strict=True)):
        last = axis == image.ndim - 1
        frequency = (fft.rfftfreq if last else fft.fftfreq)(size, step).astype(np.float32)
        radius += (frequency**2).reshape([-1 if a == axis else 1 for a in range(image.ndim)])
    low = radius < cutoff**2
    spectrum[low] = np.exp(1j * np.angle(spectrum[low]))
    return fft.irfftn(spectrum, s=image.shape).astype(np.float32)
