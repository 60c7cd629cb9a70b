"""The 2D papers' protocol: each patient's slice with the largest lesion, and what is flagged in slices without one."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from itermask.evaluation.metrics.scan import scan_metrics
from itermask.types import Finding, Scan, top_axis

LARGEST = "largest slice"  # added to a run's condition for the map of its slice
SIZES_CM2 = (5.0, 15.0)  # the slice's lesion area: small, middle, large


@dataclass(frozen=True)
class Slice:
    """One axial slice of a run; its arrays are volumes of length 1 along the head.

    Attributes:
        finding: the finding, with the maps of the slice alone.
        lesion: boolean.
        spacing: the scan's, mm.
        area_cm2: of the lesion.
    """

    finding: Finding
    lesion: np.ndarray
    spacing: tuple[float, float, float]
    area_cm2: float


def largest_slice(scan: Scan, finding: Finding, lesion: np.ndarray) -> Slice | None:
    """Return the axial slice with the most lesion voxels, the lowest of equals; None if there is no lesion."""
    axis, _ = top_axis(scan)
    areas = lesion.sum(axis=tuple(other for other in range(3) if other != axis))
    if not areas.any():
        return None
    index = [int(np.argmax(areas))]
    part = replace(
        finding,
        anomaly=np.take(finding.anomaly, index, axis),
        error=np.take(finding.error, index, axis),
        reconstruction=np.take(finding.reconstruction, index, axis),
        brain=np.take(finding.brain, index, axis),
    )
    area = float(areas.max()) * _pixel_cm2(scan, axis)
    return Slice(part, np.take(lesion, index, axis), scan.spacing, area)


def _pixel_cm2(scan: Scan, axis: int) -> float:
    """Return the area of a voxel across an axis."""
    return float(np.prod([size for other, size in enumerate(scan.spacing) if other != axis])) / 100


def slice_metrics(part: Slice) -> dict[str, float]:
    """Return `scan_metrics` of one slice, those that are defined and no volumes; and `label_cm2`."""
    finding = part.finding
    found = scan_metrics(finding.anomaly, part.lesion, finding.brain, part.spacing, finding.error)
    kept = {name: value for name, value in found.items() if not name.endswith("_ml") and np.isfinite(value)}
    return kept | {"label_cm2": part.area_cm2}


def lesion_free(scan: Scan, finding: Finding, lesion: np.ndarray) -> dict[str, float]:
    """Return what is flagged in axial slices with brain and without a lesion voxel.

    Returns:
        `slices`; and if there are some `flagged_cm2` (mean area flagged in one), `flagged_share` (of their brain) and
        `clean` (share of them in which nothing is flagged).
    """
    axis, _ = top_axis(scan)
    across = tuple(other for other in range(3) if other != axis)
    brain, marked = finding.brain.sum(axis=across), lesion.sum(axis=across)
    free = (brain > 0) & (marked == 0)
    if not free.any():
        return {"slices": 0}
    flagged = finding.anomaly.sum(axis=across)[free]
    return {
        "slices": int(free.sum()),
        "flagged_cm2": float(flagged.mean() * _pixel_cm2(scan, axis)),
        "flagged_share": float(flagged.sum() / brain[free].sum()),
        "clean": float((flagged == 0).mean()),
    }


def as_slice_row(row: dict[str, Any]) -> dict[str, Any]:
    """Return a run's row as if the slice with its largest lesion were all there is."""
    return row | {"condition": f"{row['condition']}, {LARGEST}", "metrics": row["slice"]}


def limits_cm2(sizes: Sequence[float], pixel: float) -> tuple[float, ...]:
    """Return limits between size groups as areas.

    >>> limits_cm2((200, 800), 1.875)  # IterMask2's, on slices of 240 mm with 128 pixels
    (7.03125, 28.125)

    Args:
        sizes: rising; in cm², or in pixels.
        pixel: edge in mm of the pixels that `sizes` count; 0 for cm².
    """
    return tuple(size * pixel**2 / 100 if pixel else float(size) for size in sizes)


def size_of(row: dict[str, Any], limits: Sequence[float] = SIZES_CM2) -> int:
    """Return which size group a slice's lesion belongs to: 0 is the smallest."""
    return int(np.searchsorted(limits, row["slice"]["label_cm2"], side="right"))
