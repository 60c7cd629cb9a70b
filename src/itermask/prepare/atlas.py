"""The shipped template of an adult brain in MNI space, and which part of the brain lies where.

It is made from the IXI scans' anatomical labels by `scripts/build_atlas.py`; see `atlas_data/CREDITS`.
"""

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
from scipy import ndimage

SIDES = ("left", "right")
BOTH = 0.3  # share of a region on the smaller side from which it lies on both
NEAREST = 10.0  # mm from the brain within which a point is named after the nearest part


@dataclass(frozen=True)
class Template:
    """A mean adult brain.

    Attributes:
        brain: float32, 3D, probability of brain.
        tissues: float32 (3, X, Y, Z), probabilities of cerebrospinal fluid, grey matter and white matter.
        affine: 4×4, voxel indices → MNI millimetres.
        regions: uint8, 3D on a finer grid, number of the part of the brain at each point; 0 outside.
        regions_affine: 4×4 of that grid.
        names: of the parts, by number, such as `left frontal white matter`.
        usual_size: of an adult's brain along a line, relative to the template, which has the size of MNI152.
    """

    brain: np.ndarray
    tissues: np.ndarray
    affine: np.ndarray
    regions: np.ndarray
    regions_affine: np.ndarray
    names: tuple[str, ...]
    usual_size: float

    @property
    def spacing(self) -> float:
        """Edge of a voxel of `brain` in mm."""
        return float(abs(self.affine[0, 0]))

    @property
    def centre(self) -> np.ndarray:
        """Centre of the brain's mass in MNI millimetres."""
        points = np.argwhere(self.brain > 0.05)
        weights = self.brain[self.brain > 0.05]
        return np.asarray(self.affine[:3, :3] @ np.average(points, axis=0, weights=weights) + self.affine[:3, 3])


@cache
def template() -> Template:
    """Return the shipped template.

    >>> float(template().brain.max()) <= 1
    True
    """
    with files("itermask.prepare").joinpath("atlas_data", "template.npz").open("rb") as file:
        stored = dict(np.load(file))
    return Template(
        brain=stored["brain"].astype(np.float32) / 255,
        tissues=stored["tissues"].astype(np.float32) / 255,
        affine=stored["affine"],
        regions=stored["regions"],
        regions_affine=stored["regions_affine"],
        names=tuple(json.loads(str(stored["names"]))),
        usual_size=float(stored["usual_size"]),
    )


@cache
def _nearest() -> np.ndarray:
    """Return the number of the nearest part at every point of the finer grid; 0 where none is within `NEAREST`."""
    found = template()
    away, where = ndimage.distance_transform_edt(
        found.regions == 0, sampling=abs(found.regions_affine[0, 0]), return_indices=True
    )
    return np.asarray(np.where(away <= NEAREST, found.regions[tuple(where)], 0))


def part_of(points: np.ndarray) -> np.ndarray:
    """Return the number of the brain's part at each point.

    Args:
        points: (N, 3), MNI millimetres.

    Returns:
        (N,) numbers into `Template.names`; 0 further than 10 mm from the brain.

    Example:
        >>> int(part_of(np.array([[-28.0, 30.0, 22.0]]))[0]) > 0
        True
    """
    numbers, affine = _nearest(), template().regions_affine
    voxels = np.rint((np.atleast_2d(points) - affine[:3, 3]) / np.diag(affine)[:3]).astype(int)
    inside = ((voxels >= 0) & (voxels < numbers.shape)).all(axis=1)
    found = np.zeros(len(voxels), dtype=int)
    found[inside] = numbers[tuple(voxels[inside].T)]
    return found


def part_name(points: np.ndarray) -> str:
    """Return which part of the brain most of the points lie in; empty if that is outside the brain.

    Args:
        points: (N, 3) or (3,), MNI millimetres.

    Example:
        >>> part_name(np.array([-28.0, 30.0, 22.0]))
        'left frontal white matter'
        >>> part_name(np.array([12.0, -18.0, 8.0]))
        'right thalamus'
    """
    counts = np.bincount(part_of(points), minlength=len(template().names))
    sided: dict[str, dict[str, int]] = {}
    for name, count in zip(template().names, counts, strict=True):
        side, _, part = name.partition(" ")
        key = (part, side) if side in SIDES else (name, "")
        sided.setdefault(key[0], {})[key[1]] = int(count)
    part, sides = max(sided.items(), key=lambda item: sum(item[1].values()))
    if not part:
        return ""
    left, right = (sides.get(side, 0) for side in SIDES)
    if left + right == 0:
        return part
    if min(left, right) > BOTH * (left + right):
        return f"{part} of both sides"
    return f"{'left' if left > right else 'right'} {part}"
