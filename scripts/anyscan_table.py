"""Make the table of the any-scan model: `table.tsv` to train and validate on.

    python scripts/anyscan_table.py DATA runs/anyscan

Lists the T1w scans of `ixi-t1` and `novosibirsk-t1`, splits train and val. Those of IXI come with tissue groups from
their anatomical labels and are listed twice: with the brain mask that the labels give, and with one a voxel larger, as
brain extraction gives it. Those of Novosibirsk are stripped: their mask is what is not 0, and one two voxels smaller;
they are listed four times, as there are fewer.
"""

import argparse
import csv
from pathlib import Path

import nibabel as nib
import numpy as np
from ixi_table import brain_from_labels, save_mask
from rich.progress import track
from scipy import ndimage

from itermask.synth.tissues import groups_from_labels


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    made = arguments.out / "masks"
    made.mkdir(parents=True, exist_ok=True)
    rows = []
    ixi, other = arguments.data / "ixi-t1", arguments.data / "novosibirsk-t1"
    for participant in track(participants(ixi), "ixi-t1"):
        name = participant["participant_id"]
        path = (ixi / f"{name}_T1w.nii.gz").resolve()
        image = nib.load(path)
        labels = np.asanyarray(nib.load(ixi / f"{name}_labels.nii.gz").dataobj)
        close = brain_from_labels(labels)
        wide = ndimage.binary_dilation(close)
        tissues = (made / f"{name}_tissues.nii.gz").resolve()
        save_mask(groups_from_labels(labels, wide), image, tissues)
        for kind, mask in (("close", close), ("wide", wide)):
            file = (made / f"{name}_{kind}.nii.gz").resolve()
            save_mask(mask, image, file)
            rows.append((name, path, file, participant["split"], tissues))
    for participant in track(participants(other), "novosibirsk-t1"):
        name = participant["participant_id"]
        path = (other / f"{name}_T1w.nii.gz").resolve()
        image = nib.load(path)
        close = ndimage.binary_fill_holes(np.asanyarray(image.dataobj) > 0)
        for kind, mask in (("close", close), ("tight", ndimage.binary_erosion(close, iterations=2))):
            file = (made / f"novosibirsk-{name}_{kind}.nii.gz").resolve()
            save_mask(mask, image, file)
            rows += 2 * [(f"novosibirsk-{name}", path, file, participant["split"], "")]
    with open(arguments.out / "table.tsv", "w", newline="") as target:
        writer = csv.writer(target, delimiter="\t")
        writer.writerow(("participant_id", "path", "brain_mask", "split", "tissues"))
        writer.writerows(rows)


def participants(folder: Path) -> list[dict[str, str]]:
    """Rows of the folder's table that are for training or validation."""
    with open(folder / "participants.tsv", newline="") as source:
        return [row for row in csv.DictReader(source, delimiter="\t") if row["split"] in ("train", "val")]


if __name__ == "__main__":
    main()
