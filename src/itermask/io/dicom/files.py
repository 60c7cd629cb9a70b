"""DICOM headers of a file, a folder or a zip; what cannot be an MR image is left out with the reason."""

import io
import os
import warnings
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

from itermask.errors import InputError
from itermask.io.dicom.extras import pydicom

MR_IMAGES = {
    "1.2.840.10008.5.1.4.1.1.4",  # MR Image
    "1.2.840.10008.5.1.4.1.1.4.1",  # Enhanced MR Image
    "1.2.840.10008.5.1.4.1.1.4.3",  # Enhanced MR Color Image
    "1.2.840.10008.5.1.4.1.1.4.4",  # Legacy Converted Enhanced MR Image
}
PRIVATE = (0x00190010, 0x0019100C, 0x00430010, 0x00431039)  # b values of Siemens and GE, and whose elements these are
KEYWORDS = """
    SOPClassUID SOPInstanceUID StudyInstanceUID SeriesInstanceUID FrameOfReferenceUID SeriesNumber InstanceNumber
    Manufacturer SeriesDescription ProtocolName SequenceName PulseSequenceName ScanningSequence ImageType
    AcquisitionContrast RepetitionTime EchoTime InversionTime FlipAngle DiffusionBValue ContrastBolusAgent AngioFlag
    EchoPulseSequence EchoPlanarPulseSequence InversionRecovery ComplexImageComponent ImagePositionPatient
    ImageOrientationPatient PixelSpacing SliceThickness SpacingBetweenSlices Rows Columns NumberOfFrames
    RescaleSlope RescaleIntercept SamplesPerPixel PhotometricInterpretation BitsAllocated
    SharedFunctionalGroupsSequence PerFrameFunctionalGroupsSequence
"""


@dataclass(frozen=True)
class Place:
    """Where one DICOM file lies: on its own, or inside a zip."""

    path: Path
    member: str = ""

    def __str__(self) -> str:
        return f"{self.path}/{self.member}" if self.member else str(self.path)

    @property
    def name(self) -> str:
        """File name without folders."""
        return Path(self.member or self.path).name

    def open(self) -> BinaryIO:
        """The file's content, from its start.

        Raises:
            OSError, zipfile.BadZipFile, RuntimeError: it cannot be read (any more).
        """
        if not self.member:
            return self.path.open("rb")
        return io.BytesIO(_archive(self.path, self.path.stat().st_mtime_ns).read(self.member))


@lru_cache(maxsize=1)
def _archive(path: Path, changed: int) -> zipfile.ZipFile:
    """An open zip, kept for the next member, since going through its list of members takes long."""
    return zipfile.ZipFile(path)


@dataclass(frozen=True)
class LeftOut:
    """A file that takes part in no series, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class Header:
    """A file that may be an MR image, and its header (a pydicom `Dataset` without pixels)."""

    place: Place
    values: Any


def is_dicom(path: Path) -> bool:
    """Whether a path is for this module: a folder, a zip, or a file that starts as DICOM files do."""
    if path.is_dir():
        return True
    if not path.is_file():
        return False
    with path.open("rb") as file:
        start = file.read(132)
    return start[128:] == b"DICM" or start[:4] == b"PK\x03\x04" or path.suffix.lower() in {".dcm", ".ima", ".zip"}


def read_headers(paths: Path | str | Sequence[Path | str]) -> tuple[list[Header], list[LeftOut]]:
    """The headers of all MR images below some paths.

    Args:
        paths: a folder (with all below it), a DICOM file, a zip, or several of these.

    Returns:
        the headers in the order of their names, and what was left out.

    Raises:
        InputError: a path does not exist or cannot be read.
        MissingExtraError: pydicom is not installed.
    """
    given = [paths] if isinstance(paths, (str, Path)) else list(paths)
    headers: list[Header] = []
    left_out: list[LeftOut] = []
    first: dict[str, Place] = {}
    for place in _places(Path(path) for path in given):
        try:
            values = _header(place)
            uid = str(values.SOPInstanceUID)
            if uid in first:
                raise ValueError(f"another copy of {first[uid].name}")
        except ValueError as error:
            left_out.append(LeftOut(str(place), str(error)))
            continue
        first[uid] = place
        headers.append(Header(place, values))
    return headers, left_out


def _places(paths: Iterable[Path]) -> Iterator[Place]:
    """All files below some paths, sorted within each."""
    for path in paths:
        if path.is_dir():
            found = sorted(Path(folder) / name for folder, _, names in os.walk(path) for name in names)
            for file in filter(Path.is_file, found):
                yield from _within(file) if file.suffix.lower() == ".zip" else [Place(file)]
        elif not path.exists():
            raise InputError(f"{path}: no such file")
        else:
            yield from _within(path)


def _within(path: Path) -> Iterator[Place]:
    """A file's members if it is a zip, else the file."""
    try:
        if not zipfile.is_zipfile(path):
            yield Place(path)
            return
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (OSError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: cannot be read ({error}); copy it again") from error
    if any(member.flag_bits & 1 for member in members):
        raise InputError(f"{path}: the zip is encrypted; unpack it first")
    yield from (Place(path, member.filename) for member in sorted(members, key=_name) if not member.is_dir())


def _name(member: zipfile.ZipInfo) -> str:
    return member.filename


def _header(place: Place) -> Any:
    """A file's header; a `ValueError` says why the file is left out."""
    dicom = pydicom()
    try:
        with place.open() as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd values; what matters is refused
            start = file.read(132)
            file.seek(0)
            bare = start[:2] in (b"\x08\x00", b"\x02\x00")  # very old files start with their first element
            values = None
            if start[128:] == b"DICM" or bare:
                tags = [*KEYWORDS.split(), *PRIVATE]
                values = dicom.dcmread(file, stop_before_pixels=True, force=bare, specific_tags=tags)
            read = file.tell()
            held = file.seek(0, os.SEEK_END) - read
    except (
        OSError,
        EOFError,
        RuntimeError,
        NotImplementedError,
        LookupError,
        TypeError,
        ValueError,
        AttributeError,
        zipfile.BadZipFile,
    ) as error:
        raise ValueError(f"cannot be read, truncated or damaged ({_line(error)})") from error
    if values is None:
        raise ValueError("not a DICOM file")
    _check(values, held)
    return values


def _check(values: Any, held: int) -> None:
    """Refuse, with a `ValueError`, what is no MR image or is cut off."""
    from pydicom.uid import UID

    kind = values.get("SOPClassUID")
    if kind is None:
        raise ValueError("its header does not say what it is")
    if kind not in MR_IMAGES:
        raise ValueError(f"{UID(kind).name}, no MR image")
    missing = [
        key
        for key in ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "Rows", "Columns")
        if not values.get(key)
    ]
    if missing:
        raise ValueError(f"its header has no {' and no '.join(missing)}")
    syntax = values.file_meta.get("TransferSyntaxUID") if "file_meta" in values.__dict__ else None
    if syntax is not None and (UID(syntax).is_encapsulated or UID(syntax).is_deflated):
        return
    frames = int(values.get("NumberOfFrames") or 1)
    samples = int(values.get("SamplesPerPixel") or 1)
    needed = values.Rows * values.Columns * frames * samples * int(values.get("BitsAllocated") or 16) // 8
    if held < needed:
        raise ValueError(f"truncated: {held} of {needed} bytes of pixels")


def _line(error: Exception) -> str:
    """An error's message on one line."""
    return " ".join(str(error).split())[:160] or type(error).__name__
