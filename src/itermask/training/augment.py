"""Variation that does not make a normal brain abnormal: side, pose, size, position, contrast, and mask outline."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.spatial.transform import Rotation

from itermask.config.settings_file import check_ranges
from itermask.types import TrainingVolume

IN_PLANE = ndimage.generate_binary_structure(2, 1)[..., None]  # neighbours within a slice


@dataclass(frozen=True)
class Augmentation:
    """How training volumes are varied; stacks of a scan's own slices within the slices only.

    Attributes:
        flip: probability of exchanging left and right.
        pose: probability of turning and scaling the head; it also smooths the image a little, as resampling does.
        tilt: standard deviation in degrees of the rotation about each axis, true in millimetres whatever the voxels'
            shape; of slices, about their normal only.
        zoom: standard deviation of the relative size along each axis.
        shift: largest displacement in voxels along each axis; the brain never leaves the box.
        contrast: standard deviation of the relative slope, and of the offset in scaled intensities / 4.
        gamma: standard deviation of the logarithm of the exponent that bends the contrast between the scale's ends;
            at 0.3, grey matter typically moves by a sixth of the scale, as it does from scanner to scanner.
        erode: probability of losing the outermost layer of brain voxels.
        background: scaled value outside the brain.
        quarter_turns: probability of turning a volume by 90, 180 or 270 degrees in the plane of the first and third
            axis; 0.1 in IterMask3D's paper. For boxes whose edges along these axes are equal.
    """

    flip: float = 0.5
    pose: float = 0.5
    tilt: float = 4.0
    zoom: float = 0.04
    shift: int = 4
    contrast: float = 0.04
    gamma: float = 0.3
    erode: float = 0.1
    background: float = -3.0
    quarter_turns: float = 0.0

    def __post_init__(self) -> None:
        check_ranges(self, shares="flip pose erode quarter_turns", not_negative="tilt zoom shift contrast gamma")

    def __call__(self, volume: TrainingVolume, rng: np.random.Generator) -> TrainingVolume:
        """Return a varied copy of `volume`; all sequences move together, each gets its own contrast."""
        images, brain, in_plane = volume.images, volume.brain, bool(volume.plane)
        groups = volume.groups
        if rng.random() < self.erode:
            eroded = ndimage.binary_erosion(brain, IN_PLANE if in_plane else None)
            brain = eroded if eroded.any() else brain
        contrast = [self._contrast(image, rng) for image in images]
        images = np.stack([np.where(brain, image, self.background) for image in contrast]).astype(np.float32)
        if rng.random() < self.pose:
            images, brain, groups = self._turn(images, brain, groups, rng, in_plane, volume.spacing)
        if rng.random() < self.flip:
            side = 2 if volume.plane == "sagittal" else 0  # the axis from left to right
            images, brain = np.flip(images, side + 1), np.flip(brain, side)
            groups = None if groups is None else np.flip(groups, side)
        if self.quarter_turns and rng.random() < self.quarter_turns:
            turns = int(rng.integers(1, 4))
            images, brain = np.rot90(images, turns, (1, 3)), np.rot90(brain, turns, (0, 2))
            groups = None if groups is None else np.rot90(groups, turns, (0, 2))
        axes = (0, 1) if in_plane else tuple(range(brain.ndim))
        shifts = [self._shift(brain, axis, rng) for axis in axes]
        brain = np.roll(brain, shifts, axes)
        images = np.roll(images, shifts, tuple(axis + 1 for axis in axes))
        groups = None if groups is None else np.ascontiguousarray(np.roll(groups, shifts, axes))
        images, brain = np.ascontiguousarray(images), np.ascontiguousarray(brain)
        return TrainingVolume(images, brain, volume.spacing, volume.plane, groups)

    def _contrast(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        slope, offset, log_gamma = rng.standard_normal(3) * (self.contrast, 4 * self.contrast, self.gamma)
        unit = (image + 3) / 6
        bent = np.sign(unit) * np.abs(unit) ** np.exp(log_gamma)
        return (6 * bent - 3) * (1 + slope) + offset

    def _turn(
        self,
        images: np.ndarray,
        brain: np.ndarray,
        groups: np.ndarray | None,
        rng: np.random.Generator,
        in_plane: bool,
        spacing: tuple[float, ...],
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Return the head turned and scaled about the brain's centre; as it was where the brain would leave the box.

        The rotation is one in millimetres, so that no head is sheared on voxels that are longer along one axis.
        Linear interpolation within the brain only, so that background does not bleed into its edge.
        """
        angles = np.radians(self.tilt) * rng.standard_normal(3)
        zoom = np.exp(self.zoom * rng.standard_normal(3))
        if in_plane:
            cosine, sine = np.cos(angles[2]), np.sin(angles[2])
            matrix = np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]]) * (zoom[0], zoom[1], 1)
        else:
            matrix = Rotation.from_euler("xyz", angles).as_matrix() * zoom
        sizes = np.asarray(spacing)
        matrix = matrix * (sizes / sizes[:, None])  # from millimetres to voxels
        centre = np.array(ndimage.center_of_mass(brain))
        offset = centre - matrix @ centre
        share = ndimage.affine_transform(brain.astype(np.float32), matrix, offset, order=1)
        turned = share > 0.5
        if _touches_border(turned, in_plane) and not _touches_border(brain, in_plane):
            return images, brain, groups
        moved = np.full_like(images, self.background)
        for image, target in zip(images, moved, strict=True):
            above = ndimage.affine_transform(np.where(brain, image - self.background, 0), matrix, offset, order=1)
            target[turned] = above[turned] / share[turned] + self.background
        if groups is not None:
            groups = ndimage.affine_transform(groups, matrix, offset, order=0)
        return moved, turned, groups

    def _shift(self, brain: np.ndarray, axis: int, rng: np.random.Generator) -> int:
        """Return a displacement along one axis that keeps the whole brain in the box."""
        occupied = np.flatnonzero(brain.any(axis=tuple(a for a in range(brain.ndim) if a != axis)))
        lowest = max(-self.shift, -int(occupied[0]))
        highest = min(self.shift, brain.shape[axis] - 1 - int(occupied[-1]))
        return int(rng.integers(lowest, highest + 1))


def _touches_border(brain: np.ndarray, in_plane: bool) -> bool:
    """Return whether a mask reaches the box's outermost layer; of slices, the edge of a slice."""
    inner = np.zeros_like(brain)
    inner[tuple(slice(1, -1) for _ in brain.shape[: 2 if in_plane else None])] = True
    return bool((brain & ~inner).any())
