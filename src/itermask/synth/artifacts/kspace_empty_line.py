"""Empty k-space lines: read-outs that were lost and left at zero; faint stripes and shading along the phase axis.

Severity: share of the lines that is lost, 6 % a step; severity 5 is 30 %. The lines are scattered at random, but for
the innermost (within 1/80 cycles per mm of the centre): without those there is hardly an image. With one seed, a
higher severity loses the same lines and more; the last one may be lost in part, so that the share is met.
"""

import numpy as np
from scipy import fft

from itermask.synth.artifacts.base import Artifact, Parameters, Subject, along, choose_axis, register

SHARE = 0.06  # of all lines, for each step of severity
SPARED = 1 / 80  # cycles/mm


def draw(subject: Subject, severity: float, rng: np.random.Generator) -> Parameters:
    """Draw which lines are lost.

    Returns:
        `axis`: the phase axis, the one asked for or a random one;
        `lines`: the lost ones, whole cycles over the field of view, in the order of their loss;
        `losses`: how much of each is lost, 1 but for the last.

    Example:
        >>> sorted(draw(subject, 5.0, np.random.default_rng(0)))
        ['axis', 'lines', 'losses']
    """
    axis = choose_axis(subject, rng)
    size = subject.image.shape[axis]
    every = np.arange(size) - size // 2
    outer = rng.permutation(every[np.abs(every) > SPARED * size * subject.spacing[axis]])
    losses = np.clip(SHARE * severity * size - np.arange(outer.size), 0, 1)
    lost = losses > 0
    return {"axis": axis, "lines": outer[lost].tolist(), "losses": losses[lost].tolist()}


def apply(image: np.ndarray, parameters: Parameters) -> np.ndarray:
    """Return the magnitude of the image without the lost lines.

    Example:
        >>> parameters = draw(subject, 5.0, np.random.default_rng(0))
        >>> bool((apply(subject.image, parameters) != subject.image).any())
        True
    """
    axis = parameters["axis"]
    kept = np.ones(image.shape[axis], dtype=np.float32)
    kept[parameters["lines"]] -= np.array(parameters["losses"], dtype=np.float32)
    return np.abs(fft.ifft(fft.fft(image, axis=axis) * along(kept, axis), axis=axis))


register(Artifact("kspace_empty_line", draw, apply))
