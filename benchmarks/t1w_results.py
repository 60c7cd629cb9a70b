r"""What the bundled T1w model reaches on scans it has never seen: artifacts, inserted lesions, another scanner.

    python scripts/ixi_table.py DATA/ixi-t1 runs/ixi
    python benchmarks/t1w_results.py --table runs/ixi/table.tsv --shapes DATA/lesion-shapes/tumour_shapes.npz \
        --oasis DATA/oasis-t1 --out runs/t1w-results --write docs/results.md

Every test scan is looked at as it is, with each artifact, and with an inserted lesion of each kind, always
through `itermask.run`. One JSON line a scan; a run that was interrupted goes on where it stopped.
"""

import argparse
import itertools
import json
import platform
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import track

from itermask import Model, RunSettings, Scan, load_model, read_scan, run
from itermask.artifacts import corrupt
from itermask.evaluation.metrics import (
    auroc,
    best_shared_threshold,
    best_threshold_dice,
    bootstrap_interval,
    dice,
    precision,
    sensitivity,
)
from itermask.lesions import insert_lesion, load_shapes
from itermask.scan import top_axis
from itermask.training.table import Entry, read_table

ARTIFACTS = {"missing_chunk": 5, "spike": 5, "ghosting": 5, "noise": 5}  # name → severity
LESIONS = {"dark": 1.0, "bright": 0.5, "textured": 1.0}  # kind → contrast
FRACTIONS = (0.01, 0.025)  # lesion volume, share of the brain
SCORES = ("mask_size", "mean_error", "profile_distance")
RESULTS_MARKS = ("<!-- t1w results: start -->", "<!-- t1w results: end -->")


@dataclass(frozen=True)
class Case:
    """One scan to look at: what was done to it, and the inserted lesion if there is one."""

    name: str
    condition: str
    scan: Scan
    lesion: np.ndarray | None = None


def seed_for(*words: str) -> int:
    """The same seed for the same words, everywhere."""
    return zlib.crc32("/".join(words).encode())


def cases(entry: Entry, shapes: dict[str, np.ndarray]) -> Iterator[Case]:
    """A test scan as it is, with each artifact, and with each kind of lesion."""
    scan = read_scan(entry.path, "T1w", entry.brain_mask)
    assert scan.brain_mask is not None
    yield Case(entry.subject, "clean", scan)
    axis, direction = top_axis(scan)
    for artifact, severity in ARTIFACTS.items():
        spoiled = corrupt(
            scan.image,
            artifact,
            severity,
            seed_for(entry.subject, artifact),
            axis=axis if artifact == "missing_chunk" else None,
            direction=direction,
            brain=scan.brain_mask,
            spacing=scan.spacing,
        )
        yield Case(entry.subject, artifact, replace(scan, image=spoiled.image))
    for kind, contrast in LESIONS.items():
        rng = np.random.default_rng(seed_for(entry.subject, kind))
        shape = shapes[sorted(shapes)[rng.integers(len(shapes))]]
        fraction = float(rng.uniform(*FRACTIONS))
        image, lesion = insert_lesion(
            scan.image, scan.brain_mask, shape, kind, rng, contrast=contrast, spacing=scan.spacing, fraction=fraction
        )
        yield Case(entry.subject, kind, replace(scan, image=image), lesion)


def intensity_map(scan: Scan, kind: str) -> np.ndarray:
    """Plain intensity thresholding's score: brightness, darkness, or distance from the median."""
    assert scan.brain_mask is not None
    median = np.median(scan.image[scan.brain_mask])
    return {"bright": scan.image, "dark": -scan.image, "textured": np.abs(scan.image - median)}[kind]


def look(case: Case, model: Model, settings: RunSettings, maps: Path) -> dict[str, Any]:
    """One JSON line: scores, and the lesion's Dice where there is one."""
    finding = run(case.scan, model, settings)
    row: dict[str, Any] = {
        "subject": case.name,
        "condition": case.condition,
        "verdict": finding.verdict,
        "anomaly_fraction": finding.anomaly_fraction,
        "own_threshold": finding.search.get("own_threshold"),
        "step": finding.search["step"],
        "threshold": finding.threshold,
        "seconds": finding.timings["detect"],
    }
    row |= {score: finding.scores[score]["value"] for score in SCORES if score in finding.scores}
    if case.lesion is not None:
        intensity = intensity_map(case.scan, case.condition)
        row |= {
            "lesion_fraction": float(case.lesion.sum() / finding.brain.sum()),
            "dice": dice(finding.anomaly, case.lesion),
            "precision": precision(finding.anomaly, case.lesion),
            "sensitivity": sensitivity(finding.anomaly, case.lesion),
            "best_dice": best_threshold_dice(finding.error, case.lesion, finding.brain).dice,
            "intensity_best_dice": best_threshold_dice(intensity, case.lesion, finding.brain).dice,
        }
        np.savez_compressed(
            maps / f"{case.name}-{case.condition}.npz",
            error=finding.error[finding.brain].astype(np.float32),
            intensity=intensity[finding.brain].astype(np.float32) / np.std(intensity[finding.brain]),
            lesion=case.lesion[finding.brain],
        )
    return row


def entries_of(table: Path, split: str, limit: int | None) -> list[Entry]:
    """The scans of a split, each with its label-derived brain mask."""
    labelled = [entry for entry in read_table(table, "T1w") if entry.split == split and entry.brain_mask]
    return [entry for entry in labelled if str(entry.brain_mask).endswith("_brain.nii.gz")][:limit]


def collect(
    model: Model,
    entries: list[Entry],
    shapes: dict[str, np.ndarray],
    out: Path,
    settings: RunSettings,
    others: list[Case] | None = None,
) -> list[dict[str, Any]]:
    """Look at every case that is not in `out/scans.jsonl` yet; returns all rows."""
    maps = out / "maps"
    maps.mkdir(parents=True, exist_ok=True)
    path = out / "scans.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    done = {(row["subject"], row["condition"]) for row in rows}
    wanted = itertools.chain.from_iterable([*(cases(entry, shapes) for entry in entries), others or []])
    total = len(entries) * (1 + len(ARTIFACTS) + len(LESIONS)) + len(others or [])
    with open(path, "a") as lines:
        for case in track(wanted, "scans", total=total):
            if (case.name, case.condition) not in done:
                rows.append(look(case, model, settings, maps))
                lines.write(json.dumps(rows[-1]) + "\n")
                lines.flush()
    return rows


def interval(values: list[float], digits: int = 2, scale: float = 1.0) -> str:
    """Mean with its 95 % bootstrap interval."""
    if len(values) < 2:
        return "–"
    found = bootstrap_interval(scale * np.asarray(values), np.random.default_rng(0))
    return f"{found.mean:.{digits}f} ({found.low:.{digits}f}–{found.high:.{digits}f})"


def shared_dice(kind: str, key: str, maps: Path, rows: list[dict[str, Any]]) -> list[float]:
    """Dice of every scan at the one threshold that is best over all of them, as the papers' tables have it."""
    stored = [np.load(maps / f"{row['subject']}-{kind}.npz") for row in rows if row["condition"] == kind]
    values, lesions = [entry[key] for entry in stored], [entry["lesion"] for entry in stored]
    return list(best_shared_threshold(values, lesions, [np.ones_like(lesion) for lesion in lesions]).dice)


def described(model: Model) -> str:
    """The model's operating point in words."""
    point = model.calibration["operating_point"]
    return ", ".join(f"{name.replace('_', ' ')} {value:.3g}" for name, value in point.items())


def table(rows: list[dict[str, Any]], maps: Path, model: Model, arguments: argparse.Namespace) -> str:
    """The results as Markdown."""
    by = {row["condition"]: [] for row in rows}
    for row in rows:
        by[row["condition"]].append(row)
    clean = by["clean"]
    lines = [
        f"Model `{model.name}` {model.card['version']}, {described(model)}; data: `ixi-t1` split "
        f"`{arguments.split}`, {len(clean)} scans, label-derived brain masks; seed {arguments.seed}; "
        f"{platform.machine()}, {model.runtime.description}. "
        "Means with 95 % bootstrap intervals over scans.",
        "",
        "**Detection of spoiled scans and of scans with a lesion** (AUROC of each score against the same scans clean)",
        "",
        "| condition | mask size | mean error | profile distance |",
        "|---|---|---|---|",
    ]
    means: dict[str, list[float]] = {score: [] for score in SCORES}
    for condition in (*ARTIFACTS, *LESIONS):
        cells = []
        for score in SCORES:
            value = auroc([row[score] for row in clean], [row[score] for row in by[condition]])
            cells.append(f"{value:.3f}")
            if condition in ARTIFACTS:
                means[score].append(value)
        lines.append(f"| {condition.replace('_', ' ')} | " + " | ".join(cells) + " |")
    lines.append("| **mean over artifacts** | " + " | ".join(f"**{np.mean(means[s]):.3f}**" for s in SCORES) + " |")
    lines += [
        "",
        "**Inserted lesions** (Dice; *label-free* is the mask a user gets, *best threshold* looks at the labels)",
        "",
        "| lesion | label-free | best shared threshold | best threshold per scan | intensity, best shared | "
        "intensity, best per scan |",
        "|---|---|---|---|---|---|",
    ]
    for kind in LESIONS:
        entries = [
            interval([row["dice"] for row in by[kind]]),
            interval(shared_dice(kind, "error", maps, rows)),
            interval([row["best_dice"] for row in by[kind]]),
            interval(shared_dice(kind, "intensity", maps, rows)),
            interval([row["intensity_best_dice"] for row in by[kind]]),
        ]
        lines.append(f"| {kind} | " + " | ".join(entries) + " |")
    pair = by["dark"] + by["bright"]
    lines.append(
        f"| **dark and bright** | {interval([row['dice'] for row in pair])} | | "
        f"{interval([row['best_dice'] for row in pair])} | | {interval([row['intensity_best_dice'] for row in pair])} |"
    )
    lines += ["", "**Anomaly volume on healthy scans** (share of the brain, %)", ""]
    lines += ["| data | scans | median | 95th percentile | verdict within the healthy range |", "|---|---|---|---|---|"]
    for condition, label in (("clean", f"ixi-t1 {arguments.split}"), ("oasis", "oasis-t1 (another scanner, 1 mm)")):
        if condition in by:
            sizes = 100 * np.array([row["anomaly_fraction"] for row in by[condition]])
            within = sum(row["verdict"].startswith("within") for row in by[condition])
            lines.append(
                f"| {label} | {len(sizes)} | {np.median(sizes):.2f} | {np.percentile(sizes, 95):.2f} | "
                f"{within} of {len(sizes)} |"
            )
    return "\n".join(lines) + "\n"


def write_into(path: Path, text: str, marks: tuple[str, str] = RESULTS_MARKS) -> None:
    """Replace what stands between the marks."""
    start, end = marks
    before, _, rest = path.read_text().partition(start)
    _, _, after = rest.partition(end)
    path.write_text(f"{before}{start}\n{text}{end}{after}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", type=Path, required=True)
    parser.add_argument("--shapes", type=Path, required=True)
    parser.add_argument("--oasis", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--write", type=Path, help="Markdown file with the marks of this table")
    parser.add_argument("--model", default="t1w-2mm")
    parser.add_argument("--split", default="test", choices=("val", "test"))
    parser.add_argument("--limit", type=int)
    parser.add_argument("--gamma", type=float)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    model = load_model(arguments.model)
    entries = entries_of(arguments.table, arguments.split, arguments.limit)
    files = sorted(arguments.oasis.glob("*_T1w.nii.gz")) if arguments.oasis else []
    others = [Case(file.name.split("_")[0], "oasis", read_scan(file)) for file in files]
    settings = RunSettings(seed=arguments.seed, gamma=arguments.gamma)
    rows = collect(model, entries, load_shapes(arguments.shapes), arguments.out, settings, others)
    text = table(rows, arguments.out / "maps", model, arguments)
    print(text)
    if arguments.write:
        write_into(arguments.write, text)


if __name__ == "__main__":
    main()
