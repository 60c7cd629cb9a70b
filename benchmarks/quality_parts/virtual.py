"""Scanners that do not exist: a clean scan as another protocol might have recorded it.

Every part is drawn apart, so that a scan may keep its own voxels, contrast or noise. Nothing here is a fault: what a
reader would complain of is left to the artifacts.
"""

import numpy as np
from scipy import fft, ndimage

from itermask.types import Scan

CURVES = {  # what CSF, grey matter and white matter of a T1w scan become
    "T1w": (0.25, 0.62, 0.95),
    "T2w": (1.0, 0.55, 0.36),
    "FLAIR": (0.2, 0.85, 0.66),
    "PDw": (0.95, 0.8, 0.6),
}


def virtual_scan(scan: Scan, rng: np.random.Generator, voxels: tuple[float, float], thick: bool = False) -> Scan:
    """One draw of all parts.

    Args:
        scan: clean, with its brain mask.
        rng: the only source of randomness.
        voxels: finest and coarsest edge of the voxels it may be brought to, mm.
        thick: whether it becomes a stack of slices 2.5 to 6.5 mm thick.
    """
    chosen = scan
    if thick:
        edges = np.full(3, rng.uniform(max(1.0, voxels[0]), voxels[1]))
        edges[rng.integers(3)] = rng.uniform(2.5, 6.5)
        chosen = resample(chosen, edges, False)
    elif rng.random() < 0.6:
        chosen = resample(chosen, _edges(rng, voxels), rng.random() < 0.5)
    image, brain = chosen.image, chosen.brain_mask
    assert brain is not None
    if rng.random() < 0.6:
        image = remap(image, brain, CURVES[rng.choice(list(CURVES))], rng)
    if rng.random() < 0.3:
        width = rng.uniform(0.3, 1.2) / np.sqrt(8 * np.log(2))
        image = ndimage.gaussian_filter(image, width)
    if rng.random() < 0.5:
        image = image * _slow(image.shape, brain, rng, rng.uniform(0, np.log(1.3)))
    if rng.random() < 0.5:
        deviation = np.exp(rng.uniform(np.log(0.003), np.log(0.03))) * np.percentile(image[brain], 90)
        noise = deviation * rng.standard_normal((2, *image.shape), dtype=np.float32)
        stripped = image == 0
        image = np.hypot(image + noise[0], noise[1])
        if stripped.mean() > 0.3:
            image = np.where(stripped, 0, image)
    if rng.random() < 0.3:
        image = np.rint(np.clip(image / np.percentile(image, 99.8) * 255, 0, 255))
    image = image.astype(np.float32)
    if rng.random() < 0.1:
        image, brain = _crop(image, brain, chosen, rng)
    return Scan(image, chosen.affine, scan.sequence, brain, scan.name)


def resample(scan: Scan, edges: np.ndarray, in_kspace: bool) -> Scan:
    """The scan on voxels of other edges: k-space cut or filled up with zeros, or averaged and interpolated."""
    assert scan.brain_mask is not None
    shape = np.maximum(1, np.rint(np.array(scan.image.shape) * scan.spacing / edges)).astype(int)
    if in_kspace:
        image = scan.image
        for axis, size in enumerate(shape):
            image = _kspace_resize(image, int(size), axis)
        image = np.abs(image).astype(np.float32)
    else:
        ratio = np.array(scan.image.shape) / shape
        image = ndimage.gaussian_filter(scan.image, np.where(ratio > 1, 0.35 * ratio, 0))
        image = ndimage.zoom(image, 1 / ratio, order=1, mode="nearest", grid_mode=True)
    factor = np.array(image.shape) / scan.image.shape
    brain = ndimage.zoom(scan.brain_mask.astype(np.float32), factor, order=1, mode="nearest", grid_mode=True) >= 0.5
    if (scan.image == 0).mean() > 0.3:
        image = np.where(brain, image, 0)
    affine = scan.affine @ np.diag([*(1 / factor), 1.0])
    return Scan(np.maximum(image, 0).astype(np.float32), affine, scan.sequence, brain, scan.name)


def remap(image: np.ndarray, brain: np.ndarray, curve: tuple[float, ...], rng: np.random.Generator) -> np.ndarray:
    """A T1w scan's intensities through a curve that gives its tissues another order."""
    csf, grey, white, top = np.percentile(image[brain], [3, 35, 80, 99.5])
    values = np.array(curve) * np.exp(rng.normal(0, 0.12, 3))
    ends = [0, *values, values[2] * rng.uniform(0.9, 1.3)]
    levels = np.maximum.accumulate([0, csf, grey, white, top]) + np.arange(5) * 1e-3
    mapped = np.interp(image, levels, np.array(ends) * white)
    return np.where(image > 0, mapped ** rng.uniform(0.85, 1.15), 0).astype(np.float32)


def _edges(rng: np.random.Generator, voxels: tuple[float, float]) -> np.ndarray:
    """Voxel edges: alike along all axes, or longer along one."""
    edge = np.exp(rng.uniform(*np.log(voxels)))
    edges = np.full(3, edge)
    if rng.random() < 0.5:
        edges[rng.integers(3)] *= rng.uniform(1.1, 3.0)
    return np.minimum(edges, max(3.5, 1.5 * voxels[1]))


def _kspace_resize(image: np.ndarray, size: int, axis: int) -> np.ndarray:
    """Cut k-space, or fill it up with zeros, along one axis."""
    old = image.shape[axis]
    spectrum = fft.fftshift(fft.fft(image, axis=axis), axes=axis)
    start = old // 2 - size // 2
    if size <= old:
        spectrum = np.take(spectrum, range(start, start + size), axis=axis)
    else:
        pad = [(0, 0)] * 3
        pad[axis] = (-start, size - old + start)
        spectrum = np.pad(spectrum, pad)
    return fft.ifft(fft.ifftshift(spectrum, axes=axis), axis=axis) * (size / old)


def _slow(shape: tuple[int, ...], brain: np.ndarray, rng: np.random.Generator, spread: float) -> np.ndarray:
    """A coil's field whose 5th and 95th percentile in the brain are `spread` apart, as logarithms."""
    axes = np.meshgrid(*(np.linspace(-1, 1, n, dtype=np.float32) for n in shape), indexing="ij", sparse=True)
    field = sum(rng.normal() * a + rng.normal() * a * a for a in axes) + rng.normal() * axes[0] * axes[1] * axes[2]
    low, high = np.percentile(field[brain], [5, 95])
    return np.exp((field - field[brain].mean()) * spread / max(high - low, 1e-6)).astype(np.float32)


def _crop(image: np.ndarray, brain: np.ndarray, scan: Scan, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A field of view that ends up to 15 mm within the brain, at one end of one axis."""
    axis = int(rng.integers(3))
    occupied = np.flatnonzero(brain.any(axis=tuple(a for a in range(3) if a != axis)))
    count = int(rng.uniform(0, 15) / scan.spacing[axis])
    low, high = occupied[0] + count, occupied[-1] + 1 - count
    part = slice(low, None) if rng.random() < 0.5 else slice(None, high)
    cut = tuple(part if a == axis else slice(None) for a in range(3))
    return image[cut], brain[cut]
