"""A benchmark's results as tables and figures, independent of how they are written down."""

import numpy as np

from itermask.evaluation.benchmark.conditions import AS_IS, artifacts_of, conditions_of, lesions_of
from itermask.evaluation.benchmark.matched_tables import matched_sections
from itermask.evaluation.benchmark.plan import ProtocolSpec
from itermask.evaluation.benchmark.results import (
    Results,
    detection,
    healthy,
    mean_detection,
    segmentation,
    severity_curves,
    slice_results,
)
from itermask.evaluation.benchmark.roc import roc_section
from itermask.evaluation.benchmark.sections import Curves, Section, number, percent, with_interval
from itermask.evaluation.metrics.sizes import size_groups

SCORES = {"mask_size": "mask size", "mean_error": "mean error", "profile_distance": "profile distance"}
MEASURES = {
    "auroc": "AUROC",
    "auprc": "AUPRC",
    "fpr_at_80": "FPR at 80 % TPR",
    "fpr_at_90": "FPR at 90 % TPR",
    "youden": "Youden",
}
COLUMNS = {
    "dice": "label-free Dice",
    "sensitivity": "sensitivity",
    "precision": "precision",
    "best_shared_dice": "best shared threshold",
    "best_threshold_dice": "best threshold per scan",
    "auprc_voxels": "AUPRC",
    "assd_mm": "ASSD, mm",
    "lesion_detection_rate": "lesions found",
    "lesions_false": "false lesions",
}
UNDEFINED = "Where a cell says n, the others have no value: an empty mask has no precision and no border."


def sections_of(results: Results) -> list[Section]:
    """Return all tables of a benchmark, protocol by protocol."""
    makers = {
        "healthy": healthy_sections,
        "segmentation": lesion_sections,
        "slices": slice_sections,
        "lesions": lesion_sections,
        "matched": matched_sections,
        "detection": detection_sections,
        "severity": severity_sections,
    }
    return [section for protocol in results.plan.protocols for section in makers[protocol.kind](results, protocol)]


def healthy_sections(results: Results, protocol: ProtocolSpec) -> list[Section]:
    """Return the anomaly volume on healthy scans: data × methods."""
    rows = []
    for data in protocol.data:
        for method in results.plan.methods:
            found = healthy(results, protocol, method.name, data)
            sizes = [percent(found["median"]), percent(found["p95"]), number(found["median_ml"], 1)]
            rows.append(
                [data, method.name, f"{found['scans']:g}", *sizes, f"{found['within']:g} of {found['scans']:g}"]
            )
    header = [
        "data",
        "method",
        "scans",
        "median, % of brain",
        "95th percentile, %",
        "median, mL",
        "within healthy range",
    ]
    return [Section(protocol.title or "Anomaly volume on healthy scans", "", header, rows)]


def lesion_sections(results: Results, protocol: ProtocolSpec) -> list[Section]:
    """Return the Dice and the like: one table for each kind of lesion and data set, and one for all kinds together."""
    every = conditions_of(protocol)
    kinds = list(lesions_of(protocol))
    groups = {kind: [c for c in every if c.name == kind] for kind in kinds} or {"": every}
    if len(kinds) > 1:
        groups |= {" and ".join(kinds): every}
    if {"dark", "bright"} < set(kinds):
        groups |= {"dark and bright": [c for c in every if c.name in ("dark", "bright")]}
    sections = []
    for data in protocol.data:
        for name, conditions in groups.items():
            rows = []
            count = 0
            for method in results.plan.methods:
                found, scans = segmentation(results, protocol, method.name, data, conditions)
                count = max(count, scans)
                rows.append([method.name, *(with_interval(found[column]) for column in COLUMNS)])
            title = protocol.title or ("Inserted lesions" if kinds else "Lesions")
            title += f": {', '.join(filter(None, (name, data)))}"
            note = f"{count} scans. *Label-free* is the mask a user gets; best thresholds use the labels. {UNDEFINED}"
            sections.append(Section(title, note, ["method", *COLUMNS.values()], rows))
    return sections


def slice_sections(results: Results, protocol: ProtocolSpec) -> list[Section]:
    """Return the slice with the largest lesion of every scan, by its size too; and the slices without a lesion."""
    names = size_groups(protocol.sizes, "px" if protocol.pixel else "cm²")
    sections = []
    for data in protocol.data:
        rows, by_size = [], []
        count = 0
        for method in results.plan.methods:
            found, scans, sizes, free = slice_results(results, protocol, method.name, data)
            count = max(count, scans)
            rows.append([method.name, *(with_interval(found[column]) for column in COLUMNS)])
            flagged = [number(free["flagged_cm2"]), percent(free["flagged_share"]), percent(free["clean"])]
            by_size.append([method.name, *(with_interval(size, counted=True) for size in sizes), *flagged])
        title = f"{protocol.title or 'The slice with the largest lesion'}: {data}"
        note = f"One slice of each of {count} scans. *Label-free* is what a user gets; best thresholds use the labels."
        note += f" {UNDEFINED}"
        sections.append(Section(title, note, ["method", *COLUMNS.values()], rows))
        of = f"pixels of {protocol.pixel:g} mm" if protocol.pixel else "area"
        note = f"Label-free Dice by the size of the slice's lesion ({of}); then what is flagged in slices without one."
        free_columns = ["flagged, cm² a slice", "% of brain", "slices with nothing flagged, %"]
        sections.append(
            Section(f"{title}, by size, and false alarms", note, ["method", *names, *free_columns], by_size)
        )
    return sections


def detection_sections(results: Results, protocol: ProtocolSpec) -> list[Section]:
    """Return the AUROC for each artifact and method, and the means of every measure and score."""
    every = [c for c in conditions_of(protocol) if c != AS_IS] or [AS_IS]
    names = [method.name for method in results.plan.methods]
    sections = []
    for data in protocol.data:
        where = f"{data} against {', '.join(protocol.corrupted)}" if protocol.corrupted else data
        title = f"{protocol.title or 'Detection of corrupted scans'}: {where}"
        rows = [
            [c.name.replace("_", " ") or "all", *(auroc_cell(detection(results, protocol, m, data, c)) for m in names)]
            for c in every
        ]
        if len(every) > 1:
            means = [mean_detection(results, protocol, m, data, every, None) for m in names]
            rows.append(["**mean**", *(f"**{auroc_cell(found)}**" for found in means)])
        severity = "" if protocol.corrupted else f" Severity {protocol.severity:g} of 10."
        note = f"AUROC of each method's default score against the same scans clean, with 95 % intervals.{severity}"
        sections.append(Section(title, note, ["artifact", *names], rows))
        rows = []
        for method in names:
            for score, label in SCORES.items():
                found = mean_detection(results, protocol, method, data, every, score)
                if found:
                    each = [auroc_cell(detection(results, protocol, method, data, c, score)) for c in every]
                    averages = [auroc_cell(found), *(number(found[key], 3) for key in MEASURES if key != "auroc")]
                    rows.append([method, label, *(each if len(every) > 1 else ()), *averages])
        artifacts = [c.name.replace("_", " ") for c in every] if len(every) > 1 else []
        note = "AUROC for each artifact; then means over artifacts." if artifacts else ""
        header = ["method", "score", *artifacts, *MEASURES.values()]
        sections.append(Section(f"{title}, every score", note, header, rows))
    return sections


def severity_sections(results: Results, protocol: ProtocolSpec) -> list[Section]:
    """Return the AUROC against severity: a chart with a panel for each artifact, and the means over artifacts."""
    sections = []
    for data in protocol.data:
        curves = {m.name: severity_curves(results, protocol, m.name, data) for m in results.plan.methods}
        panels = {
            name.replace("_", " "): {method: found[name] for method, found in curves.items() if found[name]}
            for name in artifacts_of(protocol)
        }
        rows = []
        for method, found in curves.items():
            cells = []
            for severity in protocol.severities:
                values = [value for points in found.values() for amount, value in points if amount == severity]
                cells.append(number(float(np.mean(values)) if values else float("nan"), 3))
            rows.append([method, *cells])
        header = ["method", *(f"severity {severity:g}" for severity in protocol.severities)]
        title = f"{protocol.title or 'Severity curves'}: {data}"
        note = "AUROC of each method's default score, mean over artifacts."
        sections.append(Section(title, note, header, rows, Curves(panels, "severity", "AUROC")))
        sections.append(roc_section(results, protocol, data))
    return sections


def auroc_cell(found: dict[str, float]) -> str:
    """Return an AUROC with its interval, or a dash."""
    if not np.isfinite(found.get("auroc", float("nan"))):
        return "–"
    return f"{number(found['auroc'], 3)} ({number(found['low'])}–{number(found['high'])})"
