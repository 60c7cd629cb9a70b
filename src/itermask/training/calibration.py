"""Calibration: what healthy validation scans teach a trained model about its own errors. No labels are used."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from itermask.models.folder import Model
from itermask.prepare.prepare import Prepared
from itermask.profile import HealthyProfiles, fit_profiles

GAMMAS = tuple(float(f"{0.01 * 2 ** (step / 3):.2g}") for step in range(24))  # 0.01 … 2, three an octave
MEDIAN_AIM, P95_AIM = 0.002, 0.005  # mask size on healthy scans, share of the brain
MINIMUM_SUBJECTS = 4  # each is left out in turn, and a range needs three
SEED = 0


@dataclass(frozen=True)
class HealthyScan:
    """A prepared healthy validation scan and whose it is."""

    prepared: Prepared
    subject: str


def calibrate(
    model: Model, scans: list[HealthyScan], progress: Callable[[str, float], None] | None = None
) -> dict[str, Any]:
    """Choose gamma and measure the healthy range of every score.

    Gamma lies in the middle (of logarithms) of the range that suits the healthy scans: from the smallest with
    which their anomaly masks have a median of at most 0.2 % of the brain and a 95th percentile of at most
    0.5 %, to the largest that at least half of their threshold curves still reach. Below it masks grow past
    the lesion, above it lesions are lost. The healthy range of the profile distance is measured leaving out
    each subject in turn.

    Args:
        model: trained, not calibrated.
        scans: healthy validation scans of at least `MINIMUM_SUBJECTS` subjects.
        progress: called with (what, share done).

    Returns:
        the card's `calibration`: `gamma`, `healthy` (score → sorted values), `profile`, `default_score`,
        counts and what was reached.

    Raises:
        ValueError: too few subjects.
    """
    subjects = [scan.subject for scan in scans]
    check_subjects(subjects)
    searches = []
    for number, scan in enumerate(scans):
        searches.append(model.method.search(scan.prepared, model.runtime, np.random.default_rng(SEED)))
        if progress is not None:
            progress("threshold curves", (number + 1) / len(scans))

    gamma = GAMMAS[(_smallest(model, searches, progress) + _largest(model, searches)) // 2]
    detections = [model.method.conclude(search, gamma) for search in searches]
    scores = {name: [detection.scores[name] for detection in detections] for name in detections[0].scores}
    calibration: dict[str, Any] = {"gamma": gamma, "default_score": "mask_size"}
    profiles = [detection.profile for detection in detections]
    if profiles[0]:
        scores["profile_distance"] = held_out_distances(profiles, subjects)
        calibration |= {"default_score": "profile_distance", "profile": fit_profiles(profiles).to_json()}
    calibration["healthy"] = {
        name: sorted(float(f"{value:.6g}") for value in values) for name, values in scores.items()
    }
    calibration |= {"scans": len(scans), "subjects": len(set(subjects)), "seed": SEED}
    return calibration


def _smallest(model: Model, searches: list[Any], progress: Callable[[str, float], None] | None) -> int:
    """Place in `GAMMAS` of the smallest with which the healthy masks are as small as they should be."""
    low, high = 0, len(GAMMAS) - 1  # larger gammas give smaller masks: the answer is in low … high
    while low < high:
        middle = (low + high) // 2
        sizes = [model.method.conclude(search, GAMMAS[middle]).scores["mask_size"] for search in searches]
        small = np.median(sizes) <= MEDIAN_AIM and np.percentile(sizes, 95) <= P95_AIM
        low, high = (low, middle) if small else (middle + 1, high)
        if progress is not None:
            progress("gamma", 1 - (high - low) / len(GAMMAS))
    return high


def _largest(model: Model, searches: list[Any]) -> int:
    """Place in `GAMMAS` of the largest that at least half of the healthy curves reach before their last point."""
    for place in range(len(GAMMAS) - 1, 0, -1):
        if np.mean([model.method.stands_out(search, GAMMAS[place]) for search in searches]) >= 0.5:
            return place
    return 0


def check_subjects(subjects: Iterable[str]) -> None:
    """Refuse a calibration on too few subjects, with `ValueError`."""
    count = len(set(subjects))
    if count < MINIMUM_SUBJECTS:
        raise ValueError(
            f"calibration needs healthy validation scans of at least {MINIMUM_SUBJECTS} subjects, not {count}"
        )


def held_out_distances(profiles: list[dict[str, float]], subjects: list[str]) -> list[float]:
    """Profile distance of every scan from the healthy range that the other subjects' scans give."""
    ranges: dict[str, HealthyProfiles] = {}
    for subject in set(subjects):
        ranges[subject] = fit_profiles([p for p, s in zip(profiles, subjects, strict=True) if s != subject])
    return [ranges[subject].distance(profile) for profile, subject in zip(profiles, subjects, strict=True)]


def calibration_metrics(calibration: dict[str, Any]) -> dict[str, float]:
    """What a card reports of a calibration: the healthy scans' median and 95th percentile of every score."""
    metrics = {}
    for name, values in calibration["healthy"].items():
        metrics[f"healthy_{name}_median"] = float(f"{np.median(values):.4g}")
        metrics[f"healthy_{name}_p95"] = float(f"{np.percentile(values, 95):.4g}")
    return metrics
