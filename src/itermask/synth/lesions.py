"""Controlled lesions: real tumour outlines, put into a normal brain with an intensity of one's choice."""

from collections.abc import Sequence
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from scipy import ndimage, signal, special

from itermask.errors import InputError

KINDS = ("dark", "bright", "textured")
CSF = 5.0  # percentile of the brain's intensities taken as cerebrospinal fluid (T1w, FLAIR)
WHITE_MATTER = 90.0  # percentile taken as white matter
GRAIN = 0.02  # of the white-matter level: standard deviation of the noise inside a lesion
TEXTURE = 3.0  # mm, smoothness (standard deviation) of the texture
REACH = 3.0  # the soft edge ends this many standard deviations outside the outline


def load_shapes(path: str | Path) -> dict[str, np.ndarray]:
    """Read lesion outlines.

    Args:
        path: `.npz` file of 3D arrays, cropped to the outline; non-zero is lesion.

    Returns:
        boolean arrays by name, in the file's order.

    Raises:
        InputError: (a ValueError) the file cannot be read, holds none, or holds one that is not 3D or is empty.

    Example:
        >>> np.savez(folder / "shapes.npz", star=np.ones((3, 3, 3), bool))
        >>> list(load_shapes(folder / "shapes.npz"))
        ['star']
    """
    try:
        with Path(path).open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            shapes = {name: file[name].astype(bool) for name in file.files}
    except (OSError, ValueError, EOFError, BadZipFile, AttributeError, TypeError) as error:
        raise InputError(f"{path}: not an .npz file of lesion shapes ({error})") from error
    if not shapes:
        raise InputError(f"{path}: holds no lesion shapes")
    for name, shape in shapes.items():
        if shape.ndim != 3 or not shape.any():
            raise InputError(f"{path}: {name} is not a 3D lesion shape with voxels in it")
    return shapes


def insert_lesion(
    image: np.ndarray,
    brain: np.ndarray,
    shape: np.ndarray,
    kind: str,
    rng: np.random.Generator,
    contrast: float = 0.5,
    softness: float = 1.5,
    spacing: Sequence[float] = (1.0, 1.0, 1.0),
    fraction: float = 0.015,
    margin: float = 2.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Put a lesion at a random position in a brain.

    The outline is turned by random multiples of 90°, flipped at random, scaled to its volume, and placed
    uniformly among the positions where all of it lies in the brain. Inside, the image is blended into the
    lesion's own intensity with a Gaussian edge: a voxel at the signed distance `d` inside the outline has the
    weight `Φ(d/softness)` of the lesion. Levels are the scan's: `c`, the brain's 5th percentile (fluid), `m`, its
    median, and `w`, its 90th percentile (white matter).

    * `dark`: `m + contrast·(c − m)`; contrast 1 is as dark as fluid.
    * `bright`: `w·(1 + contrast)`; contrast 1 is twice as bright as white matter.
    * `textured`: a smooth random texture that spans the two.

    Noise of 2 % of `w` is added to each, so that no lesion is flatter than tissue. No intensity falls below
    the brain's minimum. A dark lesion that lies on a ventricle changes little there; the mask holds it still.

    Args:
        image: 3D intensities, non-negative, in any unit.
        brain: boolean brain mask of the image's shape.
        shape: boolean 3D outline on an isotropic grid, cropped or not.
        kind: `dark`, `bright` or `textured`.
        rng: random generator; the only source of randomness.
        contrast: strength, above 0; 1 is strong.
        softness: standard deviation of the edge in mm; 0 for a hard edge.
        spacing: voxel size in mm along each axis.
        fraction: volume of the lesion as a share of the brain's, between 0 and 1.
        margin: least distance in mm from the lesion to the brain's border.

    Returns:
        float32 image with the lesion, and its boolean mask (weight at least ½), inside the brain.

    Raises:
        ValueError: arrays that do not fit or are not 3D, an empty brain or outline, intensities that are negative,
            NaN, infinite or constant, a parameter out of range, a fraction below one voxel, or a lesion that
            fits nowhere.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> image, brain = rng.normal(100.0, 5.0, (30, 30, 30)).astype(np.float32), np.ones((30, 30, 30), bool)
        >>> lesioned, label = insert_lesion(image, brain, np.ones((5, 5, 5), bool), "dark", rng)
        >>> bool(label.any()), bool(lesioned[label].mean() < image[label].mean())
        (True, True)
    """
    image = np.asarray(image, dtype=np.float32)
    brain, shape = np.asarray(brain, dtype=bool), np.asarray(shape, dtype=bool)
    if image.ndim != 3 or brain.shape != image.shape or shape.ndim != 3:
        raise ValueError(f"image {image.shape}, brain mask {brain.shape} and outline {shape.shape} must be 3D and fit")
    if not brain.any() or not shape.any():
        raise ValueError("the brain mask or the lesion's outline is empty")
    if not np.isfinite(image).all() or image.min() < 0:
        raise ValueError("the image holds NaN, infinite or negative voxels; magnitudes are needed")
    if kind not in KINDS:
        raise ValueError(f"unknown kind of lesion {kind!r}; known are {', '.join(KINDS)}")
    if len(spacing) != 3 or any(not (size > 0 and np.isfinite(size)) for size in spacing):
        raise ValueError(f"spacing {tuple(spacing)} must be three positive sizes in mm")
    if not contrast > 0 or not 0 < fraction < 1 or not softness >= 0 or not margin >= 0:
        raise ValueError(
            f"contrast {contrast} must be above 0, fraction {fraction} between 0 and 1, "
            f"softness {softness} mm and margin {margin} mm not negative"
        )
    values = image[brain]
    fluid, middle, white = np.percentile(values, [CSF, 50.0, WHITE_MATTER])
    if not white > fluid:
        raise ValueError(f"the brain's intensities are constant ({fluid:g})")
    mask = _placed(brain, shape, rng, spacing, fraction, margin)
    window = _window(mask, [int(np.ceil(REACH * softness / size)) + 1 for size in spacing])
    weight = _blend(mask[window], spacing, softness) * brain[window]

    dark, bright = middle + contrast * (fluid - middle), white * (1 + contrast)
    if kind == "textured":
        texture = ndimage.gaussian_filter(rng.standard_normal(weight.shape), [TEXTURE / size for size in spacing])
        low, high = texture[mask[window]].min(), texture[mask[window]].max()
        level = dark + (bright - dark) * np.clip((texture - low) / max(high - low, 1e-12), 0, 1)
    else:
        level = np.full(weight.shape, dark if kind == "dark" else bright)
    level += GRAIN * white * rng.standard_normal(weight.shape)
    result = image.copy()
    result[window] += weight * (np.maximum(level, values.min()) - image[window])
    return result, mask


def _placed(
    brain: np.ndarray,
    shape: np.ndarray,
    rng: np.random.Generator,
    spacing: Sequence[float],
    fraction: float,
    margin: float,
) -> np.ndarray:
    """Return a boolean array of the brain's shape: the outline, turned, scaled and placed, all of it in the brain."""
    window = _window(brain, [0, 0, 0])
    room = np.pad(brain[window], 1)  # so that the volume's edge counts as the brain's border
    room = (ndimage.distance_transform_edt(room, sampling=spacing) > margin)[1:-1, 1:-1, 1:-1]
    target = fraction * np.count_nonzero(brain)
    if target < 1:
        raise ValueError(f"a fraction of {fraction:g} of this brain is less than one voxel")
    turns = [(order, flips) for order in _ORDERS for flips in np.ndindex(2, 2, 2)]
    for turn in rng.permutation(len(turns)):
        order, flips = turns[turn]
        turned = np.flip(shape.transpose(order), tuple(axis for axis in range(3) if flips[axis]))
        scaled = _scaled(turned, target, spacing)
        if any(size > space for size, space in zip(scaled.shape, room.shape, strict=True)):
            continue
        outside = signal.fftconvolve((~room).astype(np.float32), scaled[::-1, ::-1, ::-1].astype(np.float32), "valid")
        corners = np.argwhere(outside < 0.5)
        if len(corners):
            corner = corners[rng.integers(len(corners))]
            mask = np.zeros(brain.shape, dtype=bool)
            box = [slice(c + w.start, c + w.start + n) for c, w, n in zip(corner, window, scaled.shape, strict=True)]
            mask[tuple(box)] = scaled
            return mask
    raise ValueError(f"a lesion of {fraction:.3g} of the brain fits nowhere with a margin of {margin:g} mm")


_ORDERS = ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0))


def _scaled(shape: np.ndarray, target: float, spacing: Sequence[float]) -> np.ndarray:
    """Return the outline, resampled linearly so that it has about `target` voxels of `spacing`, and cropped."""
    shape = np.pad(shape[_window(shape, [0, 0, 0])], 1).astype(np.float32)
    side = (target * np.prod(spacing) / shape.sum()) ** (1 / 3)  # mm of one voxel of the outline's grid
    zooms = [max(side / size, 1.01 / n) for size, n in zip(spacing, shape.shape, strict=True)]
    blur = [max(0.0, 1 / zoom - 1) / 2 for zoom in zooms]  # a coarser grid must not miss thin parts
    smooth = ndimage.zoom(ndimage.gaussian_filter(shape, blur), zooms, order=1, mode="grid-constant", grid_mode=True)
    smooth += 0.01 * ndimage.gaussian_filter(smooth, 1.0)  # of equal voxels, those further inside come first
    count = min(max(round(target), 1), smooth.size)
    scaled = smooth >= np.partition(smooth, -count, axis=None)[-count]  # the threshold is near ½
    return scaled[_window(scaled, [0, 0, 0])]


def _window(mask: np.ndarray, margins: Sequence[int]) -> tuple[slice, ...]:
    """Return the smallest window around a mask's True voxels, wider by `margins` voxels where the array goes on."""
    window = []
    for axis, margin in enumerate(margins):
        occupied = np.flatnonzero(mask.any(axis=tuple(a for a in range(mask.ndim) if a != axis)))
        window.append(slice(max(0, int(occupied[0]) - margin), int(occupied[-1]) + 1 + margin))
    return tuple(window)


def _blend(mask: np.ndarray, spacing: Sequence[float], softness: float) -> np.ndarray:
    """Return the weight of the lesion, 0 to 1: above ½ in the mask, below it outside, 0 beyond the edge's reach."""
    if softness < 1e-3 * min(spacing):
        return mask.astype(np.float32)
    padded = np.pad(mask, 1)
    half = min(spacing) / 2  # the outline runs between voxel centres
    inside = ndimage.distance_transform_edt(padded, sampling=spacing) - half
    outside = ndimage.distance_transform_edt(~padded, sampling=spacing) - half
    distance = np.where(padded, inside, -outside)[1:-1, 1:-1, 1:-1] / softness
    return np.where(distance > -REACH, special.ndtr(distance), 0).astype(np.float32)
