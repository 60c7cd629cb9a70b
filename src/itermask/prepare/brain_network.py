"""Find the brain in a head of any contrast with the bundled network.

The network sees the whole head on a coarse grid along the scan's own axes. Its answer, how likely each voxel is brain,
is brought back to the scan's own grid. How it was trained: `scripts/brain_network.py`.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from itermask.runtime.base import Runtime

BRIGHT = 2.0  # scaled intensity at which the brightest voxels are clipped
ABOVE = 12.0  # mm: the brain's centre lies so much above the box's, as in training
TOP = 95.0  # mm: the head's top lies so much above the box's centre
AWAY = 15.0  # mm between where the brain lies and where it should: beyond that the network looks again
COARSE = 4.0  # mm: steps at which a head is searched in a volume larger than the box
ROLE = "brain"


def find_brain(image: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Find the brain in a scan with its skull on, whatever its contrast.

    Args:
        image: 3D intensities, any scale; NaN counts as 0.
        affine: 4×4, voxel indices → millimetres.

    Returns:
        boolean mask of the image's shape: one connected part without holes, or empty.

    Raises:
        ValueError: the affine is not invertible.

    Example:
        >>> find_brain(np.zeros((20, 20, 20)), np.diag([8.0, 8.0, 8.0, 1.0])).any()
        np.False_
    """
    import nibabel as nib

    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-9:
        raise ValueError("the affine is not invertible, so the voxels have no position in space")
    orientation = nib.orientations.io_orientation(affine)
    turned = nib.orientations.apply_orientation(np.asarray(image, np.float32), orientation)
    turned = np.nan_to_num(turned, copy=False)
    sizes = np.maximum(np.round(np.linalg.norm(affine[:3, :3], axis=0), 4), 1e-3)[np.argsort(orientation[:, 0])]
    mask = _whole_part(_find(np.ascontiguousarray(turned), sizes.tolist()))
    back = nib.orientations.ornt_transform(np.array([[0, 1], [1, 1], [2, 1]]), orientation)
    return np.ascontiguousarray(nib.orientations.apply_orientation(mask, back))


def scaled(image: np.ndarray, view: np.ndarray) -> np.ndarray:
    """Bring intensities to the network's scale: 0 for the darkest, 1 for the bright end of what is not air.

    Args:
        image: intensities, any scale, 3D.
        view: boolean, where the scan has data.

    Returns:
        float32, 0 to `BRIGHT`; 0 outside the field of view and of an image that is constant.

    Example:
        >>> image = np.linspace(0, 300, 1000).reshape(10, 10, 10)
        >>> float(scaled(image, image >= 0).max().round(1))
        1.0
    """
    values = image[view]
    values = values[:: max(1, values.size // 50_000)]
    if not values.size:
        return np.zeros(image.shape, np.float32)
    low, top = np.percentile(values, [0.5, 99.5])
    seen = values[values > low + 0.1 * (top - low)]
    high = float(np.percentile(seen, 95)) if seen.size else low
    if not high > low:
        return np.zeros(image.shape, np.float32)
    return np.where(view, np.clip((image - low) / (high - low), 0, BRIGHT), 0).astype(np.float32)


@dataclass(frozen=True)
class Box:
    """The network's grid in a scan, axis by axis.

    Attributes:
        sizes: voxels of the scan.
        spacing: of the scan, mm.
        shape: voxels of the box.
        step: voxel size of the box in mm.
        centre: of the box, mm from the edge of the scan's first voxel.
    """

    sizes: tuple[int, ...]
    spacing: tuple[float, ...]
    shape: tuple[int, ...]
    step: float
    centre: tuple[float, ...]

    def places(self, axis: int) -> np.ndarray:
        """Return where the box's voxels lie along an axis, mm from the edge of the scan's first voxel."""
        count = self.shape[axis]
        return np.asarray(self.centre[axis] + (np.arange(count) - (count - 1) / 2) * self.step)

    def fill(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the scan on the box, float32, each voxel a mean over its own size; and which voxels it reaches."""
        image, view = np.asarray(image, np.float32), np.ones(self.shape, bool)
        for axis, (count, size) in enumerate(zip(self.sizes, self.spacing, strict=True)):
            at = self.places(axis)
            along = (at > 0) & (at < count * size)
            view &= along.reshape([-1 if a == axis else 1 for a in range(3)])
            places = np.clip(at / size - 0.5, 0, count - 1)
            image = _along(image, _tents(count, places, max(1.0, self.step / size)), axis)
        return np.where(view, image, 0).astype(np.float32), view

    def give_back(self, values: np.ndarray) -> np.ndarray:
        """Return an array on the box, linearly interpolated on the scan's grid; 0 outside the box."""
        for axis, (count, size) in enumerate(zip(self.sizes, self.spacing, strict=True)):
            at = (np.arange(count) + 0.5) * size
            places = (at - self.places(axis)[0]) / self.step
            values = _along(values, _tents(values.shape[axis], places, 1.0), axis)
        return values


def _tents(count: int, places: np.ndarray, width: float) -> np.ndarray:
    """Return weights (places, count): of each voxel at each place, falling to 0 at `width` voxels; in sum at most 1."""
    weights = np.maximum(0, 1 - np.abs(np.arange(count) - places[:, None]) / width)
    return (weights / np.maximum(weights.sum(axis=1, keepdims=True), 1.0)).astype(np.float32)


def _along(values: np.ndarray, weights: np.ndarray, axis: int) -> np.ndarray:
    """Multiply a 3D array by a matrix along one axis."""
    if axis == 0:
        return (weights @ values.reshape(len(values), -1)).reshape(len(weights), *values.shape[1:])
    return np.matmul(weights, values) if axis == 1 else values @ weights.T


def _find(image: np.ndarray, spacing: Sequence[float]) -> np.ndarray:
    """Return the brain mask of an image whose axes are right, anterior, superior."""
    runtime, card = _network()
    shape, step = tuple(card["box"]), float(card["spacing"])

    def look(centre: Sequence[float]) -> tuple[Box, np.ndarray]:
        box = Box(image.shape, tuple(spacing), shape, step, tuple(float(c) for c in centre))
        values, view = box.fill(image)
        inputs = scaled(values, view)
        if not inputs.any():
            return box, np.zeros(shape, np.float32)
        logits = runtime(ROLE, inputs[None])[0]
        found = 1 / (1 + np.exp(-np.clip(logits, -30, 30)))
        return box, np.where(view, found, 0) * _whole_part((found > 0.5) & view, margin=2)

    box, found = look(_first_centre(image, spacing, shape, step))
    if found.max() > 0.5:
        middle = [float(box.places(axis)[0] + at * step) for axis, at in enumerate(ndimage.center_of_mass(found))]
        wanted = [middle[0], middle[1], middle[2] - ABOVE]
        if max(abs(a - b) for a, b in zip(wanted, box.centre, strict=True)) > AWAY:
            again = look(wanted)
            box, found = again if again[1].sum() > 0.7 * found.sum() else (box, found)
    return box.give_back(_extended(found, box)) > 0.5


def _extended(found: np.ndarray, box: Box) -> np.ndarray:
    """Return probabilities continued one voxel beyond the field of view, so that its edge cuts nothing off."""
    for axis, (count, size) in enumerate(zip(box.sizes, box.spacing, strict=True)):
        at = box.places(axis)
        inside = np.flatnonzero((at > 0) & (at < count * size))
        if inside.size and inside[0] > 0:
            found = np.moveaxis(found, axis, 0).copy()
            found[inside[0] - 1] = found[inside[0]]
            found = np.moveaxis(found, 0, axis)
        if inside.size and inside[-1] < len(at) - 1:
            found = np.moveaxis(found, axis, 0).copy()
            found[inside[-1] + 1] = found[inside[-1]]
            found = np.moveaxis(found, 0, axis)
    return np.ascontiguousarray(found)


def _first_centre(image: np.ndarray, spacing: Sequence[float], shape: Sequence[int], step: float) -> list[float]:
    """Return where to look first, mm: the middle of the volume, or of the head in a volume larger than the box."""
    extents = [count * size for count, size in zip(image.shape, spacing, strict=True)]
    centre = [extent / 2 for extent in extents]
    if all(extent <= count * step for extent, count in zip(extents, shape, strict=True)):
        return centre
    strides = [max(1, int(COARSE / size)) for size in spacing]
    coarse = image[tuple(slice(stride // 2, None, stride) for stride in strides)]
    coarse = ndimage.gaussian_filter(
        coarse, [COARSE / size / stride for size, stride in zip(spacing, strides, strict=True)]
    )
    low, top = np.percentile(coarse, [1, 99])
    seen = np.argwhere(coarse > low + 0.15 * (top - low))
    if not len(seen):
        return centre
    for axis, (extent, count) in enumerate(zip(extents, shape, strict=True)):
        if extent > count * step:
            first, last = (np.percentile(seen[:, axis], [1, 99]) + 0.5) * strides[axis] * spacing[axis]
            centre[axis] = float(last) - TOP if axis == 2 else float(first + last) / 2
    return centre


def _whole_part(mask: np.ndarray, margin: int = 0) -> np.ndarray:
    """Return the largest connected part of a mask with its holes filled, and a margin around it, if there is any."""
    if not mask.any():
        return mask
    window = ndimage.find_objects(mask.view(np.uint8))[0]
    parts, count = ndimage.label(mask[window])
    part = np.pad(parts == 1 + np.argmax(np.bincount(parts.ravel())[1:]) if count > 1 else parts > 0, 1)
    outside, count = ndimage.label(~part)
    if count > 1:
        part = outside != outside[0, 0, 0]
    whole = np.zeros_like(mask)
    whole[window] = part[1:-1, 1:-1, 1:-1]
    return ndimage.binary_dilation(whole, iterations=margin) if margin else whole


@cache
def card() -> dict[str, Any]:
    """Return what the bundled network is: origin, licence, grid.

    Example:
        >>> card()["license"]
        'CC BY-SA 3.0'
    """
    return dict(json.loads(_data().joinpath("card.json").read_text(encoding="utf-8")))


@cache
def _network() -> "tuple[Runtime, dict[str, Any]]":
    """Return the bundled network, ready to run, and its card."""
    import torch
    from safetensors.torch import load

    from itermask.networks import build_network
    from itermask.runtime.torch_runtime import TorchRuntime

    about = card()
    network = build_network(about["network"]["name"], about["network"]["arguments"])
    weights = load(_data().joinpath("weights.safetensors").read_bytes())
    network.load_state_dict({name: value.float() for name, value in weights.items()})
    return TorchRuntime({ROLE: network}, "cpu", torch.float32), about  # one format, so that machines agree


def _data() -> Any:
    return files("itermask.prepare").joinpath("brain_data")
