"""Files to compare, brought to one orientation; what does not lie on one grid is refused, never resampled."""

from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np

from itermask.errors import InputError
from itermask.io.nifti import load_volume as load_nifti

TOLERANCE = 0.1  # mm by which the corners of two grids may differ
MOST_LABELS = 100  # a mask file with more values than this is an image


@dataclass(frozen=True)
class Volume:
    """What a file holds, axes reordered and flipped to be as close to RAS as they can.

    Attributes:
        path: the file, for messages.
        data: float32, 3D.
        affine: 4×4, voxel indices of `data` → scanner millimetres.
    """

    path: Path
    data: np.ndarray
    affine: np.ndarray

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Voxel size in mm along each axis."""
        x, y, z = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(x), float(y), float(z)


def read_volume(path: Path | str) -> Volume:
    """Read a NIfTI file.

    Raises:
        InputError: missing, unreadable, not 3D, or without a position in space.

    Example:
        >>> import nibabel as nib
        >>> nib.save(nib.Nifti1Image(scan.image, scan.affine), folder / "scan.nii.gz")
        >>> read_volume(folder / "scan.nii.gz").data.shape == scan.image.shape
        True
    """
    path = Path(path)
    data, affine, _ = load_nifti(path)
    canonical = nib.as_closest_canonical(nib.Nifti1Image(data, affine))
    return Volume(path, np.asanyarray(canonical.dataobj), canonical.affine)


def check_same_grid(volume: Volume, reference: Volume) -> None:
    """Refuse a volume that does not lie voxel by voxel on another.

    Raises:
        InputError: another shape, or a corner more than 0.1 mm away.
    """
    if volume.data.shape != reference.data.shape:
        raise InputError(
            f"{volume.path}: shape {volume.data.shape} is not {reference.data.shape}, that of {reference.path} "
            "(both in RAS order); resample one to the other"
        )
    corners = np.array(np.meshgrid(*[(-0.5, size - 0.5) for size in volume.data.shape], [1])).reshape(4, -1)
    apart = float(np.linalg.norm(((volume.affine - reference.affine) @ corners)[:3], axis=0).max())
    if not apart <= TOLERANCE:
        raise InputError(
            f"{volume.path}: lies elsewhere in space than {reference.path}, by up to {apart:.3g} mm; "
            "resample one to the other"
        )


def as_mask(volume: Volume, advice: str = "give a mask") -> np.ndarray:
    """Return a volume as boolean mask: True above 0.

    Args:
        volume: what the file holds; whole numbers, none negative, few different ones.
        advice: what to do if it is something else.

    Raises:
        InputError: the file looks like an image or a map, not like a mask.

    Example:
        >>> volume = Volume("label.nii.gz", np.array([[[0.0, 1.0]]]), np.eye(4))
        >>> as_mask(volume).tolist()
        [[[False, True]]]
    """
    data = volume.data
    if not np.isfinite(data).all():
        raise InputError(f"{volume.path}: a voxel is NaN or infinite, so it is no mask; {advice}")
    if (data != np.round(data)).any() or data.min() < 0:
        raise InputError(f"{volume.path}: holds fractions or negative numbers, so it is no mask; {advice}")
    if data.max() > MOST_LABELS and len(np.unique(data)) > MOST_LABELS:
        raise InputError(f"{volume.path}: holds more than {MOST_LABELS} different values, so it is no mask; {advice}")
    return data > 0
