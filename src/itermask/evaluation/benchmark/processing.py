"""Runs a plan: every method processes every scan in every condition that a protocol needs, once.

One JSON line a run in `scans.jsonl`, error maps of scans with a label in `maps/`; a run that was interrupted goes on
where it stopped. A run's line carries a digest of the model, so that another model's results are never taken for it.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from itermask.errors import InputError
from itermask.evaluation.benchmark.conditions import AS_IS, Condition, conditions_for, corrupt_scan
from itermask.evaluation.benchmark.maps import has_map, rounded, save_map
from itermask.evaluation.benchmark.models import Models
from itermask.evaluation.benchmark.plan import DataSpec, MethodSpec, Plan, sequence_of
from itermask.evaluation.benchmark.slices import as_slice_row, largest_slice, lesion_free, slice_metrics
from itermask.evaluation.metrics.scan import scan_metrics
from itermask.io.datasets import Case, read_dataset
from itermask.io.nifti import read_mask, read_scan
from itermask.models.folder import Model
from itermask.pipeline import RunSettings, analyze
from itermask.prepare.brain import with_brain
from itermask.synth.lesions import load_shapes
from itermask.types import Finding, Scan, top_axis

Row = dict[str, Any]
Report = Callable[[str, float], None]


@dataclass(frozen=True)
class Subject:
    """One scan of the plan, and what the protocols want of it.

    Attributes:
        data: whose it is.
        case: its files.
        conditions: what is to be done to it, in the plan's order.
        shapes: file of lesion outlines; None if no lesion is inserted.
        maps: whether its maps are kept without a lesion too, as a protocol takes its healthy brain for a measure.
    """

    data: DataSpec
    case: Case
    conditions: tuple[Condition, ...]
    shapes: Path | None
    maps: bool = False

    @property
    def name(self) -> str:
        """Subject and session."""
        return " ".join(filter(None, (self.case.subject, self.case.session)))


def subjects_of(plan: Plan) -> list[Subject]:
    """Return every scan of a plan with all conditions that any protocol needs, each once.

    Raises:
        InputError: data that cannot be read, or hold no case of the split with the sequence.
    """
    found = []
    for spec in plan.data:
        wanting = [p for p in plan.protocols if spec.name in (*p.data, *p.healthy, *p.corrupted)]
        for number, case in enumerate(cases_of(plan, spec)):
            wanted = [p for p in wanting if not p.limit or number < p.limit]
            conditions = dict.fromkeys(condition for p in wanted for condition in conditions_for(p, spec.name))
            shapes = next((plan.path(p.shapes) for p in wanted if p.shapes), None)
            if conditions:
                maps = any(p.kind == "matched" for p in wanted)
                found.append(Subject(spec, case, tuple(conditions), shapes, maps))
    return found


def keeps(subject: Subject, condition: Condition) -> bool:
    """Return whether a run's map is kept though there may be no lesion in it."""
    return subject.maps and condition.kind != "artifact"


def cases_of(plan: Plan, spec: DataSpec) -> list[Case]:
    """Return a data set's cases: of its split, with its sequence."""
    sequence = sequence_of(spec)
    cases = [
        case
        for case in read_dataset(plan.path(spec.root), spec.kind)
        if sequence in case.paths and spec.split in ("", case.split)
    ]
    if not cases:
        split = f" in split {spec.split}" if spec.split else ""
        raise InputError(f"{plan.path(spec.root)}: no {sequence} scan{split}; check data {spec.name!r}")
    return cases[: spec.limit or None]


def rows_in(out: Path) -> list[Row]:
    """Return all finished runs in a benchmark's folder; a last line that was cut off is dropped.

    Example:
        >>> rows_in(folder)
        []
    """
    rows = []
    for path in sorted(out.glob("scans*.jsonl")):
        for line in path.read_text().splitlines():
            try:
                rows.append(json.loads(line))
            except ValueError:
                continue
    return rows


def key_of(row: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what makes two analyses the same."""
    return tuple(str(row[key]) for key in ("method", "model", "sensitivity", "data", "subject", "condition", "seed"))


def process_all(
    plan: Plan, out: Path, part: tuple[int, int] = (1, 1), device: str = "auto", report: Report | None = None
) -> list[Row]:
    """Do what is not done yet.

    A scan that cannot be processed is a line with its `problem`, and the rest goes on; it is tried again next time.

    Args:
        plan: what to do.
        out: the benchmark's folder.
        part: (k, n): only every n-th scan, from the k-th; for several processes or machines side by side.
        device: `auto`, `cpu`, `cuda` or `mps`.
        report: called with (what, share done).

    Returns:
        the runs of this plan that are finished, of all parts, and the problems of this run.

    Raises:
        InputError: data or models that cannot be used at all.
    """
    (out / "maps").mkdir(parents=True, exist_ok=True)
    subjects = subjects_of(plan)
    models = Models(plan, device)
    wanted: dict[tuple[str, ...], bool] = {}  # run → whether its map must be there
    for spec in plan.methods:
        for subject in subjects:
            about = _mark(plan, spec, models) | {"data": subject.data.name, "subject": subject.name}
            if spec.processes(subject.data.name):
                wanted |= {key_of(about | {"condition": c.label}): keeps(subject, c) for c in subject.conditions}
    rows = {}
    for row in rows_in(out):
        key = key_of(row)
        if key in wanted and "problem" not in row and (not wanted[key] or has_map(map_path(out, row))):
            rows[key] = row
    number, parts = part
    path = out / ("scans.jsonl" if parts == 1 else f"scans-{number}of{parts}.jsonl")
    mine = subjects[number - 1 :: parts]
    problems = []
    _end_line(path)
    with open(path, "a") as lines:
        for spec in plan.methods:
            settings = RunSettings(seed=plan.seed, sensitivity=spec.sensitivity)
            seen = [subject for subject in mine if spec.processes(subject.data.name)]
            for count, subject in enumerate(seen):
                model = models.model(spec, sequence_of(subject.data))
                for row in _process_subject(subject, model, settings, _mark(plan, spec, models), rows, out):
                    if "problem" in row:
                        problems.append(row)
                        continue
                    rows[key_of(row)] = row
                    lines.write(json.dumps(row) + "\n")
                    lines.flush()
                if report is not None:
                    report(spec.name, (count + 1) / len(seen))
    return [*rows.values(), *problems]


def _mark(plan: Plan, spec: MethodSpec, models: Models) -> Row:
    """Return by what a method's runs are known."""
    digest = models.digests[spec.name]
    return {"method": spec.name, "model": digest, "sensitivity": spec.sensitivity, "seed": plan.seed}


def _end_line(path: Path) -> None:
    """End a last line that an interrupted run has left open."""
    if path.exists() and (content := path.read_bytes()) and not content.endswith(b"\n"):
        path.write_bytes(content + b"\n")


def _process_subject(
    subject: Subject, model: Model, settings: RunSettings, mark: Row, done: Mapping[tuple[str, ...], Row], out: Path
) -> Iterator[Row]:
    """Yield one method's runs on one scan, as far as they are not done."""
    about = mark | {"data": subject.data.name, "subject": subject.name}
    todo = [c for c in subject.conditions if key_of(about | {"condition": c.label}) not in done]
    if not todo:
        return
    try:
        scan, label = _read(subject)
        shapes = load_shapes(subject.shapes) if subject.shapes else {}
    except (InputError, ValueError) as error:
        yield from (about | {"condition": c.label, "problem": str(error)} for c in todo)
        return
    for condition in todo:
        row = about | {
            "condition": condition.label,
            "kind": condition.kind,
            "name": condition.name,
            "amount": condition.amount,
            "group": dict(subject.case.group),
        }
        try:
            corrupted, lesion = corrupt_scan(scan, condition, subject.name, shapes, settings.seed)
            lesion = label if condition == AS_IS else lesion
            finding = analyze(corrupted, model, settings)
            row |= measured(corrupted, finding, lesion)
            up, _ = top_axis(scan)
            if lesion is None and keeps(subject, condition):
                save_map(map_path(out, row), finding, np.zeros(finding.brain.shape, dtype=bool), scan.spacing, up)
            if lesion is not None:
                save_map(map_path(out, row), finding, lesion, scan.spacing, up)
                part = largest_slice(corrupted, finding, lesion)
                if part is not None:
                    row["slice"] = rounded(slice_metrics(part))
                    save_map(map_path(out, as_slice_row(row)), part.finding, part.lesion, scan.spacing, up)
                row["lesion_free"] = rounded(lesion_free(corrupted, finding, lesion))
            yield row
        except (InputError, ValueError) as error:
            yield row | {"problem": str(error)}


def _read(subject: Subject) -> tuple[Scan, np.ndarray | None]:
    """Return a scan with its brain mask, and its lesion map if it has one (an empty map means no lesion)."""
    case = subject.case
    scan = read_scan(case.paths[sequence_of(subject.data)], sequence_of(subject.data), case.brain_mask)
    scan, _ = with_brain(replace(scan, name=subject.name))
    return scan, None if case.lesion is None else read_mask(case.lesion, scan.image.shape, scan.affine, empty=True)


def measured(scan: Scan, finding: Finding, lesion: np.ndarray | None) -> Row:
    """Return what is kept of one run: scores, and the metrics where it is known what is not normal."""
    row: Row = {
        "verdict": finding.verdict,
        "default_score": finding.search["default_score"],
        "scores": {name: score["value"] for name, score in finding.scores.items()},
        "anomaly_share": finding.anomaly_fraction,
        "anomaly_ml": float(finding.anomaly.sum() * np.prod(scan.spacing) / 1000),
        "threshold": finding.threshold,
        "seconds": finding.timings["detect"],
    }
    if lesion is not None:
        found = scan_metrics(
            finding.anomaly, lesion, finding.brain, scan.spacing, finding.error, finding.reconstruction, scan.image
        )
        row["metrics"] = rounded(found)
    return row


def map_path(out: Path, row: Mapping[str, Any]) -> Path:
    """Return where the error map of a run lies."""
    name = hashlib.sha256("/".join(key_of(row)).encode()).hexdigest()[:20]
    return out / "maps" / f"{name}.npz"
