"""Where a NIfTI file's voxels lie: units, the two ways to give a position, and what cannot be."""

from collections.abc import Iterator
from pathlib import Path

import nibabel as nib
import numpy as np

from itermask.errors import InputError
from itermask.io.header import Header

UNITS = {0: ("unknown", 1.0), 1: ("metre", 1000.0), 2: ("millimetre", 1.0), 3: ("micrometre", 0.001)}
SPACING = (0.05, 50.0)  # mm; between a specimen's voxels and the distance of a localiser's slices
LARGEST = 1000.0  # mm along any axis
FARTHEST = 10_000.0  # mm from the scanner's centre
OUTSIDE = 400.0  # mm from there to the volume's middle: no scanner images so far out
APART = 1.0  # mm between the corners of two positions that count as one
SAME_SIZE = 0.01  # share by which two voxel sizes may differ and be one
SHEAR_NOTED, SHEAR_REFUSED = 0.01, 0.1  # cosine between axes; 0.6 and 6 degrees
CODES = range(6)


def affine_of(path: Path, header: Header) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return the affine of a header, in millimetres, with sentences on what a reader must know of it.

    The sform is used before the qform, and either before bare voxel sizes, as the NIfTI standard asks. Where both
    are given and contradict each other, the qform is used if the sform cannot be, is a bare scaling without an
    offset, or has other voxel sizes than the header.

    Args:
        path: for messages.
        header: as `itermask.io.header.read_header` gives it.

    Returns:
        4×4 affine, voxel indices → millimetres (RAS+); and sentences.

    Raises:
        InputError: unknown voxel size, a singular or sheared affine, or voxels and sizes that no scan has.
    """
    scale, unit_notes = _unit(header)
    sform_code, qform_code = int(header["sform_code"]), int(header["qform_code"])
    for name, code in (("sform", sform_code), ("qform", qform_code)):
        if code not in CODES:
            raise InputError(
                f"{path}: its header's {name}_code is {code}, which is none, so it is damaged; export it again"
            )
    sizes = np.abs(np.asarray(header["pixdim"][1:4], dtype=np.float64))
    if not np.isfinite(sizes).all():
        raise InputError(f"{path}: its header's voxel sizes are not numbers (pixdim); export it again")
    sform = _usable(header.get_sform()) if sform_code else None
    qform = _usable(_qform(header)) if qform_code else None
    if sform is None and qform is None:
        if not sizes.all() and not sform_code:
            raise InputError(f"{path}: its header has no voxel size (pixdim is 0) and no position; export it again")
        if sform_code or qform_code:
            raise InputError(
                f"{path}: the header's affine is singular, so the voxels have no position in space; fix it"
            )
        affine = np.asarray(header.get_base_affine(), dtype=np.float64)
        notes = [_NO_ORIENTATION]
    elif sform is None or qform is None:
        affine = sform if sform is not None else qform  # type: ignore[assignment]
        notes = list(_of_one(path, header, sform_code, qform_code, sform, sizes))
    else:
        affine, notes = _of_both(sform, qform, header, scale, sizes)
    affine = affine.copy()
    affine[:3] *= scale
    return affine, (*unit_notes, *notes, *_check(path, header, affine, bool(unit_notes)))


_NO_ORIENTATION = (
    "The header tells no orientation (sform_code and qform_code are 0): the axes were taken as right to left, "
    "back to front, bottom to top, so sides may be wrong."
)


def _unit(header: Header) -> tuple[float, list[str]]:
    """Return millimetres in the header's unit, and a sentence where that is another."""
    code = int(header["xyzt_units"]) & 7
    name, scale = UNITS.get(code, UNITS[0])
    return scale, [] if scale == 1.0 else [f"The header's unit is the {name}; sizes were converted to millimetres."]


def _usable(affine: np.ndarray | None) -> np.ndarray | None:
    """Return an affine that has an inverse, whatever its unit; else None."""
    if affine is None or not np.isfinite(affine).all():
        return None
    sizes = np.linalg.norm(affine[:3, :3].astype(np.float64), axis=0)
    if not sizes.all() or abs(np.linalg.det(affine[:3, :3] / sizes)) < 1e-3:
        return None
    return np.asarray(affine, dtype=np.float64)


def _qform(header: Header) -> np.ndarray | None:
    """Return the qform's affine; None if its quaternion is none."""
    if not np.asarray(header["pixdim"][1:4]).all():
        return None
    sign = float(header["pixdim"][0])
    header = header.copy()
    header["pixdim"][0] = -1 if sign < 0 else 1
    header["pixdim"][1:4] = np.abs(header["pixdim"][1:4])
    try:
        with np.errstate(all="ignore"):
            return np.asarray(header.get_qform())
    except (ValueError, nib.spatialimages.HeaderDataError):
        return None


def _of_one(
    path: Path, header: Header, sform_code: int, qform_code: int, sform: np.ndarray | None, sizes: np.ndarray
) -> Iterator[str]:
    """Yield sentences where only one of sform and qform can be used."""
    if sform_code and qform_code:
        good, bad = ("sform", "qform") if sform is not None else ("qform", "sform")
        yield f"The header's {bad} cannot be used; its {good} was."
    elif sform is not None and _differ(np.linalg.norm(sform[:3, :3], axis=0), sizes):
        yield (
            f"The header's voxel sizes ({_sizes(sizes)}) are not those of its sform "
            f"({_sizes(np.linalg.norm(sform[:3, :3], axis=0))}); the sform's were used."
        )
    if sform is None and float(header["pixdim"][0]) not in (-1.0, 0.0, 1.0):
        raise InputError(
            f"{path}: its header's pixdim[0] is {float(header['pixdim'][0]):g}, so left and right cannot be told; "
            "export it again"
        )


def _of_both(
    sform: np.ndarray, qform: np.ndarray, header: Header, scale: float, sizes: np.ndarray
) -> tuple[np.ndarray, list[str]]:
    """Return which of two positions to use, and a sentence if they are not one."""
    corners = _corners(header)
    apart = float(np.linalg.norm(((sform - qform) @ corners)[:3], axis=0).max()) * scale
    if apart <= APART:
        return sform, []
    bare = not np.any(sform[:3, 3]) and np.count_nonzero(sform[:3, :3]) == 3 and np.all(np.diag(sform)[:3] > 0)
    rescaled = _differ(np.linalg.norm(sform[:3, :3], axis=0), sizes)
    why = "the sform is a bare scaling" if bare else "the sform has other voxel sizes" if rescaled else ""
    used, word = (qform, "qform") if why else (sform, "sform")
    sentence = (
        f"The header gives two positions that contradict each other (sform and qform, up to {apart:.0f} mm apart); "
        f"the {word} was used{', as ' + why if why else ''}."
    )
    if np.linalg.det(sform[:3, :3]) * np.linalg.det(qform[:3, :3]) < 0:
        sentence += " They also swap left and right, so sides may be wrong."
    return used, [sentence]


def _check(path: Path, header: Header, affine: np.ndarray, converted: bool) -> list[str]:
    """Refuse voxels, sizes and axes that no scan has; sentences on odd axes and an odd position."""
    shape = np.array(header.get_data_shape()[:3])
    sizes = np.linalg.norm(affine[:3, :3], axis=0)
    advice = "the header's unit or voxel size is wrong; fix it" if converted else "the header is wrong; fix it"
    if sizes.min() < SPACING[0] or sizes.max() > SPACING[1]:
        raise InputError(f"{path}: voxels of {_sizes(sizes)} mm are not possible: {advice}")
    if (sizes * shape).max() > LARGEST:
        raise InputError(f"{path}: a volume of {_sizes(sizes * shape)} mm is not possible: {advice}")
    if np.abs(affine[:3, 3]).max() > FARTHEST:
        raise InputError(f"{path}: the scan lies {np.abs(affine[:3, 3]).max():.3g} mm off the scanner: {advice}")
    off = float(np.linalg.norm(affine[:3, :3] @ ((shape - 1) / 2) + affine[:3, 3]))
    notes = [f"Its middle lies {off:.0f} mm from the scanner's centre, so its position may be wrong."] * (off > OUTSIDE)
    axes = affine[:3, :3] / sizes
    shear = float(np.abs(axes.T @ axes - np.eye(3)).max())
    if shear > SHEAR_REFUSED:
        raise InputError(
            f"{path}: its axes stand at {np.degrees(np.arccos(min(1.0, shear))):.0f}° to each other, not at 90°, so "
            "distances in it are wrong; resample it to straight axes"
        )
    if shear > SHEAR_NOTED:
        notes.append(f"The header's axes are sheared, {90 - np.degrees(np.arccos(shear)):.1f}° off right angles.")
    return notes


def _corners(header: Header) -> np.ndarray:
    """Return the eight corners of a volume, 4×8, in voxel indices."""
    return np.array(np.meshgrid(*[(0, size - 1) for size in header.get_data_shape()[:3]], [1])).reshape(4, -1)


def _differ(a: np.ndarray, b: np.ndarray) -> bool:
    """Return whether two voxel sizes are different ones; of one that is 0 nothing is known."""
    known = (a > 0) & (b > 0)
    return bool((np.abs(a - b) > SAME_SIZE * np.maximum(a, b))[known].any())


def _sizes(sizes: np.ndarray) -> str:
    """Return three lengths as text."""
    return " × ".join(f"{size:.4g}" for size in sizes)
