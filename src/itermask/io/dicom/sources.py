"""The headers of the images that results refer to, completed where a result needs what they lack."""

import warnings
from typing import Any

from itermask.errors import InputError
from itermask.io.dicom.extras import pydicom
from itermask.io.dicom.groups import repeated_uids
from itermask.io.dicom.series import Series
from itermask.io.dicom.values import drop_unusable
from itermask.io.names import shown

# Of patient and study; every result must have them, perhaps empty.
PATIENT = ("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "ReferringPhysicianName")
STUDY = ("StudyID", "StudyDate", "StudyTime", "AccessionNumber")
DATES, TIMES = ("PatientBirthDate", "StudyDate"), ("StudyTime",)
SEXES = ("M", "F", "O", "")


def source_headers(series: Series) -> list[Any]:
    """Return the headers of a series' files, without pixels, private elements and values that cannot be read.

    Args:
        series: without a problem.

    Returns:
        pydicom datasets: one a slice, in the order of `series.frames`; of an enhanced image a single one.

    Raises:
        InputError: a file cannot be read any more.
    """
    dicom_files = list(dict.fromkeys(frame.dicom_file for frame in series.frames))
    headers = []
    for dicom_file in dicom_files:
        try:
            with dicom_file.open() as file:
                headers.append(completed_header(file))
        except Exception as error:  # whatever damage does to a reader
            raise InputError(f"{shown(str(dicom_file))}: cannot be read any more ({error})") from error
    return headers


def completed_header(file: Any) -> Any:
    """Return the header of an open file or a path as results need it; what damage does to a reader is raised."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        header = pydicom().dcmread(file, stop_before_pixels=True, force=True)
        _drop_private(header)
        drop_unusable(header)
        _drop_private(header)  # those in sequences, which are read only now
        _repair(header)
    return header


def why_no_results(series: Series) -> str:
    """Return why no DICOM result can refer to a series; empty where results can."""
    if not series.frames[0].reference:
        return "its images have no FrameOfReferenceUID"
    if series.frames[0].multiframe and len({frame.dicom_file for frame in series.frames}) > 1:
        return "its slices are spread over several multi-frame files"
    return repeated_uids(series.frames)


def check_sources(series: Series) -> None:
    """Refuse a series that no DICOM result can refer to.

    Raises:
        InputError: it has no frame of reference, is spread over several enhanced images, or its images share UIDs.
    """
    if why := why_no_results(series):
        raise InputError(f"{series.title}: DICOM results cannot refer to it, as {why}; leave them out with --no-dicom")


def _drop_private(header: Any) -> None:
    """Take all private elements out of a header and of the sequences in it, without reading them."""
    for tag in list(header.keys()):
        if tag.is_private:
            del header[tag]
        elif not isinstance(raw := header.get_item(tag), tuple) and raw.VR == "SQ":
            for item in raw.value:
                _drop_private(item)


def _repair(header: Any) -> None:
    """Add empty values where the header lacks them, and empty those that are none of their kind."""
    for keyword in (*PATIENT, *STUDY):
        if keyword not in header:
            setattr(header, keyword, "")
    if header.PatientSex not in SEXES:
        header.PatientSex = ""
    values = pydicom().valuerep
    for keywords, kind in ((DATES, values.DA), (TIMES, values.TM)):
        for keyword in keywords:
            try:
                kind(header[keyword].value or "")
            except ValueError:
                setattr(header, keyword, "")
