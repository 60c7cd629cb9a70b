"""Calibration: what healthy validation scans teach a trained model about its own errors. No labels are used."""

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from itermask.core.profile import HealthyProfiles, fit_profiles
from itermask.methods.base import Method
from itermask.methods.calibration import OperatingPoint
from itermask.models.folder import Model
from itermask.results.focal import FOCAL, focal_score, high_level
from itermask.types import Detection, Prepared

MINIMUM_SUBJECTS = 4  # each is left out in turn, and a range needs three
ROUNDS = 10  # in which an operating point is usually found, for the progress bar
SEED = 0


@dataclass(frozen=True)
class HealthyScan:
    """A prepared healthy validation scan and whose it is."""

    prepared: Prepared
    subject: str


def calibrate(
    model: Model, scans: list[HealthyScan], progress: Callable[[str, float], None] | None = None
) -> dict[str, Any]:
    """Choose the operating point and measure the healthy range of every score.

    The method chooses its own point, see `Method.calibrate`. The healthy range of the profile distance is measured
    leaving out each subject in turn.

    Args:
        model: trained, not calibrated.
        scans: healthy validation scans of at least `MINIMUM_SUBJECTS` subjects.
        progress: called with (what, share done).

    Returns:
        the card's `calibration`: `operating_point`, `healthy` (score → sorted values), `profile`, `focal` (the
        unit of its score), `default_score`,
        counts, and the `planes` of scans whose own slices were processed.

    Raises:
        ValueError: too few subjects.

    Example:
        >>> from itermask.prepare.prepare import prepare
        >>> prepared = prepare(scan, model.grid)
        >>> healthy = [HealthyScan(prepared, str(number)) for number in range(4)]
        >>> "operating_point" in calibrate(model, healthy)
        True
    """
    check_subjects(scan.subject for scan in scans)
    report = progress or (lambda stage, share: None)
    scans = [one for scan in scans for one in with_variants(model.method, scan)]
    searches = []
    for number, scan in enumerate(scans):
        searches.append(model.method.explore(scan.prepared, model.runtime, np.random.default_rng(SEED)))
        report("processing healthy scans", (number + 1) / len(scans))
    subjects = [scan.subject for scan in scans]
    rounds = itertools.count(1)

    def sizes(point: OperatingPoint) -> np.ndarray:
        found = [model.method.finalize(search, point).scores["mask_size"] for search in searches]
        report("operating point", min(1.0, next(rounds) / ROUNDS))
        return np.array(found)

    point = model.method.calibrate(searches, sizes)
    detections = [model.method.finalize(search, point) for search in searches]
    measured = [name for name in detections[0].scores if all(name in one.scores for one in detections)]
    scores = {name: [detection.scores[name] for detection in detections] for name in measured}
    calibration: dict[str, Any] = {"operating_point": point, "default_score": "mask_size"}
    unit = focal_unit(scans, detections)
    if unit > 0:
        calibration["focal"] = {"unit": float(f"{unit:.6g}")}
        scores[FOCAL] = [
            focal_score(one.mask, one.error, unit, float(np.prod(scan.prepared.spacing)) / 1000)
            for one, scan in zip(detections, scans, strict=True)
        ]
    profiles = [detection.profile for detection in detections]
    if profiles[0]:
        scores["profile_distance"] = held_out_distances(profiles, subjects)
        calibration |= {"default_score": "profile_distance", "profile": fit_profiles(profiles).to_json()}
    calibration["healthy"] = {
        name: sorted(float(f"{value:.6g}") for value in values) for name, values in scores.items()
    }
    planes = sorted({scan.prepared.plane for scan in scans} - {""})
    calibration |= {"planes": planes} if planes else {}
    calibration |= {"scans": len(scans), "subjects": len(set(subjects)), "seed": SEED}
    return calibration


def with_variants(method: Method, scan: HealthyScan) -> list[HealthyScan]:
    """Return a healthy scan and what the method makes of it in other contrasts, see `Method.variants`.

    Example:
        >>> from itermask.prepare.prepare import prepare
        >>> healthy = HealthyScan(prepare(scan, model.grid), "sub-01")
        >>> len(with_variants(model.method, healthy))
        1
    """
    made = method.variants(scan.prepared, np.random.default_rng(SEED))
    return [scan, *(replace(scan, prepared=one) for one in made)]


def focal_unit(scans: list[HealthyScan], detections: list[Detection]) -> float:
    """Return the error that is high in healthy scans, the unit of the focal score; see `itermask.results.focal`."""
    levels = [high_level(one.error, scan.prepared.brain) for one, scan in zip(detections, scans, strict=True)]
    return float(np.median(levels))


def check_subjects(subjects: Iterable[str]) -> None:
    """Refuse a calibration on too few subjects, with `ValueError`.

    Example:
        >>> check_subjects(["a", "b", "c", "d", "e", "f"])
    """
    count = len(set(subjects))
    if count < MINIMUM_SUBJECTS:
        raise ValueError(
            f"calibration needs healthy validation scans of at least {MINIMUM_SUBJECTS} subjects, not {count}"
        )


def held_out_distances(profiles: list[dict[str, float]], subjects: list[str]) -> list[float]:
    """Return the profile distance of every scan from the healthy range that the other subjects' scans give.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> profiles = [{"level": float(value)} for value in rng.normal(size=8)]
        >>> len(held_out_distances(profiles, list("abcdefgh")))
        8
    """
    ranges: dict[str, HealthyProfiles] = {}
    for subject in set(subjects):
        ranges[subject] = fit_profiles([p for p, s in zip(profiles, subjects, strict=True) if s != subject])
    return [ranges[subject].distance(profile) for profile, subject in zip(profiles, subjects, strict=True)]


def calibration_metrics(calibration: dict[str, Any]) -> dict[str, float]:
    """Return what a card reports of a calibration: the healthy scans' median and 95th percentile of every score.

    Example:
        >>> calibration_metrics({"healthy": {"focal": [0.0, 1.0, 2.0]}})
        {'healthy_focal_median': 1.0, 'healthy_focal_p95': 1.9}
    """
    metrics = {}
    for name, values in calibration["healthy"].items():
        metrics[f"healthy_{name}_median"] = float(f"{np.median(values):.4g}")
        metrics[f"healthy_{name}_p95"] = float(f"{np.percentile(values, 95):.4g}")
    return metrics
