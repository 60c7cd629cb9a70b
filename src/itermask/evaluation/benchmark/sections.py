"""What a table or chart of a benchmark is, and how its numbers are written."""

from dataclasses import dataclass, field

import numpy as np

from itermask.evaluation.benchmark.results import Cell


@dataclass(frozen=True)
class Curves:
    """Small charts side by side.

    Attributes:
        panels: panel → line → (x, y) points.
        x, y: names of the axes.
        logarithmic: whether x grows tenfold in equal steps.
        chance: where a score that knows nothing lies: a value of y, `diagonal`, or None.
        markers: whether each point is marked.
    """

    panels: dict[str, dict[str, list[tuple[float, float]]]]
    x: str
    y: str
    logarithmic: bool = False
    chance: float | str | None = 0.5
    markers: bool = True


@dataclass(frozen=True)
class Section:
    """One table with its heading, or a chart.

    Attributes:
        title: heading.
        note: what the reader must know of it.
        header, rows: cells as text.
        curves: chart that belongs to it.
    """

    title: str
    note: str = ""
    header: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    curves: Curves | None = None


def number(value: float, digits: int = 2) -> str:
    """Return a number, or a dash where there is none.

    Example:
        >>> number(0.1234), number(float("nan"))
        ('0.12', '–')
    """
    return f"{value:.{digits}f}" if np.isfinite(value) else "–"


def percent(value: float) -> str:
    """Return a share as a percentage.

    Example:
        >>> percent(0.1234)
        '12.34'
    """
    return number(100 * value)


def with_interval(found: Cell, counted: bool = False) -> str:
    """Return a mean with its interval; with the number of scans it is of, where some have no value or if `counted`.

    Example:
        >>> from itermask.evaluation.metrics.intervals import Interval
        >>> with_interval(Cell(Interval(0.5, 0.4, 0.6), defined=10, scans=12))
        '0.50 (0.40–0.60; n = 10)'
    """
    if not np.isfinite(found.interval.mean):
        return "–"
    mean, low, high = map(number, found.interval)
    of = f"; n = {found.defined}" if counted or found.defined < found.scans else ""
    return f"{mean} ({low}–{high}{of})"
