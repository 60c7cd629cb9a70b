"""Whose scan it is, as text that name no patient: study, day and time, scanner, series.

Shown wherever a person looks: the report, `finding.json`, the node's page and the page of `itermask view`.
"""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from itermask.types import Source

KEPT = (
    *("accession_number", "study_uid", "series_uid", "study_date", "study_time", "series_number"),
    *("series_description", "manufacturer", "model", "field_strength"),
)


def study_code(accession: str, study_uid: str) -> str:
    """Return what a study is called: by its accession number, or else by six digits made from its UID.

    >>> study_code("A123", "1.2.3"), study_code("", "1.2.3"), study_code("", "")
    ('A123', 'study 494-942', '')
    """
    if accession:
        return accession
    if not study_uid:
        return ""
    digits = f"{int(sha256(study_uid.encode()).hexdigest(), 16) % 1_000_000:06d}"
    return f"study {digits[:3]}-{digits[3:]}"


def day(date: str) -> str:
    """Return a DICOM date for readers; other text as it is.

    >>> day("20260131"), day("2026")
    ('2026-01-31', '2026')
    """
    return f"{date[:4]}-{date[4:6]}-{date[6:]}" if len(date) == 8 and date.isdigit() else date


def clock(time: str) -> str:
    """Return a DICOM time to the minute; empty where it is none.

    >>> clock("101112.25"), clock("1011"), clock("10")
    ('10:11', '10:11', '')
    """
    return f"{time[:2]}:{time[2:4]}" if len(time) >= 4 and time[:4].isdigit() else ""


def scanner(manufacturer: str, model: str, tesla: float | None = None) -> str:
    """Return what a scanner is called.

    >>> scanner("SIEMENS", "Prisma", 3.0), scanner("Philips", "Philips Ingenia"), scanner("", "")
    ('SIEMENS Prisma, 3 T', 'Philips Ingenia', '')
    """
    name = model if model.lower().startswith(manufacturer.lower()) else f"{manufacturer} {model}".strip()
    name = name or manufacturer
    return f"{name}, {tesla:.2g} T" if name and tesla else name


def series_name(number: Any, description: str) -> str:
    """Return what a series is called.

    >>> series_name(5, "MPRAGE"), series_name(None, "MPRAGE"), series_name(5, ""), series_name(None, "")
    ("5 'MPRAGE'", "'MPRAGE'", '5', '')
    """
    parts = ["" if number is None else str(number), f"'{description}'" if description else ""]
    return " ".join(filter(None, parts))


def facts_of(source: Source | None) -> list[tuple[str, str]]:
    """Return labels and texts of what is known, in the order in which they are shown; empty where nothing is.

    >>> facts_of(Source(accession_number="A1", study_date="20260131", study_time="0915", series_number=5))
    [('Study', 'A1'), ('Acquired', '2026-01-31 09:15'), ('Series', '5')]
    """
    if source is None:
        return []
    found = [
        ("Study", study_code(source.accession_number, source.study_uid)),
        ("Acquired", f"{day(source.study_date)} {clock(source.study_time)}".strip()),
        ("Scanner", scanner(source.manufacturer, source.model, source.field_strength)),
        ("Series", series_name(source.series_number, source.series_description)),
    ]
    return [(label, text) for label, text in found if text]


def as_json(source: Source | None) -> dict[str, Any]:
    """Return what `finding.json` keeps under `source`: UIDs, accession number, day and time, scanner, series.

    Neither name, identifier, age nor sex of the patient is among them.

    >>> as_json(Source(age=34.0, accession_number="A1"))
    {'accession_number': 'A1'}
    """
    return {} if source is None else {name: getattr(source, name) for name in KEPT if getattr(source, name)}


def named(about: Mapping[str, Any]) -> str:
    """Return one line that names a scan from what `finding.json` keeps of its source; empty where nothing is kept.

    >>> named({"accession_number": "A1", "series_number": 5, "series_description": "MPRAGE"})
    "A1, series 5 'MPRAGE'"
    """
    number = about.get("series_number")
    series = series_name(number, str(about.get("series_description") or ""))
    study = study_code(str(about.get("accession_number") or ""), str(about.get("study_uid") or ""))
    return ", ".join(filter(None, (study, f"series {series}" if series and number is not None else series)))
