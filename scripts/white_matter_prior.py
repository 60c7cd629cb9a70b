"""Make the white-matter prior: how often white matter lies where in a brain's bounding box.

    python scripts/white_matter_prior.py DATA/ixi-t1 src/itermask/methods/robust_z

From the anatomical labels of the training split alone. Each subject's white matter (the groups "white matter" and
"inner tracts" of `itermask.synth.tissues`, labels 81 to 95) is brought to one grid by the bounding box of the brain in
right, anterior, superior, and averaged. Writes `white_matter.npz` and, with origin and licence, `white_matter.md`.
"""

import argparse
import csv
import io
import os
import zipfile
from pathlib import Path

import nibabel as nib
import numpy as np
from ixi_table import brain_from_labels
from rich.progress import track
from scipy import ndimage

from itermask.methods.baselines.robust_z.prior import stretched
from itermask.synth.tissues import GROUPS, groups_from_labels

SHAPE = (56, 68, 56)  # of the prior: about 2.5 mm
STEP = 3  # shares are kept to 1/85, which takes half the space of 1/255
WHITE = [GROUPS.index(name) for name in ("white matter", "inner tracts")]
MOST = 100_000  # bytes

ABOUT = """# White-matter prior

`white_matter.npz`, key `share`: uint8 {shape}, axes right, anterior, superior, from edge to edge of a brain's bounding
box; 255 where all subjects have white matter.

Made by `scripts/white_matter_prior.py` from the anatomical labels (DLMUSE 81 to 95: white matter of the lobes, corpus
callosum, fornix, internal capsule) of {count} healthy adults, the training split of the IXI scans (Hammersmith).

* Origin: IXI dataset, <https://brain-development.org/ixi-dataset/>; labels by the NiChart project.
* Licence: CC BY-SA 3.0, <https://creativecommons.org/licenses/by-sa/3.0/>. The prior is an adaptation and is under the
  same licence; the program's own licence does not cover it.
"""


def white_matter_of(path: Path) -> np.ndarray:
    """One subject's white matter on the prior's grid: float32, 0 to 1."""
    labels = nib.as_closest_canonical(nib.load(path))
    numbers = np.asanyarray(labels.dataobj).astype(np.int16)
    brain = brain_from_labels(numbers)
    box = ndimage.find_objects(brain.astype(np.uint8))[0]
    white = np.isin(groups_from_labels(numbers, brain)[box], WHITE).astype(np.float32)
    return stretched(white, SHAPE, [(0, size) for size in SHAPE])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    with open(arguments.data / "participants.tsv", newline="") as source:
        names = [row["participant_id"] for row in csv.DictReader(source, delimiter="\t") if row["split"] == "train"]
    total = np.zeros(SHAPE, dtype=np.float64)
    for name in track(names, "white matter"):
        total += white_matter_of(arguments.data / f"{name}_labels.nii.gz")
    share = (np.rint(total / len(names) * 255 / STEP) * STEP).astype(np.uint8)
    array = io.BytesIO()
    np.save(array, share)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        archive.writestr(zipfile.ZipInfo("share.npy"), array.getvalue(), zipfile.ZIP_DEFLATED, 9)  # no date: same bytes
    if len(packed.getvalue()) > MOST:
        raise SystemExit(f"{len(packed.getvalue())} bytes are more than {MOST}")
    about = ABOUT.format(shape=" × ".join(map(str, SHAPE)), count=len(names))
    for name, content in (("white_matter.npz", packed.getvalue()), ("white_matter.md", about.encode())):
        partial = arguments.out / f".{name}.part"
        partial.write_bytes(content)
        os.replace(partial, arguments.out / name)
    print(f"{len(names)} subjects, {len(packed.getvalue())} bytes")


if __name__ == "__main__":
    main()
