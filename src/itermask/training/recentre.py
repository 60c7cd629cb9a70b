"""A calibrated model, moved to another scanner by a few healthy scans from there.

The mask's operating point stays, and so does the spread of every score: a few scans cannot know it. Only the centre of
each score moves towards the local scans' median, by a weight that grows with their number.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from itermask.core.profile import HealthyProfiles
from itermask.methods.calibration import OperatingPoint
from itermask.models.folder import Model
from itermask.results.scoring import PROFILE_SCORE, all_scores
from itermask.training.calibration import SEED, HealthyScan

OWN_SCANS = 4.0  # as many local scans weigh as much as all the scans that the model was calibrated on
FURTHEST = 3.0  # a centre moves by this factor at most: what lies further is no matter of a scanner
LARGE = 0.02  # share of healthy brains marked, at which masks localise nothing; ten times what calibration aims at
FEW = 10  # subjects under which a user is warned


def weight_of(count: int) -> float:
    """Return the weight of `count` local scans against the model's own, 0 to 1.

    >>> weight_of(4), round(weight_of(8), 2)
    (0.5, 0.67)
    """
    return count / (count + OWN_SCANS)


def moved(values: Sequence[float], local: Sequence[float], weight: float) -> list[float]:
    """Return healthy scores whose median has moved towards that of local scans; their spread, as factors, is kept.

    Args:
        values: of the scans that the model was calibrated on, not negative.
        local: of the local healthy scans.
        weight: 0 keeps the centre, 1 takes the local one.

    Example:
        >>> moved([1.0, 2.0, 4.0], [8.0, 8.0], 0.5)
        [2.0, 4.0, 8.0]
    """
    floor = max(0.05 * float(np.percentile(values, 95)), 1e-6)
    step = np.log(max(float(np.median(local)), floor) / max(float(np.median(values)), floor))
    factor = float(np.exp(np.clip(weight * step, -np.log(FURTHEST), np.log(FURTHEST))))
    return sorted(float(f"{factor * value:.6g}") for value in values)


def moved_profile(stored: Mapping[str, Any], local: Sequence[Mapping[str, float]], weight: float) -> dict[str, Any]:
    """Return healthy profiles whose centre has moved towards local scans' medians; spread and correlation are kept."""
    profiles = HealthyProfiles.from_json(dict(stored))
    medians = np.array([np.median([profile[name] for profile in local]) for name in profiles.names])
    centre = (1 - weight) * profiles.centre + weight * medians
    return HealthyProfiles(profiles.names, centre, profiles.spread, profiles.precision).to_json()


def recentre(
    model: Model, scans: list[HealthyScan], progress: Callable[[str, float], None] | None = None
) -> dict[str, Any]:
    """Return a model's calibration, moved to local healthy scans.

    Args:
        model: calibrated.
        scans: healthy scans of one's own scanner.
        progress: called with (what, share done).

    Raises:
        ValueError: the masks of these scans are so large that the model does not suit them.
    """
    base = model.calibration
    point: OperatingPoint = base["operating_point"]
    found, scores = [], []
    for number, scan in enumerate(scans):
        rng = np.random.default_rng(SEED)
        detection = model.method.detect(scan.prepared, model.runtime, rng, point)
        found.append(detection)
        if progress:
            progress("processing healthy scans", (number + 1) / len(scans))
    check_masks([detection.scores["mask_size"] for detection in found])
    subjects = len({scan.subject for scan in scans})
    weight = weight_of(subjects)
    calibration = dict(base)
    if base.get("profile") and found[0].profile:
        calibration["profile"] = moved_profile(base["profile"], [one.profile for one in found], weight)
    for detection, scan in zip(found, scans, strict=True):
        scores.append(all_scores(detection, calibration, scan.prepared.spacing))
    healthy = {}
    for name, values in base["healthy"].items():
        kept = name == PROFILE_SCORE or any(
            name not in one for one in scores
        )  # a distance from a centre has none itself
        healthy[name] = list(values) if kept else moved(values, [one[name] for one in scores], weight)
    return calibration | {
        "healthy": healthy,
        "local": {
            "scans": len(scans),
            "subjects": subjects,
            "weight": round(weight, 3),
            "medians": {name: float(f"{np.median([one[name] for one in scores]):.6g}") for name in scores[0]},
        },
    }


def quality_shift(scores: Sequence[float], limits: tuple[float, float], count: int) -> float:
    """Return by how much the limits of image quality rise for a scanner, so that its healthy scans lie within.

    They rise to the local scans' conformal 95 % quantile, but by no more than twice the way from borderline to outside,
    times the weight of the local scans: what lies further is not the scanner's. They never fall.

    Args:
        scores: image-quality scores of local healthy scans.
        limits: the scores from which a scan is borderline, and outside.
        count: how many people were scanned.

    Example:
        >>> quality_shift([1.0, 2.5, 3.0, 2.0], (2.0, 4.0), 4)
        1.0
        >>> quality_shift([0.0, 1.0], (2.0, 4.0), 2)
        0.0
    """
    if not scores:
        return 0.0
    ordered = sorted(scores)
    reached = ordered[min(len(ordered), math.ceil(0.95 * (len(ordered) + 1))) - 1]
    most = 2 * weight_of(count) * max(limits[1] - limits[0], 0.0)
    return float(f"{min(max(reached - limits[0], 0.0), most):.6g}")


def check_masks(sizes: Sequence[float]) -> None:
    """Refuse a calibration whose masks mark much of healthy brains.

    Raises:
        ValueError: says how much.

    Example:
        >>> check_masks([0.001, 0.002])
    """
    middle = float(np.median(sizes))
    if middle > LARGE:
        raise ValueError(
            f"{100 * middle:.0f} % of these healthy brains are marked as anomaly, where calibration aims at 0.2 %: the "
            "model does not suit these scans, or they are not healthy"
        )
