"""Prepared training scans, kept on disk so that preparation is paid once."""

import hashlib
import json
import os
from dataclasses import asdict
from pathlib import Path

import numpy as np

from itermask.io.nifti import read_scan
from itermask.methods.base import TrainingVolume
from itermask.prepare.brain import with_brain
from itermask.prepare.prepare import Grid, Prepared, prepare
from itermask.training.table import Entry

CACHE_VERSION = 1  # raise when preparation changes


def cache_key(entry: Entry, sequence: str, grid: Grid) -> str:
    """Changes with the files (path, size, time), the grid and the way scans are prepared."""
    files = [
        (str(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns)
        for path in (entry.path, entry.brain_mask)
        if path is not None
    ]
    identity = json.dumps([CACHE_VERSION, files, sequence, asdict(grid)])
    return hashlib.sha256(identity.encode()).hexdigest()[:24]


def prepare_entry(entry: Entry, sequence: str, grid: Grid) -> Prepared:
    """A scan of the table, prepared as `itermask run` prepares it."""
    scan, _ = with_brain(read_scan(entry.path, sequence, entry.brain_mask))
    return prepare(scan, grid)


def cached_volume(entry: Entry, sequence: str, grid: Grid, folder: Path) -> Path:
    """Path of the prepared scan, making it if it is not there.

    The file holds `image` (float16, box) and `brain` (packed bits).
    """
    path = folder / f"{cache_key(entry, sequence, grid)}.npz"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        prepared = prepare_entry(entry, sequence, grid)
        partial = path.with_name(f".{path.stem}.{os.getpid()}.npz")
        np.savez(partial, image=prepared.image.astype(np.float16), brain=np.packbits(prepared.brain))
        os.replace(partial, path)
    return path


def read_volume(path: Path, grid: Grid) -> TrainingVolume:
    """Read a prepared scan; a brain larger than the grid's box is cut to the box around its centre."""
    with np.load(path, allow_pickle=False) as stored:
        image = stored["image"].astype(np.float32)
        brain = np.unpackbits(stored["brain"], count=image.size).reshape(image.shape).astype(bool)
    centre = tuple(
        slice((size - box) // 2, (size - box) // 2 + box) for size, box in zip(image.shape, grid.box, strict=True)
    )
    return TrainingVolume(image[centre][None], brain[centre], grid.spacing)
