"""A scan, made ready for a model: RAS box, voxel size, brain only, the model's intensity scale."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from itermask.prepare.intensity import IntensityScale
from itermask.prepare.placement import Placement, place
from itermask.scan import Scan


@dataclass(frozen=True)
class Grid:
    """What a model asks of a scan.

    Attributes:
        spacing: voxel size in mm along right, anterior, superior.
        box: smallest box in voxels that the brain is centred in.
        divisor: sizes of a larger box are multiples of this.
        scale: the model's intensity scale.
    """

    spacing: tuple[float, float, float] = (2.0, 2.0, 2.0)
    box: tuple[int, int, int] = (80, 96, 80)
    divisor: int = 16
    scale: IntensityScale = field(default_factory=IntensityScale)


@dataclass(frozen=True)
class Prepared:
    """A scan on a model's grid.

    Attributes:
        image: float32 box, RAS, scaled intensities; the scale's background value outside the brain.
        brain: boolean box, True in the brain.
        spacing: voxel size in mm.
        placement: the way back to the scan's grid.
        limits: the scan's intensities at the scale's two percentiles.
    """

    image: np.ndarray
    brain: np.ndarray
    spacing: tuple[float, ...]
    placement: Placement
    limits: tuple[float, float]


def prepare(scan: Scan, grid: Grid) -> Prepared:
    """Bring a scan to a model's grid and intensity scale.

    Only voxels of the brain mask take part: image·mask and mask are resampled alike and divided, so the
    result is the same whether the scan still has its skull or was stripped with that mask.

    Args:
        scan: with its brain mask.
        grid: the model's grid.

    Returns:
        the prepared scan.

    Raises:
        ValueError: no brain mask, an empty one, NaN in the brain, a constant brain, a singular affine.
    """
    if scan.brain_mask is None:
        raise ValueError(f"{scan.name}: a brain mask is needed before preparation")
    mask = scan.brain_mask
    placement = place(mask, scan.affine, grid.spacing, grid.box, grid.divisor)
    weight = placement.to_box(mask.astype(np.float32))
    total = placement.to_box(np.where(mask, scan.image, 0))
    # Of a brain much thinner than a voxel of the box, such as a single slice, no voxel is half full.
    brain = weight >= min(0.5, 0.8 * float(weight.max()))
    image = np.divide(total, weight, out=np.zeros_like(total), where=brain)
    limits = grid.scale.limits(image, brain)
    return Prepared(grid.scale.apply(image, brain, limits), brain, grid.spacing, placement, limits)


def restore_map(values: np.ndarray, prepared: Prepared, inside: np.ndarray) -> np.ndarray:
    """A real-valued map on the box → the scan's grid, 0 outside the native mask `inside`.

    Near the brain's border the map is interpolated from brain voxels only.
    """
    weight = prepared.placement.to_native(prepared.brain.astype(np.float32))
    total = prepared.placement.to_native(np.where(prepared.brain, values, 0))
    restored = np.divide(total, weight, out=np.zeros_like(total), where=weight > 1e-3)
    return np.where(inside, restored, 0).astype(np.float32)


def restore_mask(mask: np.ndarray, prepared: Prepared, inside: np.ndarray) -> np.ndarray:
    """A mask on the box → the scan's grid, True where at least half of the interpolated mask is."""
    return (restore_map(mask.astype(np.float32), prepared, inside) >= 0.5) & inside


def grid_from(settings: dict[str, Sequence[float] | int]) -> Grid:
    """The grid that a model card states (keys `spacing`, `box`, `divisor`, `intensity_scale`)."""
    scale = IntensityScale(**settings["intensity_scale"])  # type: ignore[arg-type]
    spacing = tuple(float(size) for size in settings["spacing"])  # type: ignore[union-attr]
    box = tuple(int(size) for size in settings["box"])  # type: ignore[union-attr]
    return Grid(spacing, box, int(settings["divisor"]), scale)  # type: ignore[arg-type]
