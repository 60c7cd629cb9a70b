"""The page of a cohort: one self-contained HTML file, outliers first, with a link to each scan's report."""

import base64
import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from itermask.apps.cohort import charts
from itermask.apps.cohort.relative import is_corrupt
from itermask.apps.cohort.rows import Row, cells, number, score_names
from itermask.results.report.charts import number as short
from itermask.results.report.charts import score_name
from itermask.results.report.page import NOTICE, TONES
from itermask.results.report.theme import theme
from itermask.types import NOT_JUDGED, UNKNOWN, VERDICTS, WORST_FIRST

EMPTY: Mapping[str, str] = {}
NUMBERS = {
    "stands_out": "Stands out",
    "quality_score": "Image-quality score",
    "relative_quality": "Quality, relative",
    "relative_focal": "Focal, relative",
    "score": "Score",
    "percentile": "Percentile",
    "anomaly_fraction": "Anomaly, % of the brain",
    "anomaly_ml": "Anomaly, mL",
    "mean_error": "Mean error",
}


def render(
    sequence: str, rows: Sequence[Row], note: str = "", groups: Sequence[str] = (), pictures: Mapping[str, str] = EMPTY
) -> str:
    """Return the page as HTML; the same rows give the same text.

    Args:
        sequence: of all rows.
        rows: in any order.
        note: a sentence for the top.
        groups: sentences on scanners whose scans move together; empty ones are left out.
        pictures: a data URI for the scans of the mosaic, by name.
    """
    folder = files("itermask.apps.cohort")
    template = folder.joinpath("group.html.j2").read_text(encoding="utf-8")
    script = folder.joinpath("group.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    ordered = outliers_first(rows)
    shown = any(row.age for row in rows), any(row.sex for row in rows)
    more = [name for name in score_names(rows) if name not in ("mean_error", "mask_size", _default(rows))]
    return environment.from_string(template).render(
        notice=NOTICE,
        sequence=sequence,
        note=note,
        groups=[sentence for sentence in groups if sentence],
        mosaic=_mosaic(ordered, pictures),
        counts=_counts(rows),
        charts=_charts(rows),
        columns=_columns(more, *shown),
        rows=[_row(row, more, *shown) for row in ordered],
        script=Markup(script),
        digest=digest,
        theme=Markup(theme()),
    )


def outliers_first(rows: Sequence[Row]) -> list[Row]:
    """Return corrupt scans first, then by verdict, what stands out most, and the highest score; those that failed last.

    Scans of a scanner whose scans move together are sorted by what stands out among them, whatever their verdict.
    A corrupted image leads also where it could not be judged.

    Example:
        >>> outliers_first([])
        []
    """
    order = {verdict: severity for severity, verdict in enumerate(WORST_FIRST)}

    def key(row: Row) -> tuple[Any, ...]:
        score = row.score
        severity = order.get(str(row.record.figures.get("verdict")), len(order))
        out = number(row.record.figures.get("stands_out"))
        among = number(row.relative.get("sorted_by"))
        if among is not None and out is not None and among < out:
            severity, out = order[VERDICTS[2 if among > 2 else 1 if among > 1 else 0]], among
        rank = (not is_corrupt(row), severity, -1.0 if out is None else -out)
        return (not row.ok, *rank, score is None, -(score or 0.0), row.record.name)

    return sorted(rows, key=key)


def _default(rows: Sequence[Row]) -> str:
    """Return the score that the column of scores shows."""
    return next((str(row.record.figures.get("default_score")) for row in rows if row.ok), "")


def _counts(rows: Sequence[Row]) -> list[dict[str, str]]:
    """Return how many scans there are of each verdict, and how many failed."""
    of = Counter(str(row.record.figures.get("verdict")) if row.ok else "failed" for row in rows)
    listed = [("scans", len(rows), "grey")]
    listed += [
        (verdict, of[verdict], TONES.get(verdict, "grey"))
        for verdict in (*VERDICTS, NOT_JUDGED, UNKNOWN)
        if of[verdict]
    ]
    listed += [("could not be processed", of["failed"], "failed")] if of["failed"] else []
    return [{"label": label, "value": str(value), "tone": tone} for label, value, tone in listed]


def _charts(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Return titles and SVG texts."""
    found = []
    for name, own in charts.scored(rows).items():
        drawn = {
            "How the scores are spread": charts.spread(own, name),
            "Score and age": charts.against_age(own, name),
            "Score and sex": charts.by_sex(own, name),
        }
        found += [{"title": title, "svg": Markup(svg)} for title, svg in drawn.items() if svg]
    return found


def _columns(more: Sequence[str], age: bool, sex: bool) -> list[dict[str, Any]]:
    """Return the table's headings; `numeric` tells how a column is sorted."""
    names = ["Scan", "Verdict"]
    numbers = [*NUMBERS.values(), *(score_name(name) for name in more), *(["Age"] if age else [])]
    return [
        *({"name": name, "numeric": False} for name in names),
        *({"name": name, "numeric": True} for name in numbers),
        *({"name": name, "numeric": False} for name in [*(["Sex"] if sex else []), "Notes"]),
    ]


def _row(row: Row, more: Sequence[str], age: bool, sex: bool) -> dict[str, Any]:
    """Return one row: name, link, verdict, numbers with the value they are sorted by, and text."""
    found = cells(row, more)
    values = [number(found[name]) for name in (*NUMBERS, *more)]
    column = list(NUMBERS).index("anomaly_fraction")
    share = values[column]
    values[column] = None if share is None else 100 * share
    return {
        "name": row.record.name,
        "report": row.report,
        "verdict": found["verdict"] if row.ok else "could not be processed",
        "tone": TONES.get(str(found["verdict"]), "grey") if row.ok else "failed",
        "numbers": [*map(_number, values), *([_number(number(row.age), row.age or "–")] if age else [])],
        "texts": [*([row.sex or "–"] if sex else []), row.record.reason or _said(found)],
    }


def _said(found: Mapping[str, Any]) -> str:
    """Return a scan's headline and notes."""
    headline = f"{found['headline']}." if found.get("headline") else ""
    return " ".join(filter(None, (headline, found["notes"])))


def _mosaic(rows: Sequence[Row], pictures: Mapping[str, str]) -> list[dict[str, str]]:
    """Return the scans' small pictures with their verdicts' colours, in the rows' order."""
    return [
        {
            "name": row.record.name,
            "report": row.report,
            "tone": TONES.get(str(row.record.figures.get("verdict")), "grey"),
            "picture": pictures[row.record.name],
        }
        for row in rows
        if row.record.name in pictures
    ]


def _number(value: float | None, text: str | None = None) -> dict[str, str]:
    """Return a number as it is shown, and as it is sorted by."""
    return {"text": text or short(value), "value": "" if value is None else repr(value)}
