"""Scans whose brain is known: whole heads, the same heads in made-up contrasts, stacks of patients, stripped scans."""

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import nibabel as nib
import numpy as np
from scipy import ndimage

from itermask.synth.heads import Head, Kind, draw_head, head_of
from itermask.synth.tissues import brain_from_labels, groups_from_labels
from itermask.types import Scan

STRIPPED = "stripped"
SIZE = 2.0  # mm; voxels of a made-up scan
FIELD = (112, 128, 112)  # voxels of a made-up scan
PLAIN = {"own": 0.0, "tilt": 0.0, "zoom": 0.0, "shift": 0.0, "bend": 0.0, "cut": 0.0, "anomalies": 0.0, "stripped": 0.0}


Made = tuple[Scan, np.ndarray]


@dataclass(frozen=True)
class Case:
    """A scan and its brain, read when they are needed.

    Attributes:
        group: which row of the table it counts to.
        name: of the scan.
        make: → the scan, without a brain mask, and its brain, boolean, of the scan's shape.
    """

    group: str
    name: str
    make: Callable[[], Made]


def cases(data: Path, split: str, seed: int = 0) -> Iterator[Case]:
    """Yield all cases of a split, in a fixed order; `val` has every fourth patient of `train` and `val`."""
    yield from ixi(data / "ixi-t1", split, seed)
    yield from patients(data / "lgg-flair", *((("test",), 1) if split == "test" else (("train", "val"), 4)))
    folder = data / "lesions-3d" / "msseg-example"
    for sequence in ("T1w", "FLAIR"):
        make = partial(read, folder / f"{sequence}.nii.gz", sequence, folder / "brain.nii.gz")
        yield Case(f"msseg-example, {sequence}", sequence, make)
    if split == "test":
        for name in ("oasis-t1", "novosibirsk-t1"):
            for path in sorted((data / name).glob("*_T1w.nii.gz")):
                yield Case(f"{name}, {STRIPPED}", path.name, partial(read, path, "T1w"))


def rows_of(folder: Path) -> list[dict[str, str]]:
    """Participants of a folder, by name."""
    with open(folder / "participants.tsv", newline="") as source:
        return sorted(csv.DictReader(source, delimiter="\t"), key=lambda row: row["participant_id"])


def read(path: Path, sequence: str, mask: Path | None = None) -> Made:
    """A scan and its brain; that of a stripped scan, which has no file of a mask, is what is not background."""
    image = nib.load(path)
    scan = Scan(image.get_fdata(dtype=np.float32), image.affine, sequence, name=path.name.removesuffix(".nii.gz"))
    if mask is None:
        return scan, ndimage.binary_fill_holes(scan.image != 0)
    return scan, np.asanyarray(nib.load(mask).dataobj) > 0


def ixi(folder: Path, split: str, seed: int) -> Iterator[Case]:
    """Yield heads as they are, and each in a made-up T2w and FLAIR contrast."""
    for number, row in enumerate(row for row in rows_of(folder) if row["split"] == split):
        name = row["participant_id"]
        yield Case(f"ixi-t1 {split}, T1w", name, partial(labelled, folder, name))
        for order, sequence in enumerate(("T2w", "FLAIR")):
            make = partial(made_up, folder, name, sequence, (seed, number, order))
            yield Case(f"ixi-t1 {split}, made-up {sequence}", name, make)


def labelled(folder: Path, name: str) -> Made:
    """A head, and the brain that its labels outline."""
    scan, _ = read(folder / f"{name}_T1w.nii.gz", "T1w")
    return scan, brain_from_labels(labels_of(folder, name))


def labels_of(folder: Path, name: str) -> np.ndarray:
    """The anatomical labels of a head."""
    return np.asanyarray(nib.load(folder / f"{name}_labels.nii.gz").dataobj).astype(int)


def made_up(folder: Path, name: str, sequence: str, seed: tuple[int, ...]) -> Made:
    """A head in another contrast, on a grid of its own."""
    made = draw_head(head(folder, name), FIELD, SIZE, np.random.default_rng(seed), Kind(sequence=sequence, **PLAIN))
    return Scan(made.image, np.diag([SIZE, SIZE, SIZE, 1.0]), sequence, name=f"{name} as {sequence}"), made.brain > 0.5


@lru_cache(1)
def head(folder: Path, name: str) -> Head:
    """A head parted into its regions."""
    scan, brain = labelled(folder, name)
    orientation = nib.orientations.io_orientation(scan.affine)
    image, labels, brain = (
        nib.orientations.apply_orientation(one, orientation) for one in (scan.image, labels_of(folder, name), brain)
    )
    spacing = nib.affines.voxel_sizes(scan.affine)[np.argsort(orientation[:, 0])]
    return head_of(image, groups_from_labels(labels, brain), spacing.tolist())


def patients(folder: Path, splits: tuple[str, ...], step: int) -> Iterator[Case]:
    """Yield stacks of every `step`th patient with a glioma, FLAIR and T1w."""
    label = " and ".join(splits)
    for row in [row for row in rows_of(folder) if row["split"] in splits][step - 1 :: step]:
        name = row["participant_id"]
        for sequence in ("T1w", "FLAIR") if row["has_T1w"] == "yes" else ("FLAIR",):
            make = partial(read, folder / f"{name}_{sequence}.nii.gz", sequence, folder / f"{name}_brain.nii.gz")
            yield Case(f"lgg-flair {label}, {sequence}", name, make)
