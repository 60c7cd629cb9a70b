"""Faults that a model's expectation tells from anatomy: what the quality score alone cannot see is added to it here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from itermask.core.distortion import DISTORTION
from itermask.core.shading import SHADING
from itermask.results.quality.assess import RANGES, Quality
from itermask.results.quality.numbers import Number
from itermask.results.quality.text import FAULTS


@dataclass(frozen=True)
class ModelFault:
    """A fault of the image, told by one of a model's scores.

    Attributes:
        name: of the fault, as text.
        borderline, outside: times the score of a healthy scan in the middle, where the quality's limits are reached.
        meaning: of the score, one sentence.
    """

    name: str
    borderline: float
    outside: float
    meaning: str


MODEL_FAULTS = {
    SHADING: ModelFault(
        FAULTS["bias_field"][0],
        2.4,
        4.0,
        "unevenness of the scan against what the model expects: 0 is even, 0.7 twofold; lower is better",
    ),
    DISTORTION: ModelFault(
        FAULTS["susceptibility"][0],
        1.85,
        3.2,
        "a bright beside a dark lobe that the model does not expect, over the brain's own spread; lower is better",
    ),
}


def fault_odds(name: str, value: float, healthy: Sequence[float], limits: tuple[float, float]) -> float:
    """Return the logarithm of the odds of a fault that a model's score tells.

    It rises with the logarithm of the score, and reaches the quality's limits at the multiples of `MODEL_FAULTS`.

    Args:
        name: of the score, a key of `MODEL_FAULTS`.
        value: the scan's.
        healthy: the healthy scans'.
        limits: of the quality score.

    Returns:
        −infinity where the healthy scans have no such score or the scan's is not known.

    Example:
        >>> fault_odds("shading", 0.24, [0.08, 0.1, 0.12], (1.5, 6.0))
        1.5
    """
    middle = float(np.median(healthy)) if len(healthy) else 0.0
    if not (middle > 0 and value >= 0):
        return float("-inf")
    fault, (low, high) = MODEL_FAULTS[name], limits
    share = np.log(max(value, 1e-6) / (fault.borderline * middle)) / np.log(fault.outside / fault.borderline)
    return float(low + share * (high - low))


def with_model_faults(quality: Quality, scores: Mapping[str, float], healthy: Mapping[str, Sequence[float]]) -> Quality:
    """Add the faults that a model's expectation tells to the image quality.

    Args:
        quality: measured without a model.
        scores: the scan's, by name; those of `MODEL_FAULTS` count.
        healthy: score → the values of the model's healthy scans.

    Returns:
        the quality with the score, range and likely fault with these faults counted in, and their scores among the
        numbers. Unchanged if the scan or the healthy scans have none of the scores.

    Example:
        >>> from itermask.results.quality import assess
        >>> quality, healthy = assess(scan), {"shading": [0.08, 0.1, 0.12]}
        >>> with_model_faults(quality, {"shading": 0.5}, healthy).range
        'outside'
        >>> with_model_faults(quality, {"shading": 0.1}, healthy).score - quality.score < 0.01
        True
    """
    known = [name for name in MODEL_FAULTS if name in scores]
    odds = {name: fault_odds(name, scores[name], healthy.get(name, ()), quality.limits) for name in known}
    odds = {name: one for name, one in odds.items() if np.isfinite(one)}
    if not odds:
        return quality
    leading = max(odds, key=lambda name: odds[name])
    score = float(np.logaddexp.reduce([quality.score, *odds.values()]))
    level = sum(score >= limit for limit in quality.limits)
    likely = MODEL_FAULTS[leading].name if odds[leading] > quality.score else quality.likely
    numbers = {name: Number(scores[name], "ratio", MODEL_FAULTS[name].meaning) for name in odds}
    return replace(
        quality,
        score=score,
        range=RANGES[level],
        likely=likely if level else None,
        numbers=quality.numbers | numbers,
    )
