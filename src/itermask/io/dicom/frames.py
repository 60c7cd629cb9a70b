"""One slice of a series, whether it is a file of its own or a frame of an enhanced (multi-frame) image."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from itermask.io.dicom.decode import Stored
from itermask.io.dicom.header import Header
from itermask.io.dicom.sequence import SequenceHeader
from itermask.io.dicom.values import number, numbers, text, texts, whole
from itermask.io.dicom.walk import DicomFile

# Enhanced images call some values by other names.
ALIASES = {"EffectiveEchoTime": "EchoTime", "InversionTimes": "InversionTime", "FrameType": "ImageType"}
COMPONENTS = {"P": "PHASE", "R": "REAL", "I": "IMAGINARY", "PHASE": "PHASE"}
SIEMENS_B, GE_B = 0x0019100C, 0x00431039  # private elements with the b value
TILES = 0x0019100A  # Siemens: how many slices a mosaic holds
HIDDEN_B = 1_000_000_000  # GE adds this to some b values
LARGEST_SCALE = 1e12  # of a rescale slope or intercept; scanners state up to some thousands


@dataclass(frozen=True)
class Frame:
    """One slice.

    Attributes:
        dicom_file: the file.
        uid: SOPInstanceUID of the file.
        number: of the frame in the file, from 0.
        multiframe: whether the file is an enhanced image.
        position: centre of the first pixel, mm, LPS; None if the header has none.
        orientation: direction cosines of a row and of a column, LPS; None if the header has none.
        pixel: distance in mm between rows, and between columns.
        size: rows, columns.
        thickness: mm from slice to slice, or of the slice, as the header states it; 0 if it does not.
        reference: FrameOfReferenceUID, perhaps empty.
        component: `MAGNITUDE`, `PHASE`, `REAL` or `IMAGINARY`.
        stack: name of the stack in an enhanced image.
        colour: whether a pixel is a colour, or shown inverted.
        slope: that stored values are multiplied with.
        intercept: that is then added.
        header: how it was made.
        thick: mm, SliceThickness; 0 if the header has none.
        stated: mm from slice to slice, SpacingBetweenSlices; 0 if the header has none.
        instance: its number in the series or stack, from 1; None if the header has none.
        volume: whether the header says that the whole volume was excited at once (3D), so that slices have no gaps.
        study: StudyInstanceUID.
        patient: who it is of: ID, name and day of birth, each perhaps empty.
        tiles: in how many slices the header says that the image is cut (a Siemens mosaic); 1 for a plain image.
        unknown: those of `EchoTime`, `DiffusionBValue` and `ImageType` that the header holds, but nobody can read.
        padded: whether the file has more than its pixels, see `Header`.
        stored: where and how the file's pixels lie, see `Header`.
    """

    dicom_file: DicomFile
    uid: str
    number: int
    multiframe: bool
    position: tuple[float, ...] | None
    orientation: tuple[float, ...] | None
    pixel: tuple[float, ...] | None
    size: tuple[int, int]
    thickness: float
    reference: str
    component: str
    stack: str
    colour: bool
    slope: float
    intercept: float
    header: SequenceHeader
    thick: float = 0.0
    stated: float = 0.0
    instance: int | None = None
    volume: bool = False
    study: str = ""
    patient: tuple[str, str, str] = ("", "", "")
    tiles: int = 1
    unknown: frozenset[str] = frozenset()
    padded: bool = False
    stored: Stored | None = None


def frames_of(header: Header) -> list[Frame]:
    """Return the slices in a file.

    Args:
        header: of the file.

    Returns:
        one frame of a classic image, all of an enhanced one.

    Raises:
        ValueError: a value in the header is none of its kind.
    """
    multiframe = "PerFrameFunctionalGroupsSequence" in header.values
    try:
        return [_frame(header, number, multiframe, record) for number, record in enumerate(_records(header.values))]
    except Exception as error:  # whatever damage does
        raise ValueError(f"an unusable value in its header ({' '.join(str(error).split())[:120]})") from error


def _records(dataset: Any) -> Iterator[Mapping[str, Any]]:
    """Yield all values that apply to a frame, by keyword; the header's, then the shared ones, then the frame's own."""
    top = dict(_flat([dataset]))
    if "PerFrameFunctionalGroupsSequence" not in dataset:
        yield top
        return
    shared = dict(_flat(dataset.get("SharedFunctionalGroupsSequence") or []))
    for groups in dataset.PerFrameFunctionalGroupsSequence:
        yield top | shared | dict(_flat([groups]))


def _flat(items: Iterable[Any]) -> Iterator[tuple[str, Any]]:
    """Yield keyword or tag and value of every element of some items, with the first item of each functional group."""
    for item in items:
        for element in item:
            if element.keyword in ("PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence"):
                continue
            if element.VR == "SQ":
                yield from _flat(element.value[:1])
            elif element.value is not None and element.value != "" and element.value != b"":
                yield ALIASES.get(element.keyword, element.keyword) or str(int(element.tag)), element.value


def _frame(source: Header, nth: int, multiframe: bool, values: Mapping[str, Any]) -> Frame:
    """Return a frame from all values that apply to it."""
    kinds = texts(values.get("ScanningSequence"))
    kinds += {"SPIN": ("SE",), "GRADIENT": ("GR",), "BOTH": ("SE", "GR")}.get(str(values.get("EchoPulseSequence")), ())
    kinds += ("EP",) if values.get("EchoPlanarPulseSequence") == "YES" else ()
    image_type = texts(values.get("ImageType"))
    header = SequenceHeader(
        description=text(values.get("SeriesDescription")),
        protocol=text(values.get("ProtocolName")),
        pulse_sequence=text(values.get("SequenceName", values.get("PulseSequenceName"))),
        kinds=kinds,
        image_type=image_type,
        contrast=text(values.get("AcquisitionContrast")),
        repetition_time=number(values.get("RepetitionTime")),
        echo_time=number(values.get("EchoTime")),
        inversion_time=number(values.get("InversionTime")),
        flip_angle=number(values.get("FlipAngle")),
        b_value=_b_value(values),
        agent=text(values.get("ContrastBolusAgent")),
        angiography=values.get("AngioFlag") == "Y",
    )
    thick, stated = (abs(number(values.get(key)) or 0.0) for key in ("SliceThickness", "SpacingBetweenSlices"))
    component = text(values.get("ComplexImageComponent")) or next(
        (COMPONENTS[word] for word in image_type[2:3] if word in COMPONENTS), "MAGNITUDE"
    )
    slope, intercept = _scaling(values)
    return Frame(
        dicom_file=source.dicom_file,
        uid=str(source.values.SOPInstanceUID),
        number=nth,
        multiframe=multiframe,
        position=numbers(values.get("ImagePositionPatient"), 3),
        orientation=numbers(values.get("ImageOrientationPatient"), 6),
        pixel=numbers(values.get("PixelSpacing"), 2),
        size=(whole(values["Rows"]) or 0, whole(values["Columns"]) or 0),
        thickness=stated or thick,
        reference=text(values.get("FrameOfReferenceUID")),
        component=component if component != "MIXED" else "MAGNITUDE",
        stack=text(values.get("StackID")),
        colour=(whole(values.get("SamplesPerPixel", 1)) or 1) > 1
        or values.get("PhotometricInterpretation") == "MONOCHROME1",
        slope=slope,
        intercept=intercept,
        header=header,
        thick=thick,
        stated=stated,
        instance=whole(values.get("InStackPositionNumber" if multiframe else "InstanceNumber")),
        volume=values.get("MRAcquisitionType") == "3D",
        study=text(source.values.get("StudyInstanceUID")),
        patient=_patient(source.values),
        tiles=max(1, whole(values.get(str(TILES))) or 1) if _made_by(values, "SIEMENS") else 1,
        unknown=frozenset(_unknown(source, values, header)),
        padded=source.padded,
        stored=source.stored,
    )


def _unknown(source: Header, values: Mapping[str, Any], header: SequenceHeader) -> Iterator[str]:
    """Yield which of the values that tell volumes of a series apart are there, but cannot be read."""
    echo = {"EchoTime", "EffectiveEchoTime"}
    weighting = {"DiffusionBValue", *(f"({tag >> 16:04x},{tag & 0xFFFF:04x})" for tag in (SIEMENS_B, GE_B))}
    held = {"DiffusionBValue", *(str(tag) for tag in (SIEMENS_B, GE_B))} & set(values)
    if header.echo_time is None and (echo & source.unusable or "EchoTime" in values):
        yield "EchoTime"
    if header.b_value is None and (weighting & source.unusable or held):
        yield "DiffusionBValue"
    if {"ImageType", "FrameType"} & source.unusable:
        yield "ImageType"


def _scaling(values: Mapping[str, Any]) -> tuple[float, float]:
    """Return slope and intercept of the intensities.

    Raises:
        ValueError: one of them is no finite number or larger than any scanner's, or the slope is 0.
    """
    slope, intercept = (number(values.get(key, usual)) for key, usual in (("RescaleSlope", 1), ("RescaleIntercept", 0)))
    if not slope or intercept is None:
        raise ValueError("RescaleSlope" if not slope else "RescaleIntercept")
    if max(abs(slope), abs(intercept)) > LARGEST_SCALE:
        raise ValueError(f"intensities are scaled by {slope:g} and {intercept:g}")
    return slope, intercept


def _patient(values: Any) -> tuple[str, str, str]:
    """Return who an image is of: ID, name and day of birth; names spelled alike whatever the case and the signs."""
    name = "".join(letter for letter in text(values.get("PatientName")).casefold() if letter.isalnum())
    return text(values.get("PatientID")), name, text(values.get("PatientBirthDate"))


def _made_by(values: Mapping[str, Any], maker: str) -> bool:
    return text(values.get("Manufacturer")).upper().startswith(maker)


def _b_value(values: Mapping[str, Any]) -> float | None:
    """Return the diffusion weighting in s/mm²: the standard's element, else Siemens' or GE's own."""
    known = number(values.get("DiffusionBValue"))
    if known is not None:
        return known
    if _made_by(values, "SIEMENS"):
        return number(values.get(str(SIEMENS_B)))
    if _made_by(values, "GE"):
        found = number(values.get(str(GE_B)))
        return None if found is None else found % HIDDEN_B
    return None
