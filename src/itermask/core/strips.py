"""Strips: what is hidden from a masked diffusion, and how a pixel's error is averaged over the strips that hid it.

A strip is `width` pixels wide along one axis of a slice and runs over the whole other axis; at the slice's end it is
cut off. Everything here is arithmetic on arrays (X, Y); True means hidden. Source: `mmccd.md`.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np


class HiddenStrips(NamedTuple):
    """Strips of one direction that are hidden together.

    Attributes:
        axis: 0 or 1, along which they are `width` pixels wide.
        offsets: rising first pixels along that axis.
        mask: boolean (X, Y), True in the strips.
    """

    axis: int
    offsets: tuple[int, ...]
    mask: np.ndarray


def strip_offsets(size: int, width: int, count: int) -> np.ndarray:
    """Return evenly spread first pixels of strips that together hide every pixel of an axis.

    Args:
        size: pixels along the axis.
        width: of a strip, pixels.
        count: how many strips; more are taken where so few would leave gaps, and at most one a pixel.

    Returns:
        rising integers from 0; 64 of 128 pixels are 0, 2, … 126.

    Raises:
        ValueError: a number under 1.

    Example:
        >>> strip_offsets(10, width=4, count=3).tolist()
        [0, 3, 6]
    """
    if min(size, width, count) < 1:
        raise ValueError(f"size {size}, width {width} and count {count} of strips must be at least 1")
    count = min(max(count, -(-size // width)), size)
    return np.arange(count) * size // count


def strip_mask(shape: Sequence[int], axis: int, offsets: Iterable[int], width: int) -> np.ndarray:
    """Return the mask of some strips of one direction.

    Args:
        shape: (X, Y) of the slice.
        axis: along which a strip is `width` pixels wide.
        offsets: first pixels, not negative.
        width: of a strip, pixels.

    Returns:
        boolean (X, Y).

    Example:
        >>> strip_mask((2, 4), axis=1, offsets=[2], width=1).astype(int).tolist()
        [[0, 0, 1, 0], [0, 0, 1, 0]]
    """
    hidden = np.zeros(shape[axis], dtype=bool)
    for offset in offsets:
        hidden[offset : offset + width] = True
    return np.broadcast_to(hidden[:, None] if axis == 0 else hidden, tuple(shape)).copy()


def group_strips(offsets: np.ndarray, width: int, gap: int) -> list[np.ndarray]:
    """Split strips into groups whose members lie apart, as few groups as their order allows.

    Args:
        offsets: rising first pixels.
        width: of a strip, pixels.
        gap: pixels that at least stay visible between two strips of a group; 0 puts every strip into its own.

    Returns:
        rising offsets of every group; each offset is in one group.

    Example:
        >>> [group.tolist() for group in group_strips(np.array([0, 2, 4, 6]), width=2, gap=2)]
        [[0, 4], [2, 6]]
    """
    apart = len(offsets)
    if gap > 0:
        far = (every for every in range(1, apart) if (offsets[every:] - offsets[:-every]).min() >= width + gap)
        apart = next(far, apart)
    return [offsets[first::apart] for first in range(apart)]


def strip_schedule(shape: Sequence[int], width: int, count: int, gap: int = 0) -> list[HiddenStrips]:
    """Return all that is hidden of a slice, one after the other, in both directions.

    Args:
        shape: (X, Y) of the slice.
        width: of a strip, pixels.
        count: strips of each direction, see `strip_offsets`.
        gap: see `group_strips`.

    Returns:
        the strips of axis 0, then those of axis 1; every pixel is hidden at least once by each.

    Example:
        >>> [(strips.axis, strips.offsets) for strips in strip_schedule((4, 4), width=2, count=2)]
        [(0, (0,)), (0, (2,)), (1, (0,)), (1, (2,))]
    """
    found = []
    for axis in (0, 1):
        for group in group_strips(strip_offsets(shape[axis], width, count), width, gap):
            offsets = tuple(int(offset) for offset in group)
            found.append(HiddenStrips(axis, offsets, strip_mask(shape, axis, offsets, width)))
    return found


def random_strip(shape: Sequence[int], width: int, rng: np.random.Generator, gap: int | None = None) -> np.ndarray:
    """Return the mask of one strip at a random even offset in a random direction, or of a comb of such strips.

    Args:
        shape: (X, Y) of the slice.
        width: of a strip, pixels.
        rng: random generator.
        gap: visible pixels between the strips of a comb that runs over the whole axis; None hides one strip.

    Returns:
        boolean (X, Y).

    Example:
        >>> int(random_strip((8, 8), width=2, rng=np.random.default_rng(0)).sum())
        16
    """
    axis = int(rng.integers(2))
    offset = 2 * int(rng.integers((shape[axis] + 1) // 2))
    offsets = [offset] if gap is None else range(offset % (width + gap), shape[axis], width + gap)
    return strip_mask(shape, axis, offsets, width)


def mean_where_hidden(
    shape: tuple[int, int, int, int], parts: Iterable[tuple[int, np.ndarray, np.ndarray]]
) -> tuple[np.ndarray, np.ndarray]:
    """Return every pixel's mean over the parts that hid it; what a part says of its visible pixels does not count.

    Args:
        shape: (slices, maps, X, Y) of the result.
        parts: slice number, values (maps, X, Y) and boolean (X, Y), True where hidden; one after the other.

    Returns:
        the means, float64, 0 where no part hid the pixel; and how many parts did, (slices, X, Y).

    Example:
        >>> parts = [(0, np.full((1, 1, 2), 4.0), np.array([[True, False]]))]
        >>> means, times = mean_where_hidden((1, 1, 1, 2), parts)
        >>> means.tolist(), times.tolist()
        ([[[[4.0, 0.0]]]], [[[1, 0]]])
    """
    total = np.zeros(shape)
    times = np.zeros((shape[0], *shape[2:]), dtype=int)
    for index, values, hidden in parts:
        total[index] += np.where(hidden, values, 0)
        times[index] += hidden
    counts = np.broadcast_to(times[:, None], shape)
    return np.divide(total, counts, out=np.zeros(shape), where=counts > 0), times
