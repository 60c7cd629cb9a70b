"""The scan's slices with the anomaly's outline as colour images that any workstation shows (secondary captures)."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from itermask import __version__
from itermask.io.dicom.extras import highdicom
from itermask.io.dicom.geometry import FLIP
from itermask.io.dicom.identity import MAKER, NOTICE, Identity
from itermask.io.dicom.series import Series
from itermask.results.report.pictures import CONTOUR, LETTER, grey_window, outline
from itermask.types import Finding, Scan

RLE = "1.2.840.10008.1.2.5"  # lossless, and read by every program
UNCOMPRESSED = "1.2.840.10008.1.2.1"
AS_SOURCE = (
    *("StudyDescription", "IssuerOfPatientID", "AdmissionID", "IssuerOfAdmissionIDSequence", "PatientAge"),
    *("BodyPartExamined", "Laterality", "OtherPatientIDsSequence", "IssuerOfAccessionNumberSequence"),
)
NARROWEST = 256  # pixels; narrower slices are enlarged, so that the notice can be read
LETTER_HEIGHT = 22  # so many lines of text would fill a slice


def overlay_images(
    scan: Scan, series: Series, headers: Sequence[Any], finding: Finding, identity: Identity
) -> Iterator[Any]:
    """Draw one picture for every slice in which anything is marked, with the notice burnt in.

    Pixels are the slice's own, or enlarged by a whole number; the pictures state their position in space as images do.

    Args:
        scan: that was processed.
        series: it was read from.
        headers: of its images, see `itermask.io.dicom.sources.source_headers`.
        finding: on the scan's grid.
        identity: of the finding.

    Yields:
        `highdicom.sc.SCImage`.

    Raises:
        MissingExtraError: highdicom is not installed.
    """
    hd = highdicom()
    window = grey_window(scan.image, finding.brain)
    factor = -(-NARROWEST // min(scan.image.shape[:2]))
    slices = np.flatnonzero(finding.anomaly.any(axis=(0, 1))).tolist()
    for number, index in enumerate(slices, 1):
        frame = series.frames[index]
        picture = draw(scan.image[:, :, index].T, finding.anomaly[:, :, index].T, window, factor)
        pose = _pose(scan.affine, index, factor)
        header = headers[0] if frame.multiframe else headers[index]
        odd = bool(picture[..., 0].size % 2)  # GDCM ends the whole program on such an image
        result = hd.sc.SCImage.from_ref_dataset(
            header,
            pixel_array=picture,
            photometric_interpretation=hd.PhotometricInterpretationValues.RGB,
            bits_allocated=8,
            coordinate_system=hd.CoordinateSystemNames.PATIENT,
            series_instance_uid=identity.uid("overlay series"),
            series_number=identity.series_number(2),
            sop_instance_uid=identity.uid(f"overlay {index}"),
            instance_number=number,
            manufacturer=MAKER,
            manufacturer_model_name=identity.model,
            software_versions=__version__,
            pixel_spacing=(pose["spacing"][1], pose["spacing"][0]),
            patient_orientation=_letters(pose["orientation"]),
            transfer_syntax_uid=UNCOMPRESSED if odd else RLE,
            series_description=f"{MAKER} overlay ({NOTICE})",
        )
        if odd:
            result.compress(RLE, encoding_plugin="pydicom", generate_instance_uid=False)
        _complete(result, frame, header, pose, scan.spacing[2])
        yield result


def draw(image: np.ndarray, mask: np.ndarray, window: tuple[float, float], factor: int) -> np.ndarray:
    """Draw a slice in grey with the mask's outline and the notice.

    Args:
        image: (rows, columns).
        mask: boolean, shape of `image`.
        window: intensities shown as black and as white.
        factor: by which rows and columns are enlarged.

    Returns:
        uint8 (rows·factor, columns·factor, 3).
    """
    grey = np.clip((image - window[0]) / (window[1] - window[0]), 0, 1)
    large, inside = (np.repeat(np.repeat(each, factor, 0), factor, 1) for each in (255 * grey, mask))
    colours = np.repeat(np.rint(large).astype(np.uint8)[..., None], 3, axis=2)
    colours[outline(inside, 1)] = CONTOUR
    picture = Image.fromarray(colours)
    pen = ImageDraw.Draw(picture)
    height, width = colours.shape[:2]
    size = max(8.0, height / LETTER_HEIGHT)
    size *= min(1.0, 0.96 * width / pen.textlength(NOTICE, font=ImageFont.load_default(size)))
    pen.text(
        (width / 2, height - 2),
        NOTICE,
        fill=LETTER,
        font=ImageFont.load_default(size),
        anchor="mb",
        stroke_width=1,
        stroke_fill=(0, 0, 0),
    )
    return np.asarray(picture)


def _pose(affine: np.ndarray, index: int, factor: int) -> dict[str, Any]:
    """Return position, orientation (LPS) and pixel sizes of an enlarged slice."""
    shift = 0.5 / factor - 0.5  # centre of the first small pixel, in large ones
    position = FLIP @ (affine @ [shift, shift, index, 1.0])[:3]
    axes = FLIP @ affine[:3, :2]
    spacing = np.linalg.norm(axes, axis=0)
    return {"position": position, "orientation": axes / spacing, "spacing": tuple(spacing / factor)}


def _letters(orientation: np.ndarray) -> tuple[str, str]:
    """Return where rows and columns lead to: the nearest of L, R, P, A, H, F."""
    names = (("R", "L"), ("A", "P"), ("F", "H"))
    row, column = (
        names[int(np.argmax(np.abs(axis)))][int(axis[np.argmax(np.abs(axis))] > 0)] for axis in orientation.T
    )
    return row, column


def _complete(result: Any, frame: Any, header: Any, pose: dict[str, Any], distance: float) -> None:
    """Add what a picture tells of its source and its position in space."""
    from pydicom.dataset import Dataset
    from pydicom.valuerep import DS

    def numbers(values: Any) -> list[Any]:
        return [DS(float(value), auto_format=True) for value in values]

    result.ConversionType = "WSD"
    for keyword in AS_SOURCE:
        if keyword in header:
            setattr(result, keyword, header[keyword].value)
    if "BodyPartExamined" not in result and "Laterality" not in result:
        result.Laterality = ""  # which is asked for where nothing says that the part has no sides
    result.BurnedInAnnotation = "NO"  # nothing that identifies the patient
    result.DerivationDescription = f"Anomaly outlined by {MAKER} {__version__}. {NOTICE}"
    result.FrameOfReferenceUID = frame.reference
    result.PositionReferenceIndicator = header.get("PositionReferenceIndicator")
    result.ImagePositionPatient = numbers(pose["position"])
    result.ImageOrientationPatient = numbers(pose["orientation"].T.ravel())
    result.SliceThickness = numbers([distance])[0]
    source = Dataset()
    source.ReferencedSOPClassUID = header.SOPClassUID
    source.ReferencedSOPInstanceUID = header.SOPInstanceUID
    if frame.multiframe:
        source.ReferencedFrameNumber = frame.number + 1
    result.SourceImageSequence = [source]
