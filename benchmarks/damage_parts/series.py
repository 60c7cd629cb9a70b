"""DICOM folders, made from the series `mprage-siemens`: few and small slices, with everything that readers read."""

import copy
import functools
import io
import os
import shutil
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import ImplicitVRLittleEndian

from damage_parts.common import Kind, Seen, damage_bytes, once
from itermask.io.scans import read_scans

SLICES, SIZE = 6, 32
LEFT = (0x0029, 0x0051)  # groups of private elements that are large and never read


def load(data: Path) -> tuple[Dataset, ...]:
    """Return the slices of the small series."""
    files = sorted((data / "dicom" / "mprage-siemens").glob("*.dcm"))
    every = len(files) // SLICES
    made = []
    for number, path in enumerate(files[: every * SLICES : every], 1):
        dataset = pydicom.dcmread(path)
        for tag in [tag for tag in dataset.keys() if tag.group in LEFT]:  # noqa: SIM118
            del dataset[tag]
        step = dataset.Rows // SIZE
        pixels = dataset.pixel_array.reshape(SIZE, step, SIZE, step).mean((1, 3)).astype(np.uint16)
        dataset.PixelSpacing = [float(size) * step for size in dataset.PixelSpacing]
        dataset.Rows = dataset.Columns = SIZE
        dataset.SliceThickness = float(dataset.SliceThickness) * every
        dataset.PixelData, dataset.InstanceNumber = pixels.tobytes(), number
        dataset.RescaleSlope, dataset.RescaleIntercept = 1, 0
        dataset.private_block(0x0043, "GEMS_PARM_01", create=True).add_new(0x39, "IS", ["0", "0", "0", "0"])
        made.append(dataset)
    return tuple(made)


def _read(folder: Path) -> Seen:
    (source,) = read_scans(folder)
    return Seen({"scan": (source.scan.image, source.scan.affine, None)}, (*source.scan.notes, *source.aside))


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _damage_file(folder: Path, rng: np.random.Generator) -> str:
    """Damage one file's header, or cut it; the values of its pixels carry no checksum, so nobody can notice those."""
    files = _files(folder)
    path = files[int(rng.integers(len(files)))]
    content = path.read_bytes()
    header = content.rfind(struct.pack("<HH", 0x7FE0, 0x0010))
    damaged, how = damage_bytes(content[: header + 12], rng)
    if rng.random() < 0.2:
        path.write_bytes(content[: int(rng.integers(len(content)))])
        return f"{path.name}: cut"
    path.write_bytes(damaged + (b"" if how.startswith(("cut", "empty")) else content[header + 12 :]))
    return f"{path.name}: {how}"


def _damage_folder(folder: Path, rng: np.random.Generator) -> str:
    files = _files(folder)
    path = files[int(rng.integers(1, len(files) - 1))]  # of slices at the ends nobody can know
    way = rng.choice(["lost", "second", "link", "circle", "copy", "pipe", "patients", "studies", "one uid", "series",
                      "zip", "other pixels", "folder", "linked", "not text"])  # fmt: skip
    if way == "lost":
        path.unlink()
    elif way == "second":
        for file in files[1::2]:
            file.unlink()
    elif way in ("link", "circle"):
        path.unlink()
        path.symlink_to("/nonexistent" if way == "link" else path.name)
    elif way == "copy":
        shutil.copyfile(path, folder / "copy.dcm")
    elif way == "pipe":
        os.mkfifo(folder / "pipe.dcm")
    elif way == "zip":
        (folder / "rest.zip").write_bytes(b"PK\x03\x04" + rng.bytes(100))
    elif way == "folder":
        (folder / "loop").symlink_to(".")
    elif way == "linked":
        (folder.parent / "real").mkdir()
        for file in files:
            file.rename(folder.parent / "real" / file.name)
        (folder / "there").symlink_to(folder.parent / "real")
    elif way == "not text":
        path.rename(os.fsdecode(os.fsencode(folder) + b"/\xff\xfe.dcm"))
    else:
        _mix(way, files, path, rng)
    return f"{path.name}: {way}"


def _mix(way: str, files: list[Path], path: Path, rng: np.random.Generator) -> None:
    """Write images of several patients, studies or UIDs into one folder."""
    some = files[int(rng.integers(2, len(files))) :] if rng.random() < 0.5 else files[:: int(rng.integers(2, 4))]
    for number, file in enumerate(files if way == "one uid" else [path] if way == "other pixels" else some):
        dataset = pydicom.dcmread(file)
        if way == "patients":
            dataset.PatientID = "OTHER"
        elif way == "studies":
            dataset.StudyInstanceUID = "1.2.11"
        elif way == "series":
            dataset.SeriesInstanceUID = "1.2.12"
        elif way == "one uid":
            dataset.SOPInstanceUID = f"1.2.13.{number // int(rng.integers(2, 12))}"
        else:
            dataset.PixelData = bytes(len(dataset.PixelData))
            dataset.save_as(file.with_name("other.dcm"))
            continue
        dataset.save_as(file)


# In one file any value; in all files only what cannot be, as a plausible value that stands everywhere is believed.
NEVER = [b"", b"ab.c", b"nan", b"inf", b"-inf", b"1e999", b"\\", b"\\\\\\", b"\0\0\0\0", b"\xff\xfe\xfd",
         b"1\\2\\3\\4\\5\\6\\7", b"1,5", b"0x10", b"999999999999999999999"]  # fmt: skip
TAGS = """
    ImagePositionPatient ImageOrientationPatient PixelSpacing SliceThickness SpacingBetweenSlices InstanceNumber
    SeriesNumber EchoTime RepetitionTime InversionTime FlipAngle MagneticFieldStrength PatientAge PatientBirthDate
    StudyDate SeriesDate ImageType ScanningSequence MRAcquisitionType RescaleSlope RescaleIntercept SeriesDescription
    PatientName PatientID Manufacturer BodyPartExamined SpecificCharacterSet AngioFlag FrameOfReferenceUID
    StudyInstanceUID SeriesInstanceUID SOPInstanceUID PhotometricInterpretation NumberOfFrames
"""
WHOLE = "Rows Columns BitsAllocated BitsStored HighBit PixelRepresentation SamplesPerPixel"
PRIVATE = (0x0019100C, 0x0019100A, 0x00431039)


def _damage_tags(folder: Path, rng: np.random.Generator) -> str:
    files = _files(folder)
    every = rng.random() < 0.4
    some = files if every else [files[int(rng.integers(len(files)))]]
    tag: int | str = PRIVATE[int(rng.integers(3))] if rng.random() < 0.2 else str(rng.choice(f"{TAGS} {WHOLE}".split()))
    lost = rng.random() < 0.15
    raw = NEVER[int(rng.integers(len(NEVER)))] if rng.random() < 0.7 or every else rng.bytes(int(rng.integers(1, 40)))
    if tag in WHOLE.split():
        raw = struct.pack("<H", int(rng.integers(65536))) if rng.random() < 0.5 else raw
    if every and tag in ("BitsStored", "HighBit", "PixelRepresentation"):  # the values mean something else then
        some = some[:1]
    for path in some:
        _write_raw(path, int(pydicom.tag.Tag(tag)), None if lost else raw)
    return f"{tag} {'lost' if lost else raw[:20]} in {len(some)} of {len(files)} files"


def _write_raw(path: Path, tag: int, value: bytes | None) -> None:
    """Write a file again in implicit VR with some bytes as an element's value, as no library would write it."""
    start, elements = _implicit(path.read_bytes())
    if value is None:
        new = b""
    else:
        value += b" " * (len(value) % 2)
        new = struct.pack("<HHI", tag >> 16, tag & 0xFFFF, len(value)) + value
    before = b"".join(element for number, element in elements if number < tag)
    after = b"".join(element for number, element in elements if number > tag)
    path.write_bytes(start + before + new + after)


@functools.lru_cache(maxsize=64)
def _implicit(content: bytes) -> tuple[bytes, tuple[tuple[int, bytes], ...]]:
    """Return a file in implicit VR: what stands before its elements, and each element's tag and bytes."""
    dataset = pydicom.dcmread(io.BytesIO(content))
    dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    elements = []
    for number in list(dataset.keys()):
        one, written = Dataset(), DicomBytesIO()
        one[number] = dataset[number]
        written.is_little_endian, written.is_implicit_VR = True, True
        write_dataset(written, one)
        elements.append((int(number), written.getvalue()))
        del dataset[number]
    start = io.BytesIO()
    dataset.save_as(start, implicit_vr=True, little_endian=True, enforce_file_format=True)
    return start.getvalue(), tuple(elements)


def kinds(slices: Sequence[Dataset]) -> list[Kind]:
    """Return the kinds of damaged DICOM folders, made from the slices of one series."""

    def make(folder: Path) -> None:
        for number, dataset in enumerate(slices):
            written = copy.deepcopy(dataset)
            written.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
            written.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
            written.save_as(folder / f"{number:04d}.dcm", enforce_file_format=True)

    write = once(make)
    arguments = lambda folder: ["run", str(folder), str(folder.parent / "out")]  # noqa: E731
    return [
        Kind("DICOM bytes", write, _damage_file, _read, arguments),
        Kind("DICOM tags", write, _damage_tags, _read, arguments),
        Kind("DICOM folder", write, _damage_folder, _read, arguments),
    ]
