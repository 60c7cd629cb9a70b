"""From the positions of slices to a volume's affine, and why some slices make no volume.

DICOM counts millimetres towards left, posterior, superior (LPS); a scan's affine towards right, anterior, superior.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

UNEVEN = 0.02  # distances of neighbouring slices may differ by this share, or by `ROUNDING`
ROUNDING = 0.02  # mm
SAME_POSITION = 0.001  # mm
SHIFTED = 0.02  # mm to the side per mm from slice to slice
SKEW = 1e-3  # cosine of the angle between rows and columns
FLIP = np.diag([-1.0, -1.0, 1.0])  # LPS to RAS and back


@dataclass(frozen=True)
class Stack:
    """How slices lie on each other.

    Attributes:
        order: index of the slice at each position, along the slices' normal (rows × columns).
        affine: 4×4, (column, row, slice) indices → scanner millimetres (RAS+).
    """

    order: tuple[int, ...]
    affine: np.ndarray


def stack_slices(
    positions: Sequence[Sequence[float]],
    orientation: Sequence[float],
    pixel: Sequence[float],
    thickness: float = 0.0,
) -> Stack:
    """Order parallel slices and find where their voxels lie.

    Args:
        positions: (n, 3), centre of each slice's first pixel, mm, LPS (ImagePositionPatient).
        orientation: direction cosines of a row, then of a column, LPS (ImageOrientationPatient).
        pixel: distance in mm between rows, and between columns (PixelSpacing).
        thickness: mm from slice to slice, used for a single one; 0 counts as 1 mm.

    Returns:
        the stack.

    Raises:
        ValueError: rows are not perpendicular to columns, no or negative pixel size, several slices at one position,
            missing slices, uneven distances, or slices shifted to the side.

    Example:
        >>> stack = stack_slices([(0, 0, 4), (0, 0, 0), (0, 0, 2)], (1, 0, 0, 0, 1, 0), (1.0, 1.0))
        >>> stack.order, float(stack.affine[2, 2])
        ((1, 2, 0), 2.0)
    """
    positions_mm = np.asarray(positions, dtype=np.float64).reshape(-1, 3)
    row, column = np.asarray(orientation, dtype=np.float64).reshape(2, 3)
    lengths = np.linalg.norm([row, column], axis=1)
    if not np.isfinite([*positions_mm.ravel(), *row, *column, *pixel]).all() or np.abs(lengths - 1).max() > 0.01:
        raise ValueError("its slices have no proper orientation")
    row, column = row / lengths[0], column / lengths[1]
    if abs(row @ column) > SKEW:
        raise ValueError("its rows are not perpendicular to its columns")
    if min(pixel) <= 0:
        raise ValueError("its pixels have no size")
    normal = np.cross(row, column)
    normal /= np.linalg.norm(normal)
    heights = positions_mm @ normal
    order = np.argsort(heights, kind="stable")
    step = normal * (thickness or 1.0)
    if len(positions_mm) > 1:
        _check_heights(heights[order])
        step = (positions_mm[order[-1]] - positions_mm[order[0]]) / (len(positions_mm) - 1)
        _check_line(positions_mm[order], step, normal)
    affine = np.eye(4)
    affine[:3, :3] = FLIP @ np.column_stack([row * pixel[1], column * pixel[0], step])
    affine[:3, 3] = FLIP @ positions_mm[order[0]]
    return Stack(tuple(int(index) for index in order), affine)


def _check_heights(heights: np.ndarray) -> None:
    """Refuse slices at the same position, missing ones, and uneven distances."""
    gaps = np.diff(heights)
    different = gaps > SAME_POSITION
    counts = np.diff(np.flatnonzero(np.concatenate([[True], different, [True]])))
    if counts.max() > 1:
        if counts.min() == counts.max():
            raise ValueError(
                f"it holds {counts[0]} images at each of {len(counts)} positions (time points, diffusion directions or "
                "the like); export one of its volumes"
            )
        raise ValueError(f"{int((counts > 1).sum())} of its {len(counts)} slice positions hold more than one image")
    usual = float(np.median(gaps))
    tolerance = max(UNEVEN * usual, ROUNDING)
    uneven = np.abs(gaps - usual) > tolerance
    if not uneven.any():
        return
    multiples = np.rint(gaps / usual)
    if (np.abs(gaps - multiples * usual) <= tolerance * multiples).all() and multiples.min() >= 1:
        missing = int((multiples - 1).sum())
        where = ", ".join(str(index + 1) for index in np.flatnonzero(multiples > 1)[:5])
        raise ValueError(
            f"{missing} slice{' is' if missing == 1 else 's are'} missing among {len(heights)} (after slice {where}, "
            f"counted along the stack)"
        )
    raise ValueError(f"its slices are unevenly spaced, {gaps.min():.4g} to {gaps.max():.4g} mm apart")


def _check_line(positions_mm: np.ndarray, step: np.ndarray, normal: np.ndarray) -> None:
    """Refuse slices that do not lie straight above each other."""
    aside = positions_mm - positions_mm[0] - np.outer(np.arange(len(positions_mm)), step)
    slanted = np.linalg.norm(step - (step @ normal) * normal) > SHIFTED * np.linalg.norm(step)
    if slanted or np.linalg.norm(aside, axis=1).max() > 2 * max(ROUNDING, UNEVEN * float(np.linalg.norm(step))):
        raise ValueError("its slices are shifted against each other to the side")
