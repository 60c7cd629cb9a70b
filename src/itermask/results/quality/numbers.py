"""Image-quality numbers as MRIQC defines them, where they can be computed.

Sources: the definitions in MRIQC's documentation (anatomical image-quality metrics): SNR, and Dietrich's SNR against
air (Dietrich et al. 2007); CNR (Magnotta and Friedman 2006); EFC, entropy focus criterion (Atkinson et al. 1997);
FBER, foreground-background energy ratio (Shehzad et al. 2015); INU, intensity non-uniformity; FWHM, smoothness.
MRIQC takes tissues from a segmentation and the field from N4; here tissues are two clusters of the brain's intensities
and the field is the one of `itermask.results.quality.field`, so the numbers compare scans of this program with each
other,
and with MRIQC's only roughly.
"""

from dataclasses import dataclass

import numpy as np

from itermask.core.boxes import box_of, count_around
from itermask.results.quality.crop import BrainCrop
from itermask.results.quality.field import ENDS, coarse, fit_field
from itermask.types import Scan

AIR_SHARE = 0.1  # of the volume that must be air with signal of its own for numbers that need air
NO_AIR = "there is no air around the head: the scan is stripped, or its background was set to one value"


@dataclass(frozen=True)
class Number:
    """A value, its unit, and what it is.

    Attributes:
        value: finite.
        unit: `ratio`, `mm`, `voxels`, `%` or `nats`.
        meaning: one sentence, with the direction that is better.
    """

    value: float
    unit: str
    meaning: str


def numbers(
    scan: Scan, crop: BrainCrop, found: dict[str, float], axes: dict[str, np.ndarray]
) -> tuple[dict[str, Number], dict[str, str]]:
    """Return all numbers of a scan alone that can be computed, and why the others cannot.

    Args:
        scan: with its brain mask.
        crop: the same scan, cropped to its brain.
        found: its features.
        axes: its features along each axis.
    """
    known: dict[str, Number] = {}
    left_out: dict[str, str] = {}
    noise = float(np.exp(found["noise"]))
    known["noise"] = Number(100 * noise, "%", "noise in flat tissue, of the brain's 90th percentile; lower is better")
    low, high, spread_low, spread_high = _two_tissues(crop)
    known["snr"] = Number(
        high / max(noise, 1e-6),
        "ratio",
        "signal of the brighter main tissue over the noise in flat tissue; higher is better",
    )
    total = np.sqrt(spread_low**2 + spread_high**2 + noise**2)
    known["cnr"] = Number(
        float((high - low) / max(total, 1e-6)),
        "ratio",
        "contrast of the two main tissues over their spread; higher is better",
    )
    known["inu_ratio"] = Number(
        _inu_ratio(crop), "ratio", "brightness of the coil's bright over its dark regions; 1 is even"
    )
    for name, axis in zip(("fwhm_x", "fwhm_y", "fwhm_z"), range(3), strict=True):
        width = smoothness(crop, axis)
        if width is None:
            left_out[name] = "too few slices along this axis"
        else:
            known[name] = Number(width, "mm", "smoothness along the file's axis (AFNI's definition); informs on blur")
    gain = axes["gain"]
    if np.isfinite(gain).any():
        worst = 100 * float(np.exp(np.nanmax(gain)))
        known["jitter"] = Number(
            worst, "%", "slices' brightness against their neighbours', of the level; lower is better"
        )
    else:
        left_out["jitter"] = "too few slices"
    image = np.asarray(scan.image, dtype=np.float32)
    image = image if np.isfinite(image).all() else np.nan_to_num(image)
    known["efc"] = Number(_entropy_focus(image), "ratio", "entropy focus criterion, 0 to 1; ghosts and blur raise it")
    assert scan.brain_mask is not None
    air = air_of(image, scan.brain_mask, scan.spacing)
    if air is None:
        left_out |= dict.fromkeys(("snr_air", "fber"), NO_AIR)
    else:
        known |= _against_air(image[scan.brain_mask], air)
    return known, left_out


def air_of(image: np.ndarray, brain: np.ndarray, spacing: tuple[float, ...]) -> np.ndarray | None:
    """Return intensities of the air around the head, or None where there is none that was recorded.

    Args:
        image: whole scan.
        brain: boolean brain mask.
        spacing: mm.

    Example:
        >>> air_of(np.zeros((8, 8, 8), np.float32), np.zeros((8, 8, 8), bool), (1.0, 1.0, 1.0)) is None
        True
    """
    thin = (slice(None, None, 2),) * 3
    outside = image[thin][~brain[thin]]
    if outside.size == 0 or _constant(outside):
        return None
    level = float(np.percentile(image[brain], 90))
    wide = [2 * max(1, round(6.0 / size)) + 1 for size in spacing]
    head = count_around(image > 0.12 * level, wide) > int(np.prod(wide)) // 4
    air = ~(head | brain)
    if air.mean() < AIR_SHARE:
        return None
    values = image[air]
    return None if _constant(values) else values


def _constant(values: np.ndarray) -> bool:
    """Return whether more than nine in ten values are the same."""
    some = values[np.random.default_rng(0).integers(len(values), size=1000)]
    if (some == np.median(some)).mean() < 0.7:  # drawn from such values, so few never are
        return False
    return bool((values == np.median(values)).mean() > 0.9)


def smoothness(crop: BrainCrop, axis: int) -> float | None:
    """Return the full width at half maximum along an axis, mm, from neighbours' correlation (AFNI's 3dFWHMx).

    Example:
        >>> from itermask.results.quality.crop import crop_brain
        >>> smoothness(crop_brain(scan), axis=0) > 0
        True
    """
    if crop.detail.shape[axis] < 4:
        return None
    near, far = [slice(None)] * 3, [slice(None)] * 3
    near[axis], far[axis] = slice(None, -1), slice(1, None)
    both = crop.inside[tuple(near)] & crop.inside[tuple(far)]
    if both.sum() < 100:
        return None
    one, other = crop.detail[tuple(near)][both], crop.detail[tuple(far)][both]
    step = float(np.var(one - other))
    ratio = step / max(2 * float(np.var(crop.detail[crop.inside])), 1e-12)
    if not 0 < ratio < 1:
        return crop.spacing[axis]
    return float(crop.spacing[axis] * np.sqrt(-2 * np.log(2) / np.log(1 - ratio)))


def _inu_ratio(crop: BrainCrop) -> float:
    """Return the slow field's 95th over its 5th percentile in the brain."""
    image, full, spacing = coarse(crop)
    dark, bright = np.percentile(fit_field(image, full, spacing)[full], ENDS)
    return float(np.exp(bright - dark))


def _two_tissues(crop: BrainCrop) -> tuple[float, float, float, float]:
    """Return centres and spreads of the brain's two main intensity clusters (Lloyd's algorithm on quantiles)."""
    values = crop.image[crop.inside][:: max(1, int(crop.inside.sum() // 100_000))]
    values = np.sort(values)[int(0.03 * len(values)) : max(4, int(0.99 * len(values)))]
    low, high = np.percentile(values, [30, 75])
    for _ in range(30):
        bright = values > (low + high) / 2
        if bright.all() or not bright.any():
            break
        low, high = values[~bright].mean(), values[bright].mean()
    bright = values > (low + high) / 2
    if bright.all() or not bright.any():
        return float(low), float(high), float(values.std()), float(values.std())
    parts = (values[~bright], values[bright])
    one, other = (1.4826 * np.median(np.abs(p - np.median(p))) for p in parts)
    return float(low), float(high), float(one), float(other)


def _entropy_focus(image: np.ndarray) -> float:
    """Return Atkinson's entropy of the voxels' intensities, over the largest that so many voxels can have."""
    values = image[image != 0]
    np.abs(values, out=values)
    total = float(np.sqrt(np.vdot(values, values)))
    if total == 0 or image.size < 2:
        return 0.0
    values /= total
    entropy = -float(np.vdot(values, np.log(values)))
    return float(entropy / (np.sqrt(image.size) * np.log(np.sqrt(image.size))))


def _against_air(inner: np.ndarray, outer: np.ndarray) -> dict[str, Number]:
    """Return numbers that need air: of the intensities of the brain and of the air."""
    deviation = 1.4826 * float(np.median(np.abs(outer - np.median(outer))))
    known = {}
    if deviation > 0:
        value = float(np.sqrt(2 / (4 - np.pi)) ** -1 * float(np.median(inner)) / deviation)
        known["snr_air"] = Number(
            value, "ratio", "Dietrich's SNR: the brain's median over the noise in air; higher is better"
        )
    energy = _energy(outer)
    if energy > 0:
        known["fber"] = Number(
            _energy(inner) / energy, "ratio", "energy of the brain over that of the air; higher is better"
        )
    return known


def _energy(values: np.ndarray) -> float:
    """Return the mean square, summed with double precision."""
    double = values.astype(np.float64)
    return float(np.vdot(double, double) / len(double))


def residual_jitter(residual: np.ndarray, brain: np.ndarray) -> Number:
    """Return how much the slices' mean residual jumps from slice to slice, against the residual's own size.

    Args:
        residual: the scan minus what a model expects.
        brain: boolean brain mask of the same shape.

    Example:
        >>> residual_jitter(np.zeros_like(scan.image), scan.brain_mask).unit
        '%'
    """
    box = box_of(brain)
    residual, brain = residual[box], brain[box]
    size = float(np.sqrt(np.mean(residual[brain] ** 2))) + 1e-12
    inside = np.where(brain, residual, 0)
    worst = 0.0
    for axis in range(3):
        others = tuple(a for a in range(3) if a != axis)
        counts = brain.sum(others)
        full = counts >= 0.25 * counts.max()
        means = inside.sum(others)[full] / counts[full]
        if len(means) > 2:
            bend = means[1:-1] - (means[2:] + means[:-2]) / 2
            worst = max(worst, float(np.sqrt(np.mean(bend**2))) / size)
    return Number(100 * worst, "%", "slice-to-slice jitter of scan minus expectation, of its size; lower is better")
