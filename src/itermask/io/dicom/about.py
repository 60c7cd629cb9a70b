"""What a DICOM header says of the person, the scanner and the study."""

from datetime import date
from typing import Any

from itermask.io.dicom.values import number, text, whole
from itermask.types import Source

UNITS = {"Y": 1.0, "M": 1 / 12, "W": 7 / 365.25, "D": 1 / 365.25}  # of PatientAge, in years
OLDEST = 125.0


def source_of(values: Any) -> Source:
    """Return what a header says.

    Args:
        values: a pydicom `Dataset` whose values can all be read.

    Example:
        >>> from pydicom import Dataset
        >>> header = Dataset()
        >>> header.PatientAge, header.BodyPartExamined = "034Y", "BRAIN"
        >>> source_of(header).age, source_of(header).body_part
        (34.0, 'BRAIN')
    """
    descriptions = ("StudyDescription", "RequestedProcedureDescription", "PerformedProcedureStepDescription")
    return Source(
        age=_age(values),
        body_part=text(values.get("BodyPartExamined")) or _region(values),
        study_description=_first(values, *descriptions),
        series_description=text(values.get("SeriesDescription")),
        protocol=text(values.get("ProtocolName")),
        manufacturer=text(values.get("Manufacturer")),
        model=text(values.get("ManufacturerModelName")),
        field_strength=_tesla(number(values.get("MagneticFieldStrength"))),
        site=_first(values, "InstitutionName", "StationName"),
        study_date=_first(values, "StudyDate"),
        series_date=_first(values, "SeriesDate", "AcquisitionDate"),
        accession_number=text(values.get("AccessionNumber")),
        study_uid=text(values.get("StudyInstanceUID")),
        series_uid=text(values.get("SeriesInstanceUID")),
        study_time=text(values.get("StudyTime")),
        series_number=whole(values.get("SeriesNumber")),
    )


def years(age: str) -> float | None:
    """Return the years of an age string such as `034Y` or `018M`; None where it is none, or 0 years.

    Whoever takes the birth date out of a header often leaves `000Y`, so this says nothing.

    >>> years("034Y"), years("018M"), years("000Y"), years("old")
    (34.0, 1.5, None, None)
    """
    digits, unit = age[:-1], age[-1:].upper()
    if not (digits.isascii() and digits.isdigit() and unit in UNITS):
        return None
    found = int(digits) * UNITS[unit]
    return found if 0 < found <= OLDEST else None


def _age(values: Any) -> float | None:
    """Return the age at the scan: as the header says it, or else from the day of birth."""
    said = years(text(values.get("PatientAge")))
    if said is not None:
        return said
    born = _day(text(values.get("PatientBirthDate")))
    scanned = _day(_first(values, "SeriesDate", "AcquisitionDate", "StudyDate"))
    if born is None or scanned is None:
        return None
    found = (scanned - born).days / 365.25
    return round(found, 2) if 0 < found <= OLDEST else None


def _day(text: str) -> date | None:
    """Return the day that `YYYYMMDD` means."""
    try:
        return date.fromisoformat(text.replace(".", "-"))
    except ValueError:
        return None


def _tesla(found: float | None) -> float | None:
    """Return a field strength in tesla; some headers give it in gauss."""
    if found is None or found <= 0:
        return None
    return found / 10000 if found > 100 else found


def _first(values: Any, *keywords: str) -> str:
    """Return the first of some values that is not empty, as text."""
    return next((found for keyword in keywords if (found := text(values.get(keyword)))), "")


def _region(values: Any) -> str:
    """Return the anatomic region of an enhanced image, as text."""
    shared = (values.get("SharedFunctionalGroupsSequence") or [{}])[0]
    anatomy = (shared.get("FrameAnatomySequence") or [{}])[0]
    for item in (values, anatomy):
        region = (item.get("AnatomicRegionSequence") or [{}])[0]
        if said := text(region.get("CodeMeaning")):
            return said
    return ""
