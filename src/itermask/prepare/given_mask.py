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
SHIFTS = (8.0, 12.0, 16.0, 24.0, 36.0, 48.0, 64.0, 80.0)  # mm by which the mask is moved, both ways along every axis
FURTHER = 8.0  # mm by which it is then moved along several axes, as long as that fits better
EVEN = (1.0, 0.96, 0.92, 0.88, 0.84)  # factors for all axes: own masks often fit better when they are smaller
UNEVEN = (("stretch", 0.08), ("shift", 4.0), ("stretch", 0.04))  # factors and mm for one axis at a time, in rounds
ROUNDS = 4  # of one kind
LEAST = 0.03  # of a mask that lies on a brain; scans' own masks reach 0.05 at the least
BETTER = 1.2  # so many times better a moved or stretched mask must fit; for the scans' own masks none does
THICK = 2.0  # times as long as wide: in such voxels a brain's shape cannot be told well enough
MOST_POINTS = 20_000  # near the border that are compared
EMPTY_SHARE = 0.05  # of a mask in what is empty in a stripped scan


class Fit(NamedTuple):
    """How well a mask's border lies on an image.

    Attributes:
        here: share of the intensities' variance near the border that the distance from it explains, 0 to 1.
        best: the same for the best of the moved masks, or for the mask itself where that is best.
        shift: mm along the array's axes by which the best one was moved.
        even: the same for the best of the masks that were made smaller as they are.
        shaped: the same for the best of the masks that were stretched by another factor along each axis, and moved a
            little.
        stretch: its factors.
    """

    here: float
    best: float
    shift: tuple[float, ...]
    even: float = 0.0
    shaped: float = 0.0
    stretch: tuple[float, ...] = (1.0, 1.0, 1.0)


def check_given(scan: Scan, stripped: np.ndarray | None = None) -> tuple[str, ...]:
    """Refuse a given brain mask that no brain has, and say in a sentence if it does not lie on this scan's brain.

    Args:
        scan: with its mask, not empty.
        stripped: the brain of a scan that is stripped; None if it is not.

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
    return misfit(scan, stripped)


def misfit(scan: Scan, stripped: np.ndarray | None = None) -> tuple[str, ...]:
    """Say in a sentence if a mask does not lie on this scan's brain; arguments as of `check_given`.

    Example:
        >>> from dataclasses import replace
        >>> stripped = scan.brain_mask
        >>> elsewhere = replace(scan, brain_mask=np.roll(stripped, 8, axis=0))
        >>> misfit(elsewhere, stripped)[0].startswith("The brain mask does not fit the scan")
        True
    """
    mask = scan.brain_mask
    assert mask is not None
    if stripped is not None:
        empty = float((mask & ~stripped).sum() / mask.sum())
        if empty > EMPTY_SHARE:
            return (f"The brain mask does not fit the scan: {100 * empty:.0f} % of it lie where the scan is empty.",)
    fit = fit_of(scan.image, mask, scan.spacing)
    if fit.here < LEAST:
        return ("The brain mask does not fit the scan: at its border the scan does not change from brain to skull.",)
    if fit.best > BETTER * fit.here:
        moved = " and ".join(f"{abs(mm):.0f} mm along axis {axis}" for axis, mm in enumerate(fit.shift) if mm)
        times = fit.best / fit.here if fit.here else np.inf
        return (f"The brain mask does not fit the scan: moved by {moved} it would fit {times:.1f} times as well.",)
    if fit.shaped > BETTER * fit.even and max(scan.spacing) < THICK * min(scan.spacing):
        factors = ", ".join(f"{factor:.2f}" for factor in fit.stretch)
        return (
            f"The brain mask does not fit the scan, it may be another head's: stretched by {factors} along the axes it "
            f"would fit {fit.shaped / fit.even if fit.even else np.inf:.1f} times as well.",
        )
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
    border = _Border(coarse, brain, np.array(steps))
    unmoved, unstretched = np.zeros(3), np.ones(3)
    axes = [axis for axis, size in enumerate(coarse.shape) if size > 1]
    here = border.fit(unmoved, unstretched)
    best, shift = here, unmoved
    for axis in axes:
        for moved in sorted({round(sign * far / steps[axis]) for far in SHIFTS for sign in (-1, 1)} - {0}):
            there = unmoved.copy()
            there[axis] = moved * steps[axis]
            value = border.fit(there, unstretched)
            if value > best:
                best, shift = value, there
    best, shift, _ = border.climb((best, shift, unstretched), axes, "shift", FURTHER)
    even = max(border.fit(unmoved, unstretched * factor) for factor in EVEN)
    found = (here, unmoved, unstretched)
    for kind, step in UNEVEN:
        found = border.climb(found, axes, kind, step)
    return Fit(here, best, tuple(shift.tolist()), even, found[0], tuple(found[2].tolist()))


_Found = tuple[float, np.ndarray, np.ndarray]


class _Border:
    """What lies near a mask's border: points in an image, and in which ring around the border each is."""

    def __init__(self, image: np.ndarray, mask: np.ndarray, steps: np.ndarray) -> None:
        self.image, self.steps = image, steps
        margins = [0 if size == 1 else int(np.ceil(SHELL / step)) for size, step in zip(mask.shape, steps, strict=True)]
        wide = np.pad(mask, [(margin, margin) for margin in margins])
        distance = ndimage.distance_transform_edt(~wide, steps) - ndimage.distance_transform_edt(wide, steps)
        shell = np.abs(distance) < SHELL
        every = max(1, int(shell.sum()) // MOST_POINTS)
        self.points = (np.argwhere(shell) - margins)[::every]
        self.rings = np.floor((distance[shell] + SHELL) / COARSE).astype(int)[::every]
        self.centre = np.argwhere(mask).mean(axis=0)

    def fit(self, shift: np.ndarray, stretch: np.ndarray) -> float:
        """Return how well the border fits when it is stretched about the mask's centre and moved (mm)."""
        there = np.rint((self.points - self.centre) * stretch + self.centre + shift / self.steps).astype(int)
        there = np.clip(there, 0, np.array(self.image.shape) - 1)  # beyond the volume is what is at its faces
        return _correlation_ratio(self.image[tuple(there.T)], self.rings)

    def climb(self, found: _Found, axes: list[int], kind: str, step: float) -> _Found:
        """Shift or stretch along one axis after the other, as long as it fits better."""
        for _ in range(ROUNDS):
            best = found
            for axis in axes:
                for change in (-step, step):
                    shift, stretch = found[1].copy(), found[2].copy()
                    if kind == "shift":
                        shift[axis] += change
                    else:
                        stretch[axis] *= 1 + change
                    value = self.fit(shift, stretch)
                    if value > best[0]:
                        best = (value, shift, stretch)
            if best is found:
                break
            found = best
        return found


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
