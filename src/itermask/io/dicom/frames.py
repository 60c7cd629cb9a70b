"""One slice of a series, whether it is a file of its own or a frame of an enhanced (multi-frame) image."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from itermask.io.dicom.files import Header, Place
from itermask.io.dicom.sequence import SequenceHeader

# Enhanced images call some values by other names.
ALIASES = {"EffectiveEchoTime": "EchoTime", "InversionTimes": "InversionTime", "FrameType": "ImageType"}
COMPONENTS = {"P": "PHASE", "R": "REAL", "I": "IMAGINARY", "PHASE": "PHASE"}
HIDDEN_B = 1_000_000_000  # GE adds this to some b values


@dataclass(frozen=True)
class Frame:
    """One slice.

    Attributes:
        place: the file.
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
    """

    place: Place
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


def frames_of(header: Header) -> list[Frame]:
    """The slices in a file.

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
    except (TypeError, ValueError, LookupError, AttributeError, OverflowError) as error:
        raise ValueError(f"an unusable value in its header ({' '.join(str(error).split())[:120]})") from error


def _records(dataset: Any) -> Iterator[Mapping[str, Any]]:
    """All values that apply to a frame, by keyword; the header's, then the shared ones, then the frame's own."""
    top = dict(_flat([dataset]))
    if "PerFrameFunctionalGroupsSequence" not in dataset:
        yield top
        return
    shared = dict(_flat(dataset.get("SharedFunctionalGroupsSequence") or []))
    for groups in dataset.PerFrameFunctionalGroupsSequence:
        yield top | shared | dict(_flat([groups]))


def _flat(items: Iterable[Any]) -> Iterator[tuple[str, Any]]:
    """Keyword or tag and value of every element of some items, going into the first item of each functional group."""
    for item in items:
        for element in item:
            if element.keyword in ("PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence"):
                continue
            if element.VR == "SQ":
                yield from _flat(element.value[:1])
            elif element.value not in (None, "", b""):
                yield ALIASES.get(element.keyword, element.keyword) or str(int(element.tag)), element.value


def _frame(source: Header, number: int, multiframe: bool, values: Mapping[str, Any]) -> Frame:
    """A frame from all values that apply to it."""
    kinds = _texts(values.get("ScanningSequence"))
    kinds += {"SPIN": ("SE",), "GRADIENT": ("GR",), "BOTH": ("SE", "GR")}.get(str(values.get("EchoPulseSequence")), ())
    kinds += ("EP",) if values.get("EchoPlanarPulseSequence") == "YES" else ()
    image_type = _texts(values.get("ImageType"))
    header = SequenceHeader(
        description=str(values.get("SeriesDescription", "")).strip(),
        protocol=str(values.get("ProtocolName", "")).strip(),
        pulse_sequence=str(values.get("SequenceName", values.get("PulseSequenceName", ""))).strip(),
        kinds=kinds,
        image_type=image_type,
        contrast=str(values.get("AcquisitionContrast", "")),
        repetition_time=_number(values.get("RepetitionTime")),
        echo_time=_number(values.get("EchoTime")),
        inversion_time=_number(values.get("InversionTime")),
        flip_angle=_number(values.get("FlipAngle")),
        b_value=_b_value(values),
        agent=str(values.get("ContrastBolusAgent", "")).strip(),
        angiography=values.get("AngioFlag") == "Y",
    )
    thickness = _number(values.get("SpacingBetweenSlices")) or _number(values.get("SliceThickness")) or 0.0
    component = str(values.get("ComplexImageComponent", "")) or next(
        (COMPONENTS[word] for word in image_type[2:3] if word in COMPONENTS), "MAGNITUDE"
    )
    return Frame(
        place=source.place,
        uid=str(source.values.SOPInstanceUID),
        number=number,
        multiframe=multiframe,
        position=_numbers(values.get("ImagePositionPatient"), 3),
        orientation=_numbers(values.get("ImageOrientationPatient"), 6),
        pixel=_numbers(values.get("PixelSpacing"), 2),
        size=(int(values["Rows"]), int(values["Columns"])),
        thickness=abs(thickness),
        reference=str(values.get("FrameOfReferenceUID", "")),
        component=component if component != "MIXED" else "MAGNITUDE",
        stack=str(values.get("StackID", "")),
        colour=int(values.get("SamplesPerPixel", 1)) > 1 or values.get("PhotometricInterpretation") == "MONOCHROME1",
        slope=float(values.get("RescaleSlope", 1.0)),
        intercept=float(values.get("RescaleIntercept", 0.0)),
        header=header,
    )


def _b_value(values: Mapping[str, Any]) -> float | None:
    """Diffusion weighting in s/mm²: the standard's element, else Siemens' or GE's own."""
    known = _number(values.get("DiffusionBValue"))
    if known is not None:
        return known
    maker = str(values.get("Manufacturer", "")).upper()
    if maker.startswith("SIEMENS"):
        return _number(values.get(str(0x0019100C)))
    if maker.startswith("GE"):
        found = _number(values.get(str(0x00431039)))
        return None if found is None else found % HIDDEN_B
    return None


def _number(value: Any) -> float | None:
    """A value, or the first of several, as number."""
    if value is not None and not isinstance(value, (str, bytes)) and hasattr(value, "__len__"):
        value = value[0] if len(value) else None
    return None if value is None else float(value)


def _numbers(value: Any, count: int) -> tuple[float, ...] | None:
    """`count` numbers, or None."""
    if value is None or isinstance(value, (str, bytes)) or len(value) != count:
        return None
    return tuple(float(each) for each in value)


def _texts(value: Any) -> tuple[str, ...]:
    """A value or several as texts."""
    if value is None:
        return ()
    return (str(value),) if isinstance(value, str) else tuple(str(each) for each in value)
