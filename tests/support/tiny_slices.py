"""Thick stacks of a tiny head, tables of them with lesion maps, settings that train on their slices."""

from dataclasses import replace

import numpy as np
from tiny_model import affine_of, tiny_head, write_nifti

from itermask.training.augment import Augmentation
from itermask.training.config import TrainingConfig
from itermask.types import Scan

SPACING, SHAPE = (3.0, 3.0, 6.0), (22, 28, 10)
BOX, DIVISOR = (24, 32, 1), 4
PIXELS = (3.0, 3.0, 0.0)


def tiny_stack(seed=0, blob=0.0, sequence="FLAIR"):
    """Axial slices 6 mm apart of a tiny head, with its brain mask."""
    image, brain = tiny_head(SHAPE, SPACING, seed, blob)
    return Scan(image, affine_of(SPACING), sequence, brain, f"stack_{sequence}")


def stack_grid():
    """The grid of `stack_config`."""
    return stack_config().grid()


def stack_config(method="itermask2", **changes):
    """Settings that train tiny networks on slices in float32."""
    arguments = {"dims": 2, "widths": [4, 8], "group_size": 4}
    networks = {"reconstruction": {"name": "block-unet", "arguments": arguments | {"in_channels": 3}}}
    settings = {
        "method": method,
        "method_settings": {"steps": 5, "focused": False, "slices": 2},
        "networks": networks,
        "spacing": PIXELS,
        "box": BOX,
        "divisor": DIVISOR,
        "slice_area": 12.0,
        "steps": 4,
        "batch": 2,
        "warmup": 2,
        "validate_every": 2,
        "checkpoint_every": 2,
        "precision": "fp32",
        "augmentation": Augmentation(shift=1),
    }
    return TrainingConfig(**(settings | changes))


def write_stacks(folder, training=2, validating=4, lesions=(), second=None):
    """Stacks as `<case>_FLAIR.nii.gz` with `_brain`, the lesions asked for, and `participants.tsv`.

    Args:
        folder: made if needed.
        training: subjects p0, p1, … in split train.
        validating: the subjects after them, in split val.
        lesions: by subject number, the slices with lesion; others have no lesion map.
        second: a second sequence for every subject.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows = ["participant_id\tsplit"]
    for seed in range(training + validating):
        scan = tiny_stack(seed)
        brain = scan.brain_mask.astype(np.float32)
        write_nifti(folder / f"p{seed}_FLAIR.nii.gz", scan)
        write_nifti(folder / f"p{seed}_brain.nii.gz", replace(scan, image=brain))
        if second:
            write_nifti(folder / f"p{seed}_{second}.nii.gz", replace(scan, image=brain * (300 - scan.image)))
        if seed in dict(lesions):
            lesion = np.zeros_like(brain)
            lesion[..., list(dict(lesions)[seed])] = brain[..., list(dict(lesions)[seed])]
            write_nifti(folder / f"p{seed}_lesion.nii.gz", replace(scan, image=lesion))
        rows.append(f"p{seed}\t{'train' if seed < training else 'val'}")
    (folder / "participants.tsv").write_text("\n".join(rows) + "\n")
    return folder
