"""Tables of how well the score tells corrupted scans from clean ones, and how often the likely fault is right."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from quality_parts import fit
from quality_parts.samples import LESION

from itermask.results.quality.assess import Quality
from itermask.results.quality.model_faults import with_model_faults
from itermask.results.quality.reference import Reference, bundled
from itermask.results.quality.text import FAULTS, leading
from itermask.synth.artifacts import ARTIFACTS

Row = dict[str, Any]
Healthy = Mapping[str, Sequence[float]]


def auroc(clean: np.ndarray, corrupted: np.ndarray) -> float:
    """Share of pairs of a clean and a corrupted scan whose corrupted one scores higher; ties count half."""
    if len(clean) == 0 or len(corrupted) == 0:
        return float("nan")
    order = corrupted[:, None] - clean[None]
    return float((order > 0).mean() + (order == 0).mean() / 2)


def scored(row: Row, reference: Reference, healthy: Healthy) -> tuple[float, str | None]:
    """Score of a sample and the likely fault, as `itermask.results.quality.model_faults` adds them; see there."""
    score, heads = reference.score(row["features"])
    alone = Quality(score, reference.limits, "outside", leading(heads), {}, {})
    found = with_model_faults(alone, row.get("faults", {}), healthy)
    return found.score, found.likely


def by_artifact(rows: list[Row], reference: Reference, healthy: Healthy) -> dict[tuple[str, float], float]:
    """(artifact, severity) → AUROC against the clean scans among the rows."""
    scores = np.array([scored(row, reference, healthy)[0] for row in rows])
    clean = np.array([not row["artifact"] for row in rows])
    found = {}
    for name, severity in sorted({(row["artifact"], row["severity"]) for row in rows if row["artifact"]}):
        these = np.array([row["artifact"] == name and row["severity"] == severity for row in rows])
        found[name, severity] = auroc(scores[clean], scores[these])
    return found


def all_tables(out: Path, penalty: float, healthy: Healthy) -> dict[str, str]:
    """Name of the marks → table, for all that lies in the folder of features.

    Args:
        out: the folder.
        penalty: of the fit.
        healthy: scores of the model's healthy scans.
    """
    learned = _read(out / "learn.jsonl") + _read(out / "learn-thick.jsonl") + _read(out / "learn-lesion.jsonl")
    tried = {path.stem.removeprefix("try-"): _read(path) for path in sorted(out.glob("try-*.jsonl"))}
    made = {"quality-artifacts": artifacts_table(tried, healthy)}
    made["quality-likely"] = likely_table([row for rows in tried.values() for row in rows], healthy)
    if learned:
        made["quality-healthy"] = healthy_table(learned, tried, penalty, healthy)
    return made


def artifacts_table(tried: dict[str, list[Row]], healthy: Healthy) -> str:
    """AUROC of every artifact at every severity, one column for a data set and severity."""
    found = {source: by_artifact(rows, bundled(), healthy) for source, rows in tried.items()}
    columns = [(source, s) for source, one in found.items() for s in sorted({severity for _, severity in one})]
    lines = [
        "| artifact | " + " | ".join(f"{source}, {s:g}" for source, s in columns) + " |",
        "|---" * (len(columns) + 1) + "|",
    ]
    for name in sorted(ARTIFACTS):
        cells = [found[source].get((name, s), float("nan")) for source, s in columns]
        lines.append(f"| `{name}` | " + " | ".join("–" if np.isnan(c) else f"{c:.2f}" for c in cells) + " |")
    means = [np.nanmean([v for (_, severity), v in found[source].items() if severity == s]) for source, s in columns]
    least = [np.nanmin([v for (_, severity), v in found[source].items() if severity == s]) for source, s in columns]
    lines.append("| **mean** | " + " | ".join(f"**{value:.3f}**" for value in means) + " |")
    lines.append("| least | " + " | ".join(f"{value:.2f}" for value in least) + " |")
    return "\n".join(lines)


def healthy_table(learned: list[Row], tried: dict[str, list[Row]], penalty: float, healthy: Healthy) -> str:
    """Clean scans within the range; for the data learned from, by weights that were fitted without their data set."""
    lines = [
        "| clean scans | reference fitted on | scans | within | borderline | outside |",
        "|---|---|---|---|---|---|",
    ]
    for source in sorted({row["source"] for row in learned}):
        rest = [row for row in learned if row["source"] not in (source, "lgg-flair")]
        if not rest:
            continue
        reference = replace(fit.weigh(rest, tuple(sorted(ARTIFACTS)), penalty, {}), limits=bundled().limits)
        for real in (True, False):
            rows = [
                r
                for r in learned
                if r["source"] == source and not r["artifact"] and r["variant"] < LESION and (r["variant"] == 0) == real
            ]
            if rows:
                label = f"{source}, {'as they are' if real else 'virtual scanners'}"
                lines.append(_healthy_line(label, "all but it", rows, reference, healthy))
    for source, rows in tried.items():
        lines.append(_healthy_line(source, "train", [row for row in rows if not row["artifact"]], bundled(), healthy))
    return "\n".join(lines)


def likely_table(rows: list[Row], healthy: Healthy) -> str:
    """How often the likely fault is the true one, of corrupted scans that are not within the range."""
    lines = [
        "| true fault | corrupted scans | not within | named | named rightly | most often named otherwise |",
        "|---" * 6 + "|",
    ]
    sums = np.zeros(4, dtype=int)
    reference = bundled()
    kinds: dict[str, list[Row]] = {}
    for row in rows:
        if row["artifact"]:
            kinds.setdefault(FAULTS[row["artifact"]][0], []).append(row)
    for true, these in sorted(kinds.items()):
        found, named, wrong = 0, 0, []
        for row in these:
            score, fault = scored(row, reference, healthy)
            if score >= reference.limits[0]:
                found += 1
                named += fault is not None
                if fault not in (None, true):
                    wrong.append(fault)
        right = named - len(wrong)
        other = max(set(wrong), key=wrong.count) if wrong else "–"
        sums += (len(these), found, named, right)
        lines.append(f"| {true} | {len(these)} | {found} | {named} | {right} | {other} |")
    lines.append(
        f"| **all** | {sums[0]} | {sums[1]} | {sums[2]} | {sums[3]} ({100 * sums[3] / max(1, sums[2]):.0f} %) | |"
    )
    return "\n".join(lines)


def _healthy_line(label: str, fitted: str, rows: list[Row], reference: Reference, healthy: Healthy) -> str:
    scores = np.array([scored(row, reference, healthy)[0] for row in rows])
    low, high = reference.limits
    within, outside = int((scores < low).sum()), int((scores >= high).sum())
    share = 100 * within / max(1, len(rows))
    return (
        f"| {label} | {fitted} | {len(rows)} | {within} ({share:.0f} %) | {len(rows) - within - outside} | {outside} |"
    )


def _read(path: Path) -> list[Row]:
    rows = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    return [
        row["sample"] | {name: row[name] for name in ("features", "faults") if name in row}
        for row in rows
        if row["features"] is not None
    ]
