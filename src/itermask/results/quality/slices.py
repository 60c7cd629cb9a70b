"""What slices tell that are laid beside their neighbours: jumps, jitter, single noisy slices, flat cuts, holes."""

import numpy as np
from scipy import ndimage

from itermask.results.quality.crop import EMPTY
from itermask.results.quality.texture import APART, difference, thinned

FEWEST = 12  # slices with brain along an axis that is measured
POLE = 32.0  # mm; a slice of this thickness at the pole of a ball of 65 mm radius is as large as its largest section
COVERED = 0.25  # share of the brain's largest section that a slice must fill


def slice_features(image: np.ndarray, inside: np.ndarray, spacing: tuple[float, ...], axis: int) -> dict[str, float]:
    """Return how much single slices across an axis differ from what their neighbours lead one to expect.

    Returns:
        `jump`: largest logarithm of a slice's difference to the next over the usual one nearby;
        `jump2`: the second largest that is not beside it;
        `noisy`: largest logarithm of a slice's detail over its neighbours';
        `quiet`: the same for the least;
        `gain`: root mean square of slices' mean over the mean of their neighbours, logarithm;
        `stray`: largest part of slices' mean difference from their neighbours, over the usual one, logarithm.

    Example:
        >>> image = np.random.default_rng(0).random((40, 40, 40)).astype(np.float32)
        >>> sorted(slice_features(image, image >= 0, (1.0, 1.0, 1.0), axis=2))
        ['gain', 'jump', 'jump2', 'noisy', 'quiet', 'stray']
    """
    # The slices' own axes, of which only some lines are examined, lie first; the axis across them last.
    slices, where = thinned(image, spacing, axis), thinned(inside, spacing, axis)
    areas = where.sum((0, 1))
    full = np.flatnonzero(areas >= COVERED * areas.max())
    names = ("jump", "jump2", "noisy", "quiet", "gain", "stray")
    if len(full) < FEWEST:
        return dict.fromkeys(names, float("nan"))
    kept = slice(full[0], full[-1] + 1)
    slices, where = slices[..., kept], where[..., kept]
    both = where[..., 1:] & where[..., :-1]
    step = (slices[..., 1:] - slices[..., :-1]) * both
    jumps = np.log(np.sqrt((step * step).sum((0, 1)) / np.maximum(both.sum((0, 1)), 1)) + 1e-4)
    jumps = jumps - ndimage.median_filter(jumps, 9, mode="nearest")
    at = int(np.argmax(jumps))
    others = np.delete(jumps, range(max(0, at - 1), min(len(jumps), at + 2)))
    rough = _roughness(image, inside, spacing, axis)[kept]
    rough = rough - ndimage.median_filter(rough, 9, mode="nearest")
    three = both[..., 1:] & both[..., :-1]
    middle = (step[..., :-1] - step[..., 1:]) / 2 * three
    means = middle.sum((0, 1)) / np.maximum(three.sum((0, 1)), 1)
    usual = 1.4826 * np.median(np.abs(means - np.median(means))) + 1e-5
    values = (
        jumps[at],
        others.max(),
        rough.max(),
        -rough.min(),
        np.log(np.sqrt(np.mean(means**2)) + 1e-5),
        np.log((np.abs(means).max() + 1e-6) / usual),
    )
    return dict(zip(names, map(float, values), strict=True))


def _roughness(image: np.ndarray, inside: np.ndarray, spacing: tuple[float, ...], axis: int) -> np.ndarray:
    """Return the logarithm of the level of second differences within each slice across an axis."""
    power = np.zeros(image.shape[axis])
    for along in range(3):
        if along == axis:
            continue
        other = 3 - axis - along
        thin = [slice(None)] * 3
        thin[other] = slice(None, None, max(1, round(APART / spacing[other])))
        lines, good = (np.moveaxis(v[tuple(thin)], (axis, along, other), (0, 1, 2)) for v in (image, inside))
        bend = difference(lines.transpose(0, 2, 1), 1)
        fine = good[:, 2:] & good[:, :-2] & good[:, 1:-1]
        bend = bend * fine.transpose(0, 2, 1)
        power += (bend * bend).sum((1, 2)) / np.maximum(fine.sum((1, 2)), 1)
    return np.log(np.sqrt(power) + 1e-4)


def cut_features(
    image: np.ndarray, brain: np.ndarray, spacing: float, axis: int, ends_inside: tuple[bool, bool]
) -> dict[str, float]:
    """Return flat faces of the tissue across an axis.

    Args:
        image: intensities over the brain's level.
        brain: boolean brain mask of the same shape, as tight as can be.
        spacing: voxel size along the axis, mm.
        axis: across the faces.
        ends_inside: whether the brain ends before the volume does, at its low and its high end; where it does not,
            the field of view is small, which is no fault of the image.

    Returns:
        `face`: the largest area of tissue that begins or ends from one slice to the next, over the brain's largest
            section, against what a ball of a brain's size has at its poles, as a logarithm;
        `face_two`: the same of the second largest.
    """
    tissue = np.moveaxis(brain & (image > EMPTY), axis, 0)
    section = tissue.sum((1, 2)).max()
    low, high = (0 if inside else 1 for inside in ends_inside)  # a brain that the volume cuts goes on outside
    padded = np.concatenate([tissue[:1] & bool(low), tissue, tissue[-1:] & bool(high)])
    areas = (padded[1:] & ~padded[:-1]).sum((1, 2)), (padded[:-1] & ~padded[1:]).sum((1, 2))
    sizes = np.sort(np.concatenate(areas) / max(section, 1))[::-1]
    pole = spacing / POLE
    excess = np.log((sizes[:2] + 0.03) / (pole + 0.03))
    return {"face": float(excess[0]), "face_two": float(excess[1])}


def empty_share(image: np.ndarray, brain: np.ndarray) -> float:
    """Return the logarithm of the share of the brain mask that holds no signal.

    Example:
        >>> image = np.ones((4, 4, 4))
        >>> empty_share(image, image > 0) < empty_share(0 * image, image > 0)
        True
    """
    return float(np.log(np.mean(image[brain] < EMPTY) + 1e-3))
