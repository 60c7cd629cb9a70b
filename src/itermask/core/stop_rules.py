"""Where refinement stops: the error threshold that a scan's own curve gives. Source: Liang et al. 2026."""

import warnings
from dataclasses import dataclass

import numpy as np
from scipy import optimize

POOR_FIT = 0.85  # R² under which the tangent is not trusted
FIT_SPAN = 80.0  # percent of the curve over which R² is judged
WINDOW = 5.0  # percent of the brain over which the curve's own slope is averaged

BULK = 80.0  # percent of the brain that is taken to be normal in any scan


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


def stop_threshold(
    curve: np.ndarray,
    gamma: float = 0.01,
    fit_limit: float = 10.0,
    *,
    window: float = WINDOW,
    tangent_alone: bool = False,
) -> StopThreshold:
    """Return where the curve's slope first exceeds `gamma`.

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
    """Return a curve's slope per percent at each point, averaged over a window.

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
    """Return the derivative of the fitted tangent at every point, and its R² over the first part of the curve."""
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


def bulk_level(curve: np.ndarray) -> float:
    """Return the threshold curve's level at 80 % of the brain: how large the errors of a scan's normal tissue are.

    Example:
        >>> round(float(bulk_level(np.linspace(0.0, 1.0, 100))), 2)
        0.8
    """
    return float(np.interp(BULK, 100 * np.arange(1, len(curve) + 1) / len(curve), curve))
