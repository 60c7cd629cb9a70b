"""A brain mask that was given: whether it can be one, and whether it lies on this scan's brain."""

from typing import NamedTuple

import numpy as np
from scipy import ndimage

from itermask.errors import InputError
from itermask.types import Scan

LARGEST_BRAIN = 2300.0  # ml; a head has 3000 and more
SMALLEST_BRAIN = 1.0  # ml, of a single thin slice; what a whole brain may have is asked elsewhere
SMALLEST_EXTENT = 30.0  # mm along the second longest axis
CORNERS = 4  # of the volume's eight: a mask that holds so many is of the background

COARSE = 4.0  # mm; the fit is measured on blocks of about this size
SHELL = 12.0  # mm on both sides of a mask's border
SHIFTS = (8.0, 12.0, 16.0, 24.0)  # mm by which the mask is moved, along every axis and both ways
BETTER = 1.2  # so many times better a moved mask must fit; for the scans' own masks none does


class Fit(NamedTuple):
    """How well a mask's border lies on an image.

    Attributes:
        here: share of the intensities' variance near the border that the distance from it explains, 0 to 1.
        best: the same for the best of the moved masks, or for the mask itself where that is best.
        shift: mm along the array's axes by which the best one was moved.
    """

    here: float
    best: float
    shift: tuple[float, float, float]


def check_given(scan: Scan) -> tuple[str, ...]:
    """Refuse a given brain mask that no brain has, and say in a sentence if it does not lie on this scan's brain.

    Args:
        scan: with its mask, not empty.

    Returns:
        sentences; none if all is well.

    Raises:
        InputError: the mask is larger than any brain, holds the volume's corners, or is too small.

    Example:
        >>> check_given(scan)
        ()
    """
    mask = scan.brain_mask
    assert mask is not None
    millilitres = float(mask.sum()) * float(np.prod(scan.spacing)) / 1000
    advice = "give the mask of this scan's brain"
    if millilitres > LARGEST_BRAIN:
        raise InputError(
            f"{scan.name}: the brain mask holds {millilitres / 1000:.1f} litres, more than any brain; is it inverted? "
            f"{advice}"
        )
    corners = mask[np.ix_(*[[0, -1] if size > 1 else [0] for size in mask.shape])]
    if corners.mean() >= CORNERS / 8:
        raise InputError(f"{scan.name}: the brain mask holds the corners of the volume; is it inverted? {advice}")
    extents = sorted(
        float(size * (np.ptp(np.flatnonzero(mask.any(axis=other))) + 1))
        for size, other in zip(scan.spacing, ((1, 2), (0, 2), (0, 1)), strict=True)
    )
    if millilitres < SMALLEST_BRAIN or extents[1] < SMALLEST_EXTENT:
        raise InputError(f"{scan.name}: the brain mask holds {millilitres:.2g} ml, too little for a brain; {advice}")
    fit = fit_of(scan.image, mask, scan.spacing)
    if fit.best > BETTER * fit.here:
        moved = " and ".join(f"{abs(mm):.0f} mm along axis {axis}" for axis, mm in enumerate(fit.shift) if mm)
        times = fit.best / fit.here if fit.here else np.inf
        return (f"The brain mask does not fit the scan: moved by {moved} it would fit {times:.1f} times as well.",)
    return ()


def fit_of(image: np.ndarray, mask: np.ndarray, spacing: tuple[float, float, float]) -> Fit:
    """Compare how well a mask fits an image where it lies, and where it lies not.

    Near the border of a right mask, intensities depend on the distance from it, whatever the sequence: brain inside,
    then fluid, bone and skin. This is measured by the correlation ratio (Roche et al., MICCAI 1998) of intensity given
    distance, in steps of 4 mm, on blocks of about 4 mm.

    Args:
        image: 3D intensities.
        mask: boolean, same shape.
        spacing: mm.

    Example:
        >>> type(fit_of(scan.image, scan.brain_mask, (6.0, 6.0, 6.0))).__name__
        'Fit'
    """
    factors = [
        max(1, round(COARSE / size)) if length > 1 else 1 for size, length in zip(spacing, mask.shape, strict=True)
    ]
    coarse = _blocks(image, factors)
    brain = _blocks(mask.astype(np.float32), factors) >= 0.5
    steps = [size * factor for size, factor in zip(spacing, factors, strict=True)]
    if not brain.any():
        return Fit(0.0, 0.0, (0.0, 0.0, 0.0))
    coarse = np.minimum(coarse, np.percentile(coarse, 99.5))
    margins = [0 if size == 1 else int(np.ceil(SHELL / step)) for size, step in zip(coarse.shape, steps, strict=True)]
    coarse = np.pad(coarse, [(margin, margin) for margin in margins], mode="edge")
    brain = np.pad(brain, [(margin, margin) for margin in margins])
    distance = ndimage.distance_transform_edt(~brain, steps) - ndimage.distance_transform_edt(brain, steps)
    shell = np.abs(distance) < SHELL
    places, rings = np.argwhere(shell), np.floor((distance[shell] + SHELL) / COARSE).astype(int)
    here = _correlation_ratio(coarse[tuple(places.T)], rings)
    best = Fit(here, here, (0.0, 0.0, 0.0))
    for axis, step in enumerate(steps):
        if coarse.shape[axis] == 1:
            continue
        for moved in sorted({round(sign * shift / step) for shift in SHIFTS for sign in (-1, 1)} - {0}):
            there = places.copy()
            there[:, axis] = np.clip(there[:, axis] + moved, 0, coarse.shape[axis] - 1)
            value = _correlation_ratio(coarse[tuple(there.T)], rings)
            if value > best.best:
                shift = [0.0, 0.0, 0.0]
                shift[axis] = moved * step
                best = Fit(here, value, (shift[0], shift[1], shift[2]))
    return best


def _blocks(volume: np.ndarray, factors: list[int]) -> np.ndarray:
    """Return means over blocks; what is left over at the far ends is left out."""
    kept = [size // factor * factor for size, factor in zip(volume.shape, factors, strict=True)]
    volume = volume[tuple(slice(size) for size in kept)].astype(np.float32)
    for axis, factor in enumerate(factors):
        shape = (*volume.shape[:axis], volume.shape[axis] // factor, factor, *volume.shape[axis + 1 :])
        volume = volume.reshape(shape).mean(axis=axis + 1)
    return volume


def _correlation_ratio(values: np.ndarray, groups: np.ndarray) -> float:
    """Return the share of the variance that lies between groups, 0 to 1."""
    centred = values - values.mean()
    total = float((centred**2).sum())
    counts, sums = np.bincount(groups), np.bincount(groups, centred)
    between = float((sums[counts > 0] ** 2 / counts[counts > 0]).sum())
    return between / total if total > 0 else 0.0
