"""Charts of a cohort as SVG text: how scores are spread, and how they go with age and sex.

Drawn here and not by a library, so that each point can be pointed at and leads to its report.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import escape

from itermask.apps.cohort.rows import Row, number
from itermask.results.report.charts import number as short
from itermask.results.report.charts import score_name

WIDTH, HEIGHT = 620, 300
LEFT, RIGHT, TOP, BOTTOM = 56, 16, 32, 46
LINE, ALERT, HEALTHY, QUIET, RULE = "#2b5c8a", "#b3261e", "#dcebdf", "#52606d", "#cbd2d9"
COLOURS = (LINE, "#b35c00", "#2e7d4f", "#6a3d9a", "#52606d")
BINS = 30
WIDE = 8.0  # a score's axis is logarithmic where its range is wider than this factor


@dataclass(frozen=True)
class Axis:
    """Values → positions on the page.

    Attributes:
        low: value at the start.
        high: value at the end, above `low`.
        start: position of `low`.
        end: position of `high`.
        logarithmic: whether factors are equal steps.
    """

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def at(self, value: float) -> float:
        """Return the position of a value; beyond the ends it is the end."""
        low, high, value = (np.log(one) if self.logarithmic else one for one in (self.low, self.high, value))
        share = min(1.0, max(0.0, (value - low) / (high - low)))
        return round(float(self.start + share * (self.end - self.start)), 1)

    def ticks(self) -> list[float]:
        """Round values within, about five."""
        if self.logarithmic:
            exponents = range(int(np.floor(np.log10(self.low))), int(np.ceil(np.log10(self.high))) + 1)
            steps = (1, 2, 5) if self.high / self.low < 200 else (1,)
            apart = 1 + len(exponents) // 10
            found = [step * 10.0**power for power in exponents[::apart] for step in steps]
        else:
            rough = (self.high - self.low) / 5
            size = 10.0 ** np.floor(np.log10(rough))
            step = next((size * factor for factor in (1, 2, 5) if size * factor >= rough), 10 * size)
            found = [step * count for count in range(int(np.ceil(self.low / step)), int(self.high / step) + 1)]
        return [float(value) for value in found if self.low <= value <= self.high]


def axis_for(values: Sequence[float], start: float, end: float, score: bool = False) -> Axis:
    """Return an axis that holds all values with some room, logarithmic for scores that lie far apart.

    Example:
        >>> type(axis_for([1.0, 2.0], 0.0, 100.0)).__name__
        'Axis'
    """
    low, high = min(values), max(values)
    if score and low > 0 and high > WIDE * low:
        return Axis(low / 1.2, high * 1.2, start, end, True)
    room = 0.05 * (high - low) or 0.05 * abs(high) or 1.0
    return Axis(low - room if low < 0 else max(0.0, low - room), high + room, start, end)


def scored(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Return rows with a score, by what the score is: scores of different models do not compare.

    Example:
        >>> scored([])
        {}
    """
    found: dict[str, list[Row]] = {}
    for row in rows:
        if row.ok and row.score is not None:
            figures = row.record.figures
            name = f"{score_name(figures.get('default_score') or 'score')}, {figures.get('model')}"
            found.setdefault(name, []).append(row)
    return found


def healthy_range(rows: Sequence[Row]) -> tuple[float | None, float | None]:
    """Return the median and 95th percentile of the model's healthy scans, as the first row has them."""
    figures = rows[0].record.figures
    return number(figures.get("healthy_median")), number(figures.get("healthy_p95"))


def spread(rows: Sequence[Row], name: str) -> str:
    """Return how many scans have which score, beside the healthy range.

    Args:
        rows: with scores of one model; at least one.
        name: of the score.
    """
    values = [row.score or 0.0 for row in rows]
    median, upper = healthy_range(rows)
    x = axis_for([*values, *(mark for mark in (median, upper) if mark is not None)], LEFT, WIDTH - RIGHT, True)
    positions = [x.at(value) for value in values]
    counts, edges = np.histogram(positions, BINS, (LEFT, WIDTH - RIGHT))
    y = Axis(0, max(1.0, 1.08 * float(counts.max())), HEIGHT - BOTTOM, TOP)
    parts = []
    if upper is not None:
        parts.append(_box(LEFT, TOP, x.at(upper) - LEFT, HEIGHT - BOTTOM - TOP, HEALTHY))
    for count, left, right in zip(counts.tolist(), edges, edges[1:], strict=False):
        if count:
            top = y.at(count)
            above = upper is not None and (left + right) / 2 > x.at(upper)
            box = _box(left + 1, top, right - left - 2, HEIGHT - BOTTOM - top, ALERT if above else LINE)
            parts.append(box.replace("/>", f"><title>{count} scan{'' if count == 1 else 's'}</title></rect>"))
    for mark, label, side in ((median, "healthy median", "end"), (upper, "95 % of healthy scans", "start")):
        if mark is not None:
            parts += [_line(x.at(mark), TOP, x.at(mark), HEIGHT - BOTTOM, "#3f6b4a")]
            parts += [_mark(x.at(mark), label, side)]
    frame = _x_axis(x, f"{name}{' (log scale)' if x.logarithmic else ''}") + _y_axis(y, "Scans", integers=True)
    return _svg([*parts, *frame], f"{len(values)} scans by score")


def against_age(rows: Sequence[Row], name: str) -> str | None:
    """Return each scan's score at its age, coloured by sex; None with fewer than two ages."""
    known = [(age, row) for row in rows if (age := number(row.age)) is not None]
    if len({age for age, _ in known}) < 2:
        return None
    x = axis_for([age for age, _ in known], LEFT, WIDTH - RIGHT)
    y, parts = _score_axis([row for _, row in known])
    sexes = _sexes([row for _, row in known])
    for age, row in known:
        parts.append(_point(x.at(age), y.at(row.score or 0.0), row, sexes.get(row.sex, COLOURS[0])))
    if len(sexes) > 1:
        parts += _legend(sexes)
    return _svg([*parts, *_x_axis(x, "Age"), *_y_axis(y, name)], f"Score against age of {len(known)} scans")


def by_sex(rows: Sequence[Row], name: str) -> str | None:
    """Return each scan's score in a column for its sex, with the median; None with fewer than two sexes."""
    sexes = _sexes(rows)
    if len(sexes) < 2:
        return None
    y, parts = _score_axis(rows)
    width = (WIDTH - LEFT - RIGHT) / len(sexes)
    for index, (sex, colour) in enumerate(sexes.items()):
        own = [row for row in rows if row.sex == sex]
        middle = LEFT + (index + 0.5) * width
        for order, row in enumerate(own):
            beside = ((order * 0.618034) % 1 - 0.5) * min(120.0, 0.6 * width)  # spread evenly, the same every time
            parts.append(_point(round(middle + beside, 1), y.at(row.score or 0.0), row, colour))
        level = y.at(float(np.median([row.score or 0.0 for row in own])))
        parts.append(_line(middle - 0.35 * width, level, middle + 0.35 * width, level, "#1f2933", 2))
        parts.append(_text(middle, HEIGHT - BOTTOM + 18, f"{sex} ({len(own)})", "middle"))
    return _svg([*parts, *_y_axis(y, name)], "Score by sex; the bar is the median")


def _score_axis(rows: Sequence[Row]) -> tuple[Axis, list[str]]:
    """Return an upright axis of scores, and the healthy range as a band."""
    median, upper = healthy_range(rows)
    marks = [mark for mark in (median, upper) if mark is not None]
    y = axis_for([*(row.score or 0.0 for row in rows), *marks], HEIGHT - BOTTOM, TOP, True)
    if upper is None:
        return y, []
    top = y.at(upper)
    return y, [_box(LEFT, top, WIDTH - LEFT - RIGHT, HEIGHT - BOTTOM - top, HEALTHY)]


def _sexes(rows: Sequence[Row]) -> dict[str, str]:
    """Return a colour for each sex that is known."""
    names = sorted({row.sex for row in rows if row.sex})
    return {name: COLOURS[index % len(COLOURS)] for index, name in enumerate(names)}


def _point(x: float, y: float, row: Row, colour: str) -> str:
    told = f"{row.record.name}: score {short(row.score)}" + (f", age {row.age}" if row.age else "")
    told += f", {row.sex}" if row.sex else ""
    circle = (
        f'<circle cx="{x}" cy="{y}" r="4" fill="{colour}" fill-opacity=".65"><title>{escape(told)}</title></circle>'
    )
    return f'<a href="{escape(row.report)}">{circle}</a>' if row.report else circle


def _box(x: float, y: float, width: float, height: float, colour: str) -> str:
    size = f'width="{max(0.0, width):.1f}" height="{max(0.0, height):.1f}"'
    return f'<rect x="{x:.1f}" y="{y:.1f}" {size} fill="{colour}"/>'


def _line(x: float, y: float, to_x: float, to_y: float, colour: str, width: float = 1) -> str:
    ends = f'x1="{x:.1f}" y1="{y:.1f}" x2="{to_x:.1f}" y2="{to_y:.1f}"'
    return f'<line {ends} stroke="{colour}" stroke-width="{width}"/>'


def _text(x: float, y: float, text: str, anchor: str, more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{more}>{escape(text)}</text>'


def _mark(x: float, text: str, side: str) -> str:
    """Return a label above the chart on one side of a position, or on the other if it does not fit."""
    room = 7 * len(text)
    if (side == "start" and x + room > WIDTH) or (side == "end" and x < room):
        return _text(x, TOP - 16, text, "end" if side == "start" else "start")
    return _text(x + (4 if side == "start" else -4), TOP - 6, text, side)


def _x_axis(axis: Axis, title: str) -> list[str]:
    floor = HEIGHT - BOTTOM
    parts = [_line(LEFT, floor, WIDTH - RIGHT, floor, RULE)]
    for value in axis.ticks():
        parts += [_line(axis.at(value), floor, axis.at(value), floor + 4, RULE)]
        parts += [_text(axis.at(value), floor + 17, f"{value:g}", "middle")]
    return [*parts, _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, title, "middle")]


def _y_axis(axis: Axis, title: str, integers: bool = False) -> list[str]:
    parts = [_line(LEFT, TOP, LEFT, HEIGHT - BOTTOM, RULE)]
    for value in axis.ticks():
        if not (integers and value % 1):
            parts.append(_text(LEFT - 6, axis.at(value) + 4, f"{value:g}", "end"))
    middle = (TOP + HEIGHT - BOTTOM) / 2
    return [*parts, _text(14, middle, title, "middle", f' transform="rotate(-90 14 {middle:.1f})"')]


def _legend(sexes: dict[str, str]) -> list[str]:
    parts = []
    for index, (sex, colour) in enumerate(sexes.items()):
        x = LEFT + 12 + 70 * index
        parts += [f'<circle cx="{x}" cy="{TOP - 12}" r="4" fill="{colour}"/>', _text(x + 8, TOP - 8, sex, "start")]
    return parts


def _svg(parts: Sequence[str], told: str) -> str:
    inner = "".join(parts)
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(told)}">{inner}</svg>'
