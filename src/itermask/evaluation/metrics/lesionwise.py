"""Lesions instead of voxels: which were found, and what was flagged where there is none.

A lesion is a connected part of the label; voxels that touch by a face, an edge or a corner belong together
(26 neighbours in 3D) unless another connectivity is asked for. The predicted mask is split in the same way.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from itermask.evaluation.metrics.arrays import as_masks, as_spacing, bounding_box
from itermask.evaluation.metrics.healthy import MM3_PER_ML


@dataclass(frozen=True)
class LesionMatch:
    """One scan's lesions against the connected parts of its predicted mask.

    Attributes:
        volumes: float64, mL of every lesion of the label.
        detected: boolean, whether each of them was found.
        false_volumes: float64, mL of every predicted part that lies on no lesion.
    """

    volumes: np.ndarray
    detected: np.ndarray
    false_volumes: np.ndarray

    @property
    def detection_rate(self) -> float:
        """Share of the lesions that were found, 0 to 1; NaN if there is none."""
        return float(self.detected.mean()) if len(self.detected) else float("nan")

    @property
    def f1(self) -> float:
        """`2 found / (2 found + missed + false)`, 0 to 1; 1 if there is neither a lesion nor a false one."""
        found, false = int(self.detected.sum()), len(self.false_volumes)
        total = found + len(self.detected) + false
        return 2 * found / total if total else 1.0


def match_lesions(
    prediction: np.ndarray,
    label: np.ndarray,
    spacing: Sequence[float],
    connectivity: int | None = None,
    overlap: float = 0.0,
) -> LesionMatch:
    """Find out which lesions were detected.

    A lesion is detected if the prediction covers at least one of its voxels, and at least the share `overlap`
    of them. A predicted part is false if the label covers less than that of it. So a part that touches two
    lesions can find both, and several parts on one lesion find it once and none of them is false.

    Args:
        prediction: boolean mask, any number of axes.
        label: boolean mask of the same shape.
        spacing: voxel size in mm along each axis.
        connectivity: along how many axes at once neighbours may differ: 1 is faces (6 in 3D), 2 faces and edges
            (18), 3 also corners (26); None is the most there is.
        overlap: least share of a part that must be covered, 0 to 1; 0 is a single voxel.

    Returns:
        volumes and detection of each lesion, in the order of their first voxels, and the false parts' volumes.

    Raises:
        ValueError: shapes differ, or spacing, connectivity or overlap out of range.

    Example:
        >>> label = np.array([1, 1, 0, 0, 1, 0])
        >>> found = match_lesions(np.array([0, 1, 0, 0, 0, 0]), label, (1.0,))
        >>> found.detected.tolist()
        [True, False]
    """
    prediction, label = as_masks(prediction=prediction, label=label)
    voxel = float(np.prod(as_spacing(spacing, label.ndim))) / MM3_PER_ML
    connectivity = label.ndim if connectivity is None else connectivity
    if not 1 <= connectivity <= label.ndim or not 0 <= overlap <= 1:
        raise ValueError(f"connectivity {connectivity} must be 1 to {label.ndim}, overlap {overlap} 0 to 1")
    box = bounding_box(prediction | label)
    prediction, label = prediction[box], label[box]
    neighbours = ndimage.generate_binary_structure(label.ndim, connectivity)
    lesions, lesion_hits = _parts(label, prediction, neighbours)
    parts, part_hits = _parts(prediction, label, neighbours)
    detected = _covered(lesions, lesion_hits, overlap)
    false = ~_covered(parts, part_hits, overlap)
    return LesionMatch(lesions * voxel, detected, parts[false] * voxel)


def _parts(mask: np.ndarray, cover: np.ndarray, neighbours: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return sizes of a mask's connected parts, and how many voxels of each are covered."""
    numbered, count = ndimage.label(mask, neighbours)
    sizes = np.bincount(numbered[mask], minlength=count + 1)[1:]
    return sizes, np.bincount(numbered[mask & cover], minlength=count + 1)[1:]


def _covered(sizes: np.ndarray, hits: np.ndarray, overlap: float) -> np.ndarray:
    """Return whether a voxel, and the wanted share, of each part is covered; rounding decides nothing."""
    return (hits > 0) & (hits >= overlap * sizes - 1e-9)
