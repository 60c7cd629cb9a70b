"""Where a scan's brain lies on a model's grid, and the way there and back."""

from collections.abc import Sequence
from dataclasses import dataclass

import nibabel as nib
import numpy as np
from scipy import ndimage

ANTI_ALIAS = 1 / 2.355  # a Gaussian's standard deviation over its full width at half maximum
THICK = 1.25  # slices are thick where their distance is at least so many times the larger pixel edge
APART = 2.9  # mm from which on slices are far apart
THINNEST = 20.0  # mm; a volume that is thinner holds no brain
PLANES = ("sagittal", "coronal", "axial")  # of slices that are counted along right, anterior, superior
SAME, SAME_PIXEL = 1e-3, 5e-3  # relative differences of voxel sizes, and of pixel sizes of slices, that are none
FINEST = 1e-4  # mm: single-precision headers hold voxel sizes no better, and one scan's files must not differ by that


def through_plane(spacing: Sequence[float], shape: Sequence[int]) -> int | None:
    """Return the axis along which a stack counts its slices: the only one of length 1, else one with thick slices.

    Args:
        spacing: voxel size in mm along each of three axes.
        shape: voxels along each.

    Returns:
        the axis, or None where the voxels are about as long in all directions.

    Example:
        >>> through_plane((0.9, 0.9, 5.0), (256, 256, 24)), through_plane((1.0, 1.0, 1.0), (176, 256, 256))
        (2, None)
    """
    single = [axis for axis, size in enumerate(shape) if size == 1]
    if len(single) == 1:
        return single[0]
    thickest = int(np.argmax(spacing))
    edge = max(size for axis, size in enumerate(spacing) if axis != thickest)
    return thickest if spacing[thickest] >= THICK * edge else None


def thick_axis(spacing: Sequence[float], shape: Sequence[int]) -> int | None:
    """Return the axis along which a scan is a stack of slices far apart, or a single slice; None for a volume.

    Args:
        spacing: voxel size in mm along each of three axes.
        shape: voxels along each.

    Example:
        >>> thick_axis((0.9, 0.9, 5.0), (256, 256, 24)), thick_axis((1.0, 1.0, 1.0), (176, 256, 256))
        (2, None)
    """
    axis = through_plane(spacing, shape)
    return axis if axis is not None and (shape[axis] == 1 or spacing[axis] >= APART) else None


def thin_axis(spacing: Sequence[float], shape: Sequence[int]) -> int | None:
    """Return the axis along which a scan is too thin to hold a brain; None for a whole head or brain.

    Args:
        spacing: voxel size in mm along each of three axes.
        shape: voxels along each.

    Example:
        >>> thin_axis((1, 1, 5), (200, 200, 3)), thin_axis((1, 1, 5), (200, 200, 24))
        (2, None)
    """
    extents = [size * step for size, step in zip(shape, spacing, strict=True)]
    axis = min(range(3), key=extents.__getitem__)
    return axis if extents[axis] < THINNEST else None


def indices_in(shape: Sequence[int], window: Sequence[slice] | None) -> list[range]:
    """Return the indices along each axis of a window of a grid; of all of the grid if it is None.

    Example:
        >>> indices_in((4, 4), (slice(1, 3), slice(0, 4)))
        [range(1, 3), range(0, 4)]
    """
    whole = [range(size) for size in shape]
    return whole if window is None else [indices[part] for indices, part in zip(whole, window, strict=True)]


@dataclass(frozen=True)
class AxisPlacement:
    """Axis-aligned map between a scan's native grid and a model's box.

    The box's axes are the native ones, reordered and flipped to RAS (right, anterior, superior), so nothing
    is rotated: an oblique scan stays on its own axes. Where a model takes the scan's own slices, these are counted
    along the last axis, whichever that is in RAS. Along each axis of the box, voxel `m` has its centre at native
    index `start + (m + 0.5)·ratio − 0.5`.

    Attributes:
        native_shape: shape of the scan.
        orientation: nibabel orientation array (3×2): where in the box each native axis goes, and whether flipped.
        start: native index of the box's lower edge, per axis of the box, counted in voxels from the volume's edge.
        ratio: box voxel size over native voxel size, per axis of the box.
        shape: shape of the box.
        axes: 0 right, 1 anterior or 2 superior, for each axis of the box.
    """

    native_shape: tuple[int, ...]
    orientation: np.ndarray
    start: tuple[float, ...]
    ratio: tuple[float, ...]
    shape: tuple[int, ...]
    axes: tuple[int, ...] = (0, 1, 2)

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
        return _resample(image, self.ratio, offset, [range(size) for size in self.shape])

    def to_native(self, values: np.ndarray, window: Sequence[slice] | None = None) -> np.ndarray:
        """Return linear interpolation of an array on the box at the native voxel centres.

        Args:
            values: array of the box's shape; outside the box counts as 0.
            window: part of the native grid that is wanted, a slice (start, stop) an axis; all if None.

        Returns:
            float32 array of the native shape, or of the window's.
        """
        wanted = indices_in(self.native_shape, window)
        oriented = [range(0)] * 3
        for size, indices, (axis, flip) in zip(self.native_shape, wanted, self.orientation, strict=True):
            flipped = range(size - indices.stop, size - indices.start)
            oriented[int(axis)] = indices if flip > 0 else flipped
        back = nib.orientations.ornt_transform(np.array([[0, 1], [1, 1], [2, 1]]), self.orientation)
        scale = [1 / ratio for ratio in self.ratio]
        offset = [(0.5 - start) / ratio - 0.5 for start, ratio in zip(self.start, self.ratio, strict=True)]
        native = _resample(np.asarray(values, dtype=np.float32), scale, offset, oriented)
        return np.ascontiguousarray(nib.orientations.apply_orientation(native, back))


def _resample(
    image: np.ndarray, scale: Sequence[float], offset: Sequence[float], indices: Sequence[range]
) -> np.ndarray:
    """Sample `image` linearly at `scale·index + offset`, one axis after the other; 0 outside."""
    for axis, (step, first, wanted) in enumerate(zip(scale, offset, indices, strict=True)):
        position = first + step * np.arange(wanted.start, wanted.stop)
        whole = np.rint(position)
        position = np.where(np.abs(position - whole) < 1e-4, whole, position)
        lower = np.floor(position).astype(int)
        weight = (position - lower).astype(np.float32)
        weight = weight.reshape([-1 if a == axis else 1 for a in range(image.ndim)])
        result = _take(image, lower, axis)
        if weight.any():
            upper = _take(image, lower + 1, axis)
            upper *= weight
            result *= 1 - weight
            result += upper
        image = result
    return image


def _take(image: np.ndarray, indices: np.ndarray, axis: int) -> np.ndarray:
    """Return `image.take` along one axis, with 0 for indices outside."""
    outside = (indices < 0) | (indices >= image.shape[axis])
    taken = image.take(np.where(outside, 0, indices), axis=axis)
    taken[(slice(None),) * axis + (outside,)] = 0
    return taken


def fit_box(
    brain: np.ndarray, affine: np.ndarray, spacing: Sequence[float], box: Sequence[int], divisor: int
) -> AxisPlacement:
    """Centre a brain in a model's box.

    With a third voxel size of 0 the box's last axis counts the scan's own slices: those across `through_plane`, else
    axial ones. They are neither resampled nor merged, and the box holds all from the first to the last with brain.

    Args:
        brain: boolean brain mask on the native grid, not empty.
        affine: 4×4 native voxel-to-millimetre affine.
        spacing: voxel size of the model in mm, along right, anterior, superior; or pixel edges of slices, and 0.
        box: smallest box in model voxels; a larger brain gets a larger box.
        divisor: every size of a box that grows is a multiple of this, but for the number of a scan's own slices.

    Returns:
        the placement.

    Raises:
        ValueError: the brain mask is empty or the affine is not invertible.

    Example:
        >>> brain = np.zeros((20, 20, 20), bool)
        >>> brain[5:15, 5:15, 5:15] = True
        >>> placement = fit_box(brain, np.eye(4), (2.0, 2.0, 2.0), (16, 16, 16), 8)
        >>> placement.to_box(brain.astype(np.float32)).shape
        (16, 16, 16)
    """
    if not brain.any():
        raise ValueError("the brain mask is empty")
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-9:
        raise ValueError("the affine is not invertible, so the voxels have no position in space")
    orientation = nib.orientations.io_orientation(affine)
    native_spacing = np.maximum(np.round(np.linalg.norm(affine[:3, :3], axis=0), 4), FINEST)
    slices = spacing[2] == 0
    axes: tuple[int, ...] = (0, 1, 2)
    if slices:
        across = through_plane(native_spacing, brain.shape)
        last = 2 if across is None else int(orientation[across, 0])
        axes = (*[axis for axis in axes if axis != last], last)
        orientation[:, 0] = [axes.index(int(axis)) for axis in orientation[:, 0]]
    inside = nib.orientations.apply_orientation(brain, orientation)
    native_spacing = native_spacing[np.argsort(orientation[:, 0])]
    start, shape, ratios = [], [], []
    for axis in range(3):
        own = slices and axis == 2
        ratio = 1.0 if own else float(spacing[axis] / native_spacing[axis])
        ratio = 1.0 if abs(ratio - 1) < (SAME_PIXEL if slices else SAME) else ratio
        occupied = np.flatnonzero(inside.any(axis=tuple(a for a in range(3) if a != axis)))
        low, high = int(occupied[0]), int(occupied[-1]) + 1
        extent = int(np.ceil((high - low) / ratio - 1e-6))
        step = 1 if own else divisor
        size = box[axis] if extent <= box[axis] else -(-extent // step) * step
        start.append(low - (size - extent) // 2 * ratio)
        shape.append(int(size))
        ratios.append(ratio)
    return AxisPlacement(brain.shape, orientation, tuple(start), tuple(ratios), tuple(shape), axes)
