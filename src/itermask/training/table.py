"""Which scans to train on: a table, or a data set's folder. Splits are by subject."""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from itermask.errors import InputError
from itermask.io.datasets import Case, read_dataset
from itermask.io.datasets.about import SPLITS, read_rows
from itermask.io.names import canonical_sequence, is_file, sequence_of, subject_of

VALIDATION_SHARE = 0.1  # of the subjects, where nothing says which
LEAST_VALIDATION = 4  # subjects, which calibration needs
Note = Callable[[str], None]  # told what a reader should know, one line each


@dataclass(frozen=True)
class Entry:
    """One scan to train on.

    Attributes:
        path: NIfTI file.
        brain_mask: NIfTI file, or None to find the brain as `itermask run` does.
        split: `train`, `val` or `test`.
        subject: who was scanned; one subject never is in two splits.
        lesion: NIfTI file, above 0 in lesions; None where there are none.
        target: the scan of a second sequence on the same grid, for methods that learn from pairs; None without.
        tissues: NIfTI file of tissue groups on the scan's grid, see `itermask.synth.tissues`; None where not known.
    """

    path: Path
    brain_mask: Path | None
    split: str
    subject: str
    lesion: Path | None = None
    target: Path | None = None
    tissues: Path | None = None


def read_data(
    data: Path,
    sequence: str,
    needed: tuple[str, ...] = ("train", "val"),
    target: str | None = None,
    note: Note | None = None,
    whole: bool = False,
) -> list[Entry]:
    """Return the scans of one sequence in a data set's folder or a table (a `.tsv` or `.csv` file).

    Args:
        data: a folder that `itermask.io.datasets.read_dataset` knows, such as a BIDS tree; or a table, see
        `read_table`.
        sequence: BIDS suffix, such as `T1w`.
        needed: splits that must have a scan.
        target: a second sequence: every scan gets the one of the same subject and session.
        note: told which scans were left out.
        whole: take every scan whose split is not stated for validation; a table then needs no column `split`.

    Raises:
        InputError: nothing there, a table without the needed columns, a subject in two splits, or a needed
            split without a scan (or without a pair of scans).
    """
    data = Path(data)
    if data.is_dir() or (data.is_file() and _lists_cases(data, sequence)):
        entries = _from_cases(read_dataset(data), sequence, target, note, whole)
    elif data.is_file():
        entries = read_table(data, sequence, target, whole)
    else:
        raise InputError(f"{data}: no such table or folder")
    splits: dict[str, str] = {}
    for entry in entries:
        if splits.setdefault(entry.subject, entry.split) != entry.split:
            raise InputError(f"{data}: subject {entry.subject} is in two splits")
    if not entries:
        raise InputError(f"{data}: no {sequence} scan")
    for split in needed:
        there = [entry for entry in entries if entry.split == split]
        if not there:
            raise InputError(f"{data}: no {sequence} scan in split {split!r}")
        if target and not any(entry.target for entry in there):
            raise InputError(f"{data}: no {sequence} scan with a {target} scan of its subject in split {split!r}")
    return entries


def _lists_cases(table: Path, sequence: str) -> bool:
    """Return whether a table has a case a row and a column for each sequence (`io.datasets.read_table`)."""
    header = list(next(iter(read_rows(table)), {}))
    return "path" not in header and sequence in map(canonical_sequence, header)


def read_table(table: Path, sequence: str, target: str | None = None, whole: bool = False) -> list[Entry]:
    r"""Return a scan a row. A scan may be listed several times, with different brain masks.

    Columns: path, split, and optionally brain_mask, lesion, tissues, participant_id, session, sequence. Paths may be
    relative to the table. Without a sequence the file's name says it; what it does not say is taken to be the one
    wanted. Without a participant_id a BIDS name (`sub-01`, in the file's name or a folder's) says whose scan it is,
    else its path is a subject of its own.

    Example:
        >>> (folder / "a_T1w.nii.gz").touch()
        >>> _ = (folder / "table.tsv").write_text("path\tsplit\na_T1w.nii.gz\ttrain\n")
        >>> read_table(folder / "table.tsv", "T1w")[0].split
        'train'
    """
    rows = read_rows(table)
    if whole:
        rows = [{"split": "val"} | row for row in rows]
    if not rows:
        raise InputError(f"{table}: lists no scan; give it a row for each, below the names of the columns")
    if not {"path", "split"} <= set(rows[0]):
        columns = "column path" if whole else "columns path and split"
        raise InputError(f"{table}: a table with the {columns} is needed (brain_mask is optional)")
    if target and "participant_id" not in rows[0]:
        raise InputError(f"{table}: {target} scans are found by subject; a column participant_id is needed")
    found: list[tuple[Entry, tuple[str, str]]] = []
    targets: dict[tuple[str, str], Path] = {}
    for number, row in enumerate(rows, start=2):
        where = f"{table}: line {number}"
        path = table.parent / row["path"]
        named = canonical_sequence(row.get("sequence", "")) or sequence_of(path)
        if named not in (None, sequence, target):
            continue
        row["split"] = row["split"] or ("val" if whole else "")
        if row["split"] not in SPLITS:
            raise InputError(f"{where}: split is {row['split']!r}, not one of {', '.join(SPLITS)}")
        mask, lesion, tissues = (
            table.parent / row[key] if row.get(key) else None for key in ("brain_mask", "lesion", "tissues")
        )
        for file in (path, mask, lesion, tissues):
            if file is not None and not is_file(file):
                raise InputError(f"{where}: no such file {file}")
        visit = row.get("participant_id", ""), row.get("session", "")
        if named != target or not target:
            whose = visit[0] or subject_of(row["path"]) or row["path"]
            found.append((Entry(path, mask, row["split"], whose, lesion, None, tissues), visit))
        elif targets.setdefault(visit, path) != path:
            raise InputError(f"{where}: a second {target} scan of its subject; tell them apart by a column session")
    return [replace(entry, target=targets.get(visit)) for entry, visit in found]


def _from_cases(
    cases: list[Case], sequence: str, target: str | None, note: Note | None, whole: bool = False
) -> list[Entry]:
    """Return the scans of a data set's cases.

    Patients without a lesion map are left out. Where a case names no split, a tenth of the subjects, chosen by a
    hash of their names, validates.
    """
    fitting = [case for case in cases if sequence in case.paths]
    kept = [case for case in fitting if case.healthy is not False or case.lesion is not None]
    if note is not None and len(kept) < len(fitting):
        count = len(fitting) - len(kept)
        note(f"{count} of {len(fitting)} scans are left out: they are of patients without a lesion map")
    drawn = _draw_splits(case.subject for case in kept)
    return [
        Entry(
            case.paths[sequence],
            case.brain_mask,
            case.split or ("val" if whole else drawn[case.subject]),
            case.subject,
            case.lesion,
            case.paths.get(target) if target else None,
        )
        for case in kept
    ]


def _draw_splits(subjects: Iterable[str]) -> dict[str, str]:
    """Split subjects: the tenth with the smallest hashes (at least 4, at most half) validates, others train."""
    ordered = sorted(set(subjects), key=lambda subject: hashlib.sha256(subject.encode()).hexdigest())
    count = min(max(LEAST_VALIDATION, round(VALIDATION_SHARE * len(ordered))), len(ordered) // 2)
    return {subject: "val" if rank < count else "train" for rank, subject in enumerate(ordered)}


def one_per_scan(entries: list[Entry], split: str) -> list[Entry]:
    """Return the first entry of each scan of a split: a scan that is listed with several brain masks counts once."""
    first: dict[Path, Entry] = {}
    for entry in entries:
        if entry.split == split:
            first.setdefault(entry.path, entry)
    return list(first.values())
