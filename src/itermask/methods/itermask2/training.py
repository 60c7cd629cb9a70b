"""What IterMask2 learns from: part of a normal slice is hidden, the rest and the fine structure stay."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from itermask.core.guidance import high_frequency
from itermask.core.masks import network_input, square_mask, training_mask
from itermask.methods.slices import random_slices
from itermask.synth.blobs import add_blob
from itermask.types import TrainingVolume

if TYPE_CHECKING:
    from itermask.methods.itermask2.method import IterMask2


def hidden_part(
    method: "IterMask2", brain: np.ndarray, spacing: Sequence[float], rng: np.random.Generator
) -> np.ndarray:
    """Return a training mask of a slice: squares or one of the other kinds, as the method's settings share them out.

    Args:
        method: whose settings count.
        brain: boolean (X, Y), not empty.
        spacing: pixel size in mm.
        rng: random generator.

    Example:
        >>> from itermask.methods.itermask2 import IterMask2
        >>> hidden = hidden_part(IterMask2(), np.ones((64, 64), bool), (2.0, 2.0), np.random.default_rng(0))
        >>> hidden.shape, bool(hidden.any())
        ((64, 64), True)
    """
    if rng.random() < method.squares:
        return square_mask(brain, spacing, rng)
    return training_mask(brain, rng, method.masks, spacing)


def example(method: "IterMask2", volume: TrainingVolume, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Return one training example: some slices of a normal brain.

    Args:
        method: whose settings count.
        volume: a normal brain; its first sequence is used.
        rng: random generator.

    Returns:
        `input` (slices, channels, X, Y): the noise-filled slice, its guidance, and the mask if that is told; `target`
        and `weight` (slices, 1, X, Y), and `weight_first` where the first pass has its own network; float32.

    Example:
        >>> from itermask.methods.itermask2 import IterMask2
        >>> brain = np.ones((32, 32, 4), bool)
        >>> volume = TrainingVolume(np.zeros((1, 32, 32, 4), np.float32), brain, (8.0, 8.0, 8.0))
        >>> sorted(example(IterMask2(slices=2), volume, np.random.default_rng(0)))
        ['input', 'target', 'weight']
    """
    examples = [_slice(method, part, rng) for part in random_slices(volume, rng, method.slices)]
    return {key: np.stack([one[key] for one in examples]).astype(np.float32) for key in examples[0]}


def _slice(method: "IterMask2", part: TrainingVolume, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Return the example of one slice."""
    image, brain = part.images[0], part.brain
    seen = add_blob(image, brain, rng) if method.blobs and rng.random() < method.blobs else image
    hidden = hidden_part(method, brain, part.spacing, rng)
    noise = rng.standard_normal(image.shape, dtype=np.float32)
    fine = high_frequency(seen, part.spacing, method.cutoff) if method.guidance else np.zeros_like(image)
    channels = [fine, hidden.astype(np.float32)] if method.mask_channel else [fine]
    all_hidden, visible, background = method.weights
    made = {
        "input": network_input(seen, hidden, noise, channels),
        "target": image[None],
        "weight": np.where(hidden, all_hidden, np.where(brain, visible, background))[None],
    }
    if method.first == "network":
        made["weight_first"] = np.where(brain, all_hidden, background)[None]
    return made
