"""Synthetic anomalies: what training puts into normal brains, and the model must learn to leave out.

Shapes are drawn at random and owe nothing to real lesions: spots in white matter, tumour-sized regions with a core and
a border zone, and pieces of brain from another place. Shape and brightness are drawn apart from being applied.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import ndimage

from itermask.synth.scanner import stretched
from itermask.synth.tissues import GREY, KIND_OF_GROUP, WHITE

Window = tuple[slice, ...]

SPOT_ML = (0.02, 1.5)  # volume of a spot, log-uniform
REGION_ML = (1.0, 250.0)  # volume of a tumour-sized region, log-uniform
CONTRAST = (0.35, 4.5)  # robust standard deviations of the brain's intensities, log-uniform
TEXTURED = 0.18  # share of anomalies that are partly brighter and partly darker than normal


@dataclass(frozen=True)
class Anomaly:
    """One anomaly.

    Attributes:
        window: where in the volume it lies.
        weight: float32 in the window, 0 to 1: how much of it each voxel has.
        level: float32 in the window: added intensity, in robust standard deviations of the brain.
        flat: 0 to 1: how much of the tissue's own structure is lost.
    """

    window: Window
    weight: np.ndarray
    level: np.ndarray
    flat: float


def draw_anomalies(
    image: np.ndarray, groups: np.ndarray, spacing: tuple[float, ...], rng: np.random.Generator
) -> list[Anomaly]:
    """Draw the anomalies of one training example.

    Args:
        image: intensities, any scale.
        groups: tissue groups, see `itermask.synth.tissues`; 0 outside the brain.
        spacing: voxel size in mm.
        rng: random generator; the only source of randomness.

    Returns:
        at least one anomaly; spots in white matter in half of the draws.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> image, groups = rng.random((24, 24, 24)).astype(np.float32), np.full((24, 24, 24), 2)
        >>> anomalies = draw_anomalies(image, groups, (2.0, 2.0, 2.0), rng)
        >>> all(isinstance(anomaly, Anomaly) for anomaly in anomalies)
        True
    """
    sign = _sign(image, groups, rng)
    voxel_ml = float(np.prod(spacing)) / 1000
    if rng.random() < 0.5:
        white = np.flatnonzero(KIND_OF_GROUP[groups].ravel() * (groups.ravel() > 0) == WHITE)
        inside = white if white.size else np.flatnonzero(groups)
        count = int(np.ceil(np.exp(rng.uniform(0, np.log(15)))))
        contrast = _log_uniform(rng, CONTRAST)
        drawn = []
        for seed in rng.choice(inside, count):
            volume = _log_uniform(rng, SPOT_ML)
            found = _blob(np.unravel_index(seed, groups.shape), volume / voxel_ml, groups.shape, rng, 0.25)
            level = np.float32(sign * contrast * rng.uniform(0.6, 1.3))
            drawn.append(_with_level(found, level, rng, flat=rng.uniform(0, 0.9)))
        return drawn
    inside = np.flatnonzero(groups)
    drawn = []
    for _ in range(int(rng.choice([1, 1, 1, 2]))):
        volume = _log_uniform(rng, REGION_ML)
        seed = np.unravel_index(rng.choice(inside), groups.shape)
        window, weight = _blob(seed, volume / voxel_ml, groups.shape, rng, 0.5)
        level = np.float32(sign * _log_uniform(rng, CONTRAST))
        outer = _with_level((window, weight), level, rng, flat=rng.uniform(0, 0.9))
        drawn.append(outer)
        if rng.random() < 0.45:  # a core of another brightness
            share = rng.uniform(0.08, 0.5)
            shifted = [int(c + rng.normal(0, 0.15) * (w.stop - w.start)) for c, w in zip(seed, window, strict=True)]
            centre = [int(np.clip(c, 0, n - 1)) for c, n in zip(shifted, groups.shape, strict=True)]
            core = _blob(centre, share * volume / voxel_ml, groups.shape, rng, 0.5)
            core_level = np.float32(rng.choice([-1, 1]) * _log_uniform(rng, CONTRAST))
            drawn.append(_with_level(core, core_level, rng, flat=rng.uniform(0.3, 1)))
    return drawn


def apply_anomalies(image: np.ndarray, brain: np.ndarray, anomalies: list[Anomaly]) -> tuple[np.ndarray, np.ndarray]:
    """Put anomalies into a normal brain.

    Args:
        image: intensities, any scale.
        brain: boolean brain mask.
        anomalies: from `draw_anomalies`.

    Returns:
        float32 image with them, the same outside the brain; and float32 weights, 0 to 1, of where they are.

    Example:
        >>> image, brain = np.zeros((8, 8, 8), np.float32), np.ones((8, 8, 8), bool)
        >>> changed, label = apply_anomalies(image, brain, [])
        >>> bool((changed == image).all()), bool(label.any())
        (True, False)
    """
    scale = robust_scale(image[brain])[1]
    changed, where = image.astype(np.float32, copy=True), np.zeros(image.shape, np.float32)
    for one in anomalies:
        weight = one.weight * brain[one.window]
        total = float(weight.sum())
        if total <= 0:
            continue
        part = changed[one.window]
        middle = float((part * weight).sum() / total)
        target = part + one.flat * (middle - part) + scale * one.level
        changed[one.window] = part + weight * (target - part)
        where[one.window] = np.maximum(where[one.window], weight)
    return changed, where


def move_piece(
    image: np.ndarray, brain: np.ndarray, rng: np.random.Generator, spacing: tuple[float, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Replace a region by what lies elsewhere in the brain, its range of intensities matched.

    Args:
        image: intensities, any scale.
        brain: boolean brain mask, not empty.
        rng: random generator.
        spacing: voxel size in mm.

    Returns:
        as `apply_anomalies`.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> image = rng.random((24, 24, 24)).astype(np.float32)
        >>> moved, label = move_piece(image, image >= 0, rng, (2.0, 2.0, 2.0))
        >>> moved.shape, label.shape
        ((24, 24, 24), (24, 24, 24))
    """
    inside = np.flatnonzero(brain)
    voxel_ml = float(np.prod(spacing)) / 1000
    seed = np.unravel_index(rng.choice(inside), brain.shape)
    window, weight = _blob(seed, _log_uniform(rng, (0.5, 40.0)) / voxel_ml, brain.shape, rng, 0.4)
    shift = [int(rng.integers(-12, 13)) for _ in range(3)]
    moved = np.roll(np.flip(image, 0) if rng.random() < 0.3 else image, shift, (0, 1, 2))[window]
    weight = weight * brain[window]
    inner = weight > 0.5
    part = image[window]
    if inner.sum() > 8:
        low, high = np.percentile(moved[inner], [5, 95])
        own_low, own_high = np.percentile(part[inner], [5, 95])
        moved = (moved - low) / max(float(high - low), 1e-6) * (own_high - own_low) + own_low
    changed, where = image.astype(np.float32, copy=True), np.zeros(image.shape, np.float32)
    changed[window] = part + weight * (moved - part)
    where[window] = weight
    return changed, where


def robust_scale(values: np.ndarray) -> tuple[float, float]:
    """Return the median and the standard deviation estimated from the median absolute deviation (at least 1e-6).

    Example:
        >>> centre, spread = robust_scale(np.array([1.0, 2.0, 3.0, 4.0, 100.0]))
        >>> centre, round(spread, 3)
        (3.0, 1.483)
    """
    values = values[:: max(1, values.size // 40_000)]
    middle = float(np.median(values))
    return middle, max(1.4826 * float(np.median(np.abs(values - middle))), 1e-6)


def _sign(image: np.ndarray, groups: np.ndarray, rng: np.random.Generator) -> int:
    """Draw the sign: in half of the draws bright where grey matter is the brighter, as lesions are; else any."""
    if rng.random() < 0.5:
        kinds = KIND_OF_GROUP[groups]
        grey, white = (image[(kinds == kind) & (groups > 0)] for kind in (GREY, WHITE))
        if grey.size and white.size:
            return 1 if grey.mean() > white.mean() else -1
    return int(rng.choice([-1, 1]))


def _blob(
    seed: Sequence[Any],
    voxels: float,
    shape: tuple[int, ...],
    rng: np.random.Generator,
    uneven: float,
) -> tuple[Window, np.ndarray]:
    """Return an ellipsoid of about `voxels` voxels with an uneven outline and a soft edge: its window and weights."""
    radius = (3 * voxels / (4 * np.pi)) ** (1 / 3)
    stretch = np.exp(rng.normal(0, 0.35, 3))
    radii = np.maximum(radius * stretch / np.prod(stretch) ** (1 / 3), 0.6)
    rotation, _ = np.linalg.qr(rng.standard_normal((3, 3)))
    soft = float(np.exp(rng.uniform(np.log(0.3), np.log(2.0))))  # voxels
    reach = float(radii.max()) * (1 + uneven) + 2.5 * soft + 1
    window, axes = [], []
    for centre, size in zip(seed, shape, strict=True):
        low, high = max(0, int(centre - reach)), min(size, int(centre + reach) + 2)
        window.append(slice(low, high))
        axes.append(np.arange(low, high, dtype=np.float32) - float(centre) - float(rng.uniform(-0.5, 0.5)))
    x, y, z = np.meshgrid(*axes, indexing="ij")
    turned = [
        (row[0] * x + row[1] * y + row[2] * z) / r for row, r in zip(rotation.astype(np.float32), radii, strict=True)
    ]
    distance = np.sqrt(turned[0] ** 2 + turned[1] ** 2 + turned[2] ** 2)
    if uneven and min(distance.shape) > 3:
        knots = [max(2, min(9, int(np.ceil(n / max(2.0, radius * 0.8))) + 1)) for n in distance.shape]
        distance = distance + uneven * stretched(rng.standard_normal(knots) * rng.uniform(0.2, 1.0), distance.shape)
    inside = (1 - distance) * float(radii.mean())  # voxels inside the outline, about
    return tuple(window), (1 / (1 + np.exp(np.clip(-inside / (0.6 * soft), -30, 30)))).astype(np.float32)


def _with_level(found: tuple[Window, np.ndarray], level: np.float32, rng: np.random.Generator, flat: float) -> Anomaly:
    """Give a shape its brightness: even, with a texture of its own, or a texture that changes sign."""
    window, weight = found
    values = np.full(weight.shape, level, np.float32)
    kind = rng.random()
    if kind < 0.6 + TEXTURED and min(weight.shape) > 3:
        noise = ndimage.gaussian_filter(rng.standard_normal(weight.shape, dtype=np.float32), rng.uniform(0.5, 2.5))
        noise /= max(float(noise.std()), 1e-6)
        even, uneven = (1.0, rng.uniform(0.05, 0.5)) if kind < 0.6 else (rng.uniform(0, 0.5), 1.0)
        values = values * (even + uneven * noise)
    return Anomaly(window, weight, values, float(flat))


def _log_uniform(rng: np.random.Generator, limits: tuple[float, float]) -> float:
    return float(np.exp(rng.uniform(*np.log(limits))))
