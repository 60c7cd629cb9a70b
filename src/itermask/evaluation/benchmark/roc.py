"""ROC curves of corrupted scans: a panel for each severity, all its artifacts against the same scans clean."""

from collections.abc import Mapping

import numpy as np

from itermask.evaluation.benchmark.conditions import artifacts_of, conditions_of
from itermask.evaluation.benchmark.plan import ProtocolSpec
from itermask.evaluation.benchmark.results import Results, comparison
from itermask.evaluation.benchmark.sections import Curves, Section, number
from itermask.evaluation.metrics.intervals import Comparison, mean_auroc_interval
from itermask.evaluation.metrics.ranking import auroc, roc_points


def comparisons(
    results: Results, protocol: ProtocolSpec, method: str, data: str, severity: float
) -> Mapping[str, Comparison]:
    """Return artifact → the default scores of clean and corrupted scans, for one severity's artifacts with results."""
    found = {}
    for condition in conditions_of(protocol):
        if condition.kind == "artifact" and condition.amount == severity:
            one = comparison(results, protocol, method, data, condition, None)
            if one is not None:
                found[condition.name] = one
    return found


def pooled(parts: Mapping[str, Comparison]) -> Comparison:
    """Return one comparison of the clean scans with all corrupted ones together.

    Example:
        >>> from itermask.evaluation.metrics.intervals import Comparison
        >>> noise = Comparison([0.1], [0.5], ["a"], ["a"])
        >>> motion = Comparison([0.1], [0.9], ["a"], ["a"])
        >>> [float(score) for score in pooled({"noise": noise, "motion": motion}).anomalous]
        [0.5, 0.9]
    """
    first, *_ = parts.values()
    anomalous = np.concatenate([np.asarray(one.anomalous, dtype=float) for one in parts.values()])
    subjects = [name for one in parts.values() for name in one.anomalous_subjects or ()]
    return Comparison(first.healthy, anomalous, first.healthy_subjects, subjects)


def roc_section(results: Results, protocol: ProtocolSpec, data: str) -> Section:
    """Return the AUROC over all artifacts pooled, the lowest of a single artifact, and the curves."""
    panels: dict[str, dict[str, list[tuple[float, float]]]] = {}
    rows = []
    kinds = len(artifacts_of(protocol))
    for severity in protocol.severities:
        panel = panels.setdefault(f"severity {severity:g}", {})
        for spec in results.plan.methods:
            parts = comparisons(results, protocol, spec.name, data, severity) if spec.processes(data) else {}
            if not parts:
                continue
            one = pooled(parts)
            panel[spec.name] = roc_points(one.healthy, one.anomalous)
            area = mean_auroc_interval([one], np.random.default_rng(results.plan.seed))
            single = {name: auroc(part.healthy, part.anomalous) for name, part in parts.items()}
            worst = min(single, key=lambda name: single[name])
            cells = [
                f"{number(area.mean, 3)} ({number(area.low)}–{number(area.high)})",
                number(float(np.mean(list(single.values()))), 3),
                f"{number(single[worst], 3)} ({worst.replace('_', ' ')})",
            ]
            rows.append([f"{severity:g}", spec.name, *cells])
    title = f"{protocol.title or 'Severity curves'}, ROC: {data}"
    note = (
        f"Each method's default score, {kinds} kind{'s' * (kinds != 1)} of artifact pooled, against the same scans "
        "clean; 95 % intervals drawn by subject."
    )
    header = ["severity", "method", "AUROC, pooled", "mean over kinds", "lowest kind"]
    curves = Curves(panels, "clean scans called corrupt", "corrupted scans found", chance="diagonal", markers=False)
    return Section(title, note, header, rows, curves)
