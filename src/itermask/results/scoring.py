"""A scan's scores, placed against the healthy validation scans of a model."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from itermask.core.profile import HealthyProfiles
from itermask.results.focal import FOCAL, focal_score
from itermask.types import UNKNOWN, VERDICTS, Detection

PROFILE_SCORE = "profile_distance"
FENCE = 2.0  # interquartile ranges
FURTHEST = 5.0  # times the borderline: outside never begins further up, however few healthy scans there are
VERDICT_SCORES = (PROFILE_SCORE, "mask_size")


def all_scores(detection: Detection, calibration: Mapping[str, Any], spacing: Sequence[float] = ()) -> dict[str, float]:
    """Return the method's scores; with profile distance and focal score where the model is calibrated for them.

    Args:
        detection: what a method found.
        calibration: of the model; may be empty.
        spacing: of the detection's grid in mm; without it there is no focal score.
    """
    scores = dict(detection.scores)
    if detection.profile and calibration.get("profile"):
        scores[PROFILE_SCORE] = HealthyProfiles.from_json(calibration["profile"]).distance(detection.profile)
    if len(spacing) and calibration.get("focal"):
        voxel_ml, unit = float(np.prod(spacing)) / 1000, float(calibration["focal"]["unit"])
        scores[FOCAL] = focal_score(detection.mask, detection.error, unit, voxel_ml)
    return scores


def compare_scores(
    detection: Detection, calibration: Mapping[str, Any], spacing: Sequence[float] = ()
) -> tuple[dict[str, dict[str, float]], dict[str, dict[str, float]], str]:
    """Return scores with percentiles, the profile with standardised values, and the default score's name.

    Args:
        detection: what a method found.
        calibration: of the model; may be empty, then there are no percentiles.
        spacing: of the detection's grid in mm; without it there is no focal score.

    Returns:
        `{score: {value, percentile, healthy_median, healthy_p95}}`, `{feature: {value, z}}`, and the name of
        the default score (the calibration's, else `mask_size`).
    """
    healthy = calibration.get("healthy", {})
    compared = {}
    for name, value in all_scores(detection, calibration, spacing).items():
        compared[name] = {"value": float(value)}
        if name in healthy:
            values = np.asarray(healthy[name])
            compared[name] |= {
                "percentile": float(100 * np.mean(values < value)),
                "healthy_median": float(np.median(values)),
                "healthy_p95": float(np.percentile(values, 95)),
            }
    profile = {name: {"value": value} for name, value in detection.profile.items()}
    if profile and calibration.get("profile"):
        for name, z in HealthyProfiles.from_json(calibration["profile"]).standardise(detection.profile).items():
            profile[name]["z"] = z
    default = calibration.get("default_score", "mask_size")
    return compared, profile, default if default in compared else "mask_size"


def limits(healthy: list[float]) -> tuple[float, float]:
    """Return scores above which a scan is borderline, and outside the healthy range.

    Borderline is above the 95th percentile; outside is above the upper quartile plus two interquartile ranges of the
    logarithms (a fence between Tukey's inner and outer one, which one odd healthy scan cannot move), and never
    below the 95th percentile or above `FURTHEST` times it.

    Example:
        >>> [round(limit, 2) for limit in limits([1.0, 2.0, 3.0, 4.0])]
        [3.85, 11.84]
    """
    values = np.log(np.maximum(healthy, 1e-6))
    lower, upper = np.percentile(values, [25, 75])
    borderline = float(np.percentile(healthy, 95))
    fence = min(float(np.exp(upper + FENCE * (upper - lower))), FURTHEST * borderline)
    return borderline, max(borderline, fence)


def verdict(compared: Mapping[str, Mapping[str, float]], calibration: Mapping[str, Any]) -> tuple[str, list[str]]:
    """Return the worst verdict over the healthy-profile distance and the mask size, and the scores behind it.

    Returns:
        one of `VERDICTS`, and the names of the scores that led to it (empty if within the range).
        A model without a healthy range gives `UNKNOWN`.

    Example:
        >>> verdict({}, {})
        ('unknown, as the model has no healthy range', [])
    """
    healthy = calibration.get("healthy", {})
    levels = {}
    for name in VERDICT_SCORES:
        if name in compared and name in healthy:
            borderline, outside = limits(healthy[name])
            value = compared[name]["value"]
            levels[name] = int(value > borderline) + int(value > outside)
    if not levels:
        return UNKNOWN, []
    worst = max(levels.values())
    return VERDICTS[worst], [name for name, level in levels.items() if level == worst and worst > 0]
