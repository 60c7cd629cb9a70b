"""NIfTI files in: one clear line for every way a file can be unusable."""

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from itermask.errors import InputError
from itermask.io.names import canonical_sequence, sequence_of
from itermask.scan import Scan

NIFTI_ENDINGS = (".nii", ".nii.gz")


def load_volume(path: Path) -> tuple[np.ndarray, np.ndarray, nib.Nifti1Header]:
    """Array (3D, float32), affine and header of a NIfTI file."""
    if not path.exists():
        raise InputError(f"{path}: no such file")
    if path.is_dir() or not path.name.lower().endswith(NIFTI_ENDINGS):
        raise InputError(f"{path}: not a NIfTI file (.nii or .nii.gz); convert it first, for DICOM with dcm2niix")
    try:
        with _quiet():
            image: Any = nib.load(path)
            if 0 in image.shape:
                raise InputError(f"{path}: the image is empty, shape {image.shape}")
            kind = image.get_data_dtype()
            if kind.kind not in "biuf":
                raise InputError(f"{path}: its voxels are {_kind(kind)}, not one real number each; export it as such")
            data = np.asanyarray(image.dataobj, dtype=np.float32)
    except (nib.filebasedimages.ImageFileError, nib.spatialimages.HeaderDataError) as error:
        raise InputError(f"{path}: not a readable NIfTI image ({_line(error)}); export it again") from error
    except InputError:
        raise
    except (EOFError, MemoryError, OverflowError, zlib.error, gzip.BadGzipFile, OSError, ValueError) as error:
        raise InputError(f"{path}: truncated or damaged ({_line(error)}); copy or export it again") from error
    if data.ndim > 3 and data.shape[3:] == (1,) * (data.ndim - 3):
        data = data.reshape(data.shape[:3])
    if data.ndim != 3:
        raise InputError(f"{path}: {data.ndim}D image of shape {data.shape}; one 3D volume is needed, extract it first")
    affine = np.asarray(image.affine, dtype=np.float64)
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-9:
        raise InputError(f"{path}: the header's affine is singular, so the voxels have no place in space; mend it")
    return data, affine, image.header


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep nibabel from printing what it mends in a header, and numpy its casts: a refusal is one line."""
    logger = nib.imageglobals.logger
    before, logger.disabled = logger.disabled, True
    try:
        with np.errstate(all="ignore"):
            yield
    finally:
        logger.disabled = before


def _kind(dtype: np.dtype) -> str:
    """What a voxel holds that is no plain number, in words."""
    return "complex numbers" if dtype.kind == "c" else "colours" if dtype.names else str(dtype)


def _line(error: Exception) -> str:
    """An error's message on one line."""
    return " ".join(str(error).split())[:160] or type(error).__name__


def read_scan(path: Path | str, sequence: str | None = None, brain_mask: Path | str | None = None) -> Scan:
    """Read a scan, and its brain mask if one is given.

    Args:
        path: `.nii` or `.nii.gz`, 3D (a fourth axis of length 1 is dropped).
        sequence: sequence name; if None, taken from the file name or sidecar, see `names.sequence_of`.
        brain_mask: NIfTI mask on the scan's own grid, non-zero in the brain.

    Returns:
        the scan; `sequence` is None if nothing tells it.

    Raises:
        InputError: unreadable, not 3D, empty, NaN or infinite, constant; or a mask of another shape or
            place, or an empty one.
    """
    path = Path(path)
    image, affine, header = load_volume(path)
    if not np.isfinite(image).all():
        count = int(np.size(image) - np.isfinite(image).sum())
        raise InputError(f"{path}: {count} voxels are NaN or infinite; replace them or export the scan again")
    if image.min() == image.max():
        raise InputError(f"{path}: every voxel is {image.flat[0]:g}; the scan holds nothing to look at")
    name = sequence or sequence_of(path)
    mask = None if brain_mask is None else read_mask(brain_mask, image.shape, affine)
    return Scan(image, affine, None if name is None else canonical_sequence(name), mask, path.name, header)


def read_mask(path: Path | str, shape: tuple[int, ...], affine: np.ndarray, empty: bool = False) -> np.ndarray:
    """Read a mask that must lie on a given grid.

    Args:
        path: NIfTI file.
        shape: of the scan.
        affine: of the scan.
        empty: whether a mask without voxels is accepted, as a lesion map of a healthy scan is.

    Returns:
        boolean array, True where the file is above 0.

    Raises:
        InputError: unreadable, of another shape, elsewhere in space (by more than 1 mm), or empty where it must not be.
    """
    path = Path(path)
    mask, mask_affine, _ = load_volume(path)
    if mask.shape != shape:
        raise InputError(f"{path}: the mask's shape {mask.shape} is not the scan's {shape}; resample it to the scan")
    corners = np.array(np.meshgrid(*[(0, size - 1) for size in shape], [1])).reshape(4, -1)
    if np.abs((mask_affine - affine) @ corners).max() > 1.0:
        raise InputError(f"{path}: the mask lies elsewhere in space than the scan; resample it to the scan's grid")
    if not empty and not (mask > 0).any():
        raise InputError(f"{path}: the mask is empty")
    return mask > 0
