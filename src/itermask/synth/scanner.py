"""What a scanner does to a brain's contrast: bias field, blur, resolution, noise. Drawn and applied apart."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

FULL_WIDTH = 2.355  # of a Gaussian, over its standard deviation


@dataclass(frozen=True)
class Scanner:
    """Parameters of an acquisition.

    Attributes:
        bias: float32 coarse grid of logarithms, stretched over the volume; empty for none.
        blur: full width in mm of the point spread along each axis; 0 for none.
        voxel: voxel size in mm along each axis that the scan was acquired with; 0 for that of the grid.
        noise: standard deviation of the noise as a share of the brain's 99th percentile.
        rician: whether the noise is that of a magnitude image.
    """

    bias: np.ndarray
    blur: tuple[float, float, float]
    voxel: tuple[float, float, float]
    noise: float
    rician: bool


def draw_scanner(rng: np.random.Generator) -> Scanner:
    """Draw an acquisition: bias, point spread of up to 4.5 mm, voxels to 3 mm or slices to 7 mm, noise of 0.3–5 %.

    Example:
        >>> type(draw_scanner(np.random.default_rng(0))).__name__
        'Scanner'
    """
    bias = np.zeros((0, 0, 0), np.float32)
    if rng.random() < 0.6:
        bias = (rng.standard_normal([int(n) for n in rng.integers(2, 5, 3)]) * rng.uniform(0.02, 0.2)).astype(
            np.float32
        )
    blur = (0.0, 0.0, 0.0)
    if rng.random() < 0.5:
        width = rng.uniform(1.5, 4.5)
        blur = (width, width, width)
    voxel = [0.0, 0.0, 0.0]
    kind = rng.random()
    if kind < 0.15:
        voxel = [float(rng.uniform(2.2, 3.2))] * 3
    elif kind < 0.45:
        voxel[int(rng.choice([0, 1, 2], p=[0.15, 0.15, 0.7]))] = float(rng.uniform(2.5, 7.0))
    noise = float(np.exp(rng.uniform(np.log(0.003), np.log(0.05))))
    return Scanner(bias, blur, (voxel[0], voxel[1], voxel[2]), noise, bool(rng.random() < 0.5))


def apply_acquisition(image: np.ndarray, brain: np.ndarray, scanner: Scanner, spacing: Sequence[float]) -> np.ndarray:
    """Apply bias, blur and resolution, within the brain only.

    Args:
        image: intensities, not negative, 3D.
        brain: boolean brain mask.
        scanner: from `draw_scanner`.
        spacing: voxel size in mm.

    Returns:
        float32; 0 outside the brain.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> image = rng.random((16, 16, 16)).astype(np.float32)
        >>> apply_acquisition(image, image >= 0, draw_scanner(rng), (1.0, 1.0, 1.0)).shape
        (16, 16, 16)
    """
    image = np.where(brain, image, 0).astype(np.float32)
    sigma = [width / FULL_WIDTH / size for width, size in zip(scanner.blur, spacing, strict=True)]
    ratios = [max(1.0, voxel / size) for voxel, size in zip(scanner.voxel, spacing, strict=True)]
    if any(sigma) or max(ratios) > 1.05:
        weight = brain.astype(np.float32)
        pair = [image, weight]
        for axis, (width, ratio) in enumerate(zip(sigma, ratios, strict=True)):
            total = float(np.hypot(width, np.sqrt(max(0.0, ratio**2 - 1)) / FULL_WIDTH))
            if total > 0.15:
                pair = [ndimage.gaussian_filter1d(one, total, axis, mode="constant", truncate=2.5) for one in pair]
            if ratio > 1.05:
                pair = [_stepped(one, ratio, axis) for one in pair]
        image = np.divide(pair[0], pair[1], out=np.zeros_like(image), where=brain & (pair[1] > 1e-3))
    if scanner.bias.size:
        image = image * np.exp(stretched(scanner.bias, image.shape))
    return image


def add_noise(image: np.ndarray, brain: np.ndarray, scanner: Scanner, rng: np.random.Generator) -> np.ndarray:
    """Add the scanner's noise; of a magnitude image where `rician`. Returns float32, 0 outside the brain.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> image = rng.random((16, 16, 16)).astype(np.float32)
        >>> noisy = add_noise(image, image >= 0, draw_scanner(rng), rng)
        >>> bool((noisy != image).any())
        True
    """
    level = scanner.noise * max(float(np.percentile(image[brain][::20], 99)), 1e-6)
    real = image + level * rng.standard_normal(image.shape, dtype=np.float32)
    if scanner.rician:
        real = np.hypot(real, level * rng.standard_normal(image.shape, dtype=np.float32))
    return np.where(brain, real, 0).astype(np.float32)


def stretched(coarse: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """Stretch a coarse grid smoothly over a volume, one axis after the other. Returns float32 of `shape`.

    Example:
        >>> stretched(np.zeros((2, 2, 2)), (8, 8, 8)).shape
        (8, 8, 8)
    """
    field = np.asarray(coarse, np.float32)
    for axis, size in enumerate(shape):
        at = np.linspace(0, field.shape[axis] - 1, size)
        lower = np.minimum(at.astype(int), field.shape[axis] - 2)
        share = at - lower
        share = (share * share * (3 - 2 * share)).astype(np.float32).reshape([-1 if a == axis else 1 for a in range(3)])
        field = field.take(lower, axis) * (1 - share) + field.take(lower + 1, axis) * share
    return field


def _stepped(values: np.ndarray, ratio: float, axis: int) -> np.ndarray:
    """Sample an axis at every `ratio`-th voxel and bring it back linearly."""
    size = values.shape[axis]
    count = max(2, round(size / ratio))
    centres = (np.arange(count) + 0.5) * size / count - 0.5
    coarse = _interpolated(values, centres, axis)
    return _interpolated(coarse, (np.arange(size) + 0.5) * count / size - 0.5, axis)


def _interpolated(values: np.ndarray, at: np.ndarray, axis: int) -> np.ndarray:
    at = np.clip(at, 0, values.shape[axis] - 1)
    lower = np.minimum(at.astype(int), max(values.shape[axis] - 2, 0))
    share = (at - lower).astype(np.float32).reshape([-1 if a == axis else 1 for a in range(values.ndim)])
    return (
        values.take(lower, axis) * (1 - share)
        + values.take(np.minimum(lower + 1, values.shape[axis] - 1), axis) * share
    )
