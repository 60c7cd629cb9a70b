"""Operating points: the numbers that decide how much a method flags, and how healthy scans choose them.

An operating point is a small dictionary of positive numbers; a smaller number flags more. A method names its own:
IterMask3D has `gamma` and `threshold_limit`, a method with one fixed error threshold has `threshold`. It is chosen
on healthy validation scans without labels, and stored in the model's card.
"""

from collections.abc import Callable, Sequence

import numpy as np

OperatingPoint = dict[str, float]
MaskSizes = Callable[
    [OperatingPoint], np.ndarray
]  # operating point → mask size of every healthy scan, share of its brain

MEDIAN_AIM, P95_AIM = 0.002, 0.005  # mask size on healthy scans, share of the brain
NOTHING = 0.0001  # a mask under this share of the brain is next to nothing

GAMMAS = tuple(float(f"{0.01 * 2 ** (step / 3):.2g}") for step in range(36))  # 0.01 … 33, three an octave
LIMITS = tuple(float(f"{2 * 2 ** (step / 3):.2g}") for step in range(24))  # 2 … 400

OCTAVE = 48  # thresholds that are tried between a number and its double
THRESHOLDS = tuple(float(f"{0.001 * 2 ** (step / OCTAVE):.3g}") for step in range(20 * OCTAVE + 1))  # 0.001 … 1050


def small(sizes: np.ndarray) -> bool:
    """Return whether healthy masks are small: median 0.2 % of the brain at most, 95th percentile 0.5 %.

    Example:
        >>> small(np.array([0.001, 0.001, 0.003])), small(np.array([0.01, 0.01, 0.01]))
        (True, False)
    """
    return bool(np.median(sizes) <= MEDIAN_AIM and np.percentile(sizes, 95) <= P95_AIM)


def next_to_nothing(sizes: np.ndarray) -> bool:
    """Return whether 95 % of the healthy scans' masks are under 0.01 % of the brain.

    Example:
        >>> next_to_nothing(np.array([0.0, 0.00005])), next_to_nothing(np.array([0.001, 0.002]))
        (True, False)
    """
    return bool(np.percentile(sizes, 95) <= NOTHING)


def first_that(candidates: Sequence[float], suits: Callable[[float], bool]) -> int:
    """Return the index of the first of the rising `candidates` that suits, by bisection; the last if none does.

    Args:
        candidates: rising numbers; from the first that suits on, all do.
        suits: the question; it may be slow.

    Example:
        >>> first_that([0.1, 0.2, 0.4, 0.8], lambda threshold: threshold > 0.3)
        2
    """
    low, high = 0, len(candidates) - 1
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if suits(candidates[middle]) else (middle + 1, high)
    return high


def threshold_point(sizes: MaskSizes) -> OperatingPoint:
    """Return the smallest of `THRESHOLDS` with which healthy masks are small; the largest if none is.

    Args:
        sizes: operating point → mask size of every healthy scan, share of its brain.

    Example:
        >>> threshold_point(lambda point: np.full(3, 0.0 if point["threshold"] > 0.5 else 1.0))
        {'threshold': 0.505}
    """
    return {"threshold": THRESHOLDS[first_that(THRESHOLDS, lambda level: small(sizes({"threshold": level})))]}
