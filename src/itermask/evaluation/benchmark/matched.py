"""The protocol `matched`: every method's threshold is moved until it flags the same share of healthy brains."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from itermask.evaluation.benchmark.conditions import AS_IS, Condition, conditions_of, lesions_of
from itermask.evaluation.benchmark.maps import read_map
from itermask.evaluation.benchmark.plan import ProtocolSpec
from itermask.evaluation.benchmark.processing import Row, map_path
from itermask.evaluation.benchmark.results import Cell, Results, cell
from itermask.evaluation.matched import Scan, flagged_share, matched_measures, matched_thresholds, paired_gain
from itermask.evaluation.metrics.thresholds import rank_errors

CURVE = tuple(float(f"{share:.3g}") for share in np.geomspace(0.0003, 0.03, 13))  # shares that the figure shows


@dataclass(frozen=True)
class Healthy:
    """The healthy brain that a method's thresholds were chosen on.

    Attributes:
        scans, subjects: how many.
        thresholds: share of healthy brain that may be flagged → threshold.
        flagged: share of healthy brain that may be flagged → share that is.
    """

    scans: int
    subjects: int
    thresholds: Mapping[float, float]
    flagged: Mapping[float, float]


@dataclass(frozen=True)
class Found:
    """What one method finds at its thresholds.

    Attributes:
        measures: share → scan → each of `MEASURES`.
        curve: share → scan → Dice, for `CURVE`.
    """

    measures: Mapping[float, Mapping[Scan, Mapping[str, float]]]
    curve: Mapping[float, Mapping[Scan, float]]

    def cell(self, share: float, measure: str, seed: int) -> Cell:
        """Return a measure's mean over scans with its interval, drawn by subject."""
        scans = self.measures[share]
        there = [key for key, found in scans.items() if np.isfinite(found[measure])]
        return cell([scans[key][measure] for key in there], [key[0] for key in there], len(scans), seed)

    def gain(self, share: float, reference: "Found", seed: int) -> Cell:
        """Return how much higher its Dice is than a reference's on the same scans."""
        mine, other = ({key: one["dice"] for key, one in found.measures[share].items()} for found in (self, reference))
        count = len(set(mine) & set(other))
        return Cell(paired_gain(mine, other, np.random.default_rng(seed)), count, count)

    def points(self) -> list[tuple[float, float]]:
        """Return the figure's points: percent of healthy brain that is flagged, and Dice, mean over scans."""
        return [(100 * share, float(np.mean(list(scans.values())))) for share, scans in self.curve.items() if scans]


def healthy_brain(results: Results, protocol: ProtocolSpec, method: str, data: str) -> Healthy | None:
    """Choose a method's thresholds: on the protocol's healthy data, else on the lesion-free slices of `data`.

    Returns:
        None if there is no run, or no slice without a lesion.
    """
    if protocol.healthy:
        rows = [row for name in protocol.healthy for row in results.of(protocol, method, name, AS_IS)]
    else:
        rows = [row for condition in conditions_of(protocol) for row in results.of(protocol, method, data, condition)]
    errors, subjects = [], []
    for row, person in zip(rows, results.people(rows), strict=True):
        stored = read_map(map_path(results.out, row))
        if stored.free.any():
            errors.append(stored.error[stored.free])
            subjects.append(person)
    if not errors:
        return None
    shares = tuple(sorted({*protocol.shares, *CURVE}))
    thresholds = dict(zip(shares, matched_thresholds(errors, shares, subjects).tolist(), strict=True))
    flagged = {share: flagged_share(errors, thresholds[share], subjects) for share in protocol.shares}
    return Healthy(len(errors), len(set(subjects)), thresholds, flagged)


def found_at(
    results: Results,
    protocol: ProtocolSpec,
    method: str,
    data: str,
    conditions: Sequence[Condition],
    healthy: Healthy,
) -> Found:
    """Measure what a method finds of the lesions of some conditions; scans without a lesion are left out."""
    measures: dict[float, dict[Scan, dict[str, float]]] = {share: {} for share in protocol.shares}
    curve: dict[float, dict[Scan, float]] = {share: {} for share in CURVE}
    rows: list[Row] = [row for condition in conditions for row in results.of(protocol, method, data, condition)]
    for row, person in zip(rows, results.people(rows), strict=True):
        stored = read_map(map_path(results.out, row))
        if not stored.lesion.any():
            continue
        key = person, f"{row['subject']} {row['condition']}"
        error = stored.volume()
        for share in protocol.shares:
            threshold = healthy.thresholds[share]
            measures[share][key] = matched_measures(error, stored.lesion, stored.brain, stored.spacing, threshold)
        dices = rank_errors(error, stored.lesion, stored.brain).dice(np.array([healthy.thresholds[s] for s in CURVE]))
        for share, value in zip(CURVE, dices, strict=True):
            curve[share][key] = float(value)
    return Found(measures, curve)


def lesion_groups(protocol: ProtocolSpec) -> dict[str, list[Condition]]:
    """Return the conditions of each kind of inserted lesion, then of all; one unnamed group for real lesions.

    Example:
        >>> from itermask.evaluation.benchmark.plan import ProtocolSpec
        >>> protocol = ProtocolSpec("matched", ("ixi",), lesions={"dark": 0.5, "bright": 0.5}, shapes="shapes.npz")
        >>> list(lesion_groups(protocol))
        ['dark', 'bright', 'all kinds']
    """
    every, kinds = conditions_of(protocol), list(lesions_of(protocol))
    groups = {kind: [condition for condition in every if condition.name == kind] for kind in kinds} or {"": every}
    return groups if len(kinds) < 2 else groups | {"all kinds": every}
