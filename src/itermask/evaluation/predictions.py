"""What to evaluate: from folders of predictions and labels, or from a table."""

import csv
import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from itermask.errors import InputError
from itermask.evaluation.pairs import RUN_MASK, Item, find_items, pair
from itermask.io.names import subject_of

TABLE_ENDINGS = (".tsv", ".csv")
FILE_COLUMNS = {"brain": "brain_mask", "error": "error", "reconstruction": "reconstruction", "image": "image"}
COLUMNS = ("prediction", "label", *FILE_COLUMNS.values(), "group", "score", "name", "participant_id")


@dataclass(frozen=True)
class PredictedScan:
    """The files of one scan.

    Attributes:
        name: what reports call it.
        prediction: what was given as its prediction: a file, or a folder written by `itermask run`.
        label: mask of what is to be found; empty for a healthy scan.
        mask: predicted mask, or None.
        error: error map, or None.
        brain: brain mask, or None.
        reconstruction: what the model expected, or None.
        image: the scan, or None.
        group: group of the summary, or empty.
        score: scan-level score; NaN if there is none.
        problem: why it cannot be evaluated, or empty.
        person: whose scan it is, where a table says so.
    """

    name: str
    prediction: Path
    label: Path
    mask: Path | None = None
    error: Path | None = None
    brain: Path | None = None
    reconstruction: Path | None = None
    image: Path | None = None
    group: str = ""
    score: float = float("nan")
    problem: str = ""
    person: str = ""

    @property
    def subject(self) -> str:
        """Whose scan it is: as the table says, else as a BIDS name or folder does, else this scan's own name."""
        return (
            self.person or subject_of(self.name) or subject_of(self.prediction) or subject_of(self.label) or self.name
        )


@dataclass(frozen=True)
class PredictedScans:
    """Scans to evaluate, and what was left over.

    Attributes:
        scans: in the order of their names, or of the table.
        lone_predictions: name of each prediction without a label, and the reason.
        lone_labels: names of files among the labels that pair with no prediction.
    """

    scans: list[PredictedScan]
    lone_predictions: list[tuple[str, str]] = field(default_factory=list)
    lone_labels: list[str] = field(default_factory=list)


def find_predictions(
    predictions: Path,
    labels: Path | None = None,
    maps: bool = False,
    brain_mask: Path | None = None,
    images: Path | None = None,
) -> PredictedScans:
    """Return the scans of a table, or of a folder (or file) of predictions and one of labels.

    Args:
        predictions: table (`.tsv`, `.csv`), NIfTI file, `itermask run` folder, or folder of such.
        labels: NIfTI file or folder; None with a table.
        maps: predictions are continuous maps, not masks. `itermask run` folders have both.
        brain_mask: one file for all scans, or a folder to pair by name.
        images: the scans themselves, a file or a folder to pair by name.

    Raises:
        InputError: something is not there, a table without the needed columns, or nothing pairs.
    """
    if predictions.suffix.lower() in TABLE_ENDINGS:
        if labels is not None or images is not None:
            raise InputError(f"{predictions}: a table names labels and images itself; leave LABELS and --images away")
        return _from_table(predictions, maps, brain_mask)
    if labels is None:
        raise InputError(f"{predictions}: LABELS is missing; give a folder or file of labels, or a table")
    items, others = _apart(predictions, labels)
    partners: dict[Item, Item] = {}
    reasons: dict[Item, str] = {}
    if items[0].path == predictions and labels.is_file():
        partners = {items[0]: others[0]}
    else:
        partners, reasons = pair(items, others, "label")
    if not partners:
        item, reason = next(iter(reasons.items()))
        more = f", and {len(reasons) - 1} more like it" if len(reasons) > 1 else ""
        raise InputError(
            f"{predictions} and {labels}: nothing pairs by name ({item.name}: {reason}{more}); "
            "give both the same names, or a table with the columns prediction and label"
        )
    given_extras = (("brain", brain_mask), ("image", images))
    extras = [(role, given, *_extra(given, role, list(partners))) for role, given in given_extras if given is not None]
    scans = []
    for item, other in partners.items():
        files, problem = _files(item.path, maps), ""
        for role, given, found, missing in extras:
            if item in found:
                files[role] = found[item]
            else:
                problem = problem or f"{given}: {missing[item]}"
        scans.append(PredictedScan(item.name, item.path, other.path, score=_score(item.path), problem=problem, **files))
    taken = {other.path for other in partners.values()}
    return PredictedScans(
        sorted(scans, key=lambda scan: scan.name),
        [(item.name, reason) for item, reason in reasons.items()],
        [other.name for other in others if other.path not in taken],
    )


def _apart(predictions: Path, labels: Path) -> tuple[list[Item], list[Item]]:
    """Return what there is of either; where one folder lies in the other, its files are not the other's too.

    Raises:
        InputError: nothing there, or both are the same.
    """
    items, others = find_items(predictions), [item for item in find_items(labels) if not item.path.is_dir()]
    here, there = predictions.resolve(), labels.resolve()
    if here == there:
        raise InputError(f"{predictions}: is given as predictions and as labels; keep them apart, or give a table")
    if here in there.parents:
        items = [item for item in items if not (here / item.path.relative_to(predictions)).is_relative_to(there)]
    if there in here.parents:
        others = [item for item in others if not (there / item.path.relative_to(labels)).is_relative_to(here)]
    for root, found in ((predictions, items), (labels, others)):
        if not found:
            raise InputError(f"{root}: no NIfTI file of its own in it")
    return items, others


def _extra(given: Path, role: str, items: list[Item]) -> tuple[dict[Item, Path], dict[Item, str]]:
    """Return the brain mask or image of each prediction (one file serves all), and why others have none."""
    others = [item for item in find_items(given) if not item.path.is_dir()]
    if given.is_file():
        return dict.fromkeys(items, given), {}
    found, reasons = pair(items, others, role)
    return {item: other.path for item, other in found.items()}, reasons


def _files(prediction: Path, maps: bool) -> dict[str, Any]:
    """Return the files of a prediction by role."""
    if not prediction.is_dir():
        return {"error" if maps else "mask": prediction}
    roles = {
        "mask": RUN_MASK,
        "error": "error.nii.gz",
        "brain": "brain.nii.gz",
        "reconstruction": "reconstruction.nii.gz",
    }
    return {role: prediction / name for role, name in roles.items() if (prediction / name).is_file()}


def _score(prediction: Path) -> float:
    """Return the score in a run folder's `finding.json`; NaN where there is none."""
    try:
        value = json.loads((prediction / "finding.json").read_text())["score"]
        return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else float("nan")
    except (OSError, ValueError, KeyError, TypeError):
        return float("nan")


def _from_table(table: Path, maps: bool, brain_mask: Path | None) -> PredictedScans:
    """Return one scan a row; paths may be relative to the table."""
    if brain_mask is not None and brain_mask.is_dir():
        raise InputError(f"{brain_mask}: with a table, give one brain mask for all, or a column brain_mask")
    try:
        with open(table, newline="", encoding="utf-8-sig") as source:
            rows = list(csv.DictReader(source, delimiter="," if table.suffix.lower() == ".csv" else "\t"))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{table}: not a readable table ({' '.join(str(error).split())})") from error
    if not rows or not {"prediction", "label"} <= set(rows[0]):
        raise InputError(f"{table}: a table with the columns prediction and label is needed")
    return PredictedScans(
        [_from_row(row, f"{table}: line {line}", table.parent, maps, brain_mask) for line, row in enumerate(rows, 2)]
    )


def _from_row(row: dict[str, Any], where: str, folder: Path, maps: bool, brain_mask: Path | None) -> PredictedScan:
    """Return one scan of a table."""
    texts = {column: (row.get(column) or "").strip() for column in COLUMNS}
    given = {column: text for column, text in texts.items() if text not in ("", "n/a")}
    problem = "" if {"prediction", "label"} <= set(given) else f"{where}: prediction or label is missing"
    prediction = folder / given.get("prediction", "")
    files = _files(prediction, maps) | ({} if brain_mask is None else {"brain": brain_mask})
    files |= {role: folder / given[column] for role, column in FILE_COLUMNS.items() if column in given}
    try:
        score = float(given["score"]) if "score" in given else _score(prediction)
    except ValueError:
        score, problem = float("nan"), problem or f"{where}: score {given['score']!r} is no number"
    name = given.get("name") or given.get("prediction") or where
    label = folder / given.get("label", "")
    person, group = given.get("participant_id", ""), given.get("group", "")
    return PredictedScan(name, prediction, label, group=group, score=score, problem=problem, person=person, **files)
