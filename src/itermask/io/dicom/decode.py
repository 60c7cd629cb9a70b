"""Stored values of one DICOM file; compressed images are decoded by pydicom's plug-ins."""

import warnings
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np

from itermask.errors import InputError, MissingExtraError
from itermask.io.dicom.extras import pydicom
from itermask.io.dicom.walk import DicomFile
from itermask.io.names import shown

DESCRIBED = {  # the arguments of pydicom's decoders → what they are called in a header
    "rows": "Rows",
    "columns": "Columns",
    "number_of_frames": "NumberOfFrames",
    "samples_per_pixel": "SamplesPerPixel",
    "photometric_interpretation": "PhotometricInterpretation",
    "pixel_representation": "PixelRepresentation",
    "bits_allocated": "BitsAllocated",
    "bits_stored": "BitsStored",
}


@dataclass(frozen=True)
class Stored:
    """Where and how the pixels of a file lie that are not compressed.

    Attributes:
        begin: of their first byte in the file.
        length: in bytes.
        syntax: UID of the file's transfer syntax.
        described: values of `DESCRIBED`, in that order.
    """

    begin: int
    length: int
    syntax: str
    described: tuple[Any, ...]


def stored_plainly(values: Any, begin: int, length: int) -> Stored | None:
    """Return how pixels lie that need no more than their own bytes; None for all others.

    Args:
        values: the file's header, a pydicom `Dataset`.
        begin: of the pixels in the file.
        length: of the pixels in bytes.
    """
    uid = pydicom().uid
    meta = values.__dict__.get("file_meta") or {}
    syntax = str(meta.get("TransferSyntaxUID") or uid.ImplicitVRLittleEndian)
    if syntax not in (uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian):
        return None
    usual = {"NumberOfFrames": 1, "SamplesPerPixel": 1}
    described = tuple(values.get(keyword, usual.get(keyword)) for keyword in DESCRIBED.values())
    if None in described or values.get("SamplesPerPixel", 1) != 1:
        return None
    return Stored(begin, length, syntax, described)


def decode(dicom_file: DicomFile, stored: Stored | None = None) -> np.ndarray:
    """Return the stored values of a file: (rows, columns), or with the frames first.

    Args:
        dicom_file: the file.
        stored: where and how its pixels lie, if that is known; else its header is read as well.

    Raises:
        InputError: it cannot be read or decoded (any more).
        MissingExtraError: the decoder of a compressed image is not installed.
    """
    dicom = pydicom()
    dataset: Any = None
    try:
        with dicom_file.open() as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if stored is not None:
                return _decode_stored(file, stored)
            dataset = dicom.dcmread(file, force=True)
            if "TransferSyntaxUID" not in dataset.file_meta:
                dataset.file_meta.TransferSyntaxUID = dicom.uid.ImplicitVRLittleEndian
            return np.asarray(dataset.pixel_array)
    except Exception as error:  # whatever damage does to a reader or a decoder
        why = " ".join(str(error).split())[:160] or type(error).__name__
        if (syntax := _without_decoder(dataset)) is not None:
            raise MissingExtraError(
                f"{shown(str(dicom_file))}: compressed as {syntax}, and its decoder is not installed: "
                "pip install 'itermask[dicom]'"
            ) from error
        raise InputError(
            f"{shown(str(dicom_file))}: its pixels cannot be read ({why}); copy or export it again"
        ) from error


def _decode_stored(file: BinaryIO, stored: Stored) -> np.ndarray:
    """Return the stored values of an open file whose header is known."""
    from pydicom.pixels import get_decoder

    file.seek(stored.begin)
    options: dict[str, Any] = dict(zip(DESCRIBED, stored.described, strict=True), pixel_keyword="PixelData")
    decoder = get_decoder(pydicom().uid.UID(stored.syntax))
    return decoder.as_array(file.read(stored.length), **options)[0]


def _without_decoder(dataset: Any) -> str | None:
    """Return the name of a file's compression if nothing installed can decode it."""
    from pydicom.pixels import get_decoder

    syntax: Any = getattr(getattr(dataset, "file_meta", None), "TransferSyntaxUID", None)
    try:
        if syntax is None or not syntax.is_compressed:
            return None
        return None if get_decoder(syntax).is_available else str(syntax.name)
    except NotImplementedError:
        return str(syntax.name)
    except ValueError:  # no name of a way to store pixels: the decoder will refuse it
        return None
