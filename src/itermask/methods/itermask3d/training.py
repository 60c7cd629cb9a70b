"""What IterMask3D learns from: part of a normal brain is hidden, the rest and the fine structure stay."""

import numpy as np

from itermask.core.guidance import high_frequency
from itermask.core.masks import MaskMix, network_input, training_mask
from itermask.types import TrainingVolume


def example(
    volume: TrainingVolume,
    rng: np.random.Generator,
    mix: MaskMix,
    cutoff: float,
    guidance: bool,
    mask_channel: bool,
    weights: tuple[float, float, float],
) -> dict[str, np.ndarray]:
    """Return one training example.

    Args:
        volume: a normal brain; its first sequence is used.
        rng: random generator.
        mix: shares of the mask kinds.
        cutoff: guidance cut-off in cycles/mm.
        guidance: whether the network gets the high-frequency image (else zeros: an ablation).
        mask_channel: whether the network is told which voxels are hidden.
        weights: loss weights of hidden brain, visible brain and background voxels.

    Returns:
        `input` (channels, X, Y, Z), `target` (1, X, Y, Z) and `weight` (1, X, Y, Z), float32.

    Example:
        >>> brain = np.ones((16, 16, 16), bool)
        >>> volume = TrainingVolume(np.zeros((1, 16, 16, 16), np.float32), brain, (2.0, 2.0, 2.0))
        >>> made = example(volume, np.random.default_rng(0), MaskMix(), 0.078, True, True, (1.0, 0.1, 0.0))
        >>> {name: array.shape for name, array in made.items()}
        {'input': (3, 16, 16, 16), 'target': (1, 16, 16, 16), 'weight': (1, 16, 16, 16)}
    """
    image, brain = volume.images[0], volume.brain
    hidden = training_mask(brain, rng, mix, volume.spacing)
    noise = rng.standard_normal(image.shape, dtype=np.float32)
    fine = high_frequency(image, volume.spacing, cutoff) if guidance else np.zeros_like(image)
    channels = [fine, hidden.astype(np.float32)] if mask_channel else [fine]
    weight = np.where(hidden, weights[0], np.where(brain, weights[1], weights[2]))
    return {
        "input": network_input(image, hidden, noise, channels),
        "target": image[None],
        "weight": weight[None].astype(np.float32),
    }
