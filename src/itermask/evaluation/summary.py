"""From one row a scan to means with intervals: over all scans, by group and by size; as numbers and as Markdown."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from itermask.errors import MissingExtraError
from itermask.evaluation.metrics.intervals import auroc_interval, bootstrap_interval
from itermask.evaluation.metrics.ranking import scan_detection
from itermask.evaluation.metrics.sizes import size_group, size_groups

SCAN_SCORES = ("score", "predicted_ml", "mean_error")  # what scans can be ranked by
LEVEL = 0.95


def summarise(rows: Sequence[Mapping[str, Any]], metrics: Iterable[str], seed: int = 0) -> dict[str, dict[str, float]]:
    """Return each metric over scans.

    Args:
        rows: one scan's numbers each, and `subject`, whose it is; without it each scan is another subject's.
        metrics: names; a scan that lacks one counts as undefined.
        seed: of the bootstrap; every metric is drawn with it anew.

    Returns:
        metric → `mean`, `std` (over scans, n − 1), `low` and `high` (95 % bootstrap interval of the mean, drawn by
        subject), and `defined`, the number of scans these are of. NaN and infinite values are undefined; the figures
        of a metric without a defined value are NaN, and so is `std` of a single one.

    Example:
        >>> summarise([{"dice": 0.4}, {"dice": 0.6}], ["dice"])["dice"]["mean"]
        0.5
    """
    nan = float("nan")
    table = {}
    for metric in metrics:
        every = np.array([row.get(metric, nan) for row in rows], dtype=np.float64)
        defined = np.isfinite(every)
        values, subjects = every[defined], _subjects([row for row, there in zip(rows, defined, strict=True) if there])
        mean, low, high = (nan,) * 3
        if len(values):
            mean, low, high = bootstrap_interval(values, np.random.default_rng(seed), LEVEL, subjects=subjects)
        std = float(values.std(ddof=1)) if len(values) > 1 else nan
        table[metric] = {"mean": mean, "std": std, "low": low, "high": high, "defined": len(values)}
    return table


def _subjects(rows: Sequence[Mapping[str, Any]]) -> list[Any]:
    """Return whose each row is; a subject of its own for a row that does not say."""
    return [row.get("subject", index) for index, row in enumerate(rows)]


def summarise_groups(
    rows: Sequence[Mapping[str, Any]], names: Sequence[str], metrics: Sequence[str], seed: int = 0
) -> dict[str, dict[str, Any]]:
    """Return `summarise` for each group apart; `names` has each row's group, and their first rows the groups' order.

    Example:
        >>> rows = [{"dice": 0.4}, {"dice": 0.6}]
        >>> {name: found["scans"] for name, found in summarise_groups(rows, ["a", "b"], ["dice"]).items()}
        {'a': 1, 'b': 1}
    """
    return {
        name: {
            "scans": sum(one == name for one in names),
            "metrics": summarise([row for row, one in zip(rows, names, strict=True) if one == name], metrics, seed),
        }
        for name in dict.fromkeys(names)
    }


def summarise_sizes(
    rows: Sequence[Mapping[str, Any]], metrics: Sequence[str], limits: Sequence[float], seed: int = 0
) -> dict[str, dict[str, Any]]:
    """Return `summarise` for scans grouped by the volume of their label, `label_ml`; only groups that have a scan.

    Example:
        >>> list(summarise_sizes([{"dice": 0.4, "label_ml": 2.0}], ["dice"], [1, 10]))
        ['1–10 mL']
    """
    names = [size_group(row["label_ml"], limits) for row in rows]
    groups = summarise_groups(rows, names, metrics, seed)
    return {name: groups[name] for name in ("no lesion", *size_groups(limits)) if name in groups}


def summarise_lesions(
    volumes: np.ndarray, detected: np.ndarray, limits: Sequence[float]
) -> dict[str, dict[str, float]]:
    """Return single lesions of all scans by their own volume in mL: `lesions`, `detected` and the `rate`; NaN if none.

    Example:
        >>> summarise_lesions(np.array([0.5, 2.0]), np.array([False, True]), [1])["≥1 mL"]["rate"]
        1.0
    """
    names = np.array([size_group(volume, limits) for volume in volumes], dtype=object)
    table = {}
    for name in size_groups(limits):
        found = np.asarray(detected, dtype=bool)[names == name]
        rate = float(found.mean()) if len(found) else float("nan")
        table[name] = {"lesions": len(found), "detected": int(found.sum()), "rate": rate}
    return table


def summarise_detection(rows: Sequence[Mapping[str, Any]], seed: int = 0) -> dict[str, dict[str, float]]:
    """Return how well scan scores tell scans with a lesion from those without.

    Args:
        rows: one scan's numbers each, with `label_ml` and any of `SCAN_SCORES`.
        seed: of the bootstrap.

    Returns:
        score → what `ranking.scan_detection` has, `low` and `high` of the AUROC (95 % bootstrap by subject), and the
        numbers of scans, `healthy` and `anomalous`. Scores that a scan lacks are left out; nothing without scans of
        both kinds, or without scikit-learn.

    Example:
        >>> summarise_detection([])
        {}
    """
    table: dict[str, dict[str, float]] = {}
    for name in SCAN_SCORES:
        values = [
            (row.get(name, float("nan")), row["label_ml"] > 0, whose)
            for row, whose in zip(rows, _subjects(rows), strict=True)
        ]
        healthy = [value for value, lesion, _ in values if not lesion]
        anomalous = [value for value, lesion, _ in values if lesion]
        if not healthy or not anomalous or not np.isfinite(healthy + anomalous).all():
            continue
        try:
            found = scan_detection(healthy, anomalous)
        except MissingExtraError:
            return {}
        _, low, high = auroc_interval(
            healthy,
            anomalous,
            np.random.default_rng(seed),
            LEVEL,
            healthy_subjects=[whose for _, lesion, whose in values if not lesion],
            anomalous_subjects=[whose for _, lesion, whose in values if lesion],
        )
        table[name] = found | {"low": low, "high": high, "healthy": len(healthy), "anomalous": len(anomalous)}
    return table


def markdown(summary: Mapping[str, Any]) -> str:
    """Return the summary, as `evaluate` makes it, for reading."""
    lone = summary["predictions_without_label"]
    lines = [
        "# Evaluation",
        "",
        f"{summary['scans']} scans of {summary['subjects']} subjects evaluated, {len(summary['failed'])} failed, "
        f"{len(lone)} predictions without a label, {len(summary['labels_without_prediction'])} files among the labels "
        f"that pair with nothing. Means over scans with 95 % bootstrap intervals, drawn by subject "
        f"(seed {summary['seed']}).",
        "",
        *_metric_table({"": {"scans": summary["scans"], "metrics": summary["metrics"]}}),
    ]
    if "shared_threshold" in summary:
        lines += [
            "",
            f"Best thresholds are chosen with the labels in sight: upper bounds that no user reaches. The best shared "
            f"threshold is {summary['shared_threshold']:.6g}.",
        ]
    for title, key in (("By group", "groups"), ("By lesion volume of the scan", "sizes")):
        if summary.get(key):
            lines += ["", f"## {title}", "", *_metric_table(summary[key])]
    if summary.get("lesions"):
        lines += [
            "",
            "## Single lesions by their volume",
            "",
            "| volume | lesions | detected | rate |",
            "|---|---|---|---|",
        ]
        lines += [
            f"| {name} | {group['lesions']} | {group['detected']} | {_number(group['rate'])} |"
            for name, group in summary["lesions"].items()
        ]
    if summary.get("detection"):
        columns = ("auroc", "auprc", "fpr_at_80", "fpr_at_90", "youden")
        lines += ["", "## Scans with a lesion against scans without", ""]
        lines += [f"| score | {' | '.join(columns)} | healthy | anomalous |", "|---" * (len(columns) + 3) + "|"]
        for name, found in summary["detection"].items():
            cells = [_number(found[column]) for column in columns]
            cells[0] += f" ({_number(found['low'])}–{_number(found['high'])})"
            lines.append(f"| {name} | {' | '.join(cells)} | {found['healthy']} | {found['anomalous']} |")
    for title, listed in (("Failed", summary["failed"]), ("Predictions without a label", lone)):
        if listed:
            lines += ["", f"## {title}", "", *(f"* {_cell(name)}: {_cell(reason)}" for name, reason in listed)]
    if summary["labels_without_prediction"]:
        lines += ["", "## Files among the labels that pair with nothing", ""]
        lines += [f"* {_cell(name)}" for name in summary["labels_without_prediction"]]
    return "\n".join(lines) + "\n"


def _metric_table(groups: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return a row for each group and metric; a single group without a name needs no column for it."""
    named = list(groups) != [""]
    first = ["group", "scans"] if named else []
    columns = [*first, "metric", "mean", "standard deviation", "95 % interval", "scans where defined"]
    lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for name, group in groups.items():
        for metric, found in group["metrics"].items():
            if named and not found["defined"]:
                continue
            mean, std, low, high = (_number(found[key]) for key in ("mean", "std", "low", "high"))
            interval = f"{low}–{high}" if found["defined"] else "n/a"
            cells = [metric, mean, std, interval, str(found["defined"])]
            cells = [_cell(name) or "none", str(group["scans"]), *cells] if named else cells
            lines.append(f"| {' | '.join(cells)} |")
    return lines


def _number(value: float) -> str:
    return f"{value:.4g}" if np.isfinite(value) else "n/a"


def _cell(text: str) -> str:
    """Return the text that breaks no table and no line."""
    return " ".join(str(text).split()).replace("|", "\\|")
