"""What MMCCD's forward network learns from: the other sequence in noise, and the slice with a strip hidden."""

import numpy as np

from itermask.core.strips import random_strip
from itermask.methods.mmccd.diffusion import STEPS

GAPS = (1, 4)  # between the strips of a comb, in widths of a strip


def condition(image: np.ndarray, hidden: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Return a slice of sequence a with its hidden pixels replaced by noise; all (…, X, Y), float32.

    Args:
        image: scaled intensities.
        hidden: boolean, True where hidden.
        noise: standard normal.

    Example:
        >>> condition(np.array([[1.0, 2.0]]), np.array([[True, False]]), np.array([[9.0, 9.0]])).tolist()
        [[9.0, 2.0]]
    """
    return np.where(hidden, noise, image).astype(np.float32)


def noise_and_condition(image: np.ndarray, rng: np.random.Generator, width: int, combs: float) -> dict[str, np.ndarray]:
    """Return what chance adds to a pair of slices.

    Args:
        image: the slice of sequence a (X, Y).
        rng: random generator.
        width: of a strip, pixels.
        combs: probability of hiding several strips of one direction, one to four widths apart.

    Returns:
        `condition` and `noise`, float32 (1, X, Y), and `time`, an integer from 0 to 999.

    Example:
        >>> image = np.zeros((16, 16), np.float32)
        >>> sorted(noise_and_condition(image, np.random.default_rng(0), width=2, combs=0.0))
        ['condition', 'noise', 'time']
    """
    gap = int(rng.integers(GAPS[0] * width, GAPS[1] * width + 1)) if rng.random() < combs else None
    hidden = random_strip(image.shape, width, rng, gap)
    fill, noise = rng.standard_normal((2, *image.shape), dtype=np.float32)
    time = np.array(rng.integers(STEPS), dtype=np.int64)
    return {"condition": condition(image, hidden, fill)[None], "noise": noise[None], "time": time}
