"""The intensities of a series as one array."""

import numpy as np

from itermask.errors import InputError
from itermask.io.dicom.decode import decode
from itermask.io.dicom.series import Series
from itermask.io.names import shown


def read_pixels(series: Series) -> np.ndarray:
    """Return all intensities of a series, with each slice's own rescale slope and intercept applied.

    Args:
        series: without a problem.

    Returns:
        float32 array (columns, rows, slices), along the axes of `series.affine`.

    Raises:
        InputError: a file cannot be read or decoded (any more), or its image has another size than its header says.
        MissingExtraError: the decoder of a compressed image is not installed.
    """
    volume = np.empty(0, dtype=np.float32)
    dicom_file, images = None, np.empty(0)
    for index, frame in enumerate(series.frames):
        if frame.dicom_file != dicom_file:
            dicom_file, images = frame.dicom_file, decode(frame.dicom_file, frame.stored)
        rows, columns = frame.size
        one = images.shape == frame.size and frame.number == 0
        if not one and not (images.ndim == 3 and images.shape[1:] == frame.size and frame.number < len(images)):
            size = "×".join(str(edge) for edge in images.shape[::-1])
            raise InputError(
                f"{shown(str(frame.dicom_file))}: its image has {size} pixels, but its header says {columns}×{rows}; "
                "copy it again"
            )
        if not volume.size:  # only now is it known that the size is no error
            volume = np.empty(series.shape, dtype=np.float32)
        image = images if one else images[frame.number]
        with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is refused later
            volume[:, :, index] = (image * np.float64(frame.slope) + frame.intercept).T
    return volume
