"""Make the tables of the bundled T1w model: `table.tsv` to train and calibrate on, `labelled.tsv` to measure on.

    python scripts/ixi_table.py DATA/ixi-t1 runs/ixi

Every scan is listed with its label-derived brain mask (labels > 0, closed and filled). Scans of the training
and validation splits are listed a second time with the mask that deepbet extracts, because that is what a
user's scan with its skull on will get. A healthy range needs more scans than the 8 of the validation split, so
22 training subjects, chosen by a hash of their names, validate as well. `labelled.tsv` lists every scan once, with
its label-derived mask.
"""

import argparse
import csv
import hashlib
from pathlib import Path

import nibabel as nib
import numpy as np
from rich.progress import track

from itermask.prepare.brain import Deepbet
from itermask.synth.tissues import brain_from_labels
from itermask.types import Scan


def held_out(participants: list[dict[str, str]], count: int = 22) -> set[str]:
    """Training subjects that validate instead: those with the smallest hashes of their names."""
    train = [row["participant_id"] for row in participants if row["split"] == "train"]
    return set(sorted(train, key=lambda name: hashlib.sha256(name.encode()).hexdigest())[:count])


def save_mask(mask: np.ndarray, like: nib.Nifti1Image, path: Path) -> None:
    nib.save(nib.Nifti1Image(mask.astype(np.uint8), like.affine), path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    masks = arguments.out / "masks"
    masks.mkdir(parents=True, exist_ok=True)
    with open(arguments.data / "participants.tsv", newline="") as source:
        participants = list(csv.DictReader(source, delimiter="\t"))
    extra = held_out(participants)
    rows, labelled_rows = [], []
    for participant in track(participants, "brain masks"):
        name = participant["participant_id"]
        path = (arguments.data / f"{name}_T1w.nii.gz").resolve()
        image = nib.load(path)
        labels = np.asanyarray(nib.load(arguments.data / f"{name}_labels.nii.gz").dataobj)
        labelled = (masks / f"{name}_brain.nii.gz").resolve()
        save_mask(brain_from_labels(labels), image, labelled)
        split = "val" if name in extra else participant["split"]
        rows.append((name, path, labelled, split))
        labelled_rows.append((name, path, labelled, split))
        if split != "test":
            extracted = (masks / f"{name}_deepbet.nii.gz").resolve()
            if not extracted.exists():
                scan = Scan(image.get_fdata(dtype=np.float32), image.affine, "T1w", name=name)
                save_mask(Deepbet().extract(scan), image, extracted)
            rows.append((name, path, extracted, split))
    for table, listed in (("table.tsv", rows), ("labelled.tsv", labelled_rows)):
        with open(arguments.out / table, "w", newline="") as target:
            writer = csv.writer(target, delimiter="\t")
            writer.writerow(("participant_id", "path", "brain_mask", "split"))
            writer.writerows(listed)


if __name__ == "__main__":
    main()
