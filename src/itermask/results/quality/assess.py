"""One scan's image quality: a score, the range it lies in, the likely fault, and numbers."""

from dataclasses import dataclass, replace

import numpy as np

from itermask.results.quality.crop import crop_brain
from itermask.results.quality.features import by_axis, summarise
from itermask.results.quality.numbers import Number, numbers, residual_jitter
from itermask.results.quality.reference import bundled
from itermask.results.quality.text import likely_fault
from itermask.types import Scan

RANGES = ("within", "borderline", "outside")
JITTER = "residual_jitter"


@dataclass(frozen=True)
class Quality:
    """What is known of a scan's image quality.

    Attributes:
        score: how corrupt the image looks; higher is worse. It is the logarithm of the odds of corrupted against clean
            that the reference's samples lead to, so its zero means nothing by itself: see `limits`.
        limits: the score from which a scan is borderline, and from which it is outside the range of clean scans of
            many scanners.
        range: `within`, `borderline` or `outside`.
        likely: the likely fault as text, such as "ghosting along the front–back axis"; None while the score is
            within the range, or where no fault stands out.
        numbers: name → image-quality number with its unit. They inform, and never decide.
        left_out: name → why that number could not be computed.
    """

    score: float
    limits: tuple[float, float]
    range: str
    likely: str | None
    numbers: dict[str, Number]
    left_out: dict[str, str]


def assess(scan: Scan, residual: np.ndarray | None = None) -> Quality:
    """Measure how corrupt a scan's image is.

    Args:
        scan: on its own grid, with its brain mask; skull and air may be there or not.
        residual: the scan minus what a model expects, in the scan's intensities and of its shape; adds the number
            `residual_jitter`, and decides nothing.

    Returns:
        the quality; the same scan gives the same.

    Raises:
        ValueError: no brain mask or an empty one, a brain without signal, or a residual of another shape.

    Examples:
        >>> import numpy as np
        >>> x, y, z = np.meshgrid(*[np.linspace(-1.2, 1.2, 60)] * 3, indexing="ij")
        >>> brain = x**2 + y**2 + z**2 < 1
        >>> image = np.where(brain, 100.0 + 5 * np.sin(9 * x) * np.cos(7 * y), 0).astype(np.float32)
        >>> quality = assess(Scan(image, np.diag([2.5, 2.5, 2.5, 1]), "T1w", brain))
        >>> quality.range in ("within", "borderline", "outside")
        True
        >>> quality.numbers["inu_ratio"].unit
        'ratio'
    """
    crop = crop_brain(scan)
    axes = by_axis(crop)
    found = summarise(crop, axes)
    reference = bundled()
    score, heads = reference.score(found)
    limits = reference.limits
    range_ = RANGES[sum(score >= limit for limit in limits)]
    likely = None if range_ == "within" else likely_fault(heads, axes, scan)
    known, left_out = numbers(scan, crop, found, axes)
    quality = Quality(score, limits, range_, likely, known, left_out | {JITTER: "no model's expectation was given"})
    return quality if residual is None else with_residual(quality, scan, residual)


def with_residual(quality: Quality, scan: Scan, residual: np.ndarray) -> Quality:
    """Return a quality with the number that needs a model's expectation, as `assess` gives it with a residual.

    Args:
        quality: of the scan, without a residual.
        scan: on its own grid, with its brain mask.
        residual: the scan minus what a model expects.

    Raises:
        ValueError: no brain mask, or a residual of another shape.

    Example:
        >>> quality = with_residual(assess(scan), scan, np.zeros_like(scan.image))
        >>> "residual_jitter" in quality.numbers
        True
    """
    if scan.brain_mask is None or residual.shape != scan.image.shape:
        raise ValueError(f"{scan.name}: residual {residual.shape} does not fit scan {scan.image.shape}")
    known = quality.numbers | {JITTER: residual_jitter(residual, scan.brain_mask)}
    return replace(quality, numbers=known, left_out={k: v for k, v in quality.left_out.items() if k != JITTER})
