"""Charts of a finding's numbers, each an SVG file in text, and the plain words for what they show.

matplotlib is imported inside the functions: it is slow to load, and only reports need it.
"""

import io
from collections.abc import Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, QUIET, RULE = "#1f2933", "#52606d", "#cbd2d9"
LINE, ALERT, HEALTHY = "#2b5c8a", "#b3261e", "#dcebdf"
WIDTH = 6.0  # inches; the page shows a chart at about this size and shrinks it on a phone
Z_LIMIT = 10.0  # bars of the profile end here
Z_NORMAL = 2.0
P95_AT = 0.8  # a strip's healthy 95th percentile stands no further right than this
SCORE_NAMES = {
    "focal": "Focal score (mL at a high error)",
    "profile_distance": "Distance of the errors from healthy scans’",
    "mask_size": "Anomaly-mask size (share of the brain)",
    "mean_error": "Mean error",
}
FEATURE_NAMES = {
    "hidden_mean": "mean error with the whole brain hidden",
    "hidden_median": "median error with the whole brain hidden",
    "hidden_p99": "99th percentile of the error with the whole brain hidden",
    "visible_mean": "mean error with nothing hidden",
}


def score_name(name: str) -> str:
    """Return a score's name for readers.

    Example:
        >>> score_name("focal")
        'Focal score (mL at a high error)'
    """
    return SCORE_NAMES.get(name, _plain(name))


def feature_name(name: str) -> str:
    """Return a profile feature's name for readers, as it stands within a sentence.

    Example:
        >>> feature_name("bulk")
        'bulk'
    """
    if name.startswith("curve_") and name[6:].isdigit():
        return f"error level at {name[6:]} % of the brain"
    return FEATURE_NAMES.get(name, name.replace("_", " "))


def _plain(name: str) -> str:
    """Return a name in code as words, with a capital."""
    text = name.replace("_", " ").strip()
    return text[:1].upper() + text[1:]


def finite(value: Any) -> float | None:
    """Return a finite number as it is; None for anything else.

    Example:
        >>> finite(0.5), finite(float("nan")), finite("text")
        (0.5, None, None)
    """
    if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not np.isfinite(value):
        return None
    return float(value)


def number(value: float | None) -> str:
    """Return three significant digits, with a true minus sign; a dash if there is no number.

    Example:
        >>> number(-0.123456), number(None)
        ('−0.123', '–')
    """
    if value is None or not np.isfinite(value):
        return "–"
    size = abs(value)
    text = f"{value:.0f}" if size >= 100 else f"{value:.1e}" if 0 < size < 1e-4 else f"{value:#.3g}".rstrip(".")
    return text.replace("-", "−")


def score_value(name: str, value: float | None) -> str:
    """Return a score's value for readers: shares in percent, else three significant digits.

    Example:
        >>> score_value("mask_share", 0.0123)
        '0.0123'
    """
    if name == "mask_size" and value is not None and np.isfinite(value):
        return f"{number(100 * value)} %" if value else "0 %"
    return number(value)


@contextmanager
def _style() -> "Iterator[None]":
    """Set the charts' style; the same finding gives the same file."""
    from matplotlib import rc_context

    with rc_context(
        {
            "svg.fonttype": "path",
            "svg.hashsalt": "itermask",
            "font.family": "DejaVu Sans",
            "font.size": 10.5,
            "text.color": INK,
            "axes.labelcolor": QUIET,
            "axes.edgecolor": RULE,
            "xtick.color": RULE,
            "ytick.color": RULE,
            "xtick.labelcolor": QUIET,
            "ytick.labelcolor": QUIET,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "text.parse_math": False,
        }
    ):
        yield


def _figure(height: float) -> "Figure":
    """Return an empty figure of the charts' width and `height` inches."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    FigureCanvasSVG(figure)
    return figure


def _svg(figure: "Figure") -> str:
    """Return a figure as SVG, letters drawn as shapes, so that they fit everywhere."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    svg = buffer.getvalue()
    return svg[svg.index("<svg") :]


def threshold_chart(search: Mapping[str, Any]) -> str | None:
    """Return the threshold curve with the chosen step; None if the search has no curve.

    The error axis ends soon above the chosen threshold, for the last points of a curve are often a hundred
    times higher than all others.

    Args:
        search: `Finding.search`; reads `curve`, and `step`, `threshold`, `gamma` where present.

    Example:
        >>> threshold_chart({}) is None
        True
    """
    curve = np.asarray(search.get("curve", ()), dtype=float)
    if curve.ndim != 1 or curve.size < 2 or not np.isfinite(curve).all():
        return None
    step = search.get("step")
    gamma = search.get("gamma")
    if is_limited(search):
        step, gamma = int(np.argmax(curve >= search["threshold"])), None
    percent = 100 * np.arange(1, curve.size + 1) / curve.size
    with _style():
        figure = _figure(3.3)
        axes = figure.add_subplot()
        axes.plot(percent, curve, color=LINE, linewidth=2)
        top = float(np.interp(85, percent, curve)) * 1.3
        if step is not None and 0 <= step < curve.size:
            at, level = percent[step], float(search.get("threshold") or curve[step])
            top = max(top, 2.2 * level)
        top = min(top, 1.08 * float(curve.max())) or 1.0
        if step is not None and 0 <= step < curve.size:
            axes.axvline(at, color=ALERT, linewidth=1, linestyle=(0, (4, 3)))
            if gamma:
                run = min(14.0, 0.3 * top / gamma)
                axes.plot([at - run, at + run], [level - gamma * run, level + gamma * run], color=ALERT, linewidth=1.5)
            axes.plot([at], [level], "o", color=ALERT, markersize=8, clip_on=False, zorder=5)
            text = f"chosen at {at:.0f} %\nthreshold {number(level)}"
            text += f"\nslope {gamma:g} per percent" if gamma else ""
            left = at > 40
            axes.annotate(
                text, (at, level), (-12 if left else 14, 12 if left else -4), textcoords="offset points",
                ha="right" if left else "left", va="bottom" if left else "top", color=ALERT, fontsize=10,
            )  # fmt: skip
        axes.set_xlim(0, 100)
        axes.set_ylim(0, top)
        if curve.max() > top:
            axes.text(
                1, 1.01, f"rises to {number(curve.max())} ↗", transform=axes.transAxes,
                ha="right", va="bottom", color=QUIET, fontsize=9.5,
            )  # fmt: skip
        axes.set_xlabel("Brain revealed (%)")
        axes.set_ylabel("Error threshold")
        axes.grid(axis="y", color=RULE, linewidth=0.5)
        return _svg(figure)


def is_limited(search: Mapping[str, Any]) -> bool:
    """Return whether the scan's own threshold was cut off at the model's limit.

    Example:
        >>> is_limited({})
        False
    """
    own, used = finite(search.get("own_threshold")), finite(search.get("threshold"))
    return own is not None and used is not None and used < own


def mask_chart(search: Mapping[str, Any]) -> str | None:
    """Return voxels in the mask at the start and after each pass; None if the search does not tell them.

    Args:
        search: `Finding.search`; reads `mask_voxels`.

    Example:
        >>> mask_chart({}) is None
        True
    """
    voxels = np.asarray(search.get("mask_voxels", ()), dtype=float)
    if voxels.ndim != 1 or voxels.size < 2 or not np.isfinite(voxels).all():
        return None
    from matplotlib.ticker import EngFormatter, MaxNLocator

    with _style():
        figure = _figure(3.3)
        axes = figure.add_subplot()
        axes.plot(np.arange(voxels.size), voxels, "o-", color=LINE, linewidth=2, markersize=6)
        wide = voxels.min() > 0 and voxels.max() > 20 * voxels.min()
        if wide:
            axes.set_yscale("log")
            axes.set_ylim(voxels.min() / 2, voxels.max() * 2)
        else:
            axes.set_ylim(0, 1.12 * max(voxels.max(), 1))
        axes.set_xlim(-0.3, voxels.size - 0.7)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
        axes.yaxis.set_major_formatter(EngFormatter(sep=" "))
        axes.set_xlabel("Pass (0: before the first)")
        axes.set_ylabel("Voxels in the mask" + (" (log scale)" if wide else ""))
        axes.grid(axis="y", color=RULE, linewidth=0.5)
        return _svg(figure)


def score_chart(scores: Mapping[str, Mapping[str, float]]) -> str | None:
    """Return a strip for each score: the healthy range, its median, and where this scan lies.

    Scores without a value and a healthy range are left out.

    Args:
        scores: `Finding.scores`.

    Example:
        >>> score_chart({}) is None
        True
    """
    keys = ("value", "healthy_median", "healthy_p95")
    placed = {
        name: tuple(float(score[key]) for key in keys)
        for name, score in scores.items()
        if all(finite(score.get(key)) is not None for key in keys)
    }
    if not placed:
        return None
    with _style():
        figure = _figure(1.15 * len(placed))
        for row, (name, (value, median, p95)) in enumerate(placed.items(), 1):
            _strip(figure.add_subplot(len(placed), 1, row), name, value, median, p95)
        return _svg(figure)


def _strip(axes: "Axes", name: str, value: float, median: float, p95: float) -> None:
    """Draw one score's strip."""
    low, high = min(value, median, p95), max(value, median, p95)
    logarithmic = low > 0 and high > 8 * low
    if logarithmic:
        axes.set_xscale("log")
        start = low / 1.8
        end = max(1.3 * high, start * (p95 / start) ** (1 / P95_AT))
    else:
        start = min(0.0, 1.2 * low)
        end = max(high + 0.1 * (high - start), start + (p95 - start) / P95_AT) if high > start else 1.0
    axes.set_xlim(start, end)
    axes.set_ylim(-1.4, 1.5)
    outside = value > p95
    axes.barh(0, end - start, left=start, height=0.8, color="#eef1f4")
    axes.barh(0, max(p95 - start, 0), left=start, height=0.8, color=HEALTHY)
    axes.vlines([median, p95], -0.4, 0.4, color="#3f6b4a", linewidth=1.5)
    axes.plot([value], [0], "D", color=ALERT if outside else LINE, markersize=9, zorder=5)

    def at(mark: float) -> float:
        """Return where a mark stands on the strip, 0 to 1."""
        return np.log(mark / start) / np.log(end / start) if logarithmic else (mark - start) / (end - start)

    side = "right" if at(value) > 0.8 else "left" if at(value) < 0.2 else "center"
    note: dict[str, Any] = {"fontsize": 9.5, "color": QUIET}
    middle, upper = f"median {score_value(name, median)}", f"95 %: {score_value(name, p95)}"
    if at(median) > 0.25:
        axes.text(median, -0.6, middle, ha="right", va="top", **note)
        axes.text(p95, -0.6, upper, ha="left", va="top", **note)
    else:
        axes.text(median, -0.6, f"{middle} · {upper}", ha="left", va="top", **note)
    axes.text(value, 0.6, f"this scan {score_value(name, value)}", ha=side, va="bottom",
              color=ALERT if outside else LINE, fontsize=10, fontweight="bold")  # fmt: skip
    axes.set_title(score_name(name) + (" · log scale" if logarithmic else ""), loc="left", fontsize=10.5)
    axes.set_axis_off()


def profile_chart(profile: Mapping[str, Mapping[str, float]]) -> str | None:
    """Return a bar for each profile feature's distance from healthy scans; None if there is no profile.

    Args:
        profile: `Finding.profile`; reads `z` of each feature.

    Example:
        >>> profile_chart({}) is None
        True
    """
    bars = {name: float(entry["z"]) for name, entry in profile.items() if finite(entry.get("z")) is not None}
    if not bars:
        return None
    from matplotlib.ticker import MaxNLocator

    z = np.array(list(bars.values()))
    limit = min(Z_LIMIT, max(4.0, 1.15 * np.abs(z).max()))
    with _style():
        figure = _figure(0.8 + 0.29 * len(bars))
        axes = figure.add_subplot()
        rows = np.arange(len(bars))
        axes.axvspan(-Z_NORMAL, Z_NORMAL, color=HEALTHY, linewidth=0)
        axes.axvline(0, color=QUIET, linewidth=1)
        axes.barh(rows, np.clip(z, -limit, limit), height=0.62, color=[ALERT if abs(x) > Z_NORMAL else LINE for x in z])
        for row, x in zip(rows, z, strict=True):
            axes.annotate(
                f"{x:+.1f}".replace("-", "−"), (np.clip(x, -limit, limit), row), (4 if x >= 0 else -4, 0),
                textcoords="offset points", ha="left" if x >= 0 else "right", va="center", fontsize=9.5, color=INK,
            )  # fmt: skip
        axes.set_xlim(
            -1.18 * limit if z.min() < 0 else -Z_NORMAL - 0.5, 1.18 * limit if z.max() > 0 else Z_NORMAL + 0.5
        )
        axes.set_ylim(len(bars) - 0.4, -0.6)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=7, steps=(2, 4, 10)))
        axes.set_yticks(rows, [feature_name(name) for name in bars], fontsize=9.5)
        axes.tick_params(axis="y", length=0, labelcolor=INK)
        axes.spines["left"].set_visible(False)
        axes.set_xlabel("Healthy standard deviations (z)")
        return _svg(figure)
