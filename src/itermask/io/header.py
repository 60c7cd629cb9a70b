"""NIfTI headers, parsed without repairs: what cannot be is refused, before a voxel is read."""

import math
from pathlib import Path

import nibabel as nib
import numpy as np

from itermask.errors import InputError
from itermask.io.stream import HEAD

Header = nib.Nifti1Header  # NIfTI-2 headers are of a class below it

SIZES = {348: (nib.Nifti1Header, b"n+1\0", 352), 540: (nib.Nifti2Header, b"n+2\0\r\n\032\n", 544)}
MOST_VOXELS = 2**30
LARGEST_SCALE = 1e12  # of a slope or offset; scanners state up to some thousands
ADVICE = "export it again"


def read_header(path: Path, head: bytes) -> tuple[Header, tuple[str, ...]]:
    """Return a header from the first bytes of a file (unpacked), with sentences on what is odd in it.

    Args:
        path: for messages.
        head: at least 544 bytes, or all there are.

    Returns:
        the header, of which `itermask.io.geometry.affine_of` tells where the voxels lie; and sentences.

    Raises:
        InputError: no single-file NIfTI, not one 3D volume, no plain numbers, or a field that cannot be.
    """
    kind, block, order = _layout(path, head)
    header = kind(block, endianness=order, check=False)
    shape = _shape(path, header)
    if math.prod(shape) > MOST_VOXELS:
        raise InputError(
            f"{path}: {' × '.join(map(str, shape))} voxels are more than a scan has, so its header is wrong"
        )
    _check_type(path, header)
    _check_scaling(path, header)
    return header, tuple(_corrected_offset(path, header))


def whole_length(header: Header) -> int:
    """Return bytes of the file, unpacked, from its beginning to the last voxel."""
    return int(header["vox_offset"]) + math.prod(header.get_data_shape()) * header.get_data_dtype().itemsize


def _layout(path: Path, head: bytes) -> tuple[type[Header], bytes, str]:
    """Return which NIfTI it is: class, header's bytes, byte order."""
    for order, name in (("<", "little"), (">", "big")):
        size = int.from_bytes(head[:4], name, signed=True)  # type: ignore[arg-type]
        if size not in SIZES:
            continue
        kind, magic, _ = SIZES[size]
        if len(head) < size:
            raise InputError(f"{path}: truncated or damaged: its header ends after {len(head)} bytes; {ADVICE}")
        header = kind(head[:size], endianness=order, check=False)
        found = head[4:12] if size == 540 else head[344:348]
        if found != magic:
            pair = found[:3] in (b"ni1", b"ni2")
            what = "the header of a pair of files (.hdr, .img)" if pair else "not a readable NIfTI image (no magic)"
            raise InputError(f"{path}: {what}; {ADVICE} as one .nii or .nii.gz file")
        return kind, header.binaryblock, order
    if not head:
        raise InputError(f"{path}: truncated or damaged: it is empty; copy or export it again")
    raise InputError(f"{path}: not a readable NIfTI image (it does not begin with a header); {ADVICE}")


def _shape(path: Path, header: Header) -> tuple[int, ...]:
    """Return numbers of voxels; refuse what is not one 3D volume."""
    dim = [int(size) for size in header["dim"]]
    if not 1 <= dim[0] <= 7:
        raise InputError(f"{path}: truncated or damaged: its header states {dim[0]} axes; {ADVICE}")
    shape = tuple(dim[1 : dim[0] + 1])
    if 0 in shape:
        raise InputError(f"{path}: the image is empty, shape {shape}")
    if min(shape) < 0:
        raise InputError(f"{path}: truncated or damaged: its header states a shape of {shape}; {ADVICE}")
    if len(shape) < 3 or any(size != 1 for size in shape[3:]):
        axes = len(shape)
        raise InputError(f"{path}: {axes}D image of shape {shape}; one 3D volume is needed, extract it first")
    return shape


def _check_type(path: Path, header: Header) -> None:
    """Refuse voxels that are not one real number each, and a size that is not their type's."""
    code, bits = int(header["datatype"]), int(header["bitpix"])
    try:
        kind = header.get_data_dtype()
    except (KeyError, nib.spatialimages.HeaderDataError) as error:
        raise InputError(f"{path}: not a readable NIfTI image (voxel type {code} is none); {ADVICE}") from error
    if kind.kind not in "biuf":
        what = "complex numbers" if kind.kind == "c" else "colours" if kind.names else str(kind)
        raise InputError(f"{path}: its voxels are {what}, not one real number each; export it as such")
    if kind.itemsize == 0 or bits != 8 * kind.itemsize:
        raise InputError(f"{path}: its header gives {kind} voxels {bits} bits, so it is damaged; {ADVICE}")


def _check_scaling(path: Path, header: Header) -> None:
    """Refuse a slope or offset that no scan has; a slope of 0 or NaN means that there is none."""
    slope, offset = float(header["scl_slope"]), float(header["scl_inter"])
    none = slope == 0 or math.isnan(slope)
    if any(abs(each) > LARGEST_SCALE for each in (slope, offset)) or (not none and not math.isfinite(offset)):
        raise InputError(
            f"{path}: its intensities are scaled by {slope:g} and {offset:g}, which is not possible; {ADVICE}"
        )


def _corrected_offset(path: Path, header: Header) -> list[str]:
    """Return where the voxels begin; 0 means the header's end, which the file's length then confirms."""
    _, _, least = SIZES[int(header["sizeof_hdr"])]
    offset = float(header["vox_offset"])
    if offset == 0:
        header["vox_offset"] = least
        return [f"The header does not say where the voxels begin (vox_offset 0); byte {least} was taken."]
    if not math.isfinite(offset) or offset != int(offset) or not least <= offset <= 2**31:
        raise InputError(
            f"{path}: truncated or damaged: its voxels begin at byte {offset:g}, but the header alone has {least}; "
            f"{ADVICE}"
        )
    return []


def voxels(data: bytes, header: Header) -> np.ndarray:
    """Return the voxels of a file that was read whole, scaled, in `float32`.

    Args:
        data: the file, unpacked, `whole_length(header)` bytes.
        header: its header.

    Returns:
        3D array in the file's axis order; NaN and infinity as they stand there, or where numbers are too large.
    """
    import io

    with np.errstate(all="ignore"):
        proxy = nib.arrayproxy.ArrayProxy(io.BytesIO(data), header)
        return np.asanyarray(proxy, dtype=np.float32).reshape(header.get_data_shape()[:3])


__all__ = ["HEAD", "Header", "read_header", "voxels", "whole_length"]
