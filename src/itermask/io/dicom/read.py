"""A scan from a DICOM series, together with the series, so that results can go back to it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import nibabel as nib
import numpy as np

from itermask.errors import InputError
from itermask.io.dicom.choice import choose_series
from itermask.io.dicom.pixels import read_pixels
from itermask.io.dicom.series import Found, Series, find_series
from itermask.io.names import canonical_sequence, shown
from itermask.io.nifti import read_brain_mask
from itermask.types import Scan


@dataclass(frozen=True)
class DicomScan:
    """A scan, the series it was read from, and all that was found beside it.

    Slice `k` of the scan's third axis is `series.frames[k]`.
    """

    scan: Scan
    series: Series
    found: Found


def read_dicom(
    paths: Path | str | Sequence[Path | str],
    series: str | None = None,
    sequence: str | None = None,
    brain_mask: Path | str | None = None,
    found: Found | None = None,
) -> list[DicomScan]:
    """Read one series of a folder, a zip or a file, or all of them.

    The image's axes are columns, rows and slices of the DICOM images, in their own directions.

    Args:
        paths: a folder (with all below it), a zip, an enhanced image's file, or several of these.
        series: which one: label, number, UID, a part of the description, or `all`; None takes the only one that fits.
        sequence: of the scan; if None it is guessed from the header.
        brain_mask: NIfTI mask on the scan's grid, its axes in any order.
        found: what `find_series` has found there, so that no header is read again; None to look now.

    Returns:
        one scan, or for `all` every series that can be read.

    Raises:
        InputError: no series, several that fit, one that cannot be read or holds nothing, or a mask that does not fit.
        MissingExtraError: pydicom or the decoder of a compressed image is not installed.
    """
    where = ", ".join(shown(path) for path in ([paths] if isinstance(paths, (str, Path)) else paths))
    wanted = None if sequence is None else canonical_sequence(sequence)
    try:
        found = find_series(paths) if found is None else found
        chosen = choose_series(found, series, wanted)
    except InputError as error:
        raise error if str(error).startswith(where) else type(error)(f"{where}: {error}") from error
    if isinstance(paths, (str, Path)) and Path(paths).is_file():
        _check_whole(Path(paths), chosen[0])
    return [DicomScan(_read(each, wanted, brain_mask, where), each, found) for each in chosen]


def _check_whole(path: Path, series: Series) -> None:
    """Refuse one slice of many."""
    only = series.frames[0]
    if only.place == type(only.place)(path) and not only.multiframe:
        raise InputError(f"{shown(path)}: holds a single slice; give the folder that holds the whole series")


def _read(series: Series, sequence: str | None, brain_mask: Path | str | None, where: str) -> Scan:
    image = read_pixels(series)
    name = f"{Path(where).name}, {series.title}"
    if not np.isfinite(image).all():
        raise InputError(f"{where}: {series.title} holds values that are too large or no numbers; export it again")
    if image.min() == image.max():
        raise InputError(f"{where}: {series.title} holds nothing to process: every voxel is {image.flat[0]:g}")
    assert series.affine is not None  # `choose_series` gives none with a problem
    affine = series.affine.astype(np.float32).astype(np.float64)  # as a NIfTI file of the scan has it
    header = nib.Nifti1Header()
    header.set_data_shape(image.shape)
    header.set_sform(affine, 1)
    header.set_qform(affine, 1)
    header.set_xyzt_units("mm")
    scan = Scan(image, affine, sequence or series.guess.sequence, None, name, header, series.notes, series.source)
    if brain_mask is not None:
        mask, notes = read_brain_mask(brain_mask, image.shape, affine)
        scan = replace(scan, brain_mask=mask).noted(*notes)
    return scan
