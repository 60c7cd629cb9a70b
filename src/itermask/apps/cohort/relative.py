"""Scores relative to a cohort's own scanners, and scanners whose scans move together.

A scan is compared with the scans of its group, by median and robust standard deviation. Where most of a group lies
beyond the borderline and close together, it looks like another scanner and not like corrupted scans: that is said once,
and its scans are sorted by how far they lie from each other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from itermask.apps.cohort.rows import Row, number
from itermask.errors import InputError

SCANNER = ("manufacturer", "scanner_model", "field_strength", "site")
KEYS = (*SCANNER, "protocol", "session_id")  # what `--reference-by` may name
FEWEST = 5  # scans of a group that scores can be relative to
TOGETHER = 0.7  # share of a group beyond the borderline, and near its median, that is most of it
CLOSE = 0.75  # of a step from borderline to outside: extents this near to their median are close together
FAR = 3.0  # robust standard deviations from its own scanner's scans, from which an unclean image is a corrupted one
USUAL = 0.5  # extent of a usual healthy scan
LEAST_SPREAD = 0.25  # of extents; a group that happens to be tight must not make small differences large


@dataclass(frozen=True)
class Group:
    """Scans that are compared with each other.

    Attributes:
        name: what they share, such as `SIEMENS Avanto 1.5 Guy's`; empty where nothing tells scanners apart.
        count: how many scans it has.
        quality: median of their image-quality extents; None where there are none.
        focal: median of their focal scores' logarithms; None where there are none.
        shift: how far the group as a whole lies beyond the borderline, where it moves together; else 0.
    """

    name: str
    count: int
    quality: float | None
    focal: float | None
    shift: float = 0.0

    def sentence(self) -> str:
        """Return what a reader must know of a group that moves together; empty for others."""
        if not self.shift:
            return ""
        return (
            f"Most of the {self.count} scans of {self.name or 'this table'} differ from the reference in the same way. "
            "That looks like another scanner or protocol, not like corrupted scans: they are sorted by how they differ "
            "from each other. Calibrate the model on healthy scans of that scanner to judge them."
        )


def parse_keys(text: str | None) -> tuple[str, ...]:
    """Return the columns that a `--reference-by` names, separated by commas; the scanner's by default.

    Raises:
        InputError: a name is none of `KEYS`.

    >>> parse_keys("site,protocol")
    ('site', 'protocol')
    """
    if not text:
        return SCANNER
    names = tuple(part.strip() for part in text.split(",") if part.strip())
    unknown = [name for name in names if name not in KEYS]
    if unknown or not names:
        raise InputError(f"--reference-by {text}: names no column of scanners; choose from {', '.join(KEYS)}")
    return names


def extents(row: Row) -> tuple[float | None, float | None]:
    """Return a scan's image-quality extent (1 at the borderline, 2 where outside begins) and its focal score.

    Example:
        >>> from itermask.apps.cohort.manifest import Record
        >>> extents(Row(Record("sub-01_T1w", "failed", {}), ""))
        (None, None)
    """
    figures = row.record.figures
    quality = number(figures.get("quality_extent"))
    focal = number(figures.get("scores", {}).get("focal"))
    return quality, focal


def is_corrupt(row: Row) -> bool:
    """Return whether a scan's image is corrupt, as far as its scanner's other scans tell.

    That is where image quality lies outside the range of clean scans, or is borderline and far from the scans of its
    own scanner. Of a group that moves together, what lies beyond the group counts.

    Example:
        >>> from itermask.apps.cohort.manifest import Record
        >>> is_corrupt(Row(Record("sub-01_T1w", "failed", {}), ""))
        False
    """
    quality, _ = extents(row)
    out, among = number(row.record.figures.get("stands_out")), number(row.relative.get("sorted_by"))
    if quality is None:
        return False
    own = quality - (out - among if out is not None and among is not None else 0.0)
    return own > 2 or (own > 1 and (number(row.relative.get("relative_quality")) or 0.0) > FAR)


def relative_to_groups(rows: Sequence[Row], keys: Sequence[str] = SCANNER) -> tuple[list[Row], list[Group]]:
    """Return rows with their relative scores, and the groups.

    Args:
        rows: of one table.
        keys: columns whose values tell groups apart.

    Returns:
        the rows in the same order, each with `relative` filled where its group has at least `FEWEST` scans; and the
        groups by name.

    Example:
        >>> relative_to_groups([])
        ([], [])
    """
    by_name: dict[str, list[Row]] = {}
    for row in rows:
        if row.ok:
            by_name.setdefault(_name(row, keys), []).append(row)
    groups = {name: _group(name, members) for name, members in by_name.items()}
    spreads = {name: _spreads(members) for name, members in by_name.items()}
    placed = []
    for row in rows:
        name = _name(row, keys)
        if not row.ok or groups[name].count < FEWEST:
            placed.append(row)
            continue
        placed.append(replace(row, relative=_relative(row, groups[name], spreads[name])))
    return placed, [groups[name] for name in sorted(groups)]


def _name(row: Row, keys: Sequence[str]) -> str:
    """Return what a row's group is called."""
    figures = row.record.figures
    values = [row.record.session if key == "session_id" else figures.get(key) for key in keys]
    return " ".join(f"{value:g} T" if isinstance(value, float) else str(value) for value in values if value)


def _group(name: str, members: Sequence[Row]) -> Group:
    """Return a group's middle, and whether it moves together."""
    quality = np.array([value for value, _ in map(extents, members) if value is not None])
    focal = np.array([np.log1p(value) for _, value in map(extents, members) if value is not None])
    middle = float(np.median(quality)) if len(quality) else None
    shift = 0.0
    if middle is not None and len(quality) >= FEWEST:
        together = min(np.mean(quality > 1), np.mean(abs(quality - middle) < CLOSE)) >= TOGETHER
        shift = max(0.0, middle - USUAL) if together else 0.0
    return Group(name, len(members), middle, float(np.median(focal)) if len(focal) else None, shift)


def _spreads(members: Sequence[Row]) -> tuple[float, float]:
    """Return robust standard deviations of a group's extents and of its focal scores' logarithms."""
    found: list[float] = []
    for values in zip(*[extents(row) for row in members], strict=True):
        known = np.array([value for value in values if value is not None], dtype=float)
        known = np.log1p(known) if len(found) else known
        away = np.abs(known - np.median(known)) if len(known) else np.zeros(1)
        found.append(max(LEAST_SPREAD, 1.4826 * float(np.median(away))))
    return found[0], found[1]


def _relative(row: Row, group: Group, spreads: tuple[float, float]) -> Mapping[str, Any]:
    """Return a row's columns relative to its group."""
    quality, focal = extents(row)
    told: dict[str, Any] = {"reference_group": group.name or "all scans", "reference_scans": group.count}
    if quality is not None and group.quality is not None:
        told["relative_quality"] = (quality - group.quality) / spreads[0]
    if focal is not None and group.focal is not None:
        told["relative_focal"] = (float(np.log1p(focal)) - group.focal) / spreads[1]
    out = number(row.record.figures.get("stands_out"))
    if out is not None:
        told["sorted_by"] = out - group.shift
    return told
