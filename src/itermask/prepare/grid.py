"""What a model asks of a scan: voxel size, box, intensity scale."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from itermask.prepare.intensity import IntensityScale

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
        slice_area: cm² of brain that one of the scan's own slices must hold to be processed; 0 processes all.
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


def grid_from(settings: Mapping[str, Any]) -> Grid:
    """Return the grid that a model card states.

    Args:
        settings: keys `spacing`, `box`, `divisor`, `intensity_scale`, perhaps `slice_area` and `align`.

    Raises:
        ValueError: they make no grid.

    Example:
        >>> card = {"spacing": [2, 2, 2], "box": [80, 96, 80], "divisor": 16, "intensity_scale": {}}
        >>> grid_from(card).box
        (80, 96, 80)
    """
    spacing = tuple(float(size) for size in settings["spacing"])
    box = tuple(int(size) for size in settings["box"])
    scale = IntensityScale(**settings["intensity_scale"])
    area = float(settings.get("slice_area", 0))
    return Grid(spacing, box, int(settings["divisor"]), scale, area, settings.get("align", False))  # type: ignore[arg-type]
