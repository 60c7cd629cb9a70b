"""A brain brought onto the shipped template by a coarse affine transform, in numpy and scipy alone.

Two things are fitted at once: the brain mask to the template's brain probability, and the scan's intensities to a
mixture of the template's tissues (cerebrospinal fluid, grey and white matter), whose brightness is free. So any
sequence can be registered, and the brightness that fits says what sequence it is. The transform follows from
Gauss-Newton steps on the squared differences, with a prior on how much brains differ in size and shape.
"""

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from itermask.prepare.small_copy import SmallCopy

if TYPE_CHECKING:
    from itermask.prepare.atlas import Template

COARSE, FINE = 8.0, 5.0  # mm; smoothing (full width at half maximum) and distance of the points compared
STEPS = {COARSE: 14, FINE: 10}
SPREAD_SIZE, SPREAD_SHAPE = 0.08, 0.05  # prior: standard deviations of the logarithm of a brain's size and stretch
PRIOR = 0.02  # weight of the prior against the differences, per point
TISSUE_WEIGHT = 0.5  # of the intensities against the mask
LEAST_STEP = 2e-3  # mm at the brain's surface, below which a fit is done
RADIUS = 75.0  # mm; of a brain


@dataclass(frozen=True)
class Registration:
    """How a scan's brain lies on the template.

    Attributes:
        to_mni: 4×4 affine, scanner millimetres (RAS+) → MNI millimetres.
        tissues: brightness that fits cerebrospinal fluid, grey and white matter; 0 and 1 are the brain's 2nd and 98th
            percentile.
        explained: share of the intensities' variance in the brain that the mixture of tissues explains, at most 1.
        overlap: Dice of the brain mask and the template's brain, 0 to 1.
        misfit: mean squared difference of mask and template over the template's surroundings, 0 for a perfect fit.
        stretch: the brain's size over the template's along its three main axes, ascending.
        turned: by which angle it is turned from the template, in degrees.
    """

    to_mni: np.ndarray
    tissues: tuple[float, float, float]
    explained: float
    overlap: float
    misfit: float
    stretch: tuple[float, float, float]
    turned: float

    def summary(self) -> dict[str, object]:
        """Return plain values, as a finding's settings hold them."""
        return {
            "scanner_to_mni": [[round(float(value), 6) for value in row] for row in self.to_mni],
            "overlap": round(self.overlap, 4),
            "misfit": round(self.misfit, 5),
            "relative_size": [round(size, 3) for size in self.stretch],
            "rotation_degrees": round(self.turned, 2),
        }


@dataclass(frozen=True)
class _Level:
    """The template's points at one smoothness: points around the template's centre, brain, tissues."""

    points: np.ndarray
    brain: np.ndarray
    tissues: np.ndarray


@cache
def _level(smoothing: float) -> _Level:
    """Return the shipped template at one smoothness."""
    from itermask.prepare.atlas import template

    return level_of(template(), smoothing)


def level_of(template: "Template", smoothing: float) -> _Level:
    """Return a template's points, smoothed, `smoothing` mm apart, as far as 16 mm around its brain.

    Example:
        >>> from itermask.prepare.atlas import template
        >>> level = level_of(template(), smoothing=8.0)
        >>> len(level.points) == len(level.brain), level.tissues.shape[0]
        (True, 3)
    """
    sigma = smoothing / 2.355 / template.spacing
    brain = ndimage.gaussian_filter(template.brain, sigma)
    tissues = [ndimage.gaussian_filter(tissue, sigma) for tissue in template.tissues]
    near = ndimage.distance_transform_edt(template.brain < 0.5, sampling=template.spacing) < 16
    step = max(1, round(smoothing / template.spacing))
    points = np.indices(near.shape)
    near &= np.all(points % step == 0, axis=0) & ((points // step).sum(axis=0) % 2 == 0)  # every other one is enough
    points = np.argwhere(near) @ template.affine[:3, :3].T + template.affine[:3, 3] - template.centre
    return _Level(points, brain[near], np.stack([tissue[near] for tissue in tissues]))


class _Sampler:
    """Mask and masked intensity of a small copy with their slopes, at points in scanner millimetres."""

    def __init__(self, copy: SmallCopy, smoothing: float) -> None:
        spacing = np.linalg.norm(copy.affine[:3, :3], axis=0)
        sigma = smoothing / 2.355 / spacing
        self.to_voxels = np.linalg.inv(copy.affine)
        self.volumes = []
        for volume in (copy.mask, copy.masked):
            smooth = ndimage.gaussian_filter(volume, sigma)
            self.volumes.append((smooth, *np.gradient(smooth)))

    def values(self, points: np.ndarray) -> np.ndarray:
        """Return the mask and masked intensity: (2, N)."""
        voxels = self.to_voxels[:3, :3] @ points.T + self.to_voxels[:3, 3:]
        return np.stack([ndimage.map_coordinates(volume[0], voxels, order=1) for volume in self.volumes])

    def slopes(self, points: np.ndarray) -> np.ndarray:
        """Return their derivatives along scanner axes, per mm: (2, N, 3)."""
        voxels = self.to_voxels[:3, :3] @ points.T + self.to_voxels[:3, 3:]
        along = [
            np.stack([ndimage.map_coordinates(part, voxels, order=1) for part in volume[1:]], axis=1)
            for volume in self.volumes
        ]
        return np.stack(along) @ self.to_voxels[:3, :3]


def brightness(values: np.ndarray, tissues: np.ndarray) -> np.ndarray:
    """Return the brightness of each tissue whose mixture fits `values` best (least squares).

    Example:
        >>> tissues = np.array([[1.0, 0.0, 0.5], [0.0, 1.0, 0.5]])
        >>> brightness(np.array([2.0, 4.0, 3.0]), tissues).round(3).tolist()
        [2.0, 4.0]
    """
    moments = tissues @ tissues.T + 1e-6 * np.eye(len(tissues))
    return np.linalg.solve(moments, tissues @ values)


def fit(
    sampler: _Sampler,
    level: _Level,
    matrix: np.ndarray,
    centre: np.ndarray,
    steps: int,
    shear: bool,
    incomplete: bool = False,
) -> tuple[np.ndarray, np.ndarray, float]:
    """Follow Gauss-Newton steps from a start.

    Args:
        sampler: of the scan.
        level: of the template.
        matrix: 3×3, template millimetres about its centre → scanner millimetres.
        centre: where the template's centre lies in the scan.
        steps: at most.
        shear: whether the three directions may stretch apart; else one size is fitted.
        incomplete: whether a part of the brain may be missing, so that where the template has brain and the scan none
            counts little.

    Returns:
        matrix, centre, cost (mean squared difference, with the prior).

    Example:
        >>> from itermask.prepare.atlas import template
        >>> from itermask.prepare.small_copy import small_copy
        >>> copy = small_copy(scan.image, scan.brain_mask, scan.affine)
        >>> sampler, level = _Sampler(copy, 8.0), level_of(template(), 8.0)
        >>> matrix, centre, cost = fit(sampler, level, np.eye(3), copy.centre, steps=2, shear=False)
        >>> matrix.shape, centre.shape, cost > 0
        ((3, 3), (3,), True)
    """
    total, damping, last = len(level.points), 1e-3, np.inf
    best = (matrix, centre, np.inf)
    for _ in range(steps + 1):
        points = level.points @ matrix.T + centre
        mask, masked = sampler.values(points)
        bright = brightness(masked, level.tissues * np.clip(mask, 0, 1) if incomplete else level.tissues)
        differences = np.stack([level.brain - mask, np.sqrt(TISSUE_WEIGHT) * (bright @ level.tissues - masked)])
        trust = _trust(differences[0]) if incomplete else np.ones(total)
        differences *= trust
        strain = _strain(matrix)
        pull, weights = _prior(strain)
        cost = float((differences**2).sum() / total + PRIOR * (weights * pull**2).sum())
        if cost < best[2]:
            best = (matrix, centre, cost)
        if cost > last + 1e-12:  # back, with more caution
            matrix, centre, damping = best[0], best[1], damping * 20
            if damping > 10:
                break
            last = np.inf
            continue
        slopes = sampler.slopes(points)
        slopes[1] *= np.sqrt(TISSUE_WEIGHT)
        slopes *= trust[:, None]
        arms = points - centre
        step = _solve(differences, slopes, arms, total, pull, weights, damping, shear)
        turn = np.eye(3) + step[:9].reshape(3, 3)
        matrix, centre = turn @ matrix, centre + step[9:]
        damping, last = max(damping / 5, 1e-4), cost
        if np.abs(step[:9]).max() * RADIUS < LEAST_STEP and np.abs(step[9:]).max() < LEAST_STEP:
            break
    return best


def _trust(missing: np.ndarray) -> np.ndarray:
    """Return weights for points where the template has more brain than the scan; 0.15 where that has none."""
    return 0.15 + 0.85 / (1 + (np.maximum(missing, 0) / 0.35) ** 4)


def _solve(
    differences: np.ndarray,
    slopes: np.ndarray,
    arms: np.ndarray,
    total: int,
    pull: np.ndarray,
    weights: np.ndarray,
    damping: float,
    shear: bool,
) -> np.ndarray:
    """Return one damped Gauss-Newton step: 9 entries of the change of the matrix, 3 of the shift in mm."""
    flat = slopes.reshape(-1, 3)
    twice = np.concatenate([arms, arms])
    jacobian = np.concatenate([(flat[:, :, None] * twice[:, None, :]).reshape(-1, 9), flat], axis=1)
    directions = _directions(shear)
    reduced = jacobian @ directions
    normal = reduced.T @ reduced / total
    right = reduced.T @ differences.reshape(-1) / total
    symmetric = (directions[:9].reshape(3, 3, -1) + directions[:9].reshape(3, 3, -1).transpose(1, 0, 2)) / 2
    change = np.stack([_parts(symmetric[:, :, number]) for number in range(symmetric.shape[2])], axis=1)
    normal += PRIOR * change.T @ (weights[:, None] * change)
    right -= PRIOR * change.T @ (weights * pull)
    normal += damping * np.diag(np.diag(normal)) + 1e-9 * np.eye(len(normal))
    found = np.linalg.solve(normal, right)
    size = max(np.abs((directions @ found)[:9]).max() / 0.15, np.abs((directions @ found)[9:]).max() / 15.0, 1.0)
    return np.asarray(directions @ found) / size


@cache
def _directions(shear: bool) -> np.ndarray:
    """Return ways in which (matrix, shift) may change: turns, one size or all stretches, shifts; 12 × number."""
    ways = []
    for axis in range(3):
        turn = np.zeros((3, 3))
        first, second = (axis + 1) % 3, (axis + 2) % 3
        turn[first, second], turn[second, first] = -1, 1
        ways.append(turn)
    if shear:
        for row in range(3):
            for column in range(row, 3):
                stretch = np.zeros((3, 3))
                stretch[row, column] = stretch[column, row] = 1
                ways.append(stretch)
    else:
        ways.append(np.eye(3))
    found = np.zeros((12, len(ways) + 3))
    for number, way in enumerate(ways):
        found[:9, number] = way.ravel()
    found[9:, len(ways) :] = np.eye(3)
    return found


def _strain(matrix: np.ndarray) -> np.ndarray:
    """Return the logarithm of how much a matrix stretches, 3×3 along the scanner's axes."""
    left, sizes, _ = np.linalg.svd(matrix)
    return np.asarray((left * np.log(np.maximum(sizes, 1e-3))) @ left.T)


def _parts(strain: np.ndarray) -> np.ndarray:
    """Return a strain as one size, and five numbers of shape."""
    size = np.trace(strain) / 3
    rest = strain - size * np.eye(3)
    return np.array([size, rest[0, 0], rest[1, 1], rest[2, 2], *(np.sqrt(2) * rest[[0, 0, 1], [1, 2, 2]])])


def _prior(strain: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return a strain's parts, and their weights (one over the variance)."""
    from itermask.prepare.atlas import template

    parts = _parts(strain)
    parts[0] -= np.log(template().usual_size)
    return parts, np.array([SPREAD_SIZE**-2, *[SPREAD_SHAPE**-2] * 6]) * SPREAD_SHAPE**2


def rotation_of(matrix: np.ndarray) -> np.ndarray:
    """Return the rotation that a matrix holds (polar decomposition); a mirror stays one.

    Example:
        >>> rotation_of(np.diag([2.0, 3.0, 0.5])).tolist()
        [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    left, _, right = np.linalg.svd(matrix)
    return np.asarray(left @ right)


def register(
    copy: SmallCopy, starts: list[tuple[np.ndarray, np.ndarray]] | None = None, incomplete: bool = False
) -> Registration:
    """Register a brain to the template.

    Args:
        copy: the brain.
        starts: (3×3 rotation, shift in mm) from which the fit begins, the scanner's axes and the centre of mass by
            default; with several the one that fits best coarsely is followed.
        incomplete: whether a part of the brain may be missing.

    Returns:
        the registration; whether it can be believed is for the caller to judge.

    Example:
        >>> from itermask.prepare.small_copy import small_copy
        >>> copy = small_copy(scan.image, scan.brain_mask, scan.affine)
        >>> type(register(copy)).__name__
        'Registration'
    """
    from itermask.prepare.atlas import template

    usual = template().usual_size
    coarse = _Sampler(copy, COARSE)
    centre, level = copy.centre, _level(COARSE)
    begun = starts or [(np.eye(3), np.zeros(3))]
    found = [
        fit(coarse, level, turn * usual, centre + shift, STEPS[COARSE], False, incomplete) for turn, shift in begun
    ]
    matrix, offset, _ = min(found, key=lambda one: one[2])
    fine, level = _Sampler(copy, FINE), _level(FINE)
    matrix, offset, _ = fit(fine, level, matrix, offset, STEPS[FINE], True, incomplete)
    return _summed(fine, level, matrix, offset, template().centre, incomplete)


def _summed(
    sampler: _Sampler, level: _Level, matrix: np.ndarray, offset: np.ndarray, middle: np.ndarray, incomplete: bool
) -> Registration:
    """Return what a fit says."""
    mask, masked = sampler.values(level.points @ matrix.T + offset)
    bright = brightness(masked, level.tissues * np.clip(mask, 0, 1) if incomplete else level.tissues)
    inside = (mask > 0.9) & (level.brain > 0.9)
    left = masked[inside] - (bright @ level.tissues)[inside]
    spread = float(masked[inside].var()) if inside.any() else 0.0
    inverse = np.linalg.inv(matrix)
    to_mni = np.eye(4)
    to_mni[:3, :3], to_mni[:3, 3] = inverse, middle - inverse @ offset
    brain, own = level.brain > 0.5, mask > 0.5
    sizes = np.linalg.svd(matrix, compute_uv=False)[::-1]
    turned = np.degrees(np.arccos(np.clip((np.trace(rotation_of(matrix)) - 1) / 2, -1, 1)))
    return Registration(
        to_mni=to_mni,
        tissues=(float(bright[0]), float(bright[1]), float(bright[2])),
        explained=1 - float((left**2).mean()) / spread if spread > 0 else 0.0,
        overlap=float(2 * (brain & own).sum() / max(brain.sum() + own.sum(), 1)),
        misfit=float(((level.brain - mask) ** 2).mean()),
        stretch=(float(sizes[0]), float(sizes[1]), float(sizes[2])),
        turned=float(turned),
    )
