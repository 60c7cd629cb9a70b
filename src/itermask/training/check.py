"""Whether a training can begin, before any scan is prepared; and a plan of voxel size and box from the data."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from itermask.errors import InputError
from itermask.io.nifti import read_brain_mask, read_scan
from itermask.prepare.brain import stripped_brain
from itermask.prepare.placement import thick_axis
from itermask.training.config import TrainingConfig
from itermask.training.fit import check_networks
from itermask.training.loop import Trainer
from itermask.training.table import Entry

FEW_TRAINING, FEW_VALIDATION = 20, 20  # subjects below which a model or its range means little
MOST_SCANS = 40  # scans whose brains are measured
ROOM = 1_000_000  # voxels of a planned box; the bundled 2 mm model has 614 400
MARGIN = 8.0  # mm around the largest brain of a planned box
FINEST = 0.05  # mm in which planned voxel sizes are rounded


@dataclass(frozen=True)
class Fingerprint:
    """What the training scans are like.

    Attributes:
        scans: how many were measured.
        spacing: median voxel size in mm along right, anterior, superior.
        brain: largest extent of a brain in mm along these.
        thick: share of the scans that are stacks of thick slices.
        seen: of how many the brain could be measured: from a given mask, or as the scan is stripped.
    """

    scans: int
    spacing: tuple[float, float, float]
    brain: tuple[float, float, float]
    thick: float
    seen: int


@dataclass(frozen=True)
class Checked:
    """What a check found of a training that can begin.

    Attributes:
        training: subjects to train on.
        validation: subjects to validate on.
        fingerprint: of the training scans.
        notes: sentences on what to mind.
    """

    training: int
    validation: int
    fingerprint: Fingerprint
    notes: tuple[str, ...]


def check_training(entries: Sequence[Entry], sequence: str, config: TrainingConfig, out: Path) -> Checked:
    """Refuse a training that would fail later; nothing is written or prepared.

    Args:
        entries: from `itermask.training.table.read_data`, which has refused empty splits and missing files.
        sequence: to train on.
        config: settings.
        out: model folder.

    Returns:
        numbers and notes.

    Raises:
        InputError: a mask on another grid than its scan, a box that the networks cannot take or
            that some brains exceed where batches need one size.
    """
    learned = [entry for entry in entries if entry.split in ("train", "val")]
    trainer = Trainer(config, config.grid(), out, "cpu")
    check_networks(trainer.method, trainer.networks, trainer.grid)
    for entry in learned:
        _check_grids(entry)
    bare = [entry for entry in learned if entry.brain_mask is None]
    found = fingerprint([entry for entry in learned if entry.split == "train"], sequence)
    notes = list(_few(learned))
    if bare:
        notes.append(f"{len(bare)} of {len(learned)} scans have no brain mask: each brain is found, which takes time.")
    notes += _box_notes(found, config)
    count = {split: len({one.subject for one in learned if one.split == split}) for split in ("train", "val")}
    return Checked(count["train"], count["val"], found, tuple(notes))


def _few(entries: Sequence[Entry]) -> list[str]:
    """Return notes on few subjects."""
    notes = []
    for split, least, what in (
        ("train", FEW_TRAINING, "the model learns little of how heads differ"),
        ("val", FEW_VALIDATION, "the healthy range stays uncertain"),
    ):
        count = len({entry.subject for entry in entries if entry.split == split})
        if count < least:
            notes.append(f"Only {count} subjects in split {split!r}: {what}; give {least} or more.")
    return notes


def _check_grids(entry: Entry) -> None:
    """Refuse maps whose header tells another shape than their scan's, up to the order of axes."""
    shape = _header(entry.path).shape
    for name, path in (("brain mask", entry.brain_mask), ("lesion map", entry.lesion), ("tissue map", entry.tissues)):
        if path is None:
            continue
        if not Path(path).is_file():
            raise InputError(f"{path}: no such file, but it is the {name} of {entry.path}; check the table")
        other = _header(path).shape
        if sorted(_three(other)) != sorted(_three(shape)):
            raise InputError(f"{path}: has shape {other}, but its scan {entry.path} has {shape}; check the {name}")


def _three(shape: Sequence[int]) -> tuple[int, ...]:
    """Return a shape without further axes of length 1."""
    return (*shape[:3], *(size for size in shape[3:] if size != 1))


def _header(path: Path) -> Any:
    """Return a NIfTI file's image, whose voxels are not read.

    Raises:
        InputError: it is none.
    """
    try:
        return nib.load(path)
    except (OSError, ValueError, nib.filebasedimages.ImageFileError) as error:
        reason = " ".join(str(error).split())[:120]
        raise InputError(f"{path}: cannot be read ({reason}); check it, or take it out of the data") from error


def fingerprint(entries: Sequence[Entry], sequence: str) -> Fingerprint:
    """Return what scans are like, of at most `MOST_SCANS` of them, taken evenly.

    Args:
        entries: scans to train on, at least one.
        sequence: theirs.

    Raises:
        InputError: a scan or mask that cannot be read.
    """
    chosen = [entries[number] for number in np.unique(np.linspace(0, len(entries) - 1, MOST_SCANS).astype(int))]
    spacings, extents, thick = [], [], 0
    for entry in chosen:
        scan = read_scan(entry.path, sequence)
        brain: np.ndarray | None
        if entry.brain_mask is not None:
            brain = read_brain_mask(entry.brain_mask, scan.image.shape, scan.affine)[0]
        else:
            brain = stripped_brain(scan.image, float(np.prod(scan.spacing)), scan.affine)
        thick += thick_axis(scan.spacing, scan.image.shape) is not None
        axes = nib.orientations.io_orientation(scan.affine)[:, 0].astype(int)  # where each of the file's axes goes
        spacing = np.zeros(3)
        spacing[axes] = scan.spacing
        spacings.append(spacing)
        if brain is not None and brain.any():
            spans = [np.flatnonzero(brain.any(axis=tuple(a for a in range(3) if a != axis))) for axis in range(3)]
            extent = np.zeros(3)
            extent[axes] = [(span[-1] - span[0] + 1) * size for span, size in zip(spans, scan.spacing, strict=True)]
            extents.append(extent)
    median = np.median(spacings, axis=0)
    largest = np.max(extents, axis=0) if extents else np.zeros(3)
    return Fingerprint(len(chosen), _triple(median), _triple(largest), thick / len(chosen), len(extents))


def _triple(values: np.ndarray) -> tuple[float, float, float]:
    x, y, z = (round(float(value), 3) for value in values)
    return x, y, z


def _box_notes(found: Fingerprint, config: TrainingConfig) -> list[str]:
    """Return notes on a grid that does not suit the scans; an `InputError` where training would fail."""
    notes = []
    if config.spacing[2] == 0:
        if found.thick < 0.5:
            notes.append("The settings are for thick slices (third voxel size 0), but most scans are volumes.")
        return notes
    if found.thick > 0.5:
        notes.append(
            "Most scans are stacks of thick slices; a model for slices (third voxel size 0) suits them better."
        )
    if not found.seen:
        return notes
    box = np.array(config.box) * config.spacing
    over = np.array(found.brain) > box
    if over.any():
        said = f"brains of up to {_mm(found.brain)} mm, but the box is {_mm(box)} mm (box × spacing)"
        if config.batch > 1:
            raise InputError(
                f"training settings: {said}; a batch of {config.batch} needs one size; enlarge box or set batch = 1"
            )
        notes.append(f"There are {said}; larger boxes are used for these scans, which takes more memory.")
    elif np.prod(box) > 4 * np.prod(np.array(found.brain)):
        notes.append(
            f"The box of {_mm(box)} mm is more than 4 times as large as brains of up to {_mm(found.brain)} mm."
        )
    if min(config.spacing) < 0.7 * min(found.spacing):
        notes.append(
            f"The model's voxels ({_mm(config.spacing)} mm) are finer than the scans' ({_mm(found.spacing)} mm)."
        )
    return notes


def _mm(values: Sequence[float] | np.ndarray) -> str:
    return " × ".join(f"{value:.3g}" for value in values)


def planned(found: Fingerprint, divisor: int = 16, room: int = ROOM) -> dict[str, Any]:
    """Return spacing, box and divisor for scans: isotropic voxels, as fine as the scans and the room allow.

    For stacks of thick slices the pixels are those of the scans and the third voxel size is 0.

    Args:
        found: of the training scans, with brains that were measured.
        divisor: edges of the box are multiples of it.
        room: voxels that the box may have.

    Raises:
        InputError: no brain could be measured.

    Example:
        >>> planned(Fingerprint(10, (1.0, 1.0, 1.0), (140.0, 180.0, 140.0), 0.0, 10))
        {'spacing': (1.95, 1.95, 1.95), 'box': (80, 112, 80), 'divisor': 16}
    """
    if not found.seen:
        raise InputError("no scan has a brain mask or is stripped, so no box can be planned; give brain masks")
    slices = found.thick > 0.5
    axes = np.argsort(found.spacing)[:2] if slices else np.arange(3)
    spacing = float(np.ceil(np.exp(np.log(np.array(found.spacing)[axes]).mean()) / FINEST - 1e-6) * FINEST)
    extent = np.array(found.brain)[axes] + 2 * MARGIN
    while True:
        edges = (np.ceil(extent / spacing / divisor) * divisor).astype(int)
        if slices or edges.prod() <= room:
            break
        spacing += FINEST
    size = round(spacing, 2)
    if slices:
        return {"spacing": (size, size, 0.0), "box": (int(edges[0]), int(edges[1]), 1), "divisor": divisor}
    return {"spacing": (size,) * 3, "box": tuple(int(edge) for edge in edges), "divisor": divisor}


def plan_text(found: Fingerprint, plan: dict[str, Any]) -> str:
    """Return a plan as a settings file in TOML, with what it rests on as comments.

    Example:
        >>> found = Fingerprint(10, (1.0, 1.0, 1.0), (140.0, 180.0, 140.0), 0.0, 10)
        >>> print(plan_text(found, {"spacing": (2.0, 2.0, 2.0), "box": (80, 96, 80)}))
        # Planned from 10 training scans, of 10 of which the brain was measured.
        # Right, anterior, superior: median voxel 1 × 1 × 1 mm, largest brain 140 × 180 × 140 mm.
        # Stacks of thick slices: 0 %.
        spacing = [2.0, 2.0, 2.0]
        box = [80, 96, 80]
    """
    lines = [
        f"# Planned from {found.scans} training scans, of {found.seen} of which the brain was measured.",
        f"# Right, anterior, superior: median voxel {_mm(found.spacing)} mm, largest brain {_mm(found.brain)} mm.",
        f"# Stacks of thick slices: {100 * found.thick:.0f} %.",
    ]
    for name, value in plan.items():
        told = f"[{', '.join(map(str, value))}]" if isinstance(value, tuple) else value
        lines.append(f"{name} = {told}")
    return "\n".join(lines) + "\n"
