"""Tiny heads, scans, settings and models that several test files share."""

from pathlib import Path

import nibabel as nib
import numpy as np
from scipy import ndimage

from itermask.models.card import FORMAT_VERSION
from itermask.prepare.grid import Grid
from itermask.training.augment import Augmentation
from itermask.training.config import TrainingConfig

SPACING = (4.0, 4.0, 4.0)
BOX = (16, 16, 16)


def tiny_brain(shape=(20, 24, 20), seed=0, noise=0.02):
    """A smooth synthetic head without its skull: scaled intensities (−3 … 3), background −3, and its brain mask.

    An ellipsoid with a bright shell, a darker core and smooth variation that differs from seed to seed.
    """
    rng = np.random.default_rng(seed)
    axes = np.meshgrid(*[(np.arange(n) - (n - 1) / 2) / (0.42 * n) for n in shape], indexing="ij")
    radius = np.sqrt(sum(axis**2 for axis in axes))
    brain = radius < 1
    smooth = ndimage.gaussian_filter(rng.standard_normal(shape), 2.5)
    image = 2.5 * np.sin(3 * radius) + 0.5 * smooth / smooth.std() + noise * rng.standard_normal(shape)
    return np.where(brain, np.clip(image, -2.9, 3), -3).astype(np.float32), brain


def write_scan(folder: Path, name: str, seed=0, shape=BOX, spacing=SPACING):
    """A tiny scan and its brain mask as NIfTI files; returns both paths."""
    image, brain = tiny_brain(shape, seed)
    affine = np.diag([*spacing, 1.0])
    path, mask = folder / f"{name}_T1w.nii.gz", folder / f"{name}_mask.nii.gz"
    folder.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(np.where(brain, 200 * (image + 3), 0).astype(np.float32), affine), path)
    nib.save(nib.Nifti1Image(brain.astype(np.uint8), affine), mask)
    return path, mask


def tiny_grid():
    """The grid of `tiny_config`."""
    return Grid(SPACING, BOX, 4)


def tiny_config(**changes):
    """Settings that train a tiny network on tiny scans in float32."""
    network = {"dims": 3, "in_channels": 3, "widths": [4, 8], "group_size": 4}
    settings = {
        "method_settings": {"steps": 5, "focused": False},
        "networks": {"reconstruction": {"name": "block-unet", "arguments": network}},
        "spacing": SPACING,
        "box": BOX,
        "divisor": 4,
        "steps": 6,
        "warmup": 2,
        "validate_every": 3,
        "checkpoint_every": 3,
        "precision": "fp32",
        "augmentation": Augmentation(shift=1),
    }
    return TrainingConfig(**(settings | changes))


def tiny_card(**changes):
    """The card of an uncalibrated model with the network of `tiny_config`."""
    config = tiny_config()
    card = {
        "format_version": FORMAT_VERSION,
        "population": {"name": "any"},
        "version": "0",
        "method": "itermask3d",
        "method_settings": {"steps": 5, "focused": False},
        "networks": config.networks,
        "sequence": "T1w",
        "spacing": list(SPACING),
        "box": list(BOX),
        "divisor": 4,
        "intensity_scale": {"low": 2.0, "high": 90.0, "background": -3.0},
        "calibration": {},
        "training": {},
        "data": {},
        "license": "CC0-1.0",
        "metrics": {},
    }
    return card | changes
