"""The intensities of a series as one array; compressed images are decoded by pydicom's plug-ins."""

import warnings
import zipfile
from typing import Any

import numpy as np

from itermask.errors import InputError, MissingExtraError
from itermask.io.dicom.extras import pydicom
from itermask.io.dicom.files import Place
from itermask.io.dicom.series import Series


def read_pixels(series: Series) -> np.ndarray:
    """All intensities of a series, with each slice's own rescale slope and intercept applied.

    Args:
        series: without a problem.

    Returns:
        float32 array (columns, rows, slices), along the axes of `series.affine`.

    Raises:
        InputError: a file cannot be read or decoded (any more), or its image has another size than its header says.
        MissingExtraError: the decoder of a compressed image is not installed.
    """
    volume = np.empty(series.shape, dtype=np.float32)
    place, images = None, np.empty(0)
    for index, frame in enumerate(series.frames):
        if frame.place != place:
            place, images = frame.place, _decoded(frame.place)
        image = images[frame.number] if images.ndim == 3 else images
        if image.shape != frame.size:
            raise InputError(
                f"{frame.place}: its image is {image.shape}, but its header says {frame.size}; copy it again"
            )
        volume[:, :, index] = (image * np.float64(frame.slope) + frame.intercept).T
    return volume


def _decoded(place: Place) -> np.ndarray:
    """Stored values of a file: (rows, columns), or with the frames first."""
    dicom = pydicom()
    dataset: Any = None
    try:
        with place.open() as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset = dicom.dcmread(file, force=True)
            if "TransferSyntaxUID" not in dataset.file_meta:
                dataset.file_meta.TransferSyntaxUID = dicom.uid.ImplicitVRLittleEndian
            return dataset.pixel_array
    except (
        OSError,
        EOFError,
        RuntimeError,
        NotImplementedError,
        LookupError,
        TypeError,
        ValueError,
        AttributeError,
        MemoryError,
        zipfile.BadZipFile,
    ) as error:
        why = " ".join(str(error).split())[:160] or type(error).__name__
        if (syntax := _without_decoder(dataset)) is not None:
            raise MissingExtraError(
                f"{place}: compressed as {syntax}, and its decoder is not installed: pip install 'itermask[dicom]'"
            ) from error
        raise InputError(f"{place}: its pixels cannot be read ({why}); copy or export it again") from error


def _without_decoder(dataset: Any) -> str | None:
    """The name of a file's compression if nothing installed can decode it."""
    from pydicom.pixels import get_decoder

    syntax = getattr(getattr(dataset, "file_meta", None), "TransferSyntaxUID", None)
    if syntax is None or not syntax.is_compressed:
        return None
    try:
        return None if get_decoder(syntax).is_available else str(syntax.name)
    except NotImplementedError:
        return str(syntax.name)
