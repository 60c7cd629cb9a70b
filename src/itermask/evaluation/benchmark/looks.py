"""Runs a plan: every method looks at every scan in every condition that a protocol needs, once.

One JSON line a look in `scans.jsonl`, error maps of scans with a label in `maps/`; a run that was interrupted goes on
where it stopped. A look's line carries a digest of the model, so that another model's results are never taken for it.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from itermask.datasets import Case, read_dataset
from itermask.errors import InputError
from itermask.evaluation.benchmark.conditions import AS_IS, Condition, conditions_of, spoil
from itermask.evaluation.benchmark.plan import DataSpec, Plan, sequence_of
from itermask.evaluation.benchmark.slices import as_slice_row, largest_slice, lesion_free, slice_metrics
from itermask.evaluation.metrics import scan_metrics
from itermask.finding import Finding
from itermask.io.nifti import read_mask, read_scan
from itermask.lesions import load_shapes
from itermask.models.folder import CARD, WEIGHTS, Model, find_model, load_model
from itermask.pipeline import RunSettings, run
from itermask.prepare.brain import with_brain
from itermask.scan import Scan

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
    """

    data: DataSpec
    case: Case
    conditions: tuple[Condition, ...]
    shapes: Path | None

    @property
    def name(self) -> str:
        """Subject and session."""
        return " ".join(filter(None, (self.case.subject, self.case.session)))


def subjects_of(plan: Plan) -> list[Subject]:
    """Every scan of a plan with all conditions that any protocol needs, each once.

    Raises:
        InputError: data that cannot be read, or hold no case of the split with the sequence.
    """
    found = []
    for spec in plan.data:
        wanting = [p for p in plan.protocols if spec.name in (*p.data, *p.spoiled)]
        for number, case in enumerate(cases_of(plan, spec)):
            wanted = [p for p in wanting if not p.limit or number < p.limit]
            conditions = dict.fromkeys(condition for p in wanted for condition in conditions_of(p))
            shapes = next((plan.path(p.shapes) for p in wanted if p.shapes), None)
            if conditions:
                found.append(Subject(spec, case, tuple(conditions), shapes))
    return found


def cases_of(plan: Plan, spec: DataSpec) -> list[Case]:
    """A data set's cases: of its split, with its sequence."""
    sequence = sequence_of(spec)
    cases = [
        case
        for case in read_dataset(plan.path(spec.root), spec.kind)
        if sequence in case.paths and spec.split in ("", case.split)
    ]
    if not cases:
        split = f" in split {spec.split}" if spec.split else ""
        raise InputError(f"{plan.path(spec.root)}: no {sequence} scan{split}; mend data {spec.name!r}")
    return cases[: spec.limit or None]


def digest(folder: Path) -> str:
    """Which model this is: its weights, its settings and its calibration."""
    content = hashlib.sha256((folder / WEIGHTS).read_bytes())
    content.update((folder / CARD).read_bytes())
    return content.hexdigest()[:12]


def rows_in(out: Path) -> list[Row]:
    """All finished looks in a benchmark's folder; a last line that was cut off is dropped."""
    rows = []
    for path in sorted(out.glob("scans*.jsonl")):
        for line in path.read_text().splitlines():
            try:
                rows.append(json.loads(line))
            except ValueError:
                continue
    return rows


def key_of(row: Mapping[str, Any]) -> tuple[str, ...]:
    """What makes a look the same as another."""
    return tuple(str(row[key]) for key in ("method", "model", "sensitivity", "data", "subject", "condition", "seed"))


def look_at_all(
    plan: Plan, out: Path, part: tuple[int, int] = (1, 1), device: str = "auto", report: Report | None = None
) -> list[Row]:
    """Do what is not done yet.

    A scan that cannot be looked at is a line with its `problem`, and the rest goes on; it is tried again next time.

    Args:
        plan: what to do.
        out: the benchmark's folder.
        part: (k, n): only every n-th scan, from the k-th; for several processes or machines side by side.
        device: `auto`, `cpu`, `cuda` or `mps`.
        report: called with (what, share done).

    Returns:
        the looks of this plan that are finished, of all parts, and the problems of this run.

    Raises:
        InputError: data or models that cannot be used at all.
    """
    (out / "maps").mkdir(parents=True, exist_ok=True)
    subjects = subjects_of(plan)
    found_models = {spec.name: _find(plan, spec.model) for spec in plan.methods}
    wanted = {
        (
            spec.name,
            digest(found_models[spec.name]),
            str(spec.sensitivity),
            s.data.name,
            s.name,
            c.words,
            str(plan.seed),
        )
        for spec in plan.methods
        for s in subjects
        for c in s.conditions
    }
    rows = {key_of(row): row for row in rows_in(out) if key_of(row) in wanted and "problem" not in row}
    number, parts = part
    path = out / ("scans.jsonl" if parts == 1 else f"scans-{number}of{parts}.jsonl")
    mine = subjects[number - 1 :: parts]
    problems = []
    _end_line(path)
    with open(path, "a") as lines:
        for spec in plan.methods:
            model = load_model(found_models[spec.name], device=device)
            mark = {"method": spec.name, "model": digest(found_models[spec.name]), "sensitivity": spec.sensitivity}
            settings = RunSettings(seed=plan.seed, sensitivity=spec.sensitivity)
            for count, subject in enumerate(mine):
                for row in _looks(subject, model, settings, mark | {"seed": plan.seed}, rows, out):
                    if "problem" in row:
                        problems.append(row)
                        continue
                    rows[key_of(row)] = row
                    lines.write(json.dumps(row) + "\n")
                    lines.flush()
                if report is not None:
                    report(spec.name, (count + 1) / len(mine))
    return [*rows.values(), *problems]


def _find(plan: Plan, name: str) -> Path:
    """A model's folder: relative to the settings file, or bundled."""
    beside = plan.path(name)
    return beside if (beside / CARD).is_file() else find_model(name, None)


def _end_line(path: Path) -> None:
    """End a last line that an interrupted run has left open."""
    if path.exists() and (content := path.read_bytes()) and not content.endswith(b"\n"):
        path.write_bytes(content + b"\n")


def _looks(
    subject: Subject, model: Model, settings: RunSettings, mark: Row, done: Mapping[tuple[str, ...], Row], out: Path
) -> Iterator[Row]:
    """One method's looks at one scan, as far as they are not done."""
    about = mark | {"data": subject.data.name, "subject": subject.name}
    todo = [c for c in subject.conditions if key_of(about | {"condition": c.words}) not in done]
    if not todo:
        return
    try:
        scan, label = _read(subject)
        shapes = load_shapes(subject.shapes) if subject.shapes else {}
    except (InputError, ValueError) as error:
        yield from (about | {"condition": c.words, "problem": str(error)} for c in todo)
        return
    for condition in todo:
        row = about | {
            "condition": condition.words,
            "kind": condition.kind,
            "name": condition.name,
            "amount": condition.amount,
            "group": dict(subject.case.group),
        }
        try:
            spoiled, lesion = spoil(scan, condition, subject.name, shapes, settings.seed)
            lesion = label if condition == AS_IS else lesion
            finding = run(spoiled, model, settings)
            row |= measured(spoiled, finding, lesion)
            if lesion is not None:
                save_map(map_path(out, row), finding, lesion)
                part = largest_slice(spoiled, finding, lesion)
                if part is not None:
                    row["slice"] = _rounded(slice_metrics(part))
                    save_map(map_path(out, as_slice_row(row)), part.finding, part.lesion)
                row["lesion_free"] = _rounded(lesion_free(spoiled, finding, lesion))
            yield row
        except (InputError, ValueError) as error:
            yield row | {"problem": str(error)}


def _read(subject: Subject) -> tuple[Scan, np.ndarray | None]:
    """A scan with its brain mask, and its lesion map if it has one (an empty map means no lesion)."""
    case = subject.case
    scan = read_scan(case.paths[sequence_of(subject.data)], sequence_of(subject.data), case.brain_mask)
    scan, _ = with_brain(replace(scan, name=subject.name))
    return scan, None if case.lesion is None else read_mask(case.lesion, scan.image.shape, scan.affine, empty=True)


def measured(scan: Scan, finding: Finding, lesion: np.ndarray | None) -> Row:
    """What is kept of one look: scores, and the metrics where it is known what is not normal."""
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
        row["metrics"] = _rounded(found)
    return row


def _rounded(found: Mapping[str, float]) -> dict[str, float]:
    """The numbers that are defined, to six digits."""
    return {name: float(f"{value:.6g}") for name, value in found.items() if np.isfinite(value)}


def map_path(out: Path, row: Mapping[str, Any]) -> Path:
    """Where the error map of a look lies."""
    name = hashlib.sha256("/".join(key_of(row)).encode()).hexdigest()[:20]
    return out / "maps" / f"{name}.npz"


def save_map(path: Path, finding: Finding, lesion: np.ndarray) -> None:
    """Keep what the best shared threshold needs: brain errors, their labels, and label voxels outside the brain."""
    partial = path.with_name(f".{path.name}.part")
    with open(partial, "wb") as target:
        np.savez_compressed(
            target,
            error=finding.error[finding.brain].astype(np.float32),
            label=lesion[finding.brain],
            outside=int((lesion & ~finding.brain).sum()),
        )
    os.replace(partial, path)
