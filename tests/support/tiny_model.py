"""A synthetic head that looks different from every side, the ways to store it, and a tiny calibrated model."""

from itertools import permutations, product

import nibabel as nib
import numpy as np
import torch

from itermask.models.card import FORMAT_VERSION
from itermask.models.folder import Model, load_model, save_model
from itermask.networks import build_network
from itermask.prepare.prepare import prepare
from itermask.training.calibration import HealthyScan, calibrate
from itermask.types import Scan

SHAPE, SPACING = (36, 40, 24), (2.0, 2.5, 3.0)  # 72 × 100 × 72 mm
ORIENTATIONS = [
    np.array([[axis, flip] for axis, flip in zip(order, flips, strict=True)])
    for order in permutations(range(3))
    for flips in product((1, -1), repeat=3)
]


def affine_of(spacing=SPACING, origin=(-30.0, -50.0, -20.0)):
    """RAS axes."""
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = origin
    return affine


def oblique(affine, degrees=(12.0, -8.0, 17.0)):
    """An affine, tilted about its three axes."""
    turned = np.eye(4)
    for axis, angle in enumerate(np.radians(degrees)):
        turn = np.eye(4)
        first, second = [a for a in range(3) if a != axis]
        turn[[first, second], [first, second]] = np.cos(angle)
        turn[first, second], turn[second, first] = -np.sin(angle), np.sin(angle)
        turned = turned @ turn
    return turned @ affine


def tiny_head(shape=SHAPE, spacing=SPACING, seed=0, blob=0.0, skull=False):
    """Image and brain mask, RAS: an ellipsoid with a gradient along every axis and its own smooth variation.

    Args:
        shape: of the volume.
        spacing: in mm.
        seed: of the variation.
        blob: intensity added in a ball of 8 mm radius in front, above and to the right of the centre.
        skull: a bright shell with a neck to the lower border, in noisy air.
    """
    rng = np.random.default_rng(seed)
    centre = [(size - 1) / 2 for size in shape]
    grid = np.meshgrid(*[np.arange(size) for size in shape], indexing="ij")
    x, y, z = (step * (index - middle) for step, index, middle in zip(spacing, grid, centre, strict=True))
    radius = np.sqrt((x / 27) ** 2 + (y / 36) ** 2 + (z / 25) ** 2)
    brain = radius < 1
    image = 100 + 0.8 * x + 0.5 * y - 0.9 * z
    for _ in range(4):
        wave, phase = rng.uniform(-0.15, 0.15, 3), rng.uniform(0, 2 * np.pi)
        image += 8 * np.sin(wave[0] * x + wave[1] * y + wave[2] * z + phase)
    image += blob * ((x - 8) ** 2 + (y - 10) ** 2 + (z - 6) ** 2 < 8**2)
    if not skull:
        return np.where(brain, image, 0).astype(np.float32), brain
    shell = (radius < 1.25) | ((np.hypot(x, y) < 24) & (z < 0))
    air = np.abs(rng.normal(0, 3, shape))
    return np.where(brain, image, np.where(shell, 160 + air, air)).astype(np.float32), brain


def tiny_scan(shape=SHAPE, spacing=SPACING, affine=None, given=True, **how):
    """`tiny_head` as a T1w scan, with its brain mask if `given`."""
    image, brain = tiny_head(shape, spacing, **how)
    return Scan(image, affine_of(spacing) if affine is None else affine, "T1w", brain if given else None, "tiny_T1w")


def turned(array, orientation):
    """An array with its axes reordered and flipped; `orientation` says where each axis goes (nibabel)."""
    return np.ascontiguousarray(nib.orientations.apply_orientation(array, orientation))


def stored_as(scan, orientation):
    """The same scan in the same place, with its axes reordered and flipped."""
    affine = scan.affine @ nib.orientations.inv_ornt_aff(orientation, scan.image.shape)
    mask = None if scan.brain_mask is None else turned(scan.brain_mask, orientation)
    return Scan(turned(scan.image, orientation), affine, scan.sequence, mask, scan.name)


def write_nifti(path, scan, **codes):
    """A scan as a NIfTI file."""
    image = nib.Nifti1Image(scan.image, scan.affine)
    image.set_sform(scan.affine, codes.get("sform", 1))
    image.set_qform(scan.affine, codes.get("qform", 1))
    nib.save(image, path)
    return path


def tiny_card(**changes):
    """A card for `tiny_model`'s network, not calibrated."""
    arguments = {"dims": 3, "in_channels": 3, "widths": [4, 8], "group_size": 4}
    card = {
        "format_version": FORMAT_VERSION,
        "population": {"name": "any"},
        "version": "0",
        "method": "itermask3d",
        "method_settings": {"steps": 5, "focused": False},
        "networks": {"reconstruction": {"name": "block-unet", "arguments": arguments}},
        "sequence": "T1w",
        "spacing": [6.0, 6.0, 6.0],
        "box": [16, 16, 16],
        "divisor": 4,
        "intensity_scale": {"low": 2.0, "high": 90.0, "background": -3.0},
        "calibration": {},
        "training": {},
        "data": {"name": "made"},
        "license": "CC0-1.0",
        "metrics": {},
    }
    return card | changes


def tiny_model(folder) -> Model:
    """A model folder with random weights, calibrated on five synthetic heads; returned as loaded."""
    card = tiny_card()
    torch.manual_seed(0)
    spec = card["networks"]["reconstruction"]
    state = build_network(spec["name"], spec["arguments"]).state_dict()
    state = {f"reconstruction.{key}": value for key, value in state.items()}
    save_model(folder, state, card)
    model = load_model(folder, device="cpu")
    healthy = [HealthyScan(prepare(tiny_scan(seed=seed), model.grid), str(seed)) for seed in range(10, 15)]
    card["calibration"] = calibrate(model, healthy)
    save_model(folder, state, card)
    return load_model(folder, device="cpu")
