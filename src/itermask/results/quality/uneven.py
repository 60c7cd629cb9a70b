"""Uneven brightness as a model sees it: what the quality score alone cannot tell from anatomy is added to it here."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from itermask.core.shading import SHADING
from itermask.results.quality.assess import RANGES, Quality
from itermask.results.quality.numbers import Number
from itermask.results.quality.text import FAULTS

UNEVEN = FAULTS["bias_field"][0]
BORDERLINE, OUTSIDE = 2.4, 4.0  # times the shading of a healthy scan in the middle
MEANING = "how unevenly the scan is lit against what the model expects: 0 is even, 0.7 twofold; lower is better"


def odds_of(value: float, healthy: Sequence[float], limits: tuple[float, float]) -> float:
    """Return the logarithm of the odds that a coil lit a scan unevenly.

    It rises with the logarithm of the shading, so that it reaches the quality's limits at `BORDERLINE` and `OUTSIDE`
    times the shading of a healthy scan in the middle.

    Args:
        value: the scan's shading, see `itermask.core.shading`.
        healthy: the shading of the model's healthy scans.
        limits: of the quality score.

    Returns:
        −infinity where the healthy scans have no shading or the scan's is not known.

    Example:
        >>> odds_of(0.24, [0.08, 0.1, 0.12], (1.5, 6.0))
        1.5
    """
    middle = float(np.median(healthy)) if len(healthy) else 0.0
    if not (middle > 0 and value >= 0):
        return float("-inf")
    low, high = limits
    share = np.log(max(value, 1e-6) / (BORDERLINE * middle)) / np.log(OUTSIDE / BORDERLINE)
    return float(low + share * (high - low))


def with_shading(quality: Quality, value: float, healthy: Sequence[float]) -> Quality:
    """Add a coil's uneven sensitivity, measured against a model's expectation, to the image quality.

    Args:
        quality: measured without a model.
        value: the scan's shading, see `itermask.core.shading`.
        healthy: the shading of the model's healthy scans.

    Returns:
        the quality with the score, range and likely fault with the shading counted in, and the number `shading`.
        Unchanged if the healthy scans have none.

    Example:
        >>> from itermask.results.quality import assess
        >>> quality = assess(scan)
        >>> with_shading(quality, 0.5, [0.08, 0.1, 0.12]).range
        'outside'
        >>> with_shading(quality, 0.1, [0.08, 0.1, 0.12]).score - quality.score < 0.01
        True
    """
    odds = odds_of(value, healthy, quality.limits)
    if not np.isfinite(odds):
        return quality
    score = float(np.logaddexp(quality.score, odds))
    level = sum(score >= limit for limit in quality.limits)
    likely = UNEVEN if odds > quality.score else quality.likely
    numbers = quality.numbers | {SHADING: Number(value, "ratio", MEANING)}
    return replace(quality, score=score, range=RANGES[level], likely=likely if level else None, numbers=numbers)
