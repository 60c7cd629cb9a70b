"""Slow shading: a coil's uneven sensitivity, tissue piled up in one region, two halves that are no mirror images.

The field is fitted to the slopes of the logarithm of the intensities. Slopes are small within tissue and large at
edges, so edges are left out by weight, and no tissue, contrast or level needs to be known.
"""

import numpy as np
from scipy import ndimage

from itermask.results.quality.crop import BrainCrop

GRID = 6.0  # mm, voxels that the field is fitted on
ORDER = 3
ROUNDS = 12
ENDS = (5.0, 95.0)  # percentiles of the field in the brain, as for the artifact `bias_field`


def coarse(crop: BrainCrop, mm: float = GRID) -> tuple[np.ndarray, np.ndarray, tuple[float, ...]]:
    """Return the brain's mean in blocks of about `mm`, which blocks are full enough, and the blocks' edges.

    Example:
        >>> from itermask.results.quality.crop import crop_brain
        >>> means, full, spacing = coarse(crop_brain(scan), mm=12.0)
        >>> means.shape == full.shape, len(spacing)
        (True, 3)
    """
    total, weight, spacing = np.where(crop.inside, crop.image, 0), crop.inside.astype(np.float32), []
    for axis, size in enumerate(crop.spacing):
        count = max(1, round(mm / size))
        spacing.append(size * count)
        at = np.arange(0, total.shape[axis], count)
        total, weight = np.add.reduceat(total, at, axis=axis), np.add.reduceat(weight, at, axis=axis)
    full = weight >= 0.5 * weight.max()
    return np.divide(total, weight, out=np.zeros_like(total), where=full), full, tuple(spacing)


def fit_field(image: np.ndarray, full: np.ndarray, spacing: tuple[float, ...], calm: bool = False) -> np.ndarray:
    """Return the logarithm of the slow field of third order, mean 0 over the brain.

    Args:
        image: coarse intensities.
        full: boolean, where they are known.
        spacing: mm.
        calm: take medians of neighbouring blocks first. The field then varies less from scan to scan, which serves the
            score; but it comes out too flat by about a half, since the brain's border is flattened.

    Returns:
        float array of the same shape, 0 where nothing is known.

    Example:
        >>> image = np.random.default_rng(0).uniform(0.9, 1.1, (8, 8, 8))
        >>> fit_field(image, np.ones_like(image, bool), (4.0, 4.0, 4.0)).shape
        (8, 8, 8)
    """
    log = np.log(np.maximum(image, 0.05))
    if calm:
        log = ndimage.median_filter(np.where(full, log, np.median(log[full])), 3)
    middle = [
        np.average(np.arange(n), weights=full.sum(tuple(b for b in range(3) if b != a)) + 1e-9)
        for a, n in enumerate(full.shape)
    ]
    axes = [(np.arange(n) - m) * s / 70.0 for n, m, s in zip(full.shape, middle, spacing, strict=True)]
    grid = np.meshgrid(*axes, indexing="ij")
    powers = [p for p in np.ndindex((ORDER + 1,) * 3) if 0 < sum(p) <= ORDER]
    terms = [grid[0] ** p[0] * grid[1] ** p[1] * grid[2] ** p[2] for p in powers]
    rows, slopes = [], []
    for axis in range(3):
        if full.shape[axis] < 4:
            continue
        both = np.moveaxis(full, axis, 0)
        both = both[1:] & both[:-1]
        step = spacing[axis] / GRID
        slopes.append(np.diff(np.moveaxis(log, axis, 0), axis=0)[both] / step)
        rows.append(np.stack([np.diff(np.moveaxis(t, axis, 0), axis=0)[both] / step for t in terms], 1))
    if not rows or sum(map(len, slopes)) < 10 * len(powers):
        return np.zeros_like(log)
    matrix, target = np.concatenate(rows), np.concatenate(slopes)
    found = np.zeros(len(powers))
    for turn in range(ROUNDS):
        off = target - matrix @ found
        scale = max(1.4826 * np.median(np.abs(off)) * (1.0 if turn else 2.0), 1e-4)
        weight = 1 / (1 + (off / scale) ** 2) ** 2
        weighted = matrix * weight[:, None]
        found = np.linalg.solve(
            weighted.T @ matrix + 1e-3 * weight.sum() * 1e-2 * np.eye(len(powers)), weighted.T @ target
        )
    field = sum(c * t for c, t in zip(found, terms, strict=True))
    return np.where(full, field - field[full].mean(), 0)


def field_features(crop: BrainCrop) -> dict[str, float]:
    """Return how uneven the scan is, and what is left beside the slow field.

    Returns:
        `field`: logarithm of the field's 95th over its 5th percentile in the brain;
        `patch_bright`, `patch_dark`: largest and smallest mean of about 16 mm of what the field leaves, over its
            robust spread;
        `lopsided`: 98th percentile of the difference of the two halves, over the robust spread of what is left;
        `lopsided_mean`: its mean size;
        `patch_peak`, `lopsided_peak`: how far the brightest patch, and the patch that differs most from the other
            side, lie beyond what is usual in this scan.

    Example:
        >>> from itermask.results.quality.crop import crop_brain
        >>> type(field_features(crop_brain(scan))).__name__
        'dict'
    """
    image, full, spacing = coarse(crop)
    names = (
        *("field", "patch_bright", "patch_dark", "patch_peak"),
        *("lopsided", "lopsided_mean", "lopsided_peak"),
    )
    if full.sum() < 200:
        return dict.fromkeys(names, float("nan"))
    field = fit_field(image, full, spacing, calm=True)
    dark, bright = np.percentile(field[full], ENDS)
    left = np.where(full, np.log(np.maximum(image, 0.05)) - field, 0)
    centre = np.median(left[full])
    left = np.where(full, np.clip(left - centre, -1, 1), 0)
    sigma = [6.0 / s for s in spacing]
    weight = ndimage.gaussian_filter(full.astype(float), sigma, mode="constant")
    soft = ndimage.gaussian_filter(left, sigma, mode="constant") / np.maximum(weight, 0.05)
    inner = full & (weight > 0.6)
    if inner.sum() < 100:
        return dict.fromkeys(names, float("nan")) | {"field": float(bright - dark)}
    low, mid, high = np.percentile(soft[inner], [16, 50, 84])
    spread = max((high - low) / 2, 1e-3)
    mirrored, known = _mirror(soft, inner, crop.right)
    both = inner & known
    odd = np.abs(soft - mirrored)[both] if both.sum() > 100 else np.array([np.nan])
    usual, bright_end, brightest = np.percentile(soft[inner], [50, 95, 99.8])
    return {
        "field": float(bright - dark),
        "patch_peak": float(np.log((brightest - usual + 0.02) / (bright_end - usual + 0.02))),
        "lopsided_peak": float(np.log((np.percentile(odd, 99.8) + 0.02) / (np.percentile(odd, 90) + 0.02))),
        "patch_bright": float((np.percentile(soft[inner], 99.5) - mid) / spread),
        "patch_dark": float((mid - np.percentile(soft[inner], 0.5)) / spread),
        "lopsided": float(np.log(np.percentile(odd, 98) / spread + 1e-3)),
        "lopsided_mean": float(np.log(odd.mean() / spread + 1e-3)),
    }


def _mirror(values: np.ndarray, known: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the map mirrored about the middle of what is known along an axis."""
    weights = known.sum(tuple(a for a in range(3) if a != axis))
    middle = np.average(np.arange(len(weights)), weights=weights)
    opposite = np.rint(2 * middle - np.arange(len(weights))).astype(int)
    fits = (opposite >= 0) & (opposite < len(weights))
    taken = np.clip(opposite, 0, len(weights) - 1)
    there = np.moveaxis(np.take(known, taken, axis), axis, 0) & fits[:, None, None]
    return np.take(values, taken, axis), np.moveaxis(there, 0, axis)
