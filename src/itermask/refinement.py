"""The test-time procedure of IterMask3D, readable on one screen each function.

Everything here is arithmetic on arrays and a callable `reconstruct(image, mask)`, which hides the voxels of
`mask` (noise fill), asks a model, and returns what the model expects everywhere. Nothing here knows of
networks or files. Source: `itermask3d.md`, "Test-time refinement"; Liang et al. 2026.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from scipy import interpolate, optimize

Reconstruct = Callable[[np.ndarray, np.ndarray], np.ndarray]

POOR_FIT = 0.85  # R² under which the tangent is not trusted
FIT_SPAN = 80.0  # percent of the curve over which R² is judged
WINDOW = 5.0  # percent of the brain over which the curve's own slope is averaged
MAX_PASSES = 100  # a refinement that has not settled by then is stopped


@dataclass(frozen=True)
class StopThreshold:
    """Where a threshold curve leaves the normal tissue.

    Attributes:
        step: 0-based index of the chosen point of the curve.
        value: the stop threshold τ, an error level: the largest of the curve up to there.
        fitted: True if the tangent fit chose it, False if the curve's own slope did.
        r_squared: quality of the tangent fit over the first 80 % of the curve; −inf if none converged.
        crossed: False if the slope never exceeded gamma, so nothing stands out and the last step was taken.
        slope: slope at each point, per percent, that was compared with gamma.
    """

    step: int
    value: float
    fitted: bool
    r_squared: float
    crossed: bool
    slope: np.ndarray


@dataclass(frozen=True)
class Refinement:
    """The end of a refinement.

    Attributes:
        mask: boolean, the final mask M.
        reconstruction: the last pass's reconstruction x̂.
        error: the last pass's error map E, 0 outside the brain.
        passes: number of network passes.
        trace: voxels in M before the first pass and after each pass.
        settled: False if it was stopped after `MAX_PASSES`.
    """

    mask: np.ndarray
    reconstruction: np.ndarray
    error: np.ndarray
    passes: int
    trace: list[int] = field(default_factory=list)
    settled: bool = True


def check_image(image: np.ndarray, brain: np.ndarray) -> np.ndarray:
    """Refuse what no method can work on; returns `brain` as booleans.

    Raises:
        ValueError: shapes differ, the brain is empty, NaN or infinity in the image, or a constant brain.
    """
    brain = np.asarray(brain) > 0
    if image.shape != brain.shape:
        raise ValueError(f"the image {image.shape} and the brain mask {brain.shape} differ in shape")
    if not brain.any():
        raise ValueError("the brain mask is empty")
    if not np.isfinite(image).all():
        raise ValueError("the image holds NaN or infinite voxels")
    if np.ptp(image[brain]) == 0:
        raise ValueError("the image is constant over the brain")
    return brain


def error_map(image: np.ndarray, reconstruction: np.ndarray, brain: np.ndarray) -> np.ndarray:
    """E = (x − x̂)²·B, float32.

    Raises:
        ValueError: the reconstruction has another shape or is not finite in the brain.
    """
    if reconstruction.shape != image.shape:
        raise ValueError(f"the reconstruction {reconstruction.shape} does not have the image's shape {image.shape}")
    error = np.where(brain, (image - reconstruction) ** 2, 0).astype(np.float32)
    if not np.isfinite(error).all():
        raise ValueError("the reconstruction holds NaN or infinite voxels")
    return error


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
    """Phase 1: the error thresholds that reveal the brain percent by percent.

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
    """Where to put a curve's points so that few passes resolve its steep end.

    Beyond `focus`, every point leaves the same share of what was hidden before, so that a small lesion's end of the
    curve is as well resolved as a large one's.

    Args:
        coarse: distance of the points up to `focus`, percent of the brain.
        focus: where the fine part begins; a multiple of `coarse`.
        shrink: share of the hidden part that is hidden at the next point, between 0 and 1.
        finest: smallest part that is still hidden at a point, percent of the brain.

    Returns:
        rising percents that end at 100; 17 of them by default.
    """
    octaves = int(np.log(finest / (100 - focus)) / np.log(shrink))
    fine = 100 - (100 - focus) * shrink ** np.arange(octaves + 1)
    return np.concatenate([np.arange(coarse, focus, coarse), np.round(fine, 4), [100.0]])


def evened(percents: np.ndarray, curve: np.ndarray, points: int) -> np.ndarray:
    """A curve with points anywhere, read off at `points` even percents, as `stop_threshold` takes it.

    Between the points runs a monotone cubic (scipy's PCHIP), from no error at 0 %: straight lines would put every
    crossing of a slope at a point.
    """
    smooth = interpolate.PchipInterpolator(np.append(0.0, percents), np.append(0.0, curve))
    return smooth(100 * np.arange(1, points + 1) / points)


def stop_threshold(
    curve: np.ndarray,
    gamma: float = 0.01,
    fit_limit: float = 10.0,
    *,
    window: float = WINDOW,
    tangent_alone: bool = False,
) -> StopThreshold:
    """Where the curve's slope first exceeds `gamma`.

    T(i) ≈ a·tan(b·i) is fitted to the points before the first above `fit_limit`; where R² over the first
    80 % is at least 0.85, its derivative a·b / cos²(b·i) is a slope that counts. The curve's own slope, averaged over
    `window` percent of the brain, counts always (with `tangent_alone` only where the fit is poor, as published: a
    tangent that fits most of a curve can miss a steep end). The step is the first at which one of them exceeds gamma.
    If none ever does nothing stands out, and the last step is taken. The threshold is the largest of the curve up to
    the step, since a curve may fall now and then; so a larger gamma never gives a lower threshold.

    The i-th of n points stands at 100·i/n on the percent axis, slopes are per percent and the window is in percent, so
    gamma means the same for curves of any length.

    >>> percent = np.arange(1, 101)
    >>> curve = np.where(percent <= 95, 0.01 * percent, 0.95 + (percent - 95))  # 0.01 per percent, then 1 per percent
    >>> found = stop_threshold(curve, gamma=0.5, window=1.0)
    >>> found.step, round(found.value, 2)  # the point at 96 %
    (95, 1.95)

    Args:
        curve: error thresholds from `threshold_curve`.
        gamma: the sensitivity; smaller flags more.
        fit_limit: error above which points are left out of the fit.
        window: percent of the brain that the curve's own slope is averaged over, but at least one step; the published
            moving average over 5 of 100 points is 5.
        tangent_alone: leave the curve's own slope out where the tangent fits, as published.

    Returns:
        the chosen step and how it was chosen.

    Raises:
        ValueError: an empty curve, NaN in it, or a gamma, limit or window that is not positive.
    """
    curve = np.asarray(curve, dtype=np.float64)
    if curve.ndim != 1 or curve.size == 0 or not np.isfinite(curve).all():
        raise ValueError("the threshold curve must be one row of finite numbers")
    if not gamma > 0 or not fit_limit > 0 or not window > 0:
        raise ValueError(f"gamma ({gamma}), the fit limit ({fit_limit}) and the window ({window}) must be positive")
    percent = 100 * np.arange(1, curve.size + 1) / curve.size
    tangent, r_squared = _tangent_slope(percent, curve, fit_limit)
    good = r_squared >= POOR_FIT
    slope = own = own_slope(curve, window)
    if good:
        slope = tangent if tangent_alone else np.maximum(tangent, own)
    above = np.flatnonzero(slope > gamma)
    step = int(above[0]) if above.size else curve.size - 1
    fitted = good and (tangent_alone or not above.size or bool(tangent[step] > gamma))
    return StopThreshold(step, float(curve[: step + 1].max()), fitted, r_squared, bool(above.size), slope)


def own_slope(curve: np.ndarray, window: float = WINDOW) -> np.ndarray:
    """A curve's slope per percent at each point, averaged over a window.

    The slope at a point is that of the step which leads to it; the window lies about the middle of this step, with
    straight lines between the points, and is cut off where the curve ends. Where the window is an odd number of steps
    this is the centred moving average over as many first differences. Before the first point the curve goes on with
    its first slope.

    >>> own_slope(np.array([1.0, 2.0, 4.0, 7.0]), window=25.0) * 25
    array([1., 1., 2., 3.])

    Args:
        curve: its i-th of n points stands at 100·i/n percent.
        window: in percent, at least one step is taken.

    Returns:
        float64 array of the curve's length.
    """
    step = 100 / curve.size
    points = step * np.arange(curve.size + 1)
    levels = np.append(2 * curve[0] - curve[min(1, curve.size - 1)], curve)  # the curve's start is a level, not a slope
    middle, half = points[1:] - step / 2, max(window, step) / 2
    low, high = np.maximum(middle - half, 0.0), np.minimum(middle + half, 100.0)
    return (np.interp(high, points, levels) - np.interp(low, points, levels)) / (high - low)


def _tangent_slope(percent: np.ndarray, curve: np.ndarray, fit_limit: float) -> tuple[np.ndarray, float]:
    """Derivative of the fitted tangent at every point, and its R² over the first part of the curve."""
    high = np.flatnonzero(curve > fit_limit)
    used = slice(high[0] if high.size else curve.size)
    judged = percent <= FIT_SPAN
    if len(curve[used]) < 2 or judged.sum() < 2:
        return np.zeros_like(curve), -np.inf
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optimize.OptimizeWarning)
            (a, b), _ = optimize.curve_fit(
                lambda i, a, b: a * np.tan(b * i), percent[used], curve[used], p0=(1.0, 0.01), maxfev=20_000
            )
    except RuntimeError:  # did not converge
        return np.zeros_like(curve), -np.inf
    residual = np.sum((curve - a * np.tan(b * percent))[judged] ** 2)
    spread = np.sum((curve[judged] - curve[judged].mean()) ** 2)
    r_squared = 1 - residual / spread if spread > 0 else -np.inf
    return a * b / np.cos(b * percent) ** 2, float(r_squared)


def refine(
    image: np.ndarray,
    brain: np.ndarray,
    reconstruct: Reconstruct,
    threshold: float,
    start: np.ndarray | None = None,
    min_shrink: float = 0.01,
    *,
    on_pass: Callable[[int, int], None] | None = None,
    measure: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray] = error_map,
) -> Refinement:
    """Phase 2: shrink the mask with one threshold until it settles.

    Repeat: one pass with M; M' = {E > τ}; r = (|M| − |M'|)/|M|; M ← M'. Stops when r < `min_shrink`: a mask
    that grows stops too, and so does an empty one.

    Args:
        image: scaled intensities, 2D or 3D.
        brain: brain mask, shape of `image`.
        reconstruct: `(image, mask) → reconstruction`; does the noise fill.
        threshold: the stop threshold τ.
        start: mask to start from; the whole brain if None. Only its part inside the brain counts.
        min_shrink: smallest share of the mask that a pass must reveal for another pass.
        on_pass: called after each pass with (passes so far, voxels in the mask).
        measure: `(image, reconstruction, brain) → error`; the plain squared error by default.

    Returns:
        the final mask with the last pass's reconstruction and error map.

    Raises:
        ValueError: see `check_image`; a threshold that is NaN; a start mask of another shape.
    """
    brain = check_image(image, brain)
    if np.isnan(threshold):
        raise ValueError("the stop threshold is NaN")
    if start is not None and start.shape != brain.shape:
        raise ValueError(f"the start mask {start.shape} does not have the brain's shape {brain.shape}")
    mask = brain if start is None else (np.asarray(start) > 0) & brain
    trace = [int(mask.sum())]
    while True:
        reconstruction = reconstruct(image, mask)
        error = measure(image, reconstruction, brain)
        mask = (error > threshold) & brain
        trace.append(int(mask.sum()))
        passes = len(trace) - 1
        if on_pass is not None:
            on_pass(passes, trace[-1])
        settled = trace[-1] == 0 or trace[-2] - trace[-1] < min_shrink * trace[-2]
        if settled or passes == MAX_PASSES:
            return Refinement(mask, reconstruction, error, passes, trace, settled)
