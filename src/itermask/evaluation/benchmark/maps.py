"""The error maps that a benchmark keeps: what best and matched thresholds need, a file a run."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from itermask.types import Finding


@dataclass(frozen=True)
class StoredMap:
    """One run's error map on the scan's own grid.

    Attributes:
        error: float32, one value a brain voxel.
        label: boolean, one value a brain voxel: whether it is lesion.
        free: boolean, one value a brain voxel: whether its axial slice holds no lesion voxel.
        brain: boolean, 3D.
        lesion: boolean, 3D; it may reach out of the brain.
        spacing: voxel size in mm along each axis.
    """

    error: np.ndarray
    label: np.ndarray
    free: np.ndarray
    brain: np.ndarray
    lesion: np.ndarray
    spacing: tuple[float, ...]

    def volume(self) -> np.ndarray:
        """Return the error map in 3D, float32; 0 outside the brain."""
        whole = np.zeros(self.brain.shape, dtype=np.float32)
        whole[self.brain] = self.error
        return whole


def save_map(path: Path, finding: Finding, lesion: np.ndarray, spacing: tuple[float, ...], up: int) -> None:
    """Keep the brain's errors, their labels, and what tells where they lie.

    Args:
        path: of the file; written to a temporary name first.
        finding: with the error map.
        lesion: boolean, 3D; empty for a healthy scan.
        spacing: voxel size in mm along each axis.
        up: the axis along the head, whose slices are axial.
    """
    marked = lesion.any(axis=tuple(axis for axis in range(lesion.ndim) if axis != up), keepdims=True)
    partial = path.with_name(f".{path.name}.part")
    with open(partial, "wb") as target:
        np.savez_compressed(
            target,
            error=finding.error[finding.brain].astype(np.float32),
            label=lesion[finding.brain],
            outside=int((lesion & ~finding.brain).sum()),
            free=np.packbits(np.broadcast_to(~marked, lesion.shape)[finding.brain]),
            brain=np.packbits(finding.brain),
            lesion=np.packbits(lesion),
            shape=np.array(lesion.shape),
            spacing=np.array(spacing, dtype=np.float64),
        )
    os.replace(partial, path)


def has_map(path: Path) -> bool:
    """Return whether a run's map is there, with the positions of its voxels, which earlier versions did not keep.

    Example:
        >>> has_map(folder / "map.npz")
        False
    """
    if not path.is_file():
        return False
    with np.load(path, allow_pickle=False) as stored:
        return "shape" in stored.files


def read_map(path: Path) -> StoredMap:
    """Return the map of a run, see `has_map`."""
    with np.load(path, allow_pickle=False) as stored:
        shape = tuple(int(size) for size in stored["shape"])
        brain, lesion = (
            np.unpackbits(stored[name], count=int(np.prod(shape))).reshape(shape).astype(bool)
            for name in ("brain", "lesion")
        )
        error = stored["error"]
        free = np.unpackbits(stored["free"], count=error.size).astype(bool)
        return StoredMap(error, stored["label"], free, brain, lesion, tuple(map(float, stored["spacing"])))


def errors_and_labels(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return errors, labels and brain, one value a voxel; label voxels outside the brain last, with error 0."""
    with np.load(path, allow_pickle=False) as stored:
        outside = int(stored["outside"])
        errors = np.append(stored["error"], np.zeros(outside, dtype=np.float32))
        labels = np.append(stored["label"], np.ones(outside, dtype=bool))
        return errors, labels, np.arange(errors.size) < errors.size - outside


def rounded(found: Mapping[str, float]) -> dict[str, Any]:
    """Return the numbers that are defined, to six digits.

    Example:
        >>> rounded({"dice": 0.123456789, "hd95": float("nan")})
        {'dice': 0.123457}
    """
    return {name: float(f"{value:.6g}") for name, value in found.items() if np.isfinite(value)}
