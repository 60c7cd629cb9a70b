"""The headers of the images that results refer to, mended where a result needs what they lack."""

import warnings
import zipfile
from typing import Any

from itermask.errors import InputError
from itermask.io.dicom.extras import pydicom
from itermask.io.dicom.series import Series

# Of patient and study; every result must have them, perhaps empty.
PATIENT = ("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "ReferringPhysicianName")
STUDY = ("StudyID", "StudyDate", "StudyTime", "AccessionNumber")
DATES, TIMES = ("PatientBirthDate", "StudyDate"), ("StudyTime",)
SEXES = ("M", "F", "O", "")


def source_headers(series: Series) -> list[Any]:
    """Headers of a series' files, without pixels and private elements.

    Args:
        series: without a problem.

    Returns:
        pydicom datasets: one a slice, in the order of `series.frames`; of an enhanced image a single one.

    Raises:
        InputError: a file cannot be read any more.
    """
    places = list(dict.fromkeys(frame.place for frame in series.frames))
    headers = []
    for place in places:
        try:
            with place.open() as file, warnings.catch_warnings():
                warnings.simplefilter("ignore")
                header = pydicom().dcmread(file, stop_before_pixels=True, force=True)
                header.remove_private_tags()
                _mend(header)
        except (OSError, EOFError, ValueError, LookupError, zipfile.BadZipFile) as error:
            raise InputError(f"{place}: cannot be read any more ({error})") from error
        headers.append(header)
    return headers


def check_sources(series: Series) -> None:
    """Refuse a series that no DICOM result can refer to.

    Raises:
        InputError: it has no frame of reference, or is spread over several enhanced images.
    """
    if not series.frames[0].reference:
        why = "its images have no FrameOfReferenceUID"
    elif series.frames[0].multiframe and len({frame.place for frame in series.frames}) > 1:
        why = "its slices are spread over several multi-frame files"
    else:
        return
    raise InputError(f"{series.title}: DICOM results cannot refer to it, as {why}; leave them out with --no-dicom")


def _mend(header: Any) -> None:
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
