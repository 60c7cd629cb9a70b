"""Where a scan's brain lies on a model's grid, and the way there and back."""

from collections.abc import Sequence
from dataclasses import dataclass

import nibabel as nib
import numpy as np
from scipy import ndimage

ANTI_ALIAS = 1 / 2.355  # a Gaussian's standard deviation over its full width at half maximum


@dataclass(frozen=True)
class Placement:
    """Axis-aligned map between a scan's native grid and a model's box.

    The box's axes are the native ones, reordered and flipped to RAS (right, anterior, superior), so nothing
    is rotated: an oblique scan stays on its own axes. Along each RAS axis, box voxel `m` has its centre at
    native index `start + (m + 0.5)·ratio − 0.5`.

    Attributes:
        native_shape: shape of the scan.
        orientation: nibabel orientation array (3×2) of the native axes.
        start: native RAS index of the box's lower edge, per axis, counted in voxels from the volume's edge.
        ratio: box voxel size over native voxel size, per RAS axis.
        shape: shape of the box.
    """

    native_shape: tuple[int, ...]
    orientation: np.ndarray
    start: tuple[float, ...]
    ratio: tuple[float, ...]
    shape: tuple[int, ...]

    def to_box(self, image: np.ndarray) -> np.ndarray:
        """Resample a native array to the box: Gaussian anti-aliasing where the box is coarser, then linear.

        Args:
            image: array of the native shape; outside it counts as 0.

        Returns:
            float32 array of the box's shape. Where both grids have one voxel size this is an exact copy.
        """
        image = nib.orientations.apply_orientation(image, self.orientation)
        margins = [int(np.ceil(2 * ratio)) + 1 for ratio in self.ratio]
        lows, reach = [], []
        for axis, margin in enumerate(margins):
            end = self.start[axis] + self.shape[axis] * self.ratio[axis]
            lows.append(max(-margin, int(np.floor(self.start[axis])) - margin))
            reach.append(min(image.shape[axis] + margin, int(np.ceil(end)) + margin))
        crop = tuple(slice(max(0, low), high) for low, high in zip(lows, reach, strict=True))
        beyond = [(max(0, -low), max(0, high - n)) for low, high, n in zip(lows, reach, image.shape, strict=True)]
        image = np.pad(image[crop].astype(np.float32), beyond)  # smoothing also reaches outside the volume
        for axis, ratio in enumerate(self.ratio):
            if ratio > 1.01:
                image = ndimage.gaussian_filter1d(
                    image, ANTI_ALIAS * np.sqrt(ratio**2 - 1), axis, mode="constant", truncate=3
                )
        offset = [
            start - low + 0.5 * ratio - 0.5 for start, low, ratio in zip(self.start, lows, self.ratio, strict=True)
        ]
        return _resample(image, self.ratio, offset, self.shape)

    def to_native(self, values: np.ndarray) -> np.ndarray:
        """Linear interpolation of an array on the box at the native voxel centres.

        Args:
            values: array of the box's shape; outside the box counts as 0.

        Returns:
            float32 array of the native shape.
        """
        back = nib.orientations.ornt_transform(np.array([[0, 1], [1, 1], [2, 1]]), self.orientation)
        oriented = [self.native_shape[int(axis)] for axis in np.argsort(self.orientation[:, 0])]
        scale = [1 / ratio for ratio in self.ratio]
        offset = [(0.5 - start) / ratio - 0.5 for start, ratio in zip(self.start, self.ratio, strict=True)]
        native = _resample(np.asarray(values, dtype=np.float32), scale, offset, oriented)
        return np.ascontiguousarray(nib.orientations.apply_orientation(native, back))


def _resample(image: np.ndarray, scale: Sequence[float], offset: Sequence[float], shape: Sequence[int]) -> np.ndarray:
    """Sample `image` linearly at `scale·index + offset`, one axis after the other; 0 outside."""
    for axis, (step, first, size) in enumerate(zip(scale, offset, shape, strict=True)):
        position = first + step * np.arange(size)
        whole = np.rint(position)
        position = np.where(np.abs(position - whole) < 1e-4, whole, position)
        lower = np.floor(position).astype(int)
        weight = (position - lower).astype(np.float32)
        weight = weight.reshape([-1 if a == axis else 1 for a in range(image.ndim)])
        result = _take(image, lower, axis)
        if weight.any():
            result = result * (1 - weight) + _take(image, lower + 1, axis) * weight
        image = result
    return image


def _take(image: np.ndarray, indices: np.ndarray, axis: int) -> np.ndarray:
    """`image.take` along one axis, with 0 for indices outside."""
    outside = (indices < 0) | (indices >= image.shape[axis])
    taken = image.take(np.where(outside, 0, indices), axis=axis)
    taken[(slice(None),) * axis + (outside,)] = 0
    return taken


def place(
    brain: np.ndarray, affine: np.ndarray, spacing: Sequence[float], box: Sequence[int], divisor: int
) -> Placement:
    """Centre a brain in a model's box.

    Args:
        brain: boolean brain mask on the native grid, not empty.
        affine: 4×4 native voxel-to-millimetre affine.
        spacing: voxel size of the model in mm, along right, anterior, superior.
        box: smallest box in model voxels; a larger brain gets a larger box.
        divisor: every size of a box that grows is a multiple of this.

    Returns:
        the placement.

    Raises:
        ValueError: the brain mask is empty or the affine is not invertible.
    """
    if not brain.any():
        raise ValueError("the brain mask is empty")
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-9:
        raise ValueError("the affine is not invertible, so the voxels have no place in space")
    orientation = nib.orientations.io_orientation(affine)
    inside = nib.orientations.apply_orientation(brain, orientation)
    native_spacing = np.linalg.norm(affine[:3, :3], axis=0)[np.argsort(orientation[:, 0])]
    start, shape, ratios = [], [], []
    for axis in range(3):
        ratio = float(spacing[axis] / native_spacing[axis])
        ratio = 1.0 if abs(ratio - 1) < 1e-3 else ratio
        occupied = np.flatnonzero(inside.any(axis=tuple(a for a in range(3) if a != axis)))
        low, high = int(occupied[0]), int(occupied[-1]) + 1
        extent = int(np.ceil((high - low) / ratio - 1e-6))
        size = box[axis] if extent <= box[axis] else -(-extent // divisor) * divisor
        start.append(low - (size - extent) // 2 * ratio)
        shape.append(int(size))
        ratios.append(ratio)
    return Placement(brain.shape, orientation, tuple(start), tuple(ratios), tuple(shape))
