"""Whole heads of any contrast, with the brain known: what the brain-extraction network learns from.

A head is a T1-weighted scan with its regions: tissue groups in the brain, and zones around it. `draw_head` makes one
example of it: another pose, another brightness of every region, another scanner, a cut field of view, anomalies, or
the brain alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.spatial.transform import Rotation

from itermask.synth.anomalies import apply_anomalies, draw_anomalies
from itermask.synth.contrast import ORDERS, apply_contrast, draw_contrast
from itermask.synth.scanner import add_noise, apply_acquisition, draw_scanner, stretched
from itermask.synth.tissues import GROUPS

AIR = 0
ZONES = ("beside the brain", "skull", "skin", "deep")  # numbered from len(GROUPS) in a map of regions
BESIDE, SKULL, SKIN, DEEP = range(len(GROUPS), len(GROUPS) + len(ZONES))
BESIDE_MM, SKULL_MM, SKIN_MM = 4.0, 14.0, 7.0  # depth of each zone: from the brain, from the brain, and from the air
HEAD_SHARE = 0.12  # of the brain's median intensity, above which a smoothed voxel is head and not air
TOP = 100.0  # stored intensity of the brain's 98th percentile
BELOW = 12.0  # mm: the brain lies so much above the middle, as there is more of a head below it than above
KNOTS = 4  # brightness outside the brain is drawn at so many intensities of the scan, and interpolated between
# Brightness of bone, muscle, loose tissue and fat in the usual sequences, on the scale of the tissues in the brain
OUTSIDE = {
    "T1w": (0.03, 0.4, 0.55, 1.2),
    "T2w": (0.03, 0.22, 0.4, 0.75),
    "FLAIR": (0.03, 0.3, 0.4, 0.8),
    "PD": (0.05, 0.45, 0.55, 0.9),
}


@dataclass(frozen=True)
class Head:
    """A T1-weighted head.

    Attributes:
        image: uint8, `TOP` at the brain's 98th percentile; axes right, anterior, superior.
        regions: uint8: 0 air, tissue groups of the brain, then `ZONES`.
        spacing: voxel size in mm.
    """

    image: np.ndarray
    regions: np.ndarray
    spacing: tuple[float, float, float]


@dataclass(frozen=True)
class Kind:
    """What an example may be like.

    Attributes:
        sequence: `T1w`, `T2w`, `FLAIR` or `PD`: brightness in that order; None draws it.
        own: probability of keeping the scan's own contrast.
        tilt: largest rotation in degrees about each axis.
        zoom: largest relative change of size.
        shift: largest displacement in mm along each axis.
        bend: standard deviation in mm of a smooth displacement.
        cut: probability of a cut field of view.
        anomalies: probability of anomalies in the brain.
        stripped: probability of the brain alone.
        empty: probability of air that is exactly 0.
        grey: probability of air that is brighter than the darkest tissue.
        scanner: probability of bias, blur, slices and noise.
    """

    sequence: str | None = None
    own: float = 0.4
    tilt: float = 25.0
    zoom: float = 0.15
    shift: float = 20.0
    bend: float = 2.0
    cut: float = 0.45
    anomalies: float = 0.3
    stripped: float = 0.14
    empty: float = 0.4
    grey: float = 0.06
    scanner: float = 0.85


@dataclass(frozen=True)
class Example:
    """One made-up scan.

    Attributes:
        image: float32, any scale; 0 outside the field of view.
        brain: float32, 0 to 1: how much of each voxel is brain, also outside the field of view.
        view: boolean, the field of view.
    """

    image: np.ndarray
    brain: np.ndarray
    view: np.ndarray


def head_of(image: np.ndarray, groups: np.ndarray, spacing: Sequence[float]) -> Head:
    """Part a whole head into regions.

    Args:
        image: T1-weighted intensities, 3D, with the skull on; axes right, anterior, superior.
        groups: tissue groups of the brain, see `itermask.synth.tissues`; 0 outside it.
        spacing: voxel size in mm.

    Returns:
        the head, cut to what is not air.

    Raises:
        ValueError: there is no brain.

    Example:
        >>> image = np.pad(np.full((10, 10, 10), 50.0), 5)
        >>> groups = np.pad(np.full((4, 4, 4), 3), 8)
        >>> head_of(image, groups, (2.0, 2.0, 2.0)).regions.dtype
        dtype('uint8')
    """
    brain = groups > 0
    if not brain.any():
        raise ValueError("a head needs a brain")
    sizes = tuple(float(size) for size in spacing)
    image = np.maximum(image, 0)
    smooth = ndimage.gaussian_filter(image.astype(np.float32), [2.0 / size for size in sizes])
    found = (smooth > HEAD_SHARE * np.median(image[brain])) | ndimage.binary_dilation(brain, iterations=3)
    parts, _ = ndimage.label(found)
    found = parts == np.argmax(np.bincount(parts[brain]))
    for axis in range(3):  # the neck is open below, so that holes are filled slice by slice
        found = np.stack([ndimage.binary_fill_holes(one) for one in np.moveaxis(found, axis, 0)], axis)
    from_brain = ndimage.distance_transform_edt(~brain, sizes)
    from_air = ndimage.distance_transform_edt(np.pad(found, 1, mode="edge"), sizes)[1:-1, 1:-1, 1:-1]
    regions = np.full(image.shape, DEEP, np.uint8)
    regions[from_brain <= SKULL_MM] = SKULL
    regions[from_air <= SKIN_MM] = SKIN
    regions[from_brain <= BESIDE_MM] = BESIDE
    regions[~found] = AIR
    regions[brain] = groups[brain]
    stored = np.clip(image * (TOP / max(float(np.percentile(image[brain], 98)), 1e-6)), 0, 255).astype(np.uint8)
    window = ndimage.find_objects(found.view(np.uint8))[0]
    return Head(stored[window].copy(), regions[window].copy(), (sizes[0], sizes[1], sizes[2]))


def draw_head(
    head: Head, shape: tuple[int, int, int], spacing: float, rng: np.random.Generator, kind: Kind | None = None
) -> Example:
    """Make one example of a head.

    Args:
        head: from `head_of`.
        shape: of the example in voxels; the brain is about in its middle, a little higher.
        spacing: voxel size of the example in mm.
        rng: random generator; the only source of randomness.
        kind: what it may be like; anything by default.

    Returns:
        image, brain and field of view.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> image = np.pad(np.full((10, 10, 10), 50.0), 5)
        >>> head = head_of(image, np.pad(np.full((4, 4, 4), 3), 8), (2.0, 2.0, 2.0))
        >>> draw_head(head, (16, 16, 16), 2.5, rng).image.shape
        (16, 16, 16)
    """
    kind = kind or Kind()
    image, regions, brain = _posed(head, shape, spacing, rng, kind)
    view = _view(brain > 0.5, spacing, rng) if rng.random() < kind.cut else np.ones(shape, bool)
    inside = (regions > 0) & (regions < BESIDE)
    alone = rng.random() < kind.stripped
    if rng.random() < kind.own and kind.sequence is None:
        changed = image / TOP
        if rng.random() < 0.3:
            changed = np.where(inside, changed, outside_contrast(image, regions, "T1w", rng))
        if rng.random() < 0.7:
            changed = np.maximum(changed, 0) ** np.exp(rng.normal(0, 0.3))
    else:
        changed = _any_contrast(image, regions, inside, rng, kind.sequence)
    if inside.sum() > 1000 and rng.random() < kind.anomalies:
        groups = np.where(inside & view, regions, 0)
        if groups.any():
            changed, _ = apply_anomalies(changed, inside, draw_anomalies(changed, groups, (spacing,) * 3, rng))
    empty = rng.random() < kind.empty
    head_or_brain = regions > 0
    if alone:
        head_or_brain = _outline(brain > 0.5, rng)
        brain = np.where(head_or_brain, 1.0, 0.0).astype(np.float32)
        changed = np.where(head_or_brain, changed, 0)
    elif rng.random() < kind.grey:  # as in images that hold negative values
        empty, level = False, rng.uniform(0.1, 0.6)
        changed = np.where(head_or_brain, changed, changed + level)
    if rng.random() < kind.scanner:
        changed = _scanned(changed, head_or_brain if alone else np.ones(shape, bool), inside, spacing, rng)
    if empty and not alone:
        grown = ndimage.binary_dilation(head_or_brain) if rng.random() < 0.5 else head_or_brain
        changed = np.where(grown, changed, 0)
    return Example(np.where(view, changed, 0).astype(np.float32), brain.astype(np.float32), view)


def outside_contrast(image: np.ndarray, regions: np.ndarray, order: str, rng: np.random.Generator) -> np.ndarray:
    """Draw the brightness of what lies outside the brain, as a function of its T1-weighted intensity in each zone.

    Args:
        image: T1-weighted intensities, `TOP` at the brain's 98th percentile.
        regions: as in `Head`.
        order: a key of `OUTSIDE`, or any other name for uniform draws.
        rng: random generator.

    Returns:
        float32, about 0 to 1.5; the brain's voxels hold nothing useful.

    Example:
        >>> image, regions = np.full((4, 4, 4), 50.0), np.full((4, 4, 4), SKIN)
        >>> outside_contrast(image, regions, "T2w", np.random.default_rng(0)).dtype
        dtype('float32')
    """
    outer = image[regions >= BESIDE]
    values = outer[:: max(1, outer.size // 8000)]
    at = np.percentile(values, [12, 45, 70, 95]) if values.size else np.linspace(0, TOP, KNOTS)
    at = np.maximum.accumulate(at + np.arange(KNOTS) * 1e-3)
    usual = order in OUTSIDE
    levels = np.array(OUTSIDE[order]) * np.exp(rng.normal(0, 0.2, KNOTS)) if usual else rng.uniform(0, 1.2, KNOTS)
    if usual and rng.random() < 0.4:
        levels[3] = rng.uniform(0.02, 0.35)  # fat suppressed
    if rng.random() < 0.7:
        levels[0] = rng.uniform(0, 0.1)  # bone and air cells are dark in nearly all sequences
    air = rng.uniform(0, 0.06) * image / max(float(at[0]), 1.0)
    made = np.where(regions == AIR, np.minimum(air, 0.3), 0).astype(np.float32)
    for zone in (BESIDE, SKULL, SKIN, DEEP):
        own = np.maximum(levels + rng.normal(0, 0.06, KNOTS), 0)
        if rng.random() < 0.25:
            own = rng.uniform(0, 1.2, KNOTS)
        where = regions == zone
        made[where] = np.interp(image[where], at, own)
    return made


def _any_contrast(
    image: np.ndarray, regions: np.ndarray, inside: np.ndarray, rng: np.random.Generator, order: str | None
) -> np.ndarray:
    """Give brain and surroundings another contrast: each region's brightness drawn, structure kept or drawn."""
    made = np.zeros(image.shape, np.float32)
    fluid = 0.5
    if inside.any():
        window = ndimage.find_objects(inside.view(np.uint8))[0]
        groups = np.where(inside[window], regions[window], 0)
        while True:
            contrast = draw_contrast(image[window], groups, rng, sampled=rng.random() < 0.35)
            if order is None or contrast.name == order:
                break
        order = contrast.name
        made[window] = apply_contrast(image[window], groups, contrast, rng)
        level = contrast.offset[GROUPS.index("ventricles")] + contrast.gain[GROUPS.index("ventricles")] * 20
        fluid = float(level[1]) if level.any() else float(ORDERS.get(order, (rng.random(),))[0])
    beyond = outside_contrast(image, regions, order or "any", rng)
    if rng.random() < 0.6:  # fluid between brain and skull, which a T1-weighted scan shows as dark as bone
        thickness = stretched(rng.standard_normal((5, 5, 5)), image.shape) + rng.uniform(-0.5, 1.0)
        wet = (regions == BESIDE) & (image < 0.45 * TOP) & (thickness > 0)
        beyond = np.where(wet, fluid, beyond)
    if rng.random() < 0.4:
        grain = ndimage.gaussian_filter(rng.standard_normal(image.shape, dtype=np.float32), rng.uniform(0.4, 1.2))
        beyond = beyond * (1 + rng.uniform(0.1, 0.4) * grain / max(float(grain.std()), 1e-6))
    return np.where(inside, made, beyond).astype(np.float32)


def _posed(
    head: Head, shape: tuple[int, int, int], spacing: float, rng: np.random.Generator, kind: Kind
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return image, regions, and the share of brain, turned, scaled, bent, moved and perhaps mirrored."""
    brain = (head.regions > 0) & (head.regions < BESIDE)
    middle = np.array(ndimage.center_of_mass(brain))
    angles = rng.uniform(-1, 1, 3) * kind.tilt * (1.0 if rng.random() < 0.5 else 0.3)
    zoom = np.exp(rng.uniform(-1, 1) * kind.zoom * 0.8 + rng.uniform(-1, 1, 3) * kind.zoom * 0.4)
    turn = Rotation.from_euler("xyz", angles, degrees=True).as_matrix() * zoom
    if rng.random() < 0.5:
        turn[0] *= -1
    shift = rng.uniform(-1, 1, 3) * kind.shift - (0, 0, BELOW)
    axes = [
        (np.arange(n, dtype=np.float32) - (n - 1) / 2) * np.float32(spacing) + np.float32(s)
        for n, s in zip(shape, shift, strict=True)
    ]
    matrix = (turn / np.array(head.spacing)[:, None]).astype(np.float32)
    voxels = np.empty((3, *shape), np.float32)
    for axis in range(3):
        x, y, z = (matrix[axis, other] * axes[other] for other in range(3))
        voxels[axis] = x[:, None, None] + y[:, None] + (z + np.float32(middle[axis]))
    if kind.bend:
        for axis in range(3):
            move = rng.standard_normal(rng.integers(3, 6, 3).tolist()) * rng.uniform(0, 1.5) * kind.bend
            voxels[axis] += stretched(move, shape) / np.float32(head.spacing[axis])
    return _sampled(head, voxels)


def _sampled(head: Head, voxels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return image and share of brain, linearly, and regions, the nearest, at places (3, X, Y, Z) in voxels."""
    import torch

    sizes = head.image.shape
    scaled = [2 * at / max(n - 1, 1) - 1 for at, n in zip(voxels[::-1], sizes[::-1], strict=True)]
    grid = torch.from_numpy(np.stack(scaled, axis=-1))[None]
    brain = (head.regions > 0) & (head.regions < BESIDE)
    smooth = torch.from_numpy(np.stack([head.image, brain]).astype(np.float32))[None]
    image, share = torch.nn.functional.grid_sample(smooth, grid, align_corners=True)[0].numpy()
    known = torch.from_numpy(head.regions.astype(np.float32))[None, None]
    regions = torch.nn.functional.grid_sample(known, grid, mode="nearest", align_corners=True)[0, 0].numpy()
    return image, regions.astype(np.uint8), np.clip(share, 0, 1)


def _view(brain: np.ndarray, spacing: float, rng: np.random.Generator) -> np.ndarray:
    """Return a field of view: cut by one to three planes, most of them straight, some through the brain."""
    view = np.ones(brain.shape, bool)
    if not brain.any():
        return view
    spans = [np.flatnonzero(brain.any(axis=tuple(a for a in range(3) if a != axis)))[[0, -1]] for axis in range(3)]
    for _ in range(int(rng.integers(1, 4))):
        axis = int(rng.choice([0, 1, 2], p=[0.2, 0.2, 0.6]))
        upper = bool(rng.random() < 0.5)
        depth = rng.uniform(-25, 8) if rng.random() < 0.65 else rng.uniform(8, 45)  # mm into the brain
        low, high = spans[axis]
        along = np.arange(brain.shape[axis], dtype=np.float32)
        position = high + 0.5 - depth / spacing if upper else low - 0.5 + depth / spacing
        beyond = (along - position) if upper else (position - along)
        field = beyond.reshape([-1 if a == axis else 1 for a in range(3)])
        if rng.random() < 0.2:
            for other in range(3):
                if other != axis:
                    across = np.arange(brain.shape[other], dtype=np.float32) - brain.shape[other] / 2
                    field = field + rng.normal(0, 0.3) * across.reshape([-1 if a == other else 1 for a in range(3)])
        view &= field <= 0
    return view if (view & brain).sum() > 0.3 * brain.sum() else np.ones(brain.shape, bool)


def _outline(brain: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a brain mask as another program would draw it: up to a voxel larger or smaller."""
    kind = rng.random()
    if kind < 0.35:
        return ndimage.binary_dilation(brain)
    return ndimage.binary_erosion(brain) if kind < 0.6 else brain


def _scanned(
    image: np.ndarray, within: np.ndarray, inside: np.ndarray, spacing: float, rng: np.random.Generator
) -> np.ndarray:
    """Apply a scanner: its noise is a share of the brain's brightness, also in the air."""
    scanner = draw_scanner(rng)
    sizes = (spacing,) * 3
    image = apply_acquisition(image, within, scanner, sizes)
    if inside.any():
        bright = float(np.percentile(image[inside][::20], 99))
        image = np.minimum(image, 3 * max(bright, 1e-6))
    return add_noise(image, within, scanner, rng)
