"""Ghosting: pulsation or a drifting gain modulates the k-space lines periodically; copies lie along one axis.

Severity: depth of the modulation, 15 % of a line's amplitude a step, so that each of the two ghosts is 7.5 % of the
head a step; severity 5 is 37.5 %; from 7 on the weakest lines are inverted. The ghosts are displaced by the field of
view over the modulation's period in lines, which is 3 to 10. The innermost lines are spared, as they are acquired in
little time: ghosts show the head's outline and folds, and the tissue's level stays as it is. Most of what is seen in
the brain comes from the scalp, so a stripped scan shows less of it than one that is stripped afterwards.
"""

import numpy as np
from scipy import fft

from itermask.synth.artifacts.base import Artifact, Parameters, Subject, along, choose_axis, register

DEPTH = 0.15  # share of a line's amplitude, for each step of severity
PERIODS = (3.0, 10.0)  # k-space lines
PHASE = np.pi / 3  # radians, furthest from a crest or a trough at the centre of k-space
SPARED = 1 / 80  # cycles/mm, standard deviation of the spared centre


def draw(subject: Subject, severity: float, rng: np.random.Generator) -> Parameters:
    """Draw how the k-space lines are modulated.

    The modulation is near a crest or a trough at the centre of k-space, so that the ghosts brighten or darken
    the tissue that they lie on; a quarter of a period away they would add in quadrature and hardly show there.

    Returns:
        `axis`: the phase axis, the one asked for or a random one;
        `period`: of the modulation, in lines;
        `phase`: of the modulation at the centre of k-space, radians;
        `depth`: of the modulation, as a share of a line's amplitude; each ghost has half of it;
        `spared_lines`: standard deviation of the spared centre, in lines;
        `displacement_mm`: how far the ghosts lie from the head.

    Example:
        >>> sorted(draw(subject, 5.0, np.random.default_rng(0)))
        ['axis', 'depth', 'displacement_mm', 'period', 'phase', 'spared_lines']
    """
    axis = choose_axis(subject, rng)
    extent = subject.image.shape[axis] * subject.spacing[axis]
    period = float(rng.uniform(*PERIODS))
    return {
        "axis": axis,
        "period": period,
        "phase": float(rng.uniform(-PHASE, PHASE) + np.pi * rng.integers(2)),
        "depth": DEPTH * severity,
        "spared_lines": SPARED * extent,
        "displacement_mm": extent / period,
    }


def apply(image: np.ndarray, parameters: Parameters) -> np.ndarray:
    """Return the magnitude of the image after line `m` of k-space was multiplied by `1 + d·s(m)·cos(2π m/p + φ)`.

    `s(m) = 1 − exp(−m²/2c²)` spares the centre; `d` is the depth, `p` the period, `c` the spared lines.

    Example:
        >>> parameters = draw(subject, 5.0, np.random.default_rng(0))
        >>> bool((apply(subject.image, parameters) != subject.image).any())
        True
    """
    axis, size = parameters["axis"], image.shape[parameters["axis"]]
    line = fft.fftfreq(size, 1 / size)
    depth = parameters["depth"] * -np.expm1(-((line / parameters["spared_lines"]) ** 2) / 2)
    modulation = 1 + depth * np.cos(2 * np.pi * line / parameters["period"] + parameters["phase"])
    spectrum = fft.fft(image, axis=axis) * along(modulation.astype(np.float32), axis)
    return np.abs(fft.ifft(spectrum, axis=axis))


register(Artifact("ghosting", draw, apply))
