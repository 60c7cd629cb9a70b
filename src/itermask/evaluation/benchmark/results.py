"""From finished runs to the numbers of the tables: one function a protocol."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from itermask.evaluation.benchmark.conditions import AS_IS, Condition, artifacts_of, conditions_of
from itermask.evaluation.benchmark.maps import errors_and_labels
from itermask.evaluation.benchmark.plan import Plan, ProtocolSpec
from itermask.evaluation.benchmark.processing import Row, Subject, map_path
from itermask.evaluation.benchmark.slices import as_slice_row, limits_cm2, size_of
from itermask.evaluation.metrics.intervals import Comparison, Interval, bootstrap_interval, mean_auroc_interval
from itermask.evaluation.metrics.ranking import scan_detection
from itermask.evaluation.metrics.thresholds import best_shared_threshold

LESION_METRICS = (
    "dice",
    "sensitivity",
    "precision",
    "best_shared_dice",
    "best_threshold_dice",
    "auprc_voxels",
    "assd_mm",
    "lesion_detection_rate",
    "lesions_false",
)
FREE_MEASURES = ("flagged_cm2", "flagged_share", "clean")
NAN = float("nan")


@dataclass(frozen=True)
class Results:
    """A benchmark's finished runs, and what belongs to which protocol."""

    plan: Plan
    subjects: Sequence[Subject]
    rows: Sequence[Row]
    out: Path

    def of(self, protocol: ProtocolSpec, method: str, data: str, condition: Condition) -> list[Row]:
        """Return one method's runs on a protocol's scans of one data set, in one condition."""
        names = [subject.name for subject in self.subjects if subject.data.name == data]
        allowed = set(names[: protocol.limit or None])
        return [
            row
            for row in self.rows
            if row["method"] == method
            and row["data"] == data
            and row["condition"] == condition.label
            and row["subject"] in allowed
            and "problem" not in row
        ]

    def people(self, rows: Iterable[Row]) -> list[tuple[str, str]]:
        """Return whose scan each row is of: data set and subject, without the session."""
        whose = {(one.data.name, one.name): one.case.subject for one in self.subjects}
        return [(row["data"], whose[row["data"], row["subject"]]) for row in rows]


@dataclass(frozen=True)
class Cell:
    """A mean over scans for a table.

    Attributes:
        interval: the mean with its interval, drawn by subject; NaN where no scan has a value.
        defined: how many scans have one.
        scans: how many there are; the others' value is undefined, such as the precision of an empty mask.
    """

    interval: Interval
    defined: int
    scans: int


def cell(values: Sequence[float], people: Sequence[tuple[str, str]], scans: int, seed: int) -> Cell:
    """Return a mean of the defined values of `scans` scans; `people` says whose each value is.

    Example:
        >>> found = cell([0.4, 0.6], [("ixi", "1"), ("ixi", "2")], scans=2, seed=0)
        >>> round(float(found.interval.mean), 2), found.defined
        (0.5, 2)
    """
    if not values:
        return Cell(Interval(NAN, NAN, NAN), 0, scans)
    return Cell(bootstrap_interval(values, np.random.default_rng(seed), subjects=people), len(values), scans)


def healthy(results: Results, protocol: ProtocolSpec, method: str, data: str) -> dict[str, float]:
    """Return anomaly volumes on healthy scans: `scans`, `median`, `p95` (share of the brain), `median_ml`, `within`."""
    rows = results.of(protocol, method, data, AS_IS)
    shares = [row["anomaly_share"] for row in rows]
    return {
        "scans": len(rows),
        "median": float(np.median(shares)) if rows else NAN,
        "p95": float(np.percentile(shares, 95)) if rows else NAN,
        "median_ml": float(np.median([row["anomaly_ml"] for row in rows])) if rows else NAN,
        "within": sum(row["verdict"].startswith("within") for row in rows),
    }


def segmentation(
    results: Results, protocol: ProtocolSpec, method: str, data: str, conditions: Iterable[Condition]
) -> tuple[dict[str, Cell], int]:
    """Return every metric of `LESION_METRICS` over the scans of some conditions, and how many scans these are.

    The best shared threshold is one for each condition over all its scans. Scans without a lesion are left out; a
    metric that is undefined for a scan leaves that scan out, and its cell says so.
    """
    groups = [results.of(protocol, method, data, condition) for condition in conditions]
    return over_scans(results, [[row for row in rows if row["metrics"].get("label_ml", 0) > 0] for rows in groups])


def over_scans(results: Results, groups: Iterable[Sequence[Row]]) -> tuple[dict[str, Cell], int]:
    """Return means of every metric of `LESION_METRICS` over rows, and how many rows there are; see `segmentation`."""
    values: dict[str, list[float]] = {name: [] for name in LESION_METRICS}
    whose: dict[str, list[tuple[str, str]]] = {name: [] for name in LESION_METRICS}
    count = 0
    for rows in groups:
        count += len(rows)
        for name in LESION_METRICS:
            there = [row for row in rows if name in row["metrics"]]
            values[name] += [row["metrics"][name] for row in there]
            whose[name] += results.people(there)
        values["best_shared_dice"] += shared_dice(results.out, rows)
        whose["best_shared_dice"] += results.people(rows)
    seed = results.plan.seed
    return {name: cell(values[name], whose[name], count, seed) for name in LESION_METRICS}, count


def slice_results(
    results: Results, protocol: ProtocolSpec, method: str, data: str
) -> tuple[dict[str, Cell], int, list[Cell], dict[str, float]]:
    """Return what the papers' protocol asks of one method.

    Returns:
        `over_scans` of each scan's slice with the largest lesion; the label-free Dice by size of that slice's lesion,
        smallest first; and means over scans of what is flagged in their slices without a lesion.
    """
    rows = [row for row in results.of(protocol, method, data, AS_IS) if "slice" in row]
    found, count = over_scans(results, [[as_slice_row(row) for row in rows]])
    limits, sizes = limits_cm2(protocol.sizes, protocol.pixel), []
    for group in range(len(limits) + 1):
        there = [row for row in rows if size_of(row, limits) == group]
        defined = [row for row in there if "dice" in row["slice"]]
        values = [row["slice"]["dice"] for row in defined]
        sizes.append(cell(values, results.people(defined), len(there), results.plan.seed))
    free = [row["lesion_free"] for row in rows if row["lesion_free"]["slices"]]
    means = {name: float(np.mean([one[name] for one in free])) if free else NAN for name in FREE_MEASURES}
    return found, count, sizes, means


def shared_dice(out: Path, rows: Sequence[Row]) -> list[float]:
    """Return the Dice of each scan at the one threshold that is best for all of them, as the papers' tables have it."""
    if not rows:
        return []
    maps = [errors_and_labels(map_path(out, row)) for row in rows]
    errors, labels, brains = ([one[part] for one in maps] for part in range(3))
    return list(best_shared_threshold(errors, labels, brains).dice)


def detection(
    results: Results, protocol: ProtocolSpec, method: str, data: str, condition: Condition, score: str | None = None
) -> dict[str, float]:
    """Return how well a score tells corrupted scans from the same data as they are, see `ranking.scan_detection`.

    Args:
        results: the runs.
        protocol: `detection` or `severity`.
        method: whose score.
        data: clean data; with the protocol's `corrupted`, these are compared with all of those.
        condition: the artifact; `AS_IS` where the data themselves are corrupt.
        score: its name; the method's default score if None.

    Returns:
        with `low` and `high` of the AUROC (95 % bootstrap by subject); empty where one side has no scan, or the method
        has no such score.
    """
    return mean_detection(results, protocol, method, data, [condition], score)


def mean_detection(
    results: Results, protocol: ProtocolSpec, method: str, data: str, conditions: Sequence[Condition], score: str | None
) -> dict[str, float]:
    """Return `detection`, averaged over artifacts; a subject is drawn with all of them."""
    compared = [c for one in conditions if (c := comparison(results, protocol, method, data, one, score)) is not None]
    if not compared:
        return {}
    found = [scan_detection(one.healthy, one.anomalous) for one in compared]
    _, low, high = mean_auroc_interval(compared, np.random.default_rng(results.plan.seed))
    return {key: float(np.mean([f[key] for f in found])) for key in found[0]} | {"low": low, "high": high}


def comparison(
    results: Results, protocol: ProtocolSpec, method: str, data: str, condition: Condition, score: str | None
) -> Comparison | None:
    """Return the scores of clean and of corrupted scans, and whose they are; None if there is nothing to compare."""
    clean = results.of(protocol, method, data, AS_IS)
    if protocol.corrupted:
        corrupted = [row for name in protocol.corrupted for row in results.of(protocol, method, name, AS_IS)]
    else:
        corrupted = results.of(protocol, method, data, condition)
    if not clean or not corrupted:
        return None
    score = score or clean[0]["default_score"]
    healthy, anomalous = ([row["scores"].get(score, NAN) for row in side] for side in (clean, corrupted))
    if not np.isfinite([*healthy, *anomalous]).all():
        return None
    return Comparison(healthy, anomalous, results.people(clean), results.people(corrupted))


def severity_curves(
    results: Results, protocol: ProtocolSpec, method: str, data: str
) -> dict[str, list[tuple[float, float]]]:
    """Return artifact → (severity, AUROC of the default score), for each severity that has results."""
    curves: dict[str, list[tuple[float, float]]] = {}
    for name in artifacts_of(protocol):
        points = []
        for condition in conditions_of(protocol):
            if condition.name == name:
                found: dict[str, Any] = detection(results, protocol, method, data, condition)
                if found:
                    points.append((condition.amount, float(found["auroc"])))
        curves[name] = points
    return curves
