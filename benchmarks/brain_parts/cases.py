"""Scans whose brain is known: whole heads, the same heads in made-up contrasts, stacks of patients, stripped scans."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
from scipy import ndimage

from itermask.synth.heads import Kind, draw_head, head_of
from itermask.synth.tissues import brain_from_labels, groups_from_labels
from itermask.types import Scan

STRIPPED = "stripped"
SIZE = 2.0  # mm; voxels of a made-up scan
FIELD = (112, 128, 112)  # voxels of a made-up scan
PLAIN = {"own": 0.0, "tilt": 0.0, "zoom": 0.0, "shift": 0.0, "bend": 0.0, "cut": 0.0, "anomalies": 0.0, "stripped": 0.0}


@dataclass(frozen=True)
class Case:
    """A scan and its brain.

    Attributes:
        group: which row of the table it counts to.
        scan: without a brain mask.
        brain: boolean, of the scan's shape.
    """

    group: str
    scan: Scan
    brain: np.ndarray


def cases(data: Path, split: str, seed: int = 0) -> Iterator[Case]:
    """Yield all cases of a split, in a fixed order; `val` has every fourth patient of `train` and `val`."""
    yield from ixi(data / "ixi-t1", split, seed)
    yield from patients(data / "lgg-flair", *((("test",), 1) if split == "test" else (("train", "val"), 4)))
    folder = data / "lesions-3d" / "msseg-example"
    for sequence in ("T1w", "FLAIR"):
        yield Case(
            f"msseg-example, {sequence}",
            read(folder / f"{sequence}.nii.gz", sequence),
            mask_of(folder / "brain.nii.gz"),
        )
    if split == "test":
        yield from stripped(data, "oasis-t1", "novosibirsk-t1")


def rows_of(folder: Path) -> list[dict[str, str]]:
    """Participants of a folder, by name."""
    with open(folder / "participants.tsv", newline="") as source:
        return sorted(csv.DictReader(source, delimiter="\t"), key=lambda row: row["participant_id"])


def read(path: Path, sequence: str) -> Scan:
    """A scan, named after its file."""
    image = nib.load(path)
    return Scan(image.get_fdata(dtype=np.float32), image.affine, sequence, name=path.name.removesuffix(".nii.gz"))


def mask_of(path: Path) -> np.ndarray:
    """A mask from a file."""
    return np.asanyarray(nib.load(path).dataobj) > 0


def ixi(folder: Path, split: str, seed: int) -> Iterator[Case]:
    """Yield heads as they are, and each in a made-up T2w and FLAIR contrast."""
    for number, row in enumerate(row for row in rows_of(folder) if row["split"] == split):
        name = row["participant_id"]
        scan = read(folder / f"{name}_T1w.nii.gz", "T1w")
        labels = np.asanyarray(nib.load(folder / f"{name}_labels.nii.gz").dataobj).astype(int)
        brain = brain_from_labels(labels)
        yield Case(f"ixi-t1 {split}, T1w", scan, brain)
        orientation = nib.orientations.io_orientation(scan.affine)
        image, labels, brain = (
            nib.orientations.apply_orientation(one, orientation) for one in (scan.image, labels, brain)
        )
        spacing = nib.affines.voxel_sizes(scan.affine)[np.argsort(orientation[:, 0])]
        head = head_of(image, groups_from_labels(labels, brain), spacing.tolist())
        for order, sequence in enumerate(("T2w", "FLAIR")):
            rng = np.random.default_rng((seed, number, order))
            made = draw_head(head, FIELD, SIZE, rng, Kind(sequence=sequence, **PLAIN))
            affine = np.diag([SIZE, SIZE, SIZE, 1.0])
            changed = Scan(made.image, affine, sequence, name=f"{name} as {sequence}")
            yield Case(f"ixi-t1 {split}, made-up {sequence}", changed, made.brain > 0.5)


def patients(folder: Path, splits: tuple[str, ...], step: int = 1) -> Iterator[Case]:
    """Yield stacks of every `step`th patient with a glioma, FLAIR and T1w."""
    label = " and ".join(splits)
    for row in [row for row in rows_of(folder) if row["split"] in splits][step - 1 :: step]:
        brain = mask_of(folder / f"{row['participant_id']}_brain.nii.gz")
        for sequence in ("T1w", "FLAIR") if row["has_T1w"] == "yes" else ("FLAIR",):
            scan = read(folder / f"{row['participant_id']}_{sequence}.nii.gz", sequence)
            yield Case(f"lgg-flair {label}, {sequence}", scan, brain)


def stripped(data: Path, *folders: str) -> Iterator[Case]:
    """Yield scans that are stripped already; their brain is what is not background."""
    for folder in folders:
        for path in sorted((data / folder).glob("*_T1w.nii.gz")):
            scan = read(path, "T1w")
            brain = ndimage.binary_fill_holes(scan.image != 0)
            yield Case(f"{folder}, {STRIPPED}", scan, brain)
