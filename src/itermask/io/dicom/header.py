"""The header of one DICOM file, and whether it can be that of an MR image."""

import os
import struct
import warnings
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, BinaryIO, NamedTuple

from itermask.io.dicom.decode import Stored, stored_plainly
from itermask.io.dicom.extras import pydicom
from itermask.io.dicom.values import ESSENTIAL, drop_unusable, whole
from itermask.io.dicom.walk import DicomFile
from itermask.io.names import shown

MR_IMAGES = {
    "1.2.840.10008.5.1.4.1.1.4",  # MR Image
    "1.2.840.10008.5.1.4.1.1.4.1",  # Enhanced MR Image
    "1.2.840.10008.5.1.4.1.1.4.3",  # Enhanced MR Color Image
    "1.2.840.10008.5.1.4.1.1.4.4",  # Legacy Converted Enhanced MR Image
}
PIXELS, UNDEFINED = b"\xe0\x7f\x10\x00", 0xFFFFFFFF  # the element of the pixels; the length of compressed ones
MOST_MORE = 12  # bytes: what begins an element, where that is counted as well, or a byte that makes the length even
LAST_GROUP, MOST_BEHIND = 0x7FE1, 4096  # elements of this group and higher may follow, and zeros
LONG_KINDS = {b"OB", b"OW", b"OF", b"OD", b"OL", b"OV", b"SQ", b"UC", b"UR", b"UT", b"UN", b"SV", b"UV"}
PRIVATE = (0x00190010, 0x0019100A, 0x0019100C, 0x00430010, 0x00431039)  # of Siemens and GE, see `frames`
KEYWORDS = """
    SOPClassUID SOPInstanceUID StudyInstanceUID SeriesInstanceUID FrameOfReferenceUID SeriesNumber InstanceNumber
    Manufacturer SeriesDescription ProtocolName SequenceName PulseSequenceName ScanningSequence ImageType
    AcquisitionContrast RepetitionTime EchoTime InversionTime FlipAngle DiffusionBValue ContrastBolusAgent AngioFlag
    EchoPulseSequence EchoPlanarPulseSequence InversionRecovery ComplexImageComponent ImagePositionPatient
    ImageOrientationPatient PixelSpacing SliceThickness SpacingBetweenSlices Rows Columns NumberOfFrames
    RescaleSlope RescaleIntercept SamplesPerPixel PhotometricInterpretation BitsAllocated
    BitsStored PixelRepresentation
    SharedFunctionalGroupsSequence PerFrameFunctionalGroupsSequence
    MRAcquisitionType PatientID PatientName PatientBirthDate PatientAge BodyPartExamined AnatomicRegionSequence
    StudyDescription RequestedProcedureDescription PerformedProcedureStepDescription ManufacturerModelName
    MagneticFieldStrength InstitutionName StationName StudyDate StudyTime SeriesDate AcquisitionDate AccessionNumber
"""


@dataclass(frozen=True)
class Header:
    """A file that may be an MR image.

    Attributes:
        dicom_file: the file.
        values: its header, a pydicom `Dataset` without pixels; every value in it can be read.
        unusable: keywords of the elements whose values could not, see `itermask.io.dicom.values.drop_unusable`.
        padded: whether zeros follow its pixels, or it has more bytes of pixels than its size needs: they were added
            behind, or some bytes before.
        stored: where and how its pixels lie, so that the header need not be read again for them; None where only the
            whole file tells, as of compressed ones.
    """

    dicom_file: DicomFile
    values: Any
    unusable: frozenset[str] = frozenset()
    padded: bool = False
    stored: Stored | None = None


class _Pixels(NamedTuple):
    """The bytes of a file's pixels: how many, if only zeros follow, and where they begin; 0 if that is not known."""

    held: int = 0
    padded: bool = False
    begin: int = 0


class NoImageError(ValueError):
    """A file that is left out; `lost` is True where it may be a damaged image, False where it is no MR image."""

    def __init__(self, reason: str, lost: bool = False) -> None:
        super().__init__(reason)
        self.lost = lost


def read_header(dicom_file: DicomFile) -> Header:
    """Return the header of an MR image.

    Raises:
        NoImageError: the file is no MR image, is cut off, or lacks what an image needs.
        MissingExtraError: pydicom is not installed.
    """
    dicom = pydicom()
    values, unusable, pixels = None, set[str](), _Pixels()
    try:
        with dicom_file.open() as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd values; what matters is refused
            start = file.read(132)
            file.seek(0)
            bare = start[:2] in (b"\x08\x00", b"\x02\x00")  # very old files start with their first element
            if start[128:] == b"DICM" or bare:
                tags = [*KEYWORDS.split(), *PRIVATE]
                values = dicom.dcmread(file, stop_before_pixels=True, force=bare, specific_tags=tags)
                unusable = drop_unusable(values)
                pixels = _find_pixels(file, values)
    except NoImageError:
        raise
    except Exception as error:  # whatever damage does to a reader
        raise NoImageError(f"cannot be read, truncated or damaged ({_line(error)})", lost=True) from error
    if values is None:
        raise NoImageError("not a DICOM file", lost=dicom_file.name.lower().endswith((".dcm", ".ima")))
    if damaged := sorted(unusable & ESSENTIAL):
        raise NoImageError(f"an unusable value in its header ({', '.join(damaged)})", lost=True)
    more = _check(values, pixels.held)
    stored = stored_plainly(values, pixels.begin, pixels.held) if pixels.begin else None
    return Header(dicom_file, values, frozenset(unusable), pixels.padded or more, stored)


def _find_pixels(file: BinaryIO, values: Any) -> _Pixels:
    """Return which bytes of an open file are its pixels, from where its header ends.

    Raises:
        NoImageError: something else follows the pixels, so that bytes were lost or added before.
    """
    begin = file.tell()
    start = file.read(12)
    rest = max(0, file.seek(0, os.SEEK_END) - begin)
    little = values.original_encoding[1] is not False
    explicit = values.original_encoding[0] is False
    if not little or start[:4] != PIXELS:
        return _Pixels(rest)
    at = 8 if explicit else 4
    (length,) = struct.unpack("<I", start[at : at + 4].ljust(4, b"\0"))
    after = rest - at - 4 - length
    if length == UNDEFINED:
        return _Pixels(rest)
    if after < 0:
        raise NoImageError(f"truncated: {rest - at - 4} of {length} bytes of pixels", lost=True)
    file.seek(begin + at + 4 + length)
    behind = file.read(MOST_BEHIND)
    padded = after > 0 and not behind.strip(b"\0")
    if not _are_elements(behind, after, explicit) or (padded and after % 2):  # whole files have even lengths
        raise NoImageError("damaged: something else follows its pixels", lost=True)
    return _Pixels(length, padded, begin + at + 4)


def _are_elements(behind: bytes, size: int, explicit: bool) -> bool:
    """Return whether what follows the pixels is padding with zeros, or whole data elements with rising tags.

    Args:
        behind: its first bytes, little endian.
        size: how many bytes there are in all.
        explicit: whether elements state their kind of value.
    """
    at, last = 0, (LAST_GROUP, 0)
    while at < min(len(behind), size) and behind[at:].strip(b"\0"):
        if len(behind) - at < 8:
            return False
        tag = struct.unpack("<HH", behind[at : at + 4])
        kind, length, start = behind[at + 4 : at + 6], *struct.unpack("<I", behind[at + 4 : at + 8]), at + 8
        if explicit:
            if not (kind.isalpha() and kind.isupper()):
                return False
            (length,) = struct.unpack("<H", behind[at + 6 : at + 8])
            if kind in LONG_KINDS:
                if len(behind) - at < 12:
                    return False
                (length,), start = struct.unpack("<I", behind[at + 8 : at + 12]), at + 12
        if tag <= last or (length != UNDEFINED and start + length > size):
            return False
        if length == UNDEFINED:
            return True
        at, last = start + length, tag
    return True


def _check(values: Any, held: int) -> bool:
    """Raise `NoImageError` for what is no MR image or is cut off; return whether it has more than its pixels."""
    from pydicom.uid import UID

    kind = values.get("SOPClassUID")
    if kind is None:
        raise NoImageError("its header does not say what it is", lost=True)
    if kind not in MR_IMAGES:
        known = UID(str(kind)).name
        raise NoImageError(f"{shown(known)}, no MR image", lost=known == str(kind))  # a class that nobody knows
    uids = ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID")
    if missing := [key for key in (*uids, "Rows", "Columns") if not values.get(key)]:
        raise NoImageError(f"its header has no {' and no '.join(missing)}", lost=True)
    sizes = {
        key: whole(values.get(key, default))
        for key, default in (("Rows", 0), ("Columns", 0), ("NumberOfFrames", 1), ("SamplesPerPixel", 1))
    }
    bits = whole(values.get("BitsAllocated", 16))
    for key, size in (*sizes.items(), ("BitsAllocated", bits)):
        if size is None or size < 1:
            raise NoImageError(f"an unusable value in its header ({key})", lost=True)
    syntax = values.file_meta.get("TransferSyntaxUID") if "file_meta" in values.__dict__ else None
    with suppress(ValueError):  # it is none: the decoder will say so
        if syntax is not None and (UID(str(syntax)).is_compressed or UID(str(syntax)).is_deflated):
            return False
    needed = (bits or 16) // 8
    for size in sizes.values():
        needed *= size or 1
    if held < needed:
        raise NoImageError(f"truncated: {held} of {needed} bytes of pixels", lost=True)
    return held > needed + MOST_MORE


def _line(error: Exception) -> str:
    """Return an error's message on one line."""
    return " ".join(str(error).split())[:160] or type(error).__name__
