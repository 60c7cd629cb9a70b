"""How a method for slices learns from volumes and processes one: slices along the third axis of the box.

These are axial in a box of voxels, and the scan's own where the model takes those, see `itermask.prepare.grid.Grid`.
"""

from typing import TYPE_CHECKING

import numpy as np

from itermask.types import TrainingVolume

if TYPE_CHECKING:
    from itermask.runtime.base import Runtime

ENOUGH = 0.1  # a training slice holds at least this share of the brain that the fullest slice holds
BATCH = 16  # slices that a network sees at once


def full_slices(brain: np.ndarray, enough: float = ENOUGH) -> np.ndarray:
    """Return rising indices along the third axis of the slices that hold enough brain.

    Args:
        brain: boolean (X, Y, Z).
        enough: share of the fullest slice's brain, above 0 and up to 1.

    Raises:
        ValueError: the brain is empty.

    Example:
        >>> brain = np.zeros((4, 4, 3), bool)
        >>> brain[:, :, 1] = True
        >>> full_slices(brain).tolist()
        [1]
    """
    areas = brain.sum(axis=(0, 1))
    if not areas.any():
        raise ValueError("the brain mask is empty")
    return np.flatnonzero(areas >= max(1, enough * areas.max()))


def random_slices(
    volume: TrainingVolume, rng: np.random.Generator, count: int = 1, enough: float = ENOUGH
) -> list[TrainingVolume]:
    """Return random slices that hold enough brain; none twice, unless there are fewer than asked for.

    Args:
        volume: a normal subject, images (sequences, X, Y, Z).
        rng: random generator.
        count: how many slices.
        enough: see `full_slices`.

    Returns:
        the slices: images (sequences, X, Y), brain (X, Y), spacing of the first two axes.

    Example:
        >>> volume = TrainingVolume(np.zeros((1, 8, 8, 8), np.float32), np.ones((8, 8, 8), bool), (1.0, 1.0, 1.0))
        >>> [one.images.shape for one in random_slices(volume, np.random.default_rng(0), count=2)]
        [(1, 8, 8), (1, 8, 8)]
    """
    indices = full_slices(volume.brain, enough)
    chosen = rng.choice(indices, count, replace=count > len(indices))
    return [TrainingVolume(volume.images[..., at], volume.brain[..., at], tuple(volume.spacing[:2])) for at in chosen]


def to_stack(volume: np.ndarray, held: np.ndarray) -> np.ndarray:
    """Return some slices of a volume.

    Args:
        volume: (…, X, Y, Z).
        held: indices along the last axis.

    Returns:
        (slices, …, X, Y), contiguous.

    Example:
        >>> to_stack(np.zeros((4, 5, 6)), np.array([1, 3])).shape
        (2, 4, 5)
    """
    return np.ascontiguousarray(np.moveaxis(volume[..., held], -1, 0))


def into_volume(stack: np.ndarray, held: np.ndarray, volume: np.ndarray) -> np.ndarray:
    """Return a copy of a volume, in the stack's number format, with some slices replaced; the way back of `to_stack`.

    Example:
        >>> volume = np.zeros((1, 1, 3))
        >>> into_volume(np.ones((1, 1, 1)), np.array([2]), volume).tolist()
        [[[0.0, 0.0, 1.0]]]
    """
    filled = volume.astype(stack.dtype)
    filled[..., held] = np.moveaxis(stack, 0, -1)
    return filled


def over_slices(runtime: "Runtime", role: str, inputs: np.ndarray, brain: np.ndarray, batch: int = BATCH) -> np.ndarray:
    """Run a 2D network over every slice that holds brain, and put the volume together.

    Args:
        runtime: executes the network.
        role: which network.
        inputs: (channels, X, Y, Z).
        brain: boolean (X, Y, Z).
        batch: slices that the network sees at once.

    Returns:
        float32 (outputs, X, Y, Z); 0 in slices without brain.

    Raises:
        ValueError: the brain is empty.

    Example:
        >>> from types import SimpleNamespace
        >>> double = SimpleNamespace(batch=lambda role, stack: 2 * stack)
        >>> brain = np.ones((4, 4, 3), bool)
        >>> brain[..., 0] = False
        >>> over_slices(double, "network", np.ones((1, 4, 4, 3), np.float32), brain)[0, 0, 0].tolist()
        [0.0, 2.0, 2.0]
    """
    held = full_slices(brain, 0.0)
    stack = to_stack(inputs, held).astype(np.float32, copy=False)
    outputs = np.concatenate([runtime.batch(role, stack[at : at + batch]) for at in range(0, len(held), batch)])
    return into_volume(outputs.astype(np.float32, copy=False), held, np.zeros((outputs.shape[1], *brain.shape)))
