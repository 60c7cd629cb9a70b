"""Zipper: a radio station leaks into the room; lines of bright and dark dots cross the image along the phase axis.

Severity: standard deviation of the interference, 12 % of the brain's 90th percentile a step on voxels of 2 mm; severity
5 is 60 %; on voxels of 1 mm, 85 %, so that the lines look as strong to who reads a slice. One
frequency is one place along the read-out, so each line lies at one place there and runs through the whole volume along
the phase axis, in every slice. One to three lines, 1 to 3 mm thick.
"""

import numpy as np

from itermask.synth.artifacts.base import Artifact, Parameters, Subject, choose_axis, extent, on_line, register, slab

STRENGTH = 0.12  # of the reference intensity, for each step of severity
MOST_LINES = 3
THICKNESS = (1.0, 3.0)  # mm
POSITIONS = (0.15, 0.85)  # range of the lines' positions, share of the brain's extent


def draw(subject: Subject, severity: float, rng: np.random.Generator) -> Parameters:
    """Draw where the lines lie and how strong they are.

    Returns:
        `axis`: the phase axis, which the lines run along, the one asked for or a random one;
        `readout`: the axis that the lines have their places on, a random one of the others;
        `lines`: first voxel on `readout` and one past the last, for each line;
        `strength`: standard deviation of the interference, real and imaginary part together;
        `seed`: what the interference is made from.

    Example:
        >>> sorted(draw(subject, 5.0, np.random.default_rng(0)))
        ['axis', 'lines', 'readout', 'seed', 'strength']
    """
    axis = choose_axis(subject, rng)
    readout = (axis + int(rng.integers(1, 3))) % 3
    low, high = extent(subject.brain, readout)
    lines = []
    for _ in range(int(rng.integers(1, MOST_LINES + 1))):
        count = max(1, round(rng.uniform(*THICKNESS) / subject.spacing[readout]))
        start = min(low + int(rng.uniform(*POSITIONS) * (high - low)), max(low, high - count))
        lines.append([start, min(start + count, high)])
    return {
        "axis": axis,
        "readout": readout,
        "lines": lines,
        "strength": on_line(STRENGTH * severity, subject.spacing[axis]) * subject.reference,
        "seed": int(rng.integers(2**32)),
    }


def region(shape: tuple[int, ...], parameters: Parameters) -> np.ndarray:
    """Return a boolean array of `shape`, True on the lines.

    Example:
        >>> parameters = draw(subject, 5.0, np.random.default_rng(0))
        >>> bool(region(subject.image.shape, parameters).any())
        True
    """
    lines = np.zeros(shape, dtype=bool)
    for start, stop in parameters["lines"]:
        lines[slab(parameters["readout"], start, stop)] = True
    return lines


def apply(image: np.ndarray, parameters: Parameters) -> np.ndarray:
    """Return the magnitude of the image plus complex noise on the lines; every other voxel as it was.

    The station's phase is another one in every read-out, so that along the phase axis its energy is spread over all
    voxels; across a line it is the same.

    Example:
        >>> parameters = draw(subject, 5.0, np.random.default_rng(0))
        >>> bool((apply(subject.image, parameters) != subject.image).any())
        True
    """
    rng = np.random.default_rng(parameters["seed"])
    corrupted = image.copy()
    for start, stop in parameters["lines"]:
        line = slab(parameters["readout"], start, stop)
        shape = [1 if a == parameters["readout"] else n for a, n in enumerate(image.shape)]
        noise = parameters["strength"] / np.sqrt(2) * rng.standard_normal((2, *shape), dtype=np.float32)
        corrupted[line] = np.hypot(image[line] + noise[0], noise[1])
    return corrupted


register(Artifact("zipper", draw, apply, region))
