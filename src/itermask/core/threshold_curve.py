"""The threshold curve: the error levels that reveal a brain percent by percent. Source: Liang et al. 2026."""

from collections.abc import Callable

import numpy as np
from scipy import interpolate

from itermask.core.error_maps import Reconstruct, check_image, error_map


def threshold_curve(
    image: np.ndarray,
    brain: np.ndarray,
    reconstruct: Reconstruct,
    steps: int = 100,
    *,
    percents: np.ndarray | None = None,
    on_step: Callable[[int, float, np.ndarray, np.ndarray], None] | None = None,
    measure: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray] = error_map,
) -> np.ndarray:
    """Run phase 1: return the error thresholds that reveal the brain percent by percent.

    Starting from M = B, for i = 1 … steps: one pass with M, then T_i, the error that a fraction 1 − i/steps
    of the brain's voxels exceed, then M ← {E > T_i}.

    Args:
        image: scaled intensities, 2D or 3D.
        brain: brain mask, shape of `image`.
        reconstruct: `(image, mask) → reconstruction`; does the noise fill.
        steps: number of passes and of points.
        percents: where the points stand on the percent axis, rising to 100, in place of 100·i/steps.
        on_step: called after each with (0-based step, T, the new mask, the error map).
        measure: `(image, reconstruction, brain) → error`; the plain squared error by default.

    Returns:
        float64 array of one threshold a point; the last is the largest error.

    Raises:
        ValueError: see `check_image`; fewer than one step; percents that do not rise to 100.

    Example:
        >>> image = np.arange(10.0)
        >>> curve = threshold_curve(image, np.ones(10, bool), lambda image, hidden: np.zeros(10), steps=5)
        >>> curve.shape, bool(np.all(np.diff(curve) >= 0))
        ((5,), True)
    """
    brain = check_image(image, brain)
    if percents is None:
        if steps < 1:
            raise ValueError(f"the threshold curve needs at least one step, not {steps}")
        percents = 100 * np.arange(1, steps + 1) / steps
    if not percents.size or percents[0] <= 0 or percents[-1] != 100 or (np.diff(percents) <= 0).any():
        raise ValueError("the percents of a threshold curve must rise from above 0 to 100")
    mask = brain
    count = int(brain.sum())
    curve = np.empty(percents.size)
    for step, percent in enumerate(percents):
        error = measure(image, reconstruct(image, mask), brain)
        rank = max(0, int(np.ceil(round(count * percent / 100, 6))) - 1)
        threshold = np.partition(error[brain], rank)[rank]
        curve[step] = threshold
        mask = (error > threshold) & brain
        if on_step is not None:
            on_step(step, float(threshold), mask, error)
    return curve


def focused_percents(
    coarse: float = 20.0, focus: float = 80.0, shrink: float = 0.5**0.5, finest: float = 0.3
) -> np.ndarray:
    """Return where to put a curve's points so that few passes resolve its steep end.

    Beyond `focus`, every point leaves the same share of what was hidden before, so that a small lesion's end of the
    curve is as well resolved as a large one's.

    Args:
        coarse: distance of the points up to `focus`, percent of the brain.
        focus: where the fine part begins; a multiple of `coarse`.
        shrink: share of the hidden part that is hidden at the next point, between 0 and 1.
        finest: smallest part that is still hidden at a point, percent of the brain.

    Returns:
        rising percents that end at 100; 17 of them by default.

    Example:
        >>> percents = focused_percents()
        >>> len(percents), bool(np.all(np.diff(percents) > 0))
        (17, True)
    """
    octaves = int(np.log(finest / (100 - focus)) / np.log(shrink))
    fine = 100 - (100 - focus) * shrink ** np.arange(octaves + 1)
    return np.concatenate([np.arange(coarse, focus, coarse), np.round(fine, 4), [100.0]])


def resample_curve(percents: np.ndarray, curve: np.ndarray, points: int) -> np.ndarray:
    """Return a curve with points anywhere, read off at `points` even percents, as `stop_threshold` takes it.

    Between the points runs a monotone cubic (scipy's PCHIP), from no error at 0 %: straight lines would put every
    crossing of a slope at a point.

    Example:
        >>> resample_curve(np.array([50.0, 100.0]), np.array([1.0, 4.0]), points=4).round(2).tolist()
        [0.31, 1.0, 2.19, 4.0]
    """
    smooth = interpolate.PchipInterpolator(np.append(0.0, percents), np.append(0.0, curve))
    return smooth(100 * np.arange(1, points + 1) / points)


class CurveMasks:
    """The masks that the passes of a threshold curve left, a bit a brain voxel each.

    Args:
        brain: boolean brain mask.
        percents: where the passes stand on the percent axis.
    """

    def __init__(self, brain: np.ndarray, percents: np.ndarray) -> None:
        self._brain, self._percents = brain, percents
        self._kept: list[np.ndarray] = []

    def add(self, mask: np.ndarray) -> None:
        """Keep the next pass's mask, which lies inside the brain."""
        self._kept.append(np.packbits(mask[self._brain]))

    def at(self, percent: float) -> np.ndarray:
        """Return the mask at a percentage: that of the last pass up to there, the whole brain before the first.

        Returns:
            boolean, the brain mask's shape.
        """
        index = int(np.searchsorted(self._percents, percent + 1e-9, side="right")) - 1
        mask = self._brain.copy()
        if index >= 0:
            mask[self._brain] = np.unpackbits(self._kept[index], count=int(self._brain.sum())).astype(bool)
        return mask
