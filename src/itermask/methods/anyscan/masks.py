"""Which voxels are hidden: blocks, so that every voxel is judged from what lies around its block."""

from collections.abc import Sequence

import numpy as np

EDGE = (12.0, 20.0)  # mm: edges of a block


def block_parts(shape: Sequence[int], spacing: Sequence[float], rng: np.random.Generator, parts: int = 3) -> np.ndarray:
    """Part a volume into blocks, and the blocks at random into `parts` sets of about one size.

    Args:
        shape: of the volume.
        spacing: voxel size in mm.
        rng: random generator; the only source of randomness.
        parts: number of sets.

    Returns:
        uint8 of `shape`, 0 to parts − 1.

    Example:
        >>> parts = block_parts((30, 30, 30), (2.0, 2.0, 2.0), np.random.default_rng(0), parts=3)
        >>> parts.shape, np.unique(parts).tolist()
        ((30, 30, 30), [0, 1, 2])
    """
    counts, repeats = [], []
    for size, step in zip(shape, spacing, strict=True):
        edge = max(1, round(float(rng.uniform(*EDGE)) / step))
        counts.append(-(-size // edge) + 1)
        repeats.append((edge, int(rng.integers(edge))))
    blocks = rng.permutation(int(np.prod(counts))).reshape(counts) % parts
    for axis, ((edge, start), size) in enumerate(zip(repeats, shape, strict=True)):
        blocks = blocks.repeat(edge, axis).take(range(start, start + size), axis)
    return blocks.astype(np.uint8)


def hidden_blocks(
    brain: np.ndarray, spacing: Sequence[float], rng: np.random.Generator, share: float = 2 / 3
) -> np.ndarray:
    """Hide about `share` of the brain in blocks of 12 to 20 mm. Returns a boolean mask inside `brain`.

    Example:
        >>> hidden = hidden_blocks(np.ones((40, 40, 40), bool), (2.0, 2.0, 2.0), np.random.default_rng(0))
        >>> bool(0.5 < hidden.mean() < 0.8)
        True
    """
    parts = 12
    return (block_parts(brain.shape, spacing, rng, parts) < round(share * parts)) & brain
