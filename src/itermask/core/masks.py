"""Random training masks: what is hidden from the model while it learns to reconstruct normal brains.

Three kinds are drawn: analytic ellipsoids (the papers'), thresholded smooth random fields (closer to the
scattered masks that refinement asks for), and the fully hidden brain (refinement's first pass).
They work in 2D and 3D. For slices there is a fourth, `square_mask`, that of IterMask2. All take boolean brain masks;
True means hidden.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

FIELD = 240.0  # mm: the field of view that IterMask2's masks are described on
COARSE, FINE = FIELD / 24, FIELD / 96  # mm: units of the Gaussian that its squares are scattered by
CELLS, CELL_SHARES = (4.0, 2.0, 8.0), (0.5, 0.25, 0.25)  # mm: IterMask3D's coarse grids, and how often each is taken
VARIANCES = (0.3, 10.0)  # of its ellipsoids, squared cells
REACH = 4.0  # standard deviations that an ellipsoid reaches

TOLERANCE = 1e-6  # mm; distances that are equal but for rounding are equal


@dataclass(frozen=True)
class MaskMix:
    """How often each kind of training mask is drawn; the shares add up to 1.

    Attributes:
        ellipsoid: share of single ellipsoids on a coarse grid (the published masks).
        field: share of thresholded smooth random fields.
        full: share of fully hidden brains.
        unit: what ellipsoids are drawn in: `mm`, as published, or `voxel`, as the models of versions up to 0.2 learned
            with: a voxel counts as 1 mm whatever its size, so ellipsoids grow with it.
    """

    ellipsoid: float = 0.45
    field: float = 0.35
    full: float = 0.20
    unit: str = "mm"

    def __post_init__(self) -> None:
        shares = (self.ellipsoid, self.field, self.full)
        if min(shares) < 0 or abs(sum(shares) - 1) > 1e-6:
            raise ValueError(f"mask shares must be non-negative and add up to 1, not {shares}")
        if self.unit not in ("mm", "voxel"):
            raise ValueError(f"ellipsoids are drawn in mm or voxel, not {self.unit!r}")


def ellipsoid_mask(brain: np.ndarray, rng: np.random.Generator, spacing: Sequence[float] | None = None) -> np.ndarray:
    """Hide one random ellipsoid of the brain.

    A coarse grid is chosen (cells of 4 mm with probability 1/2, else of 2 or 8 mm: the published 1/4, 1/2 and 1/8 of
    the resolution at 1 mm), on it a random rotation and one variance per axis, uniform in [0.3, 10] cells², and a
    centre in the brain; every cell within 4 standard deviations is hidden. This is the analytic form of the papers'
    cloud of 100 000 Gaussian points. Source: `itermask3d.md`, "Training".

    >>> brain = np.ones((30, 30, 30), bool)
    >>> mask = ellipsoid_mask(brain, np.random.default_rng(0), spacing=(2.0, 2.0, 2.0))
    >>> mask.shape, bool((mask <= brain).all())
    ((30, 30, 30), True)

    Args:
        brain: boolean brain mask, 2D or 3D, not empty.
        rng: random generator; the only source of randomness.
        spacing: voxel size in mm along each axis; 1 mm if None. The ellipsoid's size is in mm whatever it is.

    Returns:
        boolean mask, True where hidden, inside `brain`.

    Raises:
        ValueError: not one positive voxel size for each axis.
    """
    sizes = (1.0,) * brain.ndim if spacing is None else tuple(spacing)
    if len(sizes) != brain.ndim or any(not size > 0 for size in sizes):
        raise ValueError(f"spacing {sizes} is not one positive number of mm for each of {brain.ndim} axes")
    edge = rng.choice(CELLS, p=CELL_SHARES)
    inside = np.argwhere(brain)
    middle = inside[rng.integers(len(inside))]
    # The cell that each voxel's centre lies in, along each axis.
    cells = [
        ((np.arange(count) + 0.5) * size / edge).astype(int) for count, size in zip(brain.shape, sizes, strict=True)
    ]
    centre = [cell[at] for cell, at in zip(cells, middle, strict=True)]
    rotation, _ = np.linalg.qr(rng.standard_normal((brain.ndim, brain.ndim)))
    variances = rng.uniform(*VARIANCES, size=brain.ndim)
    precision = rotation @ np.diag(1 / variances) @ rotation.T
    grid = np.meshgrid(*[np.arange(cell[-1] + 1) for cell in cells], indexing="ij")
    offsets = np.stack(grid, axis=-1) - centre
    coarse = np.einsum("...i,ij,...j->...", offsets, precision, offsets) <= REACH**2
    return coarse[np.ix_(*cells)] & brain


def field_mask(brain: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Hide the brain voxels where a smooth random field is above a random quantile.

    The field's smoothness is between half a voxel and 8 voxels (log-uniform) and the hidden share of the
    brain between 2 and 90 %, so masks go from scattered specks to large connected regions.

    Args:
        brain: boolean brain mask, 2D or 3D, not empty.
        rng: random generator; the only source of randomness.

    Returns:
        boolean mask, True where hidden, inside `brain`.

    Example:
        >>> brain = np.ones((20, 20, 20), bool)
        >>> mask = field_mask(brain, np.random.default_rng(0))
        >>> 0.02 <= float(mask.mean()) <= 0.91
        True
    """
    smoothness = np.exp(rng.uniform(np.log(0.5), np.log(8.0)))
    share = rng.uniform(0.02, 0.9)
    factor = 1 if smoothness < 2 else 2 if smoothness < 4 else 4  # coarse fields need no fine grid
    coarse = rng.standard_normal([-(-size // factor) + 1 for size in brain.shape], dtype=np.float32)
    field = ndimage.gaussian_filter(coarse, smoothness / factor, truncate=3)
    if factor > 1:
        field = ndimage.zoom(field, factor, order=1, grid_mode=True, mode="nearest")
    field = field[tuple(slice(size) for size in brain.shape)]
    return (field > np.quantile(field[brain], 1 - share)) & brain


def square_mask(brain: np.ndarray, spacing: Sequence[float], rng: np.random.Generator) -> np.ndarray:
    """Hide squares that are scattered about one place of a slice's brain.

    A 2D Gaussian with a random rotation and variances uniform in [0.3, 10] squared units, centred uniformly in the
    brain, says where: a unit is 10 mm in two masks of three, else 2.5 mm. Squares of 4 mm are many, 100–200 times the
    product of the standard deviations in units (5–20 times for the small unit); 5–9 are of 8 mm, 3–9 of 16 mm.
    Each square's row and column come from one draw. Source: `itermask2.md`, "Training masks".

    Args:
        brain: boolean brain mask of a slice, 2D, not empty.
        spacing: pixel size in mm along both axes.
        rng: random generator; the only source of randomness.

    Returns:
        boolean mask, True where hidden, inside `brain`.

    Raises:
        ValueError: not a slice.

    Example:
        >>> brain = np.ones((64, 64), bool)
        >>> mask = square_mask(brain, (2.0, 2.0), np.random.default_rng(0))
        >>> mask.shape, bool(mask.any())
        ((64, 64), True)
    """
    if brain.ndim != 2 or len(spacing) != 2:
        raise ValueError(f"squares are drawn on slices, not on {brain.ndim} axes")
    unit, least, most = (COARSE, 100, 200) if rng.random() < 2 / 3 else (FINE, 5, 20)
    inside = np.argwhere(brain)
    centre = inside[rng.integers(len(inside))]
    rotation, _ = np.linalg.qr(rng.standard_normal((2, 2)))
    variances = rng.uniform(0.3, 10.0, size=2)
    along = (inside - centre) * np.asarray(spacing) / unit @ rotation  # units along the Gaussian's axes
    weights = np.exp(-0.5 * (along**2 / variances).sum(axis=1))
    weights /= weights.sum()
    many = int(rng.uniform(least, most) * np.sqrt(variances.prod()))
    counts = (max(1, many), int(rng.integers(5, 10)), int(rng.integers(3, 10)))
    hidden = np.zeros_like(brain)
    for edge, count in zip((4.0, 8.0, 16.0), counts, strict=True):
        points = inside[rng.choice(len(inside), size=count, p=weights)]
        marked = np.zeros_like(brain)
        marked[points[:, 0], points[:, 1]] = True
        hidden |= ndimage.maximum_filter(marked, [max(1, round(edge / size)) for size in spacing])
    return hidden & brain


def training_mask(
    brain: np.ndarray,
    rng: np.random.Generator,
    mix: MaskMix | None = None,
    spacing: Sequence[float] | None = None,
) -> np.ndarray:
    """Draw one training mask of a random kind.

    >>> brain = np.ones((12, 12), bool)
    >>> bool(training_mask(brain, np.random.default_rng(0), MaskMix(0, 0, 1)).all())  # a fully hidden slice
    True

    Args:
        brain: boolean brain mask, 2D or 3D.
        rng: random generator; the only source of randomness.
        mix: share of each kind; the default mix if None.
        spacing: voxel size in mm along each axis, for ellipsoids; 1 mm if None, or if the mix draws them in voxels.

    Returns:
        boolean mask, True where hidden, inside `brain`.

    Raises:
        ValueError: the brain mask is empty.
    """
    if not brain.any():
        raise ValueError("the brain mask is empty")
    mix = mix or MaskMix()
    kind = rng.random()
    if kind < mix.full:
        return brain.copy()
    if kind < mix.full + mix.field:
        return field_mask(brain, rng)
    return ellipsoid_mask(brain, rng, spacing if mix.unit == "mm" else None)


def brain_crop(brain: np.ndarray, divisor: int) -> tuple[slice, ...]:
    """Return the smallest part of a box that holds the brain and that a network takes.

    Args:
        brain: boolean brain mask; an empty one gives the whole box.
        divisor: every size is a multiple of this and at least twice it, but never larger than the box; 0 (not known)
            gives the whole box.

    Returns:
        one slice an axis, with the brain about in the middle.

    Example:
        >>> brain = np.zeros((32, 32), bool)
        >>> brain[9:15, 4:9] = True
        >>> brain_crop(brain, 8)
        (slice(4, 20, None), slice(0, 16, None))
    """
    if not divisor or not brain.any():
        return (slice(None),) * brain.ndim
    crop = []
    for axis, size in enumerate(brain.shape):
        inside = np.flatnonzero(brain.any(axis=tuple(other for other in range(brain.ndim) if other != axis)))
        low, high = int(inside[0]), int(inside[-1]) + 1
        edge = min(size, max(2 * divisor, -(-(high - low) // divisor) * divisor))
        start = min(max(0, low - (edge - high + low) // 2), size - edge)
        crop.append(slice(start, start + edge))
    return tuple(crop)


def remove_small_parts(mask: np.ndarray, smallest: float) -> np.ndarray:
    """Return a mask without its connected parts (faces touching) of fewer than `smallest` voxels.

    Example:
        >>> remove_small_parts(np.array([True, True, False, True]), smallest=2).tolist()
        [True, True, False, False]
    """
    if smallest <= 1:
        return mask
    parts, _ = ndimage.label(mask)
    large = np.bincount(parts.ravel()) >= smallest
    large[0] = False
    return large[parts]


def network_input(image: np.ndarray, hidden: np.ndarray, noise: np.ndarray, channels: list[np.ndarray]) -> np.ndarray:
    """Return noise fill, and the channels beside it: (1 + len(channels), …) float32.

    Args:
        image: scaled intensities.
        hidden: boolean, True where the image is replaced by `noise`.
        noise: standard normal, shape of `image`.
        channels: what else the network sees: the guidance, and the mask where the model takes it.

    Example:
        >>> hidden = np.array([[True, False]])
        >>> network_input(np.array([[1.0, 2.0]]), hidden, np.array([[9.0, 9.0]]), [np.array([[5.0, 6.0]])]).tolist()
        [[[9.0, 2.0]], [[5.0, 6.0]]]
    """
    return np.stack([np.where(hidden, noise, image), *channels]).astype(np.float32, copy=False)


def erode_slices(brain: np.ndarray, spacing: tuple[float, ...], radius: float) -> np.ndarray:
    """Return the brain without its border, slice by slice: erosion by a disk.

    Args:
        brain: boolean (X, Y, Z).
        spacing: voxel size in mm.
        radius: of the disk in mm; 0 leaves the brain as it is.

    Returns:
        boolean (X, Y, Z), True where every pixel up to `radius` away in the slice is brain; there is none outside
        the box.

    Raises:
        ValueError: nothing is left.

    Example:
        >>> int(erode_slices(np.ones((5, 5, 1), bool), (1.0, 1.0, 1.0), radius=1.0).sum())
        9
    """
    inner = np.zeros_like(brain, dtype=bool)
    for at in np.flatnonzero(brain.any(axis=(0, 1))):
        distance = ndimage.distance_transform_edt(np.pad(brain[..., at], 1), sampling=spacing[:2])
        inner[..., at] = distance[1:-1, 1:-1] > (radius + TOLERANCE if radius else 0)
    if not inner.any():
        raise ValueError(f"nothing is left of the brain mask without the {radius:g} mm at its border")
    return inner
