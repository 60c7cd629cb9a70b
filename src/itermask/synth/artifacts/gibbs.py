"""Gibbs ringing: k-space ends too early along one axis; sharp edges are followed by fading ripples.

Severity: how much coarser than the grid the scan was acquired, 0.6 mm a step along the axis; at severity 5, a scan on
a 1 mm grid was acquired with 4 mm and filled up with zeros. The ripples are two acquired voxels long, and the first
one overshoots an edge by 9 % of its height.
"""

import numpy as np
from scipy import fft

from itermask.synth.artifacts.base import Artifact, Parameters, Subject, along, choose_axis, register

COARSER = 0.6  # mm, for each step of severity


def draw(subject: Subject, severity: float, rng: np.random.Generator) -> Parameters:
    """Draw where k-space ends.

    Returns:
        `axis`: the one asked for or a random one;
        `acquired_mm`: size of the acquired voxels along it;
        `last_line`: the highest frequency, in lines from the centre of k-space; need not be whole, at least 0.5, so
            that the centre is kept.

    Example:
        >>> sorted(draw(subject, 5.0, np.random.default_rng(0)))
        ['acquired_mm', 'axis', 'last_line']
    """
    axis = choose_axis(subject, rng)
    acquired = subject.spacing[axis] + COARSER * severity
    size = subject.image.shape[axis] * subject.spacing[axis]
    return {"axis": axis, "acquired_mm": acquired, "last_line": max(0.5, size / (2 * acquired))}


def apply(image: np.ndarray, parameters: Parameters) -> np.ndarray:
    """Return the magnitude of the image without the lines beyond the last; a line partly within counts in part.

    Example:
        >>> parameters = draw(subject, 5.0, np.random.default_rng(0))
        >>> bool((apply(subject.image, parameters) != subject.image).any())
        True
    """
    axis, size = parameters["axis"], image.shape[parameters["axis"]]
    line = np.abs(fft.fftfreq(size, 1 / size))
    weight = np.clip(parameters["last_line"] - line + 0.5, 0, 1).astype(np.float32)
    return np.abs(fft.ifft(fft.fft(image, axis=axis) * along(weight, axis), axis=axis))


register(Artifact("gibbs", draw, apply))
