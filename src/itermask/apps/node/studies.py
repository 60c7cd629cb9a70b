"""Series by study: what each study is called, and one line and colour for all of its series."""

import json
from collections.abc import Sequence
from hashlib import sha256
from typing import Any

from itermask.results.whose import clock, day, scanner, study_code

WORST = ("red", "failed", "amber", "green", "grey")  # tones of rows, the one that counts first


def about_row(series: Any) -> dict[str, Any]:
    """Return what a row of the page says of its study.

    Args:
        series: row of the database with `study`, `key` and `about`.

    Returns:
        `study`: unlike that of any other study; `code`, `when`, `scanner`, `patient`: texts, "" where not known.
    """
    about = json.loads(series["about"])

    def told(name: str) -> str:
        return str(about.get(name) or "")

    tesla = about.get("field_strength")
    return {
        "study": study_name(series["study"]) or series["key"],
        "code": study_code(told("accession_number"), series["study"]) or series["label"],
        "when": f"{day(told('study_date'))} {clock(told('study_time'))}".strip(),
        "scanner": scanner(told("manufacturer"), told("model"), tesla),
        "patient": ", ".join(filter(None, (told("patient_id"), told("patient_name")))),
    }


def study_name(uid: str) -> str:
    """Return what the page calls a study among others: no UID; empty where there is none.

    Example:
        >>> len(study_name("1.2.840.113619")), study_name("")
        (16, '')
    """
    return sha256(uid.encode()).hexdigest()[:16] if uid else ""


def summaries(rows: Sequence[dict[str, Any]], coming: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the studies of some rows, the one in which something happened last first.

    Args:
        rows: of the page, newest first.
        coming: series that are being received.

    Returns:
        for each `study`, `code`, `when`, `scanner`, `patient`, its `tone`, one line `words`, whether it is `ended`, the
        `rows` by id, and which of these are `judged`. What could not be processed and nobody minds, such as a
        localiser, has no say.

    Example:
        >>> summaries([], [])
        []
    """
    found: dict[str, dict[str, Any]] = {}
    for row in (*coming, *rows):
        named = {name: row[name] for name in ("study", "code", "when", "scanner", "patient")}
        found.setdefault(row["study"], named | {"rows": [], "receiving": 0})
    for row in coming:
        found[row["study"]]["receiving"] += 1
    for study in found.values():
        mine = [row for row in rows if row["study"] == study["study"]]
        study["rows"] = [row["id"] for row in mine]
        counted = [row for row in mine if row["newest"]]
        waiting = sum(row["state"] != "finished" and not row["verdict"] for row in counted)
        judged = [row for row in counted if row["verdict"] and (row["tone"] != "failed" or row["alert"])]
        study["judged"] = [row["id"] for row in judged]
        study["tone"] = min((row["tone"] for row in judged), key=WORST.index, default="grey")
        study["ended"] = not (waiting or study["receiving"])
        study["words"] = _words(judged, len(counted), waiting, study["receiving"])
        if study["tone"] == "green" and not study["ended"]:
            study["tone"] = "grey"  # what has not been processed yet may be otherwise
    return list(found.values())


def _words(judged: Sequence[dict[str, Any]], count: int, waiting: int, receiving: int) -> str:
    """Return one line on a study's series, the worst first."""
    parts = []
    for verdict in sorted({row["verdict"] for row in judged}, key=lambda verdict: _place(judged, verdict)):
        alike = [row["label"] for row in judged if row["verdict"] == verdict]
        parts.append(f"{verdict}: {alike[0]}" if len(alike) == 1 else f"{verdict}: {len(alike)} series")
    aside = count - waiting - len(judged)
    parts += [f"{number} {words}" for number, words in ((aside, "not meant to be processed"),) if number]
    parts += [f"{number} {words}" for number, words in ((waiting, "waiting"), (receiving, "being received")) if number]
    return "; ".join(parts)


def _place(rows: Sequence[dict[str, Any]], verdict: str) -> tuple[int, str]:
    return min(WORST.index(row["tone"]) for row in rows if row["verdict"] == verdict), verdict
