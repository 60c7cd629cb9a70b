"""A synthetic adult head made of the shipped template's tissues: small, and with a true left and right."""

import numpy as np

from itermask.prepare.atlas import template
from itermask.types import Scan

T1W, T2W, FLAIR = (0.1, 0.5, 0.9), (0.9, 0.4, 0.3), (0.1, 0.72, 0.73)  # of fluid, grey and white matter


def template_scan(bright=T1W, size=None, sequence="T1w", noise=0.01, keep=None, **changes):
    """A brain of `size` times the template's, about 4 mm a voxel, RAS.

    Args:
        bright: brightness of fluid, grey and white matter.
        size: along a line; an adult's by default.
        sequence: that it is called.
        noise: standard deviation, on the scale of `bright`.
        keep: function of MNI millimetres (3 arrays) → which voxels of the brain are there.
        changes: of the scan's fields.
    """
    found = template()
    rng = np.random.default_rng(0)
    brain = found.brain > 0.5
    if keep is not None:
        places = np.indices(brain.shape).reshape(3, -1)
        x, y, z = (found.affine[:3, :3] @ places + found.affine[:3, 3:]).reshape(3, *brain.shape)
        brain = brain & keep(x, y, z)
    mixed = np.tensordot(np.array(bright), found.tissues / np.maximum(found.tissues.sum(axis=0), 1e-3), 1)
    image = 1000 * (mixed + noise * rng.standard_normal(brain.shape)).clip(0.01)
    affine = np.diag([size or found.usual_size] * 3 + [1.0]) @ found.affine
    fields = {"image": np.where(brain, image, 0).astype(np.float32), "affine": affine, "sequence": sequence}
    return Scan(**(fields | {"brain_mask": brain, "name": "made_T1w"} | changes))


def scan_voxel(scan, mni, size=None):
    """The voxel of a template scan at a place of MNI space."""
    place = (size or template().usual_size) * np.array(mni)
    return tuple(np.rint(np.linalg.inv(scan.affine) @ [*place, 1])[:3].astype(int))
