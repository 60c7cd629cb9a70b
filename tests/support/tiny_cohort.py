"""A tiny BIDS tree with good and bad scans, a tiny model, and runs over them in this process."""

import json
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import nibabel as nib
import numpy as np
import torch
from tiny_model import tiny_card, tiny_scan, write_nifti

from itermask.models.folder import save_model
from itermask.networks import build_network

SHAPE, SPACING = (18, 20, 16), (4.0, 5.0, 4.5)
BAD = {"cut": "truncated or damaged", "zeros": "every voxel is 0", "header": "affine is singular"}


def write_model(folder):
    """A model folder with random weights and no calibration, which draws short reports."""
    card = tiny_card()
    torch.manual_seed(0)
    spec = card["networks"]["reconstruction"]
    state = build_network(spec["name"], spec["arguments"]).state_dict()
    save_model(folder, {f"reconstruction.{key}": value for key, value in state.items()}, card)
    return folder


def scan_of(seed, **how):
    """A tiny stripped scan."""
    return tiny_scan(SHAPE, SPACING, given=False, seed=seed, **how)


def write_bids(root, count=3, bad=(), people=True):
    """A BIDS tree of `count` good scans and the bad ones; gives its root."""
    root.mkdir(parents=True)
    about = {"Name": "made", "BIDSVersion": "1.10.0", "License": "CC0", "Authors": ["One", "Two"]}
    (root / "dataset_description.json").write_text(json.dumps(about))
    (root / "README.md").write_text("Heads that were made for tests. " * 10)
    names = [f"{number:02d}" for number in range(1, count + 1)] + list(bad)
    rows = ["participant_id\tage\tsex"]
    for seed, name in enumerate(names):
        path = root / f"sub-{name}" / "anat" / f"sub-{name}_T1w.nii.gz"
        path.parent.mkdir(parents=True)
        write_bad(path, name, scan_of(seed, blob=60.0 * (seed == 1)))
        rows.append(f"sub-{name}\t{30 + 7 * seed}\t{'FM'[seed % 2]}")
    if people:
        (root / "participants.tsv").write_text("\n".join(rows) + "\n")
    return root


def write_bad(path, kind, scan):
    """A scan file; `cut`, `zeros` and `header` are spoiled."""
    if kind == "zeros":
        scan = replace(scan, image=0 * scan.image)
    write_nifti(path, scan)
    if kind == "cut":
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2])
    if kind == "header":
        image = nib.load(path)
        image.set_qform(None, 0)
        image.set_sform(np.diag([0.0, 1.0, 1.0, 1.0]), 1)
        nib.save(nib.Nifti1Image(np.asanyarray(image.dataobj), None, image.header), path)


def contents(folder):
    """Hash of every file below a folder but logs, by path."""
    paths = sorted(path for path in Path(folder).rglob("*") if path.is_file())
    named = {path.relative_to(folder).as_posix(): path for path in paths}
    return {
        name: sha256(path.read_bytes()).hexdigest() for name, path in named.items() if Path(name).parts[0] != "logs"
    }
