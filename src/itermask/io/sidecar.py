"""What the JSON sidecar of a NIfTI file and its data set's `participants.tsv` say of person, scanner and study."""

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from itermask.errors import InputError
from itermask.io.body import doubts, not_a_head
from itermask.io.names import shown, stem
from itermask.types import Source

KEYS = {
    "body_part": ("BodyPartExamined", "BodyPart"),
    "study_description": ("StudyDescription", "ProcedureStepDescription"),
    "series_description": ("SeriesDescription",),
    "protocol": ("ProtocolName",),
    "manufacturer": ("Manufacturer",),
    "model": ("ManufacturersModelName", "ManufacturerModelName"),
    "site": ("InstitutionName", "StationName"),
    "study_date": ("StudyDate",),
    "series_date": ("SeriesDate", "AcquisitionDate", "AcquisitionDateTime"),
    "study_time": ("StudyTime",),
    "accession_number": ("AccessionNumber",),
    "study_uid": ("StudyInstanceUID",),
    "series_uid": ("SeriesInstanceUID",),
}
AGES = ("age", "age_years", "age_at_scan")
OLDEST = 125.0


def source_beside(path: Path) -> tuple[Source | None, tuple[str, ...]]:
    """Return what is said of a scan beside its file, and sentences that a reader must know.

    Args:
        path: NIfTI file. Its sidecar is the JSON file of the same stem; the age, if not there, is taken from the
            `participants.tsv` beside its `sub-…` folder.

    Returns:
        the source, or None where nothing is said; a sentence for a file that cannot be read.

    Raises:
        InputError: the scan is of another part of the body than the head.

    Example:
        >>> _ = (folder / "sub-01_T1w.json").write_text('{"Manufacturer": "Siemens"}')
        >>> source, notes = source_beside(folder / "sub-01_T1w.nii.gz")
        >>> source.manufacturer
        'Siemens'
    """
    notes: list[str] = []
    fields = _fields(path.with_name(stem(path) + ".json"), notes)
    texts: dict[str, Any] = {name: _text(fields, *keys) for name, keys in KEYS.items()}
    source = replace(
        Source(**texts),
        age=_age(fields.get("PatientAge", fields.get("Age"))) or _age_in_table(path, notes),
        field_strength=_positive(fields.get("MagneticFieldStrength")),
        series_number=_count(fields.get("SeriesNumber")),
    )
    if elsewhere := not_a_head(source):
        raise InputError(f"{shown(path)}: {elsewhere}, as its sidecar says; only scans of heads are processed")
    return (None if source == Source() else source), (*notes, *doubts(source))


def _count(value: Any) -> int | None:
    """Return a whole number; None for anything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _fields(path: Path, notes: list[str]) -> dict[str, Any]:
    """Return a sidecar's fields; if it cannot be read, a sentence is added to `notes`."""
    try:
        if not path.is_file():
            return {}
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        notes.append(f"Its sidecar {shown(path.name)} cannot be read, so person and scanner are not known.")
        return {}
    return found if isinstance(found, dict) else {}


def _age_in_table(path: Path, notes: list[str]) -> float | None:
    """Return the person's age in years from `participants.tsv`, if the file lies in a BIDS tree that has one."""
    folder = next((each for each in path.absolute().parents if each.name.startswith("sub-")), None)
    table = None if folder is None else folder.parent / "participants.tsv"
    try:
        if folder is None or table is None or not table.is_file():
            return None
        with table.open(encoding="utf-8-sig", newline="") as file:
            for row in csv.DictReader(file, delimiter="\t"):
                if (row.get("participant_id") or "").removeprefix("sub-") == folder.name.removeprefix("sub-"):
                    lower = {name.lower(): value for name, value in row.items() if name}
                    return next((found for name in AGES if (found := _age(lower.get(name)))), None)
    except (OSError, ValueError, csv.Error):
        notes.append("The participants.tsv of its data set cannot be read, so the person's age is not known.")
    return None


def _age(value: Any) -> float | None:
    """Return an age in years: a number, a text such as `034Y`, or `89+`."""
    if isinstance(value, str):
        text, years = value.strip().rstrip("+"), {"Y": 1.0, "M": 1 / 12, "W": 7 / 365.25, "D": 1 / 365.25}
        unit = years.get(text[-1:].upper())
        found = _positive(text[:-1] if unit else text)
        found = None if found is None else found * (unit or 1.0)
    else:
        found = _positive(value)
    return found if found is not None and found <= OLDEST else None


def _positive(value: Any) -> float | None:
    """Return a number above 0; None for anything else."""
    try:
        found = None if isinstance(value, bool) or value is None else float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return found if found is not None and 0 < found < float("inf") else None


def _text(fields: dict[str, Any], *keys: str) -> str:
    """Return the first of some fields that holds text or a number, on one line."""
    for key in keys:
        value = fields.get(key)
        if isinstance(value, (str, int, float)) and not isinstance(value, bool) and str(value).strip():
            return " ".join(str(value).split())
    return ""
