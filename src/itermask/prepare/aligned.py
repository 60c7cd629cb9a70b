"""Where a scan's brain lies on a model's grid that was turned to other axes, such as MNI's, and the way there and back.

The scan is never resampled to those axes: the rigid transform only turns and moves the model's grid, and one
interpolation goes from the scan to the box, one from the box to the scan, as without any alignment.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from itermask.prepare.placement import ANTI_ALIAS, indices_in

REACH = 3  # standard deviations of the anti-aliasing that count


@dataclass(frozen=True)
class AlignedPlacement:
    """Affine map between a scan's native grid and a model's box whose axes are not the scan's.

    It has the interface of `itermask.prepare.placement.AxisPlacement`. SimpleITK interpolates.

    Attributes:
        native_shape: shape of the scan.
        matrix: 4×4, voxel indices of the box → native voxel indices.
        blur: standard deviation of the anti-aliasing along each native axis, in native voxels; 0 for none.
        shape: shape of the box.
    """

    native_shape: tuple[int, ...]
    matrix: np.ndarray
    blur: tuple[float, ...]
    shape: tuple[int, ...]

    def to_box(self, image: np.ndarray) -> np.ndarray:
        """Resample a native array to the box: Gaussian anti-aliasing where the box is coarser, then linear.

        Args:
            image: array of the native shape; outside it counts as 0.

        Returns:
            float32 array of the box's shape.
        """
        corners = np.array(np.meshgrid(*[(-1, size) for size in self.shape], [1])).reshape(4, -1)
        reached = (self.matrix @ corners)[:3]
        margins = [int(np.ceil(REACH * blur)) + 1 for blur in self.blur]
        lows = [max(-margin, int(np.floor(low)) - margin) for low, margin in zip(reached.min(1), margins, strict=True)]
        ends = [
            max(low + 1, min(size + margin, int(np.ceil(high)) + margin + 1))
            for low, high, size, margin in zip(lows, reached.max(1), self.native_shape, margins, strict=True)
        ]
        crop = tuple(slice(max(0, low), max(0, end)) for low, end in zip(lows, ends, strict=True))
        part = np.zeros([end - low for low, end in zip(lows, ends, strict=True)], dtype=np.float32)
        inner = image[crop]
        part[tuple(slice(max(0, -low), max(0, -low) + n) for low, n in zip(lows, inner.shape, strict=True))] = inner
        for axis, blur in enumerate(self.blur):
            if blur:
                part = ndimage.gaussian_filter1d(part, blur, axis, mode="constant", truncate=REACH)
        return _sample(part, self.matrix[:3, :3], self.matrix[:3, 3] - lows, self.shape)

    def to_native(self, values: np.ndarray, window: Sequence[slice] | None = None) -> np.ndarray:
        """Return linear interpolation of an array on the box at the native voxel centres.

        Args:
            values: array of the box's shape; outside the box counts as 0.
            window: part of the native grid that is wanted, a slice (start, stop) an axis; all if None.

        Returns:
            float32 array of the native shape, or of the window's.
        """
        wanted = indices_in(self.native_shape, window)
        back = np.linalg.inv(self.matrix)
        offset = back[:3, :3] @ [indices.start for indices in wanted] + back[:3, 3]
        return _sample(np.asarray(values, dtype=np.float32), back[:3, :3], offset, [len(one) for one in wanted])


def _sample(image: np.ndarray, matrix: np.ndarray, offset: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """Return `image` at `matrix @ index + offset` for all indices of `shape`, trilinear; 0 beyond its ends."""
    import SimpleITK as sitk  # noqa: N813

    if 0 in shape:
        return np.zeros(shape, dtype=np.float32)
    source = sitk.GetImageFromArray(np.pad(image, 1))  # SimpleITK has the axes the other way round
    source.SetOrigin((-1.0, -1.0, -1.0))
    transform = sitk.AffineTransform(3)
    transform.SetMatrix(matrix[::-1, ::-1].ravel().tolist())
    transform.SetTranslation(offset[::-1].tolist())
    resample = sitk.ResampleImageFilter()
    resample.SetNumberOfThreads(1)
    resample.SetSize([int(size) for size in shape[::-1]])
    resample.SetInterpolator(sitk.sitkLinear)
    resample.SetTransform(transform)
    return np.ascontiguousarray(sitk.GetArrayFromImage(resample.Execute(source)))


def fit_aligned_box(
    brain: np.ndarray,
    affine: np.ndarray,
    to_axes: np.ndarray,
    spacing: Sequence[float],
    box: Sequence[int],
    divisor: int,
) -> AlignedPlacement:
    """Centre a brain in a model's box that lies along other axes than the scan's.

    Args:
        brain: boolean brain mask on the native grid, not empty.
        affine: 4×4 native voxel indices → millimetres.
        to_axes: 4×4 rigid transform of these millimetres to those whose axes the box takes, such as MNI's.
        spacing: voxel size of the model in mm, along these axes.
        box: smallest box in model voxels; a larger brain gets a larger box.
        divisor: every size of a box that grows is a multiple of this.

    Returns:
        the placement.

    Raises:
        ValueError: the brain mask is empty, the affine is not invertible, or `to_axes` is not rigid.

    Example:
        >>> placement = fit_aligned_box(scan.brain_mask, scan.affine, np.eye(4), (4.0, 4.0, 4.0), (16, 16, 16), 8)
        >>> placement.to_box(scan.image).shape
        (16, 24, 16)
    """
    if not brain.any():
        raise ValueError("the brain mask is empty")
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-9:
        raise ValueError("the affine is not invertible, so the voxels have no position in space")
    turn = to_axes[:3, :3]
    if not (np.allclose(turn @ turn.T, np.eye(3), atol=1e-6) and np.linalg.det(turn) > 0):
        raise ValueError("the transform to the model's axes must be rigid")
    total = to_axes @ affine  # native voxel indices → mm along the box's axes
    edge = brain & ~ndimage.binary_erosion(brain)
    points = total[:3, :3] @ np.argwhere(edge).T + total[:3, 3:]
    half = np.abs(total[:3, :3]).sum(axis=1) / 2  # of a native voxel
    lows, highs = points.min(axis=1) - half, points.max(axis=1) + half
    box_affine, shape = np.diag([*map(float, spacing), 1.0]), []
    for axis, (low, high, size) in enumerate(zip(lows, highs, box, strict=True)):
        extent = int(np.ceil((high - low) / spacing[axis] - 1e-6))
        shape.append(int(size) if extent <= size else -(-extent // divisor) * divisor)
        box_affine[axis, 3] = low - ((shape[-1] - extent) // 2 - 0.5) * spacing[axis]  # as `place` centres it
    matrix = np.linalg.inv(total) @ box_affine
    # How far a voxel of the box reaches along each native axis, in native voxels.
    ratios = np.sqrt((matrix[:3, :3] ** 2).sum(axis=1))
    blur = tuple(float(ANTI_ALIAS * np.sqrt(ratio**2 - 1)) if ratio > 1.01 else 0.0 for ratio in ratios)
    return AlignedPlacement(brain.shape, matrix, blur, tuple(shape))
