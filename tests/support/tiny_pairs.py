"""Tiny registered pairs of sequences, in memory and as files, and the training of methods that learn from them."""

import nibabel as nib
import numpy as np
from tiny import tiny_brain, tiny_config, write_scan

from itermask.methods import TrainingVolume
from itermask.training.train import train_model

SHAPE = (16, 20, 12)


def other(image):
    """What the second sequence shows where the first shows `image`: one for one, so that there is a way back."""
    return 1.0 - 0.5 * image


def pair_volume(seed=0):
    """A normal brain in both sequences."""
    image, brain = tiny_brain(SHAPE, seed)
    images = np.stack([image, np.where(brain, other(image), -3).astype(np.float32)])
    return TrainingVolume(images, brain, (4.0, 4.0, 4.0))


def write_pairs(folder, training=2, validating=4):
    """A table of tiny subjects, each with a T1w and a T2w scan, and the scans."""
    rows = ["participant_id\tpath\tsequence\tbrain_mask\tsplit"]
    for seed in range(training + validating):
        path, mask = write_scan(folder / "scans", f"s{seed}", seed)
        scan = nib.load(path)
        image = np.where(nib.load(mask).get_fdata() > 0, 2000 - scan.get_fdata(), 0).astype(np.float32)
        second = path.with_name(f"s{seed}_T2w.nii.gz")
        nib.save(nib.Nifti1Image(image, scan.affine), second)
        split = "train" if seed < training else "val"
        for file, sequence in ((path, "T1w"), (second, "T2w")):
            rows.append(f"p{seed}\t{file}\t{sequence}\t{mask}\t{split}")
    table = folder / "table.tsv"
    table.write_text("\n".join(rows) + "\n")
    return table


def train_pairs(folder, method, settings, networks):
    """Train a tiny model on pairs for three steps, calibrate it, and give the model folder."""
    config = tiny_config(method=method, method_settings=settings, networks=networks, steps=3)
    return train_model(write_pairs(folder), "T1w", folder / "model", config, "cpu", {"name": "made"}, target="T2w")
