"""Which scans to train on: a table file or a BIDS tree."""

import csv
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from itermask.errors import InputError
from itermask.io.names import canonical_sequence, sequence_of

SPLITS = ("train", "val", "test")
VALIDATION_SHARE = 0.1
LEAST_VALIDATION = 4  # subjects that calibration needs


@dataclass(frozen=True)
class Entry:
    """One scan of a data set.

    Attributes:
        path: NIfTI file.
        brain_mask: NIfTI file, or None to find the brain as `itermask run` does.
        split: `train`, `val` or `test`.
        subject: who was scanned; one subject never stands in two splits.
    """

    path: Path
    brain_mask: Path | None
    split: str
    subject: str


def read_data(data: Path, sequence: str, needed: tuple[str, ...] = ("train", "val")) -> list[Entry]:
    """The scans of one sequence in a BIDS tree (a folder) or a table (a `.tsv` or `.csv` file).

    Args:
        data: folder or file.
        sequence: BIDS suffix, such as `T1w`.
        needed: splits that must have a scan.

    Raises:
        InputError: nothing there, a table without the needed columns, a subject in two splits, or a needed
            split without a scan.
    """
    data = Path(data)
    if data.is_dir():
        entries = _read_bids(data, sequence)
    elif data.is_file():
        entries = read_table(data, sequence)
    else:
        raise InputError(f"{data}: no such table or folder")
    splits: dict[str, str] = {}
    for entry in entries:
        if splits.setdefault(entry.subject, entry.split) != entry.split:
            raise InputError(f"{data}: subject {entry.subject} stands in two splits")
    if not entries:
        raise InputError(f"{data}: no {sequence} scan")
    for split in needed:
        if not any(entry.split == split for entry in entries):
            raise InputError(f"{data}: no {sequence} scan in split {split!r}")
    return entries


def read_table(table: Path, sequence: str) -> list[Entry]:
    """Columns: path, split, and optionally brain_mask, participant_id, sequence. Paths may be relative to it."""
    with open(table, newline="") as source:
        rows = list(csv.DictReader(source, delimiter="," if table.suffix == ".csv" else "\t"))
    if not rows or not {"path", "split"} <= set(rows[0]):
        raise InputError(f"{table}: a table with the columns path and split is needed (brain_mask is optional)")
    entries = []
    for number, row in enumerate(rows, start=2):
        named = row.get("sequence")
        if named and canonical_sequence(named) != sequence:
            continue
        if row["split"] not in SPLITS:
            raise InputError(f"{table}: line {number}: split is {row['split']!r}, not one of {', '.join(SPLITS)}")
        path = table.parent / (row["path"] or "")
        mask = table.parent / row["brain_mask"] if row.get("brain_mask") else None
        for file in (path, mask):
            if file is not None and not file.is_file():
                raise InputError(f"{table}: line {number}: no such file {file}")
        entries.append(Entry(path, mask, row["split"], row.get("participant_id") or path.name))
    return entries


def _read_bids(root: Path, sequence: str) -> list[Entry]:
    """`sub-*/[ses-*/]anat/*_<sequence>.nii[.gz]`; masks from `derivatives/*/…_desc-brain_mask.nii.gz`.

    Splits come from the column `split` of `participants.tsv`; without it a tenth of the subjects, chosen by
    a hash of their names, validate.
    """
    named: dict[str, str] = {}
    participants = root / "participants.tsv"
    if participants.is_file():
        with open(participants, newline="") as source:
            named = {
                row["participant_id"].removeprefix("sub-"): row["split"]
                for row in csv.DictReader(source, delimiter="\t")
                if row.get("split") in SPLITS
            }
    found = sorted(path for path in root.glob("sub-*/**/anat/*.nii*") if sequence_of(path) == sequence)
    subjects = [path.relative_to(root).parts[0].removeprefix("sub-") for path in found]
    drawn = _draw_splits(subjects)
    entries = []
    for path, subject in zip(found, subjects, strict=True):
        entity = path.name.split(".nii")[0].removesuffix(f"_{sequence}")
        masks = sorted(root.glob(f"derivatives/*/sub-{subject}/**/{entity}_*desc-brain_mask.nii.gz"))
        entries.append(Entry(path, masks[0] if masks else None, named.get(subject, drawn[subject]), subject))
    return entries


def _draw_splits(subjects: Iterable[str]) -> dict[str, str]:
    """The tenth of the subjects with the smallest hashes (at least 4, at most half) validates, the others train."""
    ordered = sorted(set(subjects), key=lambda subject: hashlib.sha256(subject.encode()).hexdigest())
    count = min(max(LEAST_VALIDATION, round(VALIDATION_SHARE * len(ordered))), len(ordered) // 2)
    return {subject: "val" if rank < count else "train" for rank, subject in enumerate(ordered)}
