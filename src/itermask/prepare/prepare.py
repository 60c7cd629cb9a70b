"""A scan, made ready for a model: RAS box or its own slices, voxel size, brain only, the model's intensity scale."""

import numpy as np

from itermask.prepare.align import Alignment
from itermask.prepare.aligned import AlignedPlacement, fit_aligned_box
from itermask.prepare.grid import UNALIGNED, Grid
from itermask.prepare.placement import PLANES, AxisPlacement, fit_box
from itermask.types import Prepared, Scan


def prepare(scan: Scan, grid: Grid, alignment: Alignment | None = None) -> Prepared:
    """Bring a scan to a model's grid and intensity scale.

    Only voxels of the brain mask take part: image·mask and mask are resampled alike and divided, so the
    result is the same whether the scan still has its skull or was stripped with that mask.

    Args:
        scan: with its brain mask.
        grid: the model's grid.
        alignment: where the scan's head lies, if the box shall lie along MNI axes.

    Returns:
        the prepared scan.

    Raises:
        ValueError: no brain mask, an empty one, NaN in the brain, a constant brain, a singular affine, no slice that
            holds enough brain, no alignment for a grid that wants one, or one for a scan's own slices.

    Example:
        >>> prepared = prepare(scan, model.grid)
        >>> prepared.image.shape
        (16, 16, 16)
    """
    if scan.brain_mask is None:
        raise ValueError(f"{scan.name}: a brain mask is needed before preparation")
    mask = scan.brain_mask
    if grid.align and alignment is None:
        raise ValueError(f"{scan.name}: the model processes along MNI axes; align the scan before preparation")
    if grid.slices and alignment is not None:
        raise ValueError(UNALIGNED)
    placement: AxisPlacement | AlignedPlacement
    if alignment is None:
        placement = fit_box(mask, scan.affine, grid.spacing, grid.box, grid.divisor)
    else:
        placement = fit_aligned_box(mask, scan.affine, alignment.to_mni, grid.spacing, grid.box, grid.divisor)
    weight = placement.to_box(mask.astype(np.float32))
    total = placement.to_box(np.where(mask, scan.image, 0))
    # Of a brain much thinner than a voxel of the box, such as a single slice, no voxel is half full.
    brain = weight >= min(0.5, 0.8 * float(weight.max()))
    spacing, plane, left_out = grid.spacing, "", 0
    if grid.slices and isinstance(placement, AxisPlacement):
        distance = scan.spacing[int(np.argmax(placement.orientation[:, 0]))]
        spacing, plane = (*spacing[:2], distance), PLANES[placement.axes[2]]
        brain, left_out = _full_enough(brain, grid)
    image = np.divide(total, weight, out=np.zeros_like(total), where=brain)
    limits = grid.scale.limits(image, brain)
    scaled = grid.scale.apply(image, brain, limits)
    return Prepared(scaled, brain, spacing, placement, limits, plane, left_out, grid.divisor, scan.sequence or "")


def _full_enough(brain: np.ndarray, grid: Grid) -> tuple[np.ndarray, int]:
    """Return the brain in the slices that hold enough of it, and how many others hold some."""
    areas = brain.sum((0, 1)) * grid.spacing[0] * grid.spacing[1] / 100
    enough = areas >= grid.slice_area
    if not (areas[enough] > 0).any():
        raise ValueError(f"no slice holds {grid.slice_area:g} cm² of brain, the least that the model processes")
    return brain & enough, int((areas[~enough] > 0).sum())
