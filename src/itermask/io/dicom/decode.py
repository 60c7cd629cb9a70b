"""Stored values of one DICOM file; compressed images are decoded by pydicom's plug-ins."""

import warnings
from typing import Any

import numpy as np

from itermask.errors import InputError, MissingExtraError
from itermask.io.dicom.extras import pydicom
from itermask.io.dicom.walk import DicomFile
from itermask.io.names import shown


def decode(dicom_file: DicomFile) -> np.ndarray:
    """Return the stored values of a file: (rows, columns), or with the frames first.

    Raises:
        InputError: it cannot be read or decoded (any more).
        MissingExtraError: the decoder of a compressed image is not installed.
    """
    dicom = pydicom()
    dataset: Any = None
    try:
        with dicom_file.open() as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")
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
