"""Scans or lesions grouped by volume, since small ones are the hard ones."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

EMPTY = "no lesion"


def size_groups(limits: Sequence[float], unit: str = "mL") -> list[str]:
    """Return names of the groups between rising limits, smallest first: `<1 mL`, `1–10 mL`, `≥10 mL`.

    Raises:
        ValueError: a limit is not positive or finite, or they do not rise, or there is none.

    Example:
        >>> size_groups([1, 10])
        ['<1 mL', '1–10 mL', '≥10 mL']
    """
    values = np.asarray(limits, dtype=np.float64).ravel()
    if not len(values) or not np.isfinite(values).all() or values[0] <= 0 or (np.diff(values) <= 0).any():
        raise ValueError(f"size limits {list(limits)} are not rising positive numbers")
    middle = [f"{low:g}–{high:g} {unit}" for low, high in pairwise(values)]
    return [f"<{values[0]:g} {unit}", *middle, f"≥{values[-1]:g} {unit}"]


def size_group(volume: float, limits: Sequence[float], unit: str = "mL") -> str:
    """Return the name of a volume's group; a volume equal to a limit is in the group above it, 0 is `no lesion`.

    Args:
        volume: of a scan's lesions together, or of one lesion; in the limits' unit.
        limits: rising; n limits make n + 1 groups.
        unit: for the names.

    Raises:
        ValueError: a negative volume, NaN, or limits that `size_groups` refuses.

    Example:
        >>> [size_group(volume, [1, 10]) for volume in (0.0, 0.5, 1.0, 20.0)]
        ['no lesion', '<1 mL', '1–10 mL', '≥10 mL']
    """
    names = size_groups(limits, unit)
    if not volume >= 0:
        raise ValueError(f"a volume of {volume} {unit} has no size group")
    return EMPTY if volume == 0 else names[int(np.searchsorted(np.asarray(limits, float), volume, side="right"))]


def by_size(
    values: Sequence[float] | np.ndarray,
    volumes: Sequence[float] | np.ndarray,
    limits: Sequence[float],
    unit: str = "mL",
) -> dict[str, np.ndarray]:
    """Return values, such as each scan's Dice or each lesion's detection, sorted into groups by volume.

    Args:
        values: one a scan (or lesion).
        volumes: the scan's lesion volume (or the lesion's), in the same order.
        limits: rising, in the volumes' unit; IterMask2 groups its slices at 200 and 800 pixels.
        unit: for the names.

    Returns:
        group name → its values, in their order. Every size group is there, smallest first, if only as an
        empty array; `no lesion` comes before them where a volume is 0.

    Raises:
        ValueError: lists of different lengths, or what `size_group` raises.

    Example:
        >>> {name: found.tolist() for name, found in by_size([0.2, 0.8], [0.5, 20.0], [1, 10]).items()}
        {'<1 mL': [0.2], '1–10 mL': [], '≥10 mL': [0.8]}
    """
    values, volumes = np.asarray(values), np.asarray(volumes, dtype=np.float64)
    if len(values) != len(volumes):
        raise ValueError(f"{len(values)} values and {len(volumes)} volumes do not fit")
    names = np.array([size_group(volume, limits, unit) for volume in volumes], dtype=object)
    order = [EMPTY] * bool((names == EMPTY).any()) + size_groups(limits, unit)
    return {name: values[names == name] for name in order}
