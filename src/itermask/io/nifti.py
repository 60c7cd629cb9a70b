"""NIfTI files in: one clear line for every way a file can be unusable, and a note for what is odd in a usable one."""

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import nibabel as nib
import numpy as np
import numpy.typing as npt
from scipy import ndimage

from itermask.errors import InputError
from itermask.io.geometry import affine_of
from itermask.io.header import Header, read_header, voxels, whole_length
from itermask.io.masks import labels_in, mask_in, turned_onto
from itermask.io.names import canonical_sequence, sequence_of, shown
from itermask.io.sidecar import source_beside
from itermask.io.stream import check_file, read_stream
from itermask.types import Scan

NIFTI_ENDINGS = (".nii", ".nii.gz")
RIM_SHARE = 0.05  # of a brain mask: so much of it may lie where the scan's background is NaN


class Volume(NamedTuple):
    """What a NIfTI file holds.

    Attributes:
        data: float32, 3D, in the file's axis order; may hold NaN or infinity.
        affine: 4×4, voxel indices → scanner millimetres (RAS+), whatever the file's unit.
        header: as the file has it.
        notes: sentences on its header.
    """

    data: np.ndarray
    affine: np.ndarray
    header: Header
    notes: tuple[str, ...]


def read_volume(path: Path | str) -> Volume:
    """Read a NIfTI file to its end; checksums and lengths are checked, the header is believed in nothing.

    Args:
        path: `.nii` or `.nii.gz`, one 3D volume (axes of length 1 may follow).

    Raises:
        InputError: not such a file, truncated, damaged, or a header that cannot be; what the header tells is refused
            before the voxels are read.

    Example:
        >>> nib.save(nib.Nifti1Image(scan.image, scan.affine), folder / "scan.nii.gz")
        >>> read_volume(folder / "scan.nii.gz").data.shape == scan.image.shape
        True
    """
    path = Path(path)
    if not path.name.lower().endswith(NIFTI_ENDINGS):
        check_file(path)
        raise InputError(f"{path}: not a NIfTI file (.nii or .nii.gz); convert it first, for DICOM with dcm2niix")
    check_file(path)
    found: list[tuple[Header, np.ndarray, tuple[str, ...]]] = []

    def measure(head: bytes) -> int:
        header, odd = read_header(path, head)
        affine, notes = affine_of(path, header)
        found.append((header, affine, (*odd, *notes)))
        return whole_length(header)

    data, padding = read_stream(path, measure)
    header, affine, notes = found[0]
    try:
        values = voxels(data, header)
    except (MemoryError, OSError, OverflowError, ValueError) as error:
        raise InputError(f"{path}: truncated or damaged ({error}); copy or export it again") from error
    return Volume(values, affine, header, (*notes, *([padding] if padding else [])))


def load_volume(path: Path) -> tuple[np.ndarray, np.ndarray, Header]:
    """Return array (3D, float32), affine in millimetres and header of a NIfTI file; see `read_volume`.

    Example:
        >>> nib.save(nib.Nifti1Image(scan.image, scan.affine), folder / "scan.nii.gz")
        >>> data, affine, header = load_volume(folder / "scan.nii.gz")
        >>> data.dtype, affine.shape
        (dtype('<f4'), (4, 4))
    """
    return read_volume(path)[:3]


def read_scan(path: Path | str, sequence: str | None = None, brain_mask: Path | str | None = None) -> Scan:
    """Read a scan, and its brain mask if one is given.

    Args:
        path: `.nii` or `.nii.gz`, 3D (further axes of length 1 are dropped).
        sequence: sequence name; if None, taken from the file name or sidecar, see `names.sequence_of`.
        brain_mask: NIfTI mask on the scan's own grid, its axes in any order, see `read_brain_mask`.

    Returns:
        the scan; `sequence` is None if nothing tells it. Its `notes` say what is odd about the files.

    Raises:
        InputError: unreadable, not 3D, empty, infinite, NaN elsewhere than in the background, constant; or a mask
            that is none or of another shape or position.

    Example:
        >>> nib.save(nib.Nifti1Image(scan.image, scan.affine), folder / "sub-01_T1w.nii.gz")
        >>> read_scan(folder / "sub-01_T1w.nii.gz").sequence
        'T1w'
    """
    path = Path(path)
    source, said = source_beside(path)
    image, affine, header, notes = read_volume(path)
    background = usable(path, image)
    name = sequence or sequence_of(path)
    mask = None
    if brain_mask is not None:
        mask, of_mask = read_brain_mask(brain_mask, image.shape, affine)
        notes += of_mask
        if background is not None:
            mask = _without(mask, background, path)
    notes += _of_background(background)
    name = None if name is None else canonical_sequence(name)
    return Scan(image, affine, name, mask, shown(path.name), header, notes + said, source)


def scan_of_image(image: nib.spatialimages.SpatialImage, sequence: str | None = None) -> Scan:
    """Return the scan that a nibabel image holds; the image is not changed.

    Args:
        image: one 3D volume (further axes of length 1 are dropped), from a file or made.
        sequence: sequence name; if None, what the name of the image's file, or a sidecar beside it, says.

    Raises:
        InputError: as `read_scan`.

    Example:
        >>> scan_of_image(nib.Nifti1Image(scan.image, scan.affine), "FLAIR").sequence
        'FLAIR'
    """
    file = image.get_filename()
    path = Path(file) if file else Path("image")
    source, said = source_beside(path) if file else (None, ())
    affine = np.asarray(image.affine, dtype=np.float64) if image.affine is not None else None
    if affine is None:
        raise InputError(f"{path}: the image has no affine, so its voxels have no position in space; give it one")
    header = image.header.copy() if isinstance(image.header, nib.Nifti1Header) else None
    notes: tuple[str, ...] = ()
    if header is not None and np.allclose(header.get_best_affine(), affine, atol=1e-4):
        affine, notes = affine_of(path, header)
    else:
        header = None
    scan = scan_of_array(image.dataobj, affine, sequence or (sequence_of(path) if file else None), path)
    return replace(scan, header=header, notes=(*notes, *scan.notes, *said), source=source)


def scan_of_array(
    image: npt.ArrayLike, affine: npt.ArrayLike, sequence: str | None = None, path: Path = Path("array")
) -> Scan:
    """Return a scan from voxels and their affine; the array is copied.

    Args:
        image: real numbers, 3D (further axes of length 1 are dropped).
        affine: 4×4, voxel indices → scanner millimetres (RAS+).
        sequence: sequence name, or None.
        path: what messages call it.

    Raises:
        InputError: not 3D, no numbers, an affine that is none; or as `read_scan`.

    Example:
        >>> scan_of_array(np.arange(8.0).reshape(2, 2, 2), np.eye(4), "t1w").sequence
        'T1w'
    """
    given = np.asanyarray(image)
    while given.ndim > 3 and given.shape[-1] == 1:
        given = given[..., 0]
    if given.ndim != 3 or not given.size:
        raise InputError(f"{path}: has shape {given.shape}; give one volume, of 3 axes")
    if given.dtype.kind not in "biuf":
        raise InputError(f"{path}: holds {given.dtype} values; give real numbers, for complex ones the magnitude")
    placed = np.array(affine, dtype=np.float64)
    if placed.shape != (4, 4) or not np.isfinite(placed).all() or abs(np.linalg.det(placed[:3, :3])) < 1e-9:
        raise InputError(f"{path}: the affine must be a 4×4 matrix of finite numbers that can be inverted")
    data = np.array(given, dtype=np.float32)
    notes = _of_background(usable(path, data))
    name = None if sequence is None else canonical_sequence(sequence)
    return Scan(data, placed, name, None, shown(path.name), None, notes)


def usable(path: Path, image: np.ndarray) -> np.ndarray | None:
    """Set a background of NaN to 0, in place; return where it was, or None if there is none.

    Raises:
        InputError: a voxel is infinite, or NaN within the object, or all are alike.

    Example:
        >>> image = np.array([[[1.0, np.nan]]])
        >>> usable(Path("scan.nii.gz"), image).tolist(), image.tolist()
        ([[[False, True]]], [[[1.0, 0.0]]])
    """
    background = _nan_background(path, image)
    if image.min() == image.max():
        raise InputError(f"{path}: every voxel is {image.flat[0]:g}; the scan holds nothing to process")
    return background


def _of_background(background: np.ndarray | None) -> tuple[str, ...]:
    """Return a sentence on a background of NaN, where there is one."""
    if background is None:
        return ()
    return (f"{100 * background.mean():.0f} % of the volume, its background, is NaN and was set to 0.",)


def _nan_background(path: Path, image: np.ndarray) -> np.ndarray | None:
    """Set a background of NaN to 0, in place; gives where it was, or None if there is none.

    Background is what hangs together with the volume's border.

    Raises:
        InputError: a voxel is infinite, or NaN within the object, or all are.
    """
    lowest = image.min()  # NaN if any voxel is
    if np.isfinite(lowest) and np.isfinite(image.max()):
        return None
    missing = np.isnan(image)
    infinite = int(np.isinf(image).sum())
    inside = 0
    if not infinite and not missing.all():
        inside = int((missing & ~reaching_border(missing)).sum())
    if infinite or inside or missing.all() or not missing.any():
        count = infinite + int(missing.sum())
        where = f", {inside} of them within the object" if inside else ""
        raise InputError(f"{path}: {count} voxels are NaN or infinite{where}; replace them or export the scan again")
    image[missing] = 0
    return missing


def reaching_border(mask: np.ndarray) -> np.ndarray:
    """Return the parts of a mask that touch a face of the volume; across an axis of length 1 there is no face.

    Example:
        >>> mask = np.zeros((5, 5, 5), bool)
        >>> mask[0, 0, 0] = mask[2, 2, 2] = True
        >>> int(reaching_border(mask).sum())
        1
    """
    parts, _ = ndimage.label(mask)
    faces = [parts.take(end, axis) for axis, size in enumerate(mask.shape) if size > 1 for end in (0, -1)]
    kept = np.unique(np.concatenate([face.ravel() for face in faces]))
    return np.isin(parts, kept[kept > 0])


def _without(mask: np.ndarray, background: np.ndarray, path: Path) -> np.ndarray:
    """Return a brain mask without the scan's NaN background; refuse where much of it lies there."""
    lost = int((mask & background).sum())
    if lost > RIM_SHARE * mask.sum():
        raise InputError(
            f"{path}: {lost} of {int(mask.sum())} voxels of the brain mask are NaN in the scan; "
            "replace them or export the scan again"
        )
    return mask & ~background


def read_brain_mask(path: Path | str, shape: tuple[int, ...], affine: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """Read a brain mask, and say in sentences what had to be done to it.

    Args:
        path: NIfTI file on the scan's grid, its axes in any order and direction: a mask of two values, a map of
            labels, or probabilities from 0 to 1, of which 0.5 and more is brain.
        shape: of the scan.
        affine: of the scan.

    Returns:
        boolean mask of the scan's shape, and sentences.

    Raises:
        InputError: unreadable, negative, an image rather than a mask, without background, empty, or elsewhere.

    Example:
        >>> nib.save(nib.Nifti1Image(scan.brain_mask.astype(np.uint8), scan.affine), folder / "brain.nii.gz")
        >>> mask, notes = read_brain_mask(folder / "brain.nii.gz", scan.image.shape, scan.affine)
        >>> bool((mask == scan.brain_mask).all()), notes
        (True, ())
    """
    path = Path(path)
    volume = read_volume(path)
    data, turned = turned_onto(path, volume.data, volume.affine, shape, affine)
    mask, notes = mask_in(path, data)
    return mask, (
        *([f"The brain mask {shown(path.name)} has its axes in another order; it was turned."] * turned),
        *notes,
    )


def read_mask(path: Path | str, shape: tuple[int, ...], affine: np.ndarray, empty: bool = False) -> np.ndarray:
    """Read a map of lesions or other labels that must lie on a given grid.

    Args:
        path: NIfTI file, its axes in any order.
        shape: of the scan.
        affine: of the scan.
        empty: whether a mask without voxels is accepted, as a lesion map of a healthy scan is.

    Returns:
        boolean array, True where the file is above 0.

    Raises:
        InputError: unreadable, negative or NaN, of another shape, elsewhere in space (by more than 1 mm), or empty
            where it must not be.

    Example:
        >>> nib.save(nib.Nifti1Image(scan.brain_mask.astype(np.uint8), scan.affine), folder / "lesion.nii.gz")
        >>> read_mask(folder / "lesion.nii.gz", scan.image.shape, scan.affine).dtype
        dtype('bool')
    """
    path = Path(path)
    volume = read_volume(path)
    data, _ = turned_onto(path, volume.data, volume.affine, shape, affine)
    mask = labels_in(path, data)
    if not empty and not mask.any():
        raise InputError(f"{path}: the mask is empty")
    return mask
