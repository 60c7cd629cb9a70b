"""Predictions on files against labels on files: one row a scan, and what they come to. No model is needed."""

import csv
import io
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from itermask import __version__
from itermask.errors import InputError, MissingExtraError
from itermask.evaluation.metrics.lesionwise import match_lesions
from itermask.evaluation.metrics.scan import MAP_METRICS, MASK_METRICS, SIMILARITY_METRICS, scan_metrics
from itermask.evaluation.metrics.sizes import size_groups
from itermask.evaluation.metrics.thresholds import RankedErrors, rank_errors, shared_threshold
from itermask.evaluation.predictions import PredictedScan, PredictedScans, find_predictions
from itermask.evaluation.summary import (
    markdown,
    summarise,
    summarise_detection,
    summarise_groups,
    summarise_lesions,
    summarise_sizes,
)
from itermask.evaluation.volumes import Volume, as_mask, check_same_grid, read_volume
from itermask.io.result_folder import check_folder, expect, locked

SIZE_LIMITS = (1.0, 10.0)  # mL
METRICS = ("label_ml", *MASK_METRICS, *MAP_METRICS, "best_shared_threshold_dice", *SIMILARITY_METRICS)
WRITTEN = ("metrics.tsv", "summary.json", "summary.md")
WAIT = 60.0  # seconds until another evaluation into the same folder must have ended
Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class Evaluation:
    """What came out.

    Attributes:
        rows: one a scan, in order: `scan`, `subject`, `group`, `prediction`, `label`, `problem` (empty if all is well),
            `score` and the metrics that its files allow.
        summary: as `summary.json` has it.
    """

    rows: list[dict[str, Any]]
    summary: dict[str, Any]

    @property
    def failed(self) -> list[tuple[str, str]]:
        """Scan and reason, for each that could not be evaluated."""
        return [(row["scan"], row["problem"]) for row in self.rows if row["problem"]]


@dataclass(frozen=True)
class _Measured:
    """One scan's numbers, and what is needed of it later."""

    values: dict[str, float]
    ranked: RankedErrors | None
    volumes: np.ndarray
    detected: np.ndarray


def evaluate(
    predictions: Path | str,
    labels: Path | str | None = None,
    maps: bool = False,
    brain_mask: Path | str | None = None,
    images: Path | str | None = None,
    size_limits: Sequence[float] = SIZE_LIMITS,
    seed: int = 0,
    progress: Progress | None = None,
) -> Evaluation:
    """Compare predictions with labels.

    Files of one scan must lie on one grid; they may be stored in different axis order. Nothing is resampled.
    A scan that cannot be evaluated gets a row with its `problem`, and the others go on.

    Args:
        predictions: NIfTI file, folder of such, `itermask run` folder or folder of such, or a table (`.tsv`, `.csv`)
            with the columns prediction, label and optionally brain_mask, error, reconstruction, image, group, score,
            name and participant_id, with paths relative to it.
        labels: file or folder, paired by name; None with a table. A voxel above 0 is labelled.
        maps: predictions are continuous maps, higher where there is more to find; not masks.
        brain_mask: one for all, or a folder to pair by name; goes before a run folder's own.
        images: the scans, for similarity on normal tissue; file or folder.
        size_limits: rising volumes in mL that part scans, and lesions, into groups.
        seed: of the bootstrap intervals.
        progress: called with (scan, share done).

    Returns:
        rows and summary.

    Raises:
        InputError: nothing there, nothing pairs, a malformed table, bad size limits or a negative seed.
        MissingExtraError: maps or reconstructions are given and their library is not installed.

    Example:
        >>> import nibabel as nib
        >>> label = nib.Nifti1Image(scan.brain_mask.astype(np.uint8), scan.affine)
        >>> for name in ("predictions", "labels"):
        ...     (folder / name).mkdir()
        ...     nib.save(label, folder / name / "sub-01.nii.gz")
        ...
        >>> evaluation = evaluate(folder / "predictions", folder / "labels")
        >>> evaluation.rows[0]["dice"]
        1.0
    """
    try:
        size_groups(size_limits)
    except ValueError as error:
        raise InputError(f"--size-limits: {error}") from error
    if seed < 0:
        raise InputError(f"--seed {seed}: it must not be negative")
    paths = [None if path is None else Path(path) for path in (labels, brain_mask, images)]
    cases = find_predictions(Path(predictions), paths[0], maps, paths[1], paths[2])
    rows, done = [], []
    for number, case in enumerate(cases.scans):
        if progress is not None:
            progress(case.name, number / len(cases.scans))
        row = {
            "scan": case.name,
            "subject": case.subject,
            "group": case.group,
            "prediction": str(case.prediction),
            "label": str(case.label),
            "problem": "",
            "score": case.score,
        }
        rows.append(row)
        try:
            measured = _measure(case)
        except MissingExtraError:
            raise
        except InputError as error:
            row["problem"] = str(error)
        except Exception as error:  # one bad scan never stops the rest
            row["problem"] = f"{case.name}: {' '.join(str(error).split()) or type(error).__name__}"
        else:
            row |= measured.values
            done.append((row, measured))
    return Evaluation(rows, _summarise(rows, done, cases, size_limits, seed))


def write_evaluation(evaluation: Evaluation, out: Path | str) -> Path:
    """Write `metrics.tsv`, `summary.json` and `summary.md`, each under a temporary name first.

    Raises:
        InputError: `out` is a file or cannot be written to.

    Example:
        >>> import nibabel as nib
        >>> mask = nib.Nifti1Image(scan.brain_mask.astype(np.uint8), scan.affine)
        >>> for name in ("prediction", "label"):
        ...     nib.save(mask, folder / f"{name}.nii.gz")
        ...
        >>> evaluation = evaluate(folder / "prediction.nii.gz", folder / "label.nii.gz")
        >>> out = write_evaluation(evaluation, folder / "metrics")
        >>> sorted(path.name for path in out.iterdir())
        ['.itermask.json', 'metrics.tsv', 'summary.json', 'summary.md']
    """
    from itermask.io.outputs import plain

    out = Path(out)
    check_out(out)
    table = io.StringIO()
    columns = list(dict.fromkeys(key for row in evaluation.rows for key in row))
    named = [column for column in columns if column not in METRICS]
    columns = named + [metric for metric in METRICS if metric in columns]
    writer = csv.writer(table, delimiter="\t", lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_text(row.get(column, float("nan"))) for column in columns] for row in evaluation.rows)
    texts = (
        table.getvalue(),
        json.dumps(plain(evaluation.summary), indent=1, allow_nan=False, ensure_ascii=False) + "\n",
        markdown(evaluation.summary),
    )
    try:
        with locked(out, WAIT), TemporaryDirectory(prefix=".part-", dir=out) as part:
            for name, text in zip(WRITTEN, texts, strict=True):
                (Path(part) / name).write_text(text, encoding="utf-8")
            expect(out, Path(part))
            for name in WRITTEN:
                os.replace(Path(part) / name, out / name)
    except OSError as error:
        raise InputError(f"{out}: cannot be written to ({error.strerror})") from error
    return out


def check_out(out: Path, *inputs: Path | None) -> None:
    """Refuse an output folder before any work is done, see `itermask.io.result_folder.check_folder`.

    Raises:
        InputError: it cannot be one, or a result would replace an input or somebody's file.

    Example:
        >>> check_out(folder / "metrics")
    """
    check_folder(out, WRITTEN, inputs)


def _measure(case: PredictedScan) -> _Measured:
    """Read one scan's files and measure all they allow."""
    if case.problem:
        raise InputError(case.problem)
    if case.mask is None and case.error is None:
        raise InputError(f"{case.prediction}: no NIfTI file, and no folder with anomaly.nii.gz; give one of them")
    label_volume = read_volume(case.label)
    label = as_mask(label_volume, "give a label of whole numbers")
    mask = None if case.mask is None else as_mask(_on_grid(case.mask, label_volume), "for maps there is --maps")
    brain = None if case.brain is None else as_mask(_on_grid(case.brain, label_volume), "give a brain mask")
    if brain is not None and not brain.any():
        raise InputError(f"{case.brain}: the brain mask is empty")
    error = None if case.error is None else _on_grid(case.error, label_volume).data
    both = case.reconstruction is not None and case.image is not None
    reconstruction, image = (
        _on_grid(path, label_volume).data if both and path is not None else None
        for path in (case.reconstruction, case.image)
    )
    spacing = label_volume.spacing
    try:
        values = scan_metrics(mask, label, brain, spacing, error, reconstruction, image)
        ranked = None if error is None else rank_errors(error, label, np.ones_like(label) if brain is None else brain)
    except MissingExtraError:
        raise
    except ValueError as problem:
        raise InputError(f"{case.prediction}: {problem}") from problem
    if mask is None:
        return _Measured(values, ranked, np.empty(0), np.empty(0, dtype=bool))
    lesions = match_lesions(mask, label, spacing)
    return _Measured(values, ranked, lesions.volumes, lesions.detected)


def _on_grid(path: Path, label: Volume) -> Volume:
    """Return a file that lies on the label's grid."""
    volume = read_volume(path)
    check_same_grid(volume, label)
    return volume


def _summarise(
    rows: list[dict[str, Any]],
    done: list[tuple[dict[str, Any], _Measured]],
    cases: PredictedScans,
    size_limits: Sequence[float],
    seed: int,
) -> dict[str, Any]:
    """Return the summary; puts `best_shared_threshold_dice` into the rows."""
    summary: dict[str, Any] = {
        "scans": len(done),
        "subjects": len({row["subject"] for row, _ in done}),
        "failed": [[row["scan"], row["problem"]] for row in rows if row["problem"]],
        "predictions_without_label": [list(pair) for pair in cases.lone_predictions],
        "labels_without_prediction": cases.lone_labels,
        "seed": seed,
        "size_limits_ml": list(size_limits),
        "version": __version__,
    }
    with_map = [(row, measured.ranked) for row, measured in done if measured.ranked is not None]
    if with_map:
        shared = shared_threshold([ranked for _, ranked in with_map])
        summary["shared_threshold"] = shared.threshold
        for (row, _), value in zip(with_map, shared.dice, strict=True):
            row["best_shared_threshold_dice"] = float(value)
    good = [row for row, _ in done]
    metrics = [metric for metric in METRICS if any(metric in row for row in good)]
    summary["metrics"] = summarise(good, metrics, seed)
    groups = [row["group"] for row in good]
    summary["groups"] = summarise_groups(good, groups, metrics, seed) if any(groups) else {}
    summary["sizes"] = summarise_sizes(good, metrics, size_limits, seed)
    masks = [measured for row, measured in done if "dice" in row]
    if masks:
        volumes, detected = (np.concatenate([getattr(one, key) for one in masks]) for key in ("volumes", "detected"))
        summary["lesions"] = summarise_lesions(volumes, detected, size_limits)
    summary["detection"] = summarise_detection(good, seed)
    return summary


def _text(value: Any) -> str:
    """Return a table's cell; `n/a` where a number is undefined."""
    if isinstance(value, float):
        return "n/a" if np.isnan(value) else f"{value:.6g}"
    return " ".join(str(value).split())
