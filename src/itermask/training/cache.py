"""Prepared training scans, kept on disk so that preparation is paid once."""

import hashlib
import json
import os
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from itermask.errors import InputError
from itermask.io.nifti import read_mask, read_scan
from itermask.prepare.align import Alignment, align
from itermask.prepare.brain import with_brain
from itermask.prepare.grid import Grid
from itermask.prepare.prepare import prepare
from itermask.synth.tissues import GROUPS
from itermask.training.table import Entry
from itermask.types import Prepared, Scan, TrainingVolume

CACHE_VERSION = 1  # raise when preparation changes
SAME_AFFINE = 0.5  # mm that a voxel of a registered scan may lie elsewhere
OTHER = GROUPS.index("other")
TRACE = 1e-3  # a slice in which the resampled lesion map exceeds this holds lesion


def cache_key(entry: Entry, sequence: str, grid: Grid, by_slices: bool = False) -> str:
    """Return a name that changes with the files (path, size, time), the grid and the way scans are prepared."""
    plain = asdict(grid)
    if not grid.slice_area:
        del plain["slice_area"]
    if not grid.align:
        del plain["align"]
    if grid.scale.kind == "percentiles":
        del plain["scale"]["kind"]
    identity: list[Any] = [CACHE_VERSION, _states(entry.path, entry.brain_mask), sequence, plain]
    if entry.lesion is not None:
        identity.append(["lesion", by_slices, *_states(entry.lesion)])
    if entry.target is not None:
        identity.append(["target", *_states(entry.target)])
    if entry.tissues is not None:
        identity.append(["tissues", *_states(entry.tissues)])
    return hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:24]


def _states(*paths: Path | None) -> list[tuple[str, int, int]]:
    return [(str(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns) for path in paths if path is not None]


def prepare_entry(entry: Entry, sequence: str, grid: Grid, by_slices: bool = False) -> Prepared:
    """Return the healthy part of a scan of the table, prepared as `itermask run` prepares it.

    Args:
        entry: the scan.
        sequence: its sequence.
        grid: the model's grid.
        by_slices: leave out slices with lesion only; else a scan with a lesion is left out as a whole.

    Returns:
        the prepared scan; what was left out is no brain, so none may be left.

    Raises:
        InputError: a file that cannot be used.
    """
    return _prepared(entry, sequence, grid, by_slices)[0]


def _prepared(entry: Entry, sequence: str, grid: Grid, by_slices: bool) -> tuple[Prepared, Scan, Alignment | None]:
    """Return `prepare_entry`, the scan with its brain mask, and where the head lies, if the grid wants it aligned."""
    scan, _ = with_brain(read_scan(entry.path, sequence, entry.brain_mask))
    try:
        alignment = align(scan) if grid.align else None
        prepared = prepare(scan, grid, alignment)
    except ValueError as error:
        raise InputError(f"{entry.path}: {error}; check the scan and its brain mask") from error
    if entry.lesion is None:
        return prepared, scan, alignment
    lesion = read_mask(entry.lesion, scan.image.shape, scan.affine, empty=True)
    if not lesion.any():
        return prepared, scan, alignment
    if by_slices:
        touched = prepared.placement.to_box(lesion.astype(np.float32)) > TRACE
        brain = prepared.brain & ~touched.any((0, 1), keepdims=True)
    else:
        brain = np.zeros_like(prepared.brain)
    image = np.where(brain, prepared.image, np.float32(grid.scale.background))
    return replace(prepared, image=image, brain=brain), scan, alignment


def _second(entry: Entry, first: Prepared, scan: Scan, grid: Grid, alignment: Alignment | None) -> np.ndarray:
    """Return the scan of the second sequence instead of the first, on its own intensity scale."""
    assert entry.target is not None
    other = read_scan(entry.target)
    if not _on_one_grid(scan, other):
        raise InputError(
            f"{entry.target}: not on the grid of {entry.path.name} (shape {other.image.shape} and {scan.image.shape}, "
            "or another position in space); register and resample it to that scan"
        )
    try:
        image = prepare(replace(scan, image=other.image), grid, alignment).image
    except ValueError as error:
        raise InputError(f"{entry.target}: {error}; check the scan and its brain mask") from error
    return np.where(first.brain, image, np.float32(grid.scale.background))


def _on_one_grid(scan: Scan, other: Scan) -> bool:
    """Return whether two scans have the same voxels in space."""
    if scan.image.shape != other.image.shape:
        return False
    corners = np.array(np.meshgrid(*[(0, size - 1) for size in scan.image.shape], [1])).reshape(4, -1)
    return bool(np.abs((scan.affine - other.affine) @ corners).max() <= SAME_AFFINE)


def cached_volume(entry: Entry, sequence: str, grid: Grid, folder: Path, by_slices: bool = False) -> Path:
    """Return the path of the prepared scan, making it if it is not there; see `prepare_entry`.

    The file holds `image` (float16, box, or two boxes where there is a second sequence) and `brain` (packed bits), and
    of a scan's own slices their `plane` and `spacing`.
    """
    path = folder / f"{cache_key(entry, sequence, grid, by_slices)}.npz"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        prepared, scan, alignment = _prepared(entry, sequence, grid, by_slices)
        image = prepared.image
        if entry.target is not None:
            image = np.stack([image, _second(entry, prepared, scan, grid, alignment)])
        stored: dict[str, Any] = {"image": image.astype(np.float16), "brain": np.packbits(prepared.brain)}
        if prepared.plane:
            stored |= {"plane": np.array(prepared.plane), "spacing": np.array(prepared.spacing)}
        if entry.tissues is not None:
            stored["groups"] = _tissue_groups(entry.tissues, prepared, scan)
        partial = path.with_name(f".{path.stem}.{os.getpid()}.npz")
        np.savez(partial, **stored)
        os.replace(partial, path)
    return path


def _tissue_groups(path: Path, prepared: Prepared, scan: Scan) -> np.ndarray:
    """Return the tissue groups on the box: in each voxel the one that holds most of it; 0 outside the brain."""
    native = np.asarray(read_scan(path).image)
    if native.shape != scan.image.shape:
        raise InputError(f"{path}: shape {native.shape} is not that of the scan, {scan.image.shape}")
    most, groups = np.zeros(prepared.brain.shape, np.float32), np.full(prepared.brain.shape, OTHER, np.uint8)
    for group in np.unique(native[native > 0]):
        share = prepared.placement.to_box((native == group).astype(np.float32))
        groups[share > most] = int(group)
        most = np.maximum(most, share)
    return np.where(prepared.brain, groups, 0).astype(np.uint8)


def has_brain(path: Path) -> bool:
    """Return whether anything healthy is left in a prepared scan."""
    with np.load(path, allow_pickle=False) as stored:
        return bool(stored["brain"].any())


def read_volume(path: Path, grid: Grid) -> TrainingVolume:
    """Read a prepared scan; a brain larger than the grid's box is cut to the box around its centre."""
    with np.load(path, allow_pickle=False) as stored:
        images = stored["image"].astype(np.float32)
        images = images if images.ndim == 4 else images[None]
        sizes = images.shape[1:]
        brain = np.unpackbits(stored["brain"], count=images[0].size).reshape(sizes).astype(bool)
        plane = str(stored["plane"]) if "plane" in stored else ""
        groups = stored.get("groups", None)
        spacing = tuple(map(float, stored["spacing"])) if plane else grid.spacing
    box = (*grid.box[:2], sizes[2]) if grid.slices else grid.box
    centre = tuple(slice((size - edge) // 2, (size - edge) // 2 + edge) for size, edge in zip(sizes, box, strict=True))
    groups = None if groups is None else groups[centre]
    return TrainingVolume(images[:, *centre], brain[centre], spacing, plane, groups)
