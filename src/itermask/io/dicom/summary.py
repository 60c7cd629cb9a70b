"""A finding, or a whole study, on one page: a secondary capture and an encapsulated PDF, which any archive shows."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from itermask import __version__
from itermask.io.dicom.extras import highdicom, pydicom
from itermask.io.dicom.identity import MAKER, NOTICE, Identity
from itermask.io.dicom.overlay import AS_SOURCE, RLE
from itermask.io.dicom.sources import PATIENT, STUDY
from itermask.types import Finding

PDF = "1.2.840.10008.5.1.4.1.1.104.1"
EXPLICIT = "1.2.840.10008.1.2.1"
TITLE = f"{MAKER} summary ({NOTICE})"


@dataclass(frozen=True)
class Names:
    """What a page is called: UIDs of its series and of itself, their numbers, its title, and which model made it."""

    series: str
    series_number: int
    instance: str
    instance_number: int
    title: str
    model: str


def summary_image(headers: Sequence[Any], finding: Finding, page: np.ndarray, identity: Identity) -> Any:
    """Return a finding's page as a secondary capture.

    Args:
        headers: of the series' images, see `itermask.io.dicom.sources.source_headers`.
        finding: that the page is of.
        page: uint8 (rows, columns, 3), see `itermask.results.report.summary.summary_files`.
        identity: of the finding.

    Raises:
        MissingExtraError: highdicom is not installed.
    """
    return page_image(headers[0], _pairs(headers), page, _names("summary page", 5, finding, identity))


def summary_document(headers: Sequence[Any], finding: Finding, document: bytes, identity: Identity) -> Any:
    """Return a finding's page as an encapsulated PDF; arguments as of `summary_image`, but `document` is a PDF file.

    Raises:
        MissingExtraError: highdicom is not installed.
    """
    return page_document(headers[0], _pairs(headers), document, _names("summary pdf", 6, finding, identity))


def page_image(header: Any, sources: Sequence[tuple[str, str]], page: np.ndarray, names: Names) -> Any:
    """Return a page as a secondary capture.

    Args:
        header: of an image, which says whose it is.
        sources: class and instance UID of each image that the page is of.
        page: uint8 (rows, columns, 3).
        names: what it is called.

    Raises:
        MissingExtraError: highdicom is not installed.
    """
    hd = highdicom()
    made = hd.sc.SCImage.from_ref_dataset(
        header,
        pixel_array=page,
        photometric_interpretation=hd.PhotometricInterpretationValues.RGB,
        bits_allocated=8,
        coordinate_system=hd.CoordinateSystemNames.PATIENT,
        patient_orientation=("L", "P"),
        series_instance_uid=names.series,
        series_number=names.series_number,
        sop_instance_uid=names.instance,
        instance_number=names.instance_number,
        manufacturer=MAKER,
        manufacturer_model_name=names.model,
        software_versions=__version__,
        transfer_syntax_uid=RLE,
        series_description=names.title,
    )
    made.PatientOrientation = None  # a page has none
    made.ConversionType = "WSD"
    _as_source(made, header)
    if "BodyPartExamined" not in made and "Laterality" not in made:
        made.Laterality = ""
    made.BurnedInAnnotation = "NO"  # nothing that identifies the patient
    made.DerivationDescription = f"Summary by {MAKER} {__version__}. {NOTICE}"
    made.SourceImageSequence = [_reference(*each) for each in sources]
    return made


def page_document(header: Any, sources: Sequence[tuple[str, str]], document: bytes, names: Names) -> Any:
    """Return a page as an encapsulated PDF; arguments as of `page_image`, but `document` is a PDF file.

    Raises:
        MissingExtraError: highdicom is not installed.
    """
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import UID

    pydicom()
    now = datetime.now()
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = UID(EXPLICIT)
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID = UID(PDF)
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID = UID(names.instance)
    if "SpecificCharacterSet" in header:
        made.SpecificCharacterSet = header.SpecificCharacterSet
    for keyword in (*PATIENT, *STUDY):
        setattr(made, keyword, header[keyword].value)
    made.StudyInstanceUID = header.StudyInstanceUID
    _as_source(made, header, but=("BodyPartExamined", "Laterality"))
    made.Modality = "DOC"
    made.SeriesInstanceUID, made.SeriesNumber = names.series, names.series_number
    made.SeriesDescription = names.title
    made.Manufacturer, made.ManufacturerModelName, made.SoftwareVersions = MAKER, names.model, __version__
    made.ConversionType = "WSD"
    made.InstanceNumber = names.instance_number
    made.ContentDate, made.ContentTime = now.strftime("%Y%m%d"), now.strftime("%H%M%S")
    made.AcquisitionDateTime = ""
    made.BurnedInAnnotation = "NO"
    made.DocumentTitle = names.title
    made.ConceptNameCodeSequence = []
    made.SourceInstanceSequence = [_reference(*each) for each in sources]
    made.MIMETypeOfEncapsulatedDocument = "application/pdf"
    made.EncapsulatedDocumentLength = len(document)
    made.EncapsulatedDocument = document + b"\0" * (len(document) % 2)
    return made


def _names(part: str, nth: int, finding: Finding, identity: Identity) -> Names:
    """Return what a finding's page is called; what a reader is told is in the instance's UID."""
    role = " ".join((part, finding.headline, *finding.warnings))
    return Names(
        identity.uid(f"{part} series"), identity.series_number(nth), identity.uid(role), 1, TITLE, identity.model
    )


def _pairs(headers: Sequence[Any]) -> list[tuple[str, str]]:
    return [(str(each.SOPClassUID), str(each.SOPInstanceUID)) for each in headers]


def _as_source(made: Any, header: Any, but: Sequence[str] = ()) -> None:
    for keyword in AS_SOURCE:
        if keyword in header and keyword not in but:
            setattr(made, keyword, header[keyword].value)


def _reference(kind: str, uid: str) -> Any:
    from pydicom.dataset import Dataset

    source = Dataset()
    source.ReferencedSOPClassUID, source.ReferencedSOPInstanceUID = kind, uid
    return source
