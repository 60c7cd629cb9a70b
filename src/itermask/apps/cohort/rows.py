"""The rows of a cohort's table: each scan's record, with where its report lies and what is known of its subject."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from itermask.apps.cohort.job import Job
from itermask.apps.cohort.layouts import names_of
from itermask.apps.cohort.manifest import DONE, Record, read_records

SAID = ("verdict", "headline", "stands_out", "decided_by", "quality_score", "likely_fault")
FIRST = ("name", "participant_id", "session_id", "status", *SAID, "score", "percentile", "anomaly_fraction")
SCANNER = ("manufacturer", "scanner_model", "field_strength", "site", "protocol")
RELATIVE = ("reference_group", "reference_scans", "relative_quality", "relative_focal")
THEN = (*RELATIVE, "anomaly_ml", "brain_ml", "mean_error", "threshold")
LAST = (
    "age",
    "sex",
    "study_date",
    *SCANNER,
    "model",
    "brain_mask",
    "bias_correction",
    "alignment",
    "notes",
    "report",
    "scan",
    "reason",
)


@dataclass(frozen=True)
class Row:
    """One scan of the table.

    Attributes:
        record: of the manifest.
        report: the report's path, relative to the results folder; "" without one.
        age: in years as the data set says it, or "".
        sex: as the data set says it, or "".
        relative: columns relative to the scan's group, see `itermask.apps.cohort.relative`.
    """

    record: Record
    report: str
    age: str = ""
    sex: str = ""
    relative: Mapping[str, Any] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether the scan could be processed."""
        return self.record.state == DONE

    @property
    def score(self) -> float | None:
        """The default score; None where there is none."""
        return number(self.record.figures.get("score"))


def number(value: Any) -> float | None:
    """Return a finite number, of a number or a text; None for anything else.

    Example:
        >>> number("1.5"), number("n/a")
        (1.5, None)
    """
    try:
        found = float(value)
    except (TypeError, ValueError):
        return None
    return found if math.isfinite(found) else None


def rows_of(
    out: Path,
    layout: str,
    about: Callable[[Record], Mapping[str, str]],
    keep: Callable[[Record], bool] | None = None,
) -> dict[str, list[Row]]:
    """Return the rows of each sequence's table, by name of the scan.

    Args:
        out: results folder.
        layout: of the run, one of `LAYOUTS`.
        about: gives `age` and `sex` of a record's subject, where known.
        keep: whether a record has a row; all have if None.
    """
    tables: dict[str, list[Row]] = {}
    for record in filter(keep, read_records(out)) if keep else read_records(out):
        job = Job(record.name, Path(record.scan), record.sequence, source=record.scan)
        report = names_of(job, layout)["report"] if record.state == DONE else ""
        known = about(record)
        row = Row(record, report, known.get("age", ""), known.get("sex", ""))
        tables.setdefault(record.sequence or "unknown", []).append(row)
    return dict(sorted(tables.items()))


def score_names(rows: Sequence[Row]) -> list[str]:
    """Return all scores of the rows' models, in the order in which they first stand.

    Example:
        >>> score_names([])
        []
    """
    return list(dict.fromkeys(name for row in rows for name in row.record.figures.get("scores", {})))


def cells(row: Row, scores: Sequence[str]) -> dict[str, Any]:
    """Return one row of the table by column; None where there is nothing."""
    record, figures = row.record, row.record.figures
    found = {name: figures.get(name) for name in (*FIRST, *THEN, *LAST)}
    found |= {name: figures.get("scores", {}).get(name) for name in scores}
    return found | {
        "name": record.name,
        "participant_id": record.subject or None,
        "session_id": record.session or None,
        "status": "ok" if row.ok else "failed",
        "age": row.age or None,
        "sex": row.sex or None,
        **{name: row.relative.get(name) for name in RELATIVE},
        "notes": " ".join(figures.get("warnings", ())) or None,
        "report": row.report or None,
        "scan": record.scan,
        "reason": record.reason or None,
    }
