"""Boxes about a mask, and counts of a mask's voxels in a box about each voxel."""

from collections.abc import Sequence

import numpy as np


def box_of(mask: np.ndarray) -> tuple[slice, ...]:
    """Return the smallest box that holds a mask.

    Args:
        mask: boolean, any number of axes.

    Returns:
        a slice (start, stop) for each axis.

    Raises:
        ValueError: the mask is empty.

    Example:
        >>> box_of(np.eye(5, dtype=bool)[1:3])
        (slice(0, 2, None), slice(1, 3, None))
    """
    box: list[slice] = []
    for axis in range(mask.ndim):
        rest = mask[tuple(box)]  # what the axes before have left
        there = np.flatnonzero(rest.any(tuple(other for other in range(mask.ndim) if other != axis)))
        if not len(there):
            raise ValueError("an empty mask lies in no box")
        box.append(slice(int(there[0]), int(there[-1]) + 1))
    return tuple(box)


def count_around(mask: np.ndarray, widths: Sequence[int]) -> np.ndarray:
    """Return how many voxels of a mask lie in a box about each voxel; beyond its border the mask is mirrored.

    Counts are whole numbers, so the result is exact. A width is made of powers of two, so an axis takes a few additions
    of whole arrays.

    Args:
        mask: boolean.
        widths: of the box in voxels along each axis, odd.

    Returns:
        uint8, uint16 or uint32 of the mask's shape: the smallest type that holds the box's number of voxels.

    Example:
        >>> count_around(np.array([True, False, False, True, True]), [3]).tolist()
        [2, 1, 1, 2, 3]
    """
    counts, most = mask.view(np.uint8), 1
    for axis, width in enumerate(widths):
        most *= width
        reach = [(width // 2, width // 2) if other == axis else (0, 0) for other in range(mask.ndim)]
        padded = np.pad(counts.astype(np.min_scalar_type(most), copy=False), reach, mode="symmetric")
        counts = _sliding_sum(padded, axis, width)
    return counts


def _sliding_sum(values: np.ndarray, axis: int, width: int) -> np.ndarray:
    """Return sums over `width` neighbours along an axis, which becomes shorter by `width - 1`."""
    length = values.shape[axis] - width + 1

    def part(sums: np.ndarray, start: int, count: int) -> np.ndarray:
        return sums[(slice(None),) * axis + (slice(start, start + count),)]

    total, done, size = None, 0, 1
    sums = values  # of `size` neighbours each
    while size <= width:
        if width & size:
            piece = part(sums, done, length)
            total = piece.copy() if total is None else np.add(total, piece, out=total)
            done += size
        if 2 * size <= width:
            left = sums.shape[axis] - size
            sums = part(sums, 0, left) + part(sums, size, left)
        size *= 2
    assert total is not None
    return total
