"""What a node reads in a received file, and why it refuses one."""

import hashlib
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from itermask.io.dicom.about import source_of
from itermask.io.dicom.extras import pydicom
from itermask.io.dicom.files import MR_IMAGES, read_headers
from itermask.results.whose import as_json

# Answers to C-STORE (DICOM PS3.4, table B.2-1; PS3.7, annex C).
SUCCESS, NO_SUCH_CLASS, NO_ROOM, MISMATCH, NOT_UNDERSTOOD = 0x0000, 0x0122, 0xA700, 0xA900, 0xC000
TITLE = 60  # letters of a description that are kept


class RefusedError(Exception):
    """A file that is not taken: the DICOM status, and why."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


@dataclass(frozen=True)
class Instance:
    """One received file.

    Attributes:
        uid: SOPInstanceUID.
        kind: SOPClassUID; empty for NIfTI.
        series: SeriesInstanceUID; of NIfTI a name made from the content.
        study: StudyInstanceUID; empty for NIfTI.
        label: of the series: number and description.
        announced: images that the header says there are; None if it does not.
        exact: whether of the series rather than of an acquisition.
        name: of the file in the store.
        about: whose it is, see `itermask.results.whose.as_json`; `patient_id` and `patient_name` only where they are
        asked for.
    """

    uid: str
    kind: str
    series: str
    study: str
    label: str
    announced: int | None
    exact: bool
    name: str
    about: Mapping[str, Any] = field(default_factory=dict)


def read_instance(path: Path, kind: str = "", uid: str = "", patient: str = "off") -> Instance:
    """Return what a DICOM file is, if it is an MR image.

    Args:
        path: the file.
        kind: SOP class under which it was sent; empty if it was not.
        uid: SOP instance under which it was sent.
        patient: what is noted of the patient: `off`, `id`, or `both` identifier and name.

    Raises:
        RefusedError: it is no MR image, damaged, or not what it was sent as.
        MissingExtraError: pydicom is not installed.
    """
    headers, left_out = read_headers(path)
    if not headers:
        reason = left_out[0].reason if left_out else "empty"
        other = "no MR image" in reason or "Rows" in reason or "Columns" in reason
        raise RefusedError(MISMATCH if other else NOT_UNDERSTOOD, reason)
    values = headers[0].values
    found = str(values.SOPInstanceUID)
    if (kind and str(values.SOPClassUID) != kind) or (uid and found != uid):
        raise RefusedError(MISMATCH, "sent as another class or instance than it is")
    for text in (found, str(values.SeriesInstanceUID), str(values.StudyInstanceUID)):
        if len(text) > 64 or not text.replace(".", "").isdigit():
            raise RefusedError(NOT_UNDERSTOOD, "a UID in its header is none")
    announced, exact = _announced(path)
    return Instance(
        uid=found,
        kind=str(values.SOPClassUID),
        series=str(values.SeriesInstanceUID),
        study=str(values.StudyInstanceUID),
        label=_label(values),
        announced=announced,
        exact=exact,
        name=f"{hashlib.sha256(found.encode()).hexdigest()[:32]}.dcm",
        about=_about(values, patient),
    )


def _about(values: Any, patient: str) -> dict[str, Any]:
    """Return whose image it is, in plain short texts."""
    about = {name: plain_text(each) if isinstance(each, str) else each for name, each in _kept(values).items()}
    if patient in ("id", "both"):
        about["patient_id"] = plain_text(values.get("PatientID") or "")
    if patient == "both":
        about["patient_name"] = plain_text(values.get("PatientName") or "").replace("^", " ").strip()
    return about


def _kept(values: Any) -> dict[str, Any]:
    return as_json(source_of(values))


def names_in(path: Path) -> tuple[str, str] | None:
    """Return Series- and SOPInstanceUID of an MR image whose header can be read, even if the rest is damaged."""
    keywords = ["SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            values = pydicom().dcmread(path, stop_before_pixels=True, specific_tags=keywords)
            kind, uid, series = (str(values.get(keyword) or "") for keyword in keywords)
        except Exception:  # whatever damage does to a reader
            return None
    return (series, uid) if kind in MR_IMAGES and uid and series else None


def series_key(series: str) -> str:
    """Name of a series' folders: short, and safe whatever the UID is.

    Example:
        >>> len(series_key("1.2.840.113619"))
        20
    """
    return hashlib.sha256(series.encode()).hexdigest()[:20]


def plain_text(text: Any) -> str:
    r"""Return the text from a header, on one line, without control characters, not too long.

    Example:
        >>> plain_text(" SAG\tMPRAGE ")
        'SAG MPRAGE'
    """
    return " ".join("".join(letter if letter.isprintable() else " " for letter in str(text)).split())[:TITLE]


def _label(values: Any) -> str:
    number = values.get("SeriesNumber")
    name = plain_text(values.get("SeriesDescription") or values.get("ProtocolName") or "")
    words = "series" if number is None else f"series {plain_text(number)}"
    return f"{words} '{name}'" if name else words


def _announced(path: Path) -> tuple[int | None, bool]:
    """Return how many images a header says there are, and whether that is of the series."""
    keywords = ("NumberOfSeriesRelatedInstances", "ImagesInAcquisition")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        values = pydicom().dcmread(path, stop_before_pixels=True, force=True, specific_tags=list(keywords))
        for keyword in keywords:
            try:
                count = int(values.get(keyword) or 0)
            except (TypeError, ValueError):
                continue
            if count > 0:
                return count, keyword == keywords[0]
    return None, False
