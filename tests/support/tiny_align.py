"""Heads for alignment: the template itself as a scan, moved to a known place and stored in many ways."""

from dataclasses import replace
from functools import cache

import numpy as np
from scipy.spatial.transform import Rotation

from itermask.prepare import align
from itermask.prepare.aligned import fit_aligned_box
from itermask.types import Scan


def rigid(degrees=(0.0, 0.0, 0.0), shift=(0.0, 0.0, 0.0)):
    """4×4: turned about x, y and z of the origin, then shifted by mm."""
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix()
    matrix[:3, 3] = shift
    return matrix


def angle(matrix):
    """By how many degrees a transform turns."""
    turned = Rotation.from_matrix(matrix[:3, :3])
    return float(np.degrees(turned.magnitude()))


def apart(one, other, places=((0.0, -20.0, 10.0),)):
    """How far two transforms take a place near the middle of the head apart, in mm, at most."""
    points = np.concatenate([np.array(places), np.ones((len(places), 1))], axis=1).T
    return float(np.linalg.norm(((one - other) @ points)[:3], axis=0).max())


@cache
def template_head(spacing=(2.5, 2.5, 2.5), size=0.9):
    """A made head: the template's brain, smaller, with tissues of other brightness and noise; MNI axes."""
    image, brain, affine = align._template()
    shape = np.ceil(np.array((170.0, 200.0, 170.0)) / spacing).astype(int)
    target = np.diag([*spacing, 1.0])
    target[:3, 3] = (-84.0, -118.0, -75.0)
    scale = np.diag([1 / size, 1 / size, 1 / size, 1.0])
    from scipy import ndimage

    matrix = np.linalg.inv(affine) @ scale @ target
    sampled = ndimage.affine_transform(image, matrix, output_shape=tuple(shape), order=1)
    inside = ndimage.affine_transform(brain.astype(np.float32), matrix, output_shape=tuple(shape), order=1) >= 0.5
    rng = np.random.default_rng(0)
    # Grey is brighter than white, unlike in the template.
    values = 500 - 350 * sampled + rng.normal(0, 15, sampled.shape)
    return Scan(np.where(inside, values, 0).astype(np.float32), target, "T2w", inside, "head_T2w")


def moved(scan, matrix):
    """The same voxels elsewhere in the scanner."""
    return replace(scan, affine=matrix @ scan.affine)


def box_of(scan, to_axes=None, spacing=(3.0, 3.0, 3.0), box=(16, 16, 16), divisor=4):
    """The placement of a scan's brain on a grid along other axes."""
    axes = np.eye(4) if to_axes is None else to_axes
    return fit_aligned_box(scan.brain_mask, scan.affine, axes, spacing, box, divisor)
