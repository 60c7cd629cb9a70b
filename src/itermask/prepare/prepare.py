"""A scan, made ready for a model: RAS box or its own slices, voxel size, brain only, the model's intensity scale."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import ndimage

from itermask.prepare.align import Alignment
from itermask.prepare.aligned import AlignedPlacement, place_aligned
from itermask.prepare.intensity import IntensityScale
from itermask.prepare.placement import PLANES, Placement, place
from itermask.scan import Scan

UNALIGNED = "a model that takes a scan's own slices (third voxel size 0) cannot have them aligned"


@dataclass(frozen=True)
class Grid:
    """What a model asks of a scan.

    A model for slices as they were acquired has a third voxel size of 0: pixels of `spacing[:2]` mm, a field of view
    of `box[:2]` pixels, and a box whose last axis counts the scan's own slices, see `itermask.prepare.placement`.

    Attributes:
        spacing: voxel size in mm along right, anterior, superior; or pixel edges of slices, and 0.
        box: smallest box in voxels that the brain is centred in.
        divisor: sizes of a larger box are multiples of this.
        scale: the model's intensity scale.
        slice_area: cm² of brain that one of the scan's own slices must hold to be looked at; 0 looks at all.
        align: whether the box lies along MNI axes, see `itermask.prepare.align`; else along the scan's own.
    """

    spacing: tuple[float, float, float] = (2.0, 2.0, 2.0)
    box: tuple[int, int, int] = (80, 96, 80)
    divisor: int = 16
    scale: IntensityScale = field(default_factory=IntensityScale)
    slice_area: float = 0.0
    align: bool = False

    def __post_init__(self) -> None:
        if not (min(self.spacing[:2]) > 0 and self.spacing[2] >= 0 and np.isfinite(self.spacing).all()):
            raise ValueError(f"spacing is voxel sizes in mm, the third 0 for a scan's own slices, not {self.spacing}")
        if not self.slice_area >= 0:
            raise ValueError(f"the least area of a slice must not be negative, but is {self.slice_area}")
        if self.slice_area and not self.slices:
            raise ValueError("slice_area is for models that take a scan's own slices (third voxel size 0)")
        if not isinstance(self.align, bool):
            raise ValueError(f"align is true or false, not {self.align!r}")
        if self.align and self.slices:
            raise ValueError(UNALIGNED)

    @property
    def slices(self) -> bool:
        """Whether the model takes the scan's own slices."""
        return self.spacing[2] == 0


@dataclass(frozen=True)
class Prepared:
    """A scan on a model's grid.

    Attributes:
        image: float32 box, RAS or along MNI axes, scaled intensities; the scale's background value outside the brain.
        brain: boolean box, True in the brain.
        spacing: voxel size in mm; of the scan's own slices, the last is their distance.
        placement: the way back to the scan's grid.
        limits: the scan's intensities at the scale's two percentiles.
        plane: `axial`, `coronal` or `sagittal` where the last axis counts the scan's own slices, else empty.
        left_out: how many of these hold brain, but too little to be looked at.
        divisor: sizes that the model's networks take are multiples of this; 0 if that is not known.
    """

    image: np.ndarray
    brain: np.ndarray
    spacing: tuple[float, ...]
    placement: Placement | AlignedPlacement
    limits: tuple[float, float]
    plane: str = ""
    left_out: int = 0
    divisor: int = 0


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
    """
    if scan.brain_mask is None:
        raise ValueError(f"{scan.name}: a brain mask is needed before preparation")
    mask = scan.brain_mask
    if grid.align and alignment is None:
        raise ValueError(f"{scan.name}: the model looks along MNI axes; an alignment is needed before preparation")
    if grid.slices and alignment is not None:
        raise ValueError(UNALIGNED)
    placement: Placement | AlignedPlacement
    if alignment is None:
        placement = place(mask, scan.affine, grid.spacing, grid.box, grid.divisor)
    else:
        placement = place_aligned(mask, scan.affine, alignment.to_mni, grid.spacing, grid.box, grid.divisor)
    weight = placement.to_box(mask.astype(np.float32))
    total = placement.to_box(np.where(mask, scan.image, 0))
    # Of a brain much thinner than a voxel of the box, such as a single slice, no voxel is half full.
    brain = weight >= min(0.5, 0.8 * float(weight.max()))
    spacing, plane, left_out = grid.spacing, "", 0
    if grid.slices and isinstance(placement, Placement):
        distance = scan.spacing[int(np.argmax(placement.orientation[:, 0]))]
        spacing, plane = (*spacing[:2], distance), PLANES[placement.axes[2]]
        brain, left_out = _full_enough(brain, grid)
    image = np.divide(total, weight, out=np.zeros_like(total), where=brain)
    limits = grid.scale.limits(image, brain)
    scaled = grid.scale.apply(image, brain, limits)
    return Prepared(scaled, brain, spacing, placement, limits, plane, left_out, grid.divisor)


def _full_enough(brain: np.ndarray, grid: Grid) -> tuple[np.ndarray, int]:
    """The brain in the slices that hold enough of it, and how many others hold some."""
    areas = brain.sum((0, 1)) * grid.spacing[0] * grid.spacing[1] / 100
    enough = areas >= grid.slice_area
    if not (areas[enough] > 0).any():
        raise ValueError(f"no slice holds {grid.slice_area:g} cm² of brain, the least that the model looks at")
    return brain & enough, int((areas[~enough] > 0).sum())


def restore_maps(maps: Sequence[np.ndarray], prepared: Prepared, inside: np.ndarray) -> list[np.ndarray]:
    """Real-valued maps on the box → the scan's grid, 0 outside the native mask `inside`.

    Near the brain's border a map is interpolated from brain voxels only.

    Args:
        maps: arrays of the box's shape.
        prepared: what was looked at.
        inside: boolean brain mask of the scan's shape.

    Returns:
        float32 arrays of the scan's shape, in the order of `maps`.
    """
    inside = np.asarray(inside, dtype=bool)
    window = ndimage.find_objects(inside.view(np.uint8))[0] if inside.any() else (slice(0, 0),) * inside.ndim
    weight = prepared.placement.to_native(prepared.brain.astype(np.float32), window)
    known = inside[window] & (weight > 1e-3)
    restored = []
    for values in maps:
        total = prepared.placement.to_native(np.where(prepared.brain, values, 0), window)
        whole = np.zeros(inside.shape, dtype=np.float32)
        np.divide(total, weight, out=whole[window], where=known)
        restored.append(whole)
    return restored


def restore_map(values: np.ndarray, prepared: Prepared, inside: np.ndarray) -> np.ndarray:
    """One map on the box → the scan's grid, see `restore_maps`."""
    return restore_maps([values], prepared, inside)[0]


def restore_mask(mask: np.ndarray, prepared: Prepared, inside: np.ndarray) -> np.ndarray:
    """A mask on the box → the scan's grid, True where at least half of the interpolated mask is."""
    return half_or_more(restore_map(mask.astype(np.float32), prepared, inside))


def half_or_more(restored: np.ndarray) -> np.ndarray:
    """A mask that was restored as a map, as booleans."""
    return restored >= 0.5


def grid_from(settings: Mapping[str, Any]) -> Grid:
    """The grid that a model card states.

    Args:
        settings: keys `spacing`, `box`, `divisor`, `intensity_scale`, perhaps `slice_area` and `align`.

    Raises:
        ValueError: they make no grid.
    """
    spacing = tuple(float(size) for size in settings["spacing"])
    box = tuple(int(size) for size in settings["box"])
    scale = IntensityScale(**settings["intensity_scale"])
    area = float(settings.get("slice_area", 0))
    return Grid(spacing, box, int(settings["divisor"]), scale, area, settings.get("align", False))  # type: ignore[arg-type]
