"""The finding on one page, as a secondary capture and as an encapsulated PDF, so that any archive shows the verdict."""

from collections.abc import Sequence
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


def summary_image(headers: Sequence[Any], finding: Finding, page: np.ndarray, identity: Identity) -> Any:
    """Return the page as a secondary capture.

    Args:
        headers: of the series' images, see `itermask.io.dicom.sources.source_headers`.
        finding: that the page is of.
        page: uint8 (rows, columns, 3), see `itermask.results.report.summary.summary_files`.
        identity: of the finding.

    Raises:
        MissingExtraError: highdicom is not installed.
    """
    hd = highdicom()
    made = hd.sc.SCImage.from_ref_dataset(
        headers[0],
        pixel_array=page,
        photometric_interpretation=hd.PhotometricInterpretationValues.RGB,
        bits_allocated=8,
        coordinate_system=hd.CoordinateSystemNames.PATIENT,
        patient_orientation=("L", "P"),
        series_instance_uid=identity.uid("summary page series"),
        series_number=identity.series_number(5),
        sop_instance_uid=identity.uid(_role("summary page", finding)),
        instance_number=1,
        manufacturer=MAKER,
        manufacturer_model_name=identity.model,
        software_versions=__version__,
        transfer_syntax_uid=RLE,
        series_description=TITLE,
    )
    made.PatientOrientation = None  # a page has none
    made.ConversionType = "WSD"
    _as_source(made, headers[0])
    if "BodyPartExamined" not in made and "Laterality" not in made:
        made.Laterality = ""
    made.BurnedInAnnotation = "NO"  # nothing that identifies the patient
    made.DerivationDescription = f"Summary by {MAKER} {__version__}. {NOTICE}"
    return made


def summary_document(headers: Sequence[Any], finding: Finding, document: bytes, identity: Identity) -> Any:
    """Return the page as an encapsulated PDF; arguments as of `summary_image`, but `document` is a PDF file.

    Raises:
        MissingExtraError: highdicom is not installed.
    """
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import UID

    pydicom()
    header, now = headers[0], datetime.now()
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = UID(EXPLICIT)
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID = UID(PDF)
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID = UID(identity.uid(_role("summary pdf", finding)))
    if "SpecificCharacterSet" in header:
        made.SpecificCharacterSet = header.SpecificCharacterSet
    for keyword in (*PATIENT, *STUDY):
        setattr(made, keyword, header[keyword].value)
    made.StudyInstanceUID = header.StudyInstanceUID
    _as_source(made, header, but=("BodyPartExamined", "Laterality"))
    made.Modality = "DOC"
    made.SeriesInstanceUID = identity.uid("summary pdf series")
    made.SeriesNumber = identity.series_number(6)
    made.SeriesDescription = TITLE
    made.Manufacturer, made.ManufacturerModelName, made.SoftwareVersions = MAKER, identity.model, __version__
    made.ConversionType = "WSD"
    made.InstanceNumber = 1
    made.ContentDate, made.ContentTime = now.strftime("%Y%m%d"), now.strftime("%H%M%S")
    made.AcquisitionDateTime = ""
    made.BurnedInAnnotation = "NO"
    made.DocumentTitle = TITLE
    made.ConceptNameCodeSequence = []
    made.SourceInstanceSequence = [_reference(each) for each in headers]
    made.MIMETypeOfEncapsulatedDocument = "application/pdf"
    made.EncapsulatedDocumentLength = len(document)
    made.EncapsulatedDocument = document + b"\0" * (len(document) % 2)
    return made


def _role(name: str, finding: Finding) -> str:
    """What makes an object of its own: what a reader is told is in it."""
    return " ".join((name, finding.headline, *finding.warnings))


def _as_source(made: Any, header: Any, but: Sequence[str] = ()) -> None:
    for keyword in AS_SOURCE:
        if keyword in header and keyword not in but:
            setattr(made, keyword, header[keyword].value)


def _reference(header: Any) -> Any:
    from pydicom.dataset import Dataset

    source = Dataset()
    source.ReferencedSOPClassUID, source.ReferencedSOPInstanceUID = header.SOPClassUID, header.SOPInstanceUID
    return source
