"""What the live page shows: plain values and words, made from the database and what goes on now."""

import json
import time
from collections.abc import Mapping
from statistics import median
from typing import Any

from itermask.apps.node.complete import QUIET, WHOLE
from itermask.apps.node.config import NodeConfig
from itermask.apps.node.database import Database
from itermask.apps.node.ends import DONE as SUMMARY_DONE
from itermask.apps.node.ends import FAILED as SUMMARY_FAILED
from itermask.apps.node.outbox import GIVEN_UP, SENT
from itermask.apps.node.runs import DONE, FAILED, LOOKING
from itermask.apps.node.store import GIB, Store, run_name, summary_name
from itermask.apps.node.studies import about_row, study_name, summaries
from itermask.types import NOT_JUDGED, UNKNOWN, VERDICTS

TONES = dict(zip(VERDICTS, ("green", "amber", "red"), strict=True)) | {UNKNOWN: "grey", NOT_JUDGED: "grey"}
MOST = 200  # rows of the page, beside those that alarm
OPEN = {"closing": "more may come", "over": False, "summary": None, "deliveries": []}  # of a study without summary
RECENT = 20  # analyses by which the next one's time is guessed
STAGES = {
    "reading": "reading images",
    "preparing": "finding the brain",
    "restoration": "looking for anomalies",
    "error map": "looking for anomalies",
    "threshold": "looking for anomalies",
    "refinement": "outlining anomalies",
    "writing": "writing the report",
}


def snapshot(config: NodeConfig, store: Store, now: Mapping[int, Mapping[str, Any]]) -> dict[str, Any]:
    """Return everything on the page.

    Args:
        config: of the node.
        store: of the node.
        now: by run, what the analysis process has told: `stage`, `share`, `verdict`.

    Returns:
        values that JSON can hold: `node`, `space`, `receiving`, `rows` (newest first), `studies` (newest first, with
        the rows of each), `latest` (the row of the large card, and why it may be old).
    """
    database = store.database
    with database.lock:  # one moment for all
        receiving = database.rows(
            """SELECT uid, key, study, label, sender, announced, last, about,
               (SELECT count(*) FROM instance WHERE instance.series = series.uid) AS images
               FROM series WHERE open = 1 ORDER BY last DESC"""
        )
        runs = _runs(database)
        waits = _waits(database)
        sent: dict[int, list[dict[str, str]]] = {}
        oldest = min((run["id"] for run in runs), default=0)
        for row in database.rows("SELECT * FROM delivery WHERE run >= ? ORDER BY destination", oldest):
            sent.setdefault(row["run"], []).append(_delivery(row))
        seen = {
            (row["run"], row["verdict"]): {"time": row["time"], "name": row["name"]}
            for row in database.rows("SELECT * FROM acknowledged WHERE run >= ?", oldest)
        }
        closed = _closed(database, runs)
        used = store.used
    rows = [_row(run, now.get(run["id"], {}), sent.get(run["id"], []), waits.get(run["id"]), seen) for run in runs]
    coming = [
        {key: row[key] for key in ("label", "sender", "images", "announced")} | about_row(row) for row in receiving
    ]
    return {
        "node": config.title,
        "patient": config.page.patient,
        "space": f"{used / GIB:.1f} of {config.keep.quota_gb:g} GiB used",
        "waiting": sum(run["state"] not in (DONE, FAILED) for run in runs),
        "receiving": coming,
        "rows": rows,
        "studies": [study | closed.get(study["study"], OPEN) for study in summaries(rows, coming)],
        "latest": _latest(rows, coming),
    }


def study_view(store: Store, study: str) -> tuple[list[dict[str, Any]], dict[str, Any] | None]:
    """Return the rows of a study as the page shows them, and its line, see `summaries`; None where there is nothing."""
    runs = store.database.rows(
        """SELECT run.*, label, sender, key, study, about, open, transfer,
           (SELECT max(number) FROM run AS other WHERE other.series = run.series) AS newest
           FROM run JOIN series ON series.uid = run.series WHERE study = ? ORDER BY run.id DESC""",
        study,
    )
    rows = [_row(run, {}, [], None, {}) for run in runs]
    return rows, next(iter(summaries(rows, [])), None)


def _closed(database: Database, runs: list[Any]) -> dict[str, dict[str, Any]]:
    """Return what has become of the studies of some runs: text and a link to the summary, by the page's name."""
    newest = {run["study"]: run["id"] for run in reversed(runs)}  # they come newest first
    found = {}
    for row in database.rows("SELECT * FROM summary WHERE id IN (SELECT max(id) FROM summary GROUP BY study)"):
        if row["study"] not in newest:
            continue
        again = newest[row["study"]] > row["last"]
        words = ["more has come since this summary" if again else "study ended"]
        if row["state"] == SUMMARY_FAILED:
            words.append(f"its summary could not be made ({row['reason']})")
        sent = database.rows("SELECT * FROM summary_delivery WHERE run = ? ORDER BY destination", row["id"])
        link = (
            f"results/{row['key']}/{summary_name(row['number'])}/summary.pdf" if row["state"] == SUMMARY_DONE else None
        )
        found[study_name(row["study"])] = {
            "closing": "; ".join(words), "over": not again, "summary": link, "deliveries": [*map(_delivery, sent)],
        }  # fmt: skip
    return found


def _runs(database: Database) -> list[Any]:
    """Return the newest runs, and older ones with an alarm that nobody has seen."""
    newest = "(SELECT max(number) FROM run AS other WHERE other.series = run.series)"
    return database.rows(
        f"""SELECT run.*, label, sender, key, study, about, open, transfer, {newest} AS newest
            FROM run JOIN series ON series.uid = run.series
            WHERE run.id IN (SELECT id FROM run ORDER BY id DESC LIMIT ?)
            OR (NOT EXISTS (SELECT 1 FROM acknowledged WHERE acknowledged.run = run.id) AND number = {newest}
                AND (json_extract(result, '$.alert') OR json_extract(result, '$.doubtful')
                     OR json_extract(result, '$.verdict') = ?))
            ORDER BY run.id DESC""",
        MOST,
        VERDICTS[2],
    )


def _waits(database: Database) -> dict[int, float]:
    """Return the seconds until each waiting run has a verdict, by the last scans' times; none before the first scan."""
    took = [
        row["took"]
        for row in database.rows(
            f"""SELECT ended - started AS took FROM run WHERE state = ? AND started IS NOT NULL
                ORDER BY id DESC LIMIT {RECENT}""",
            DONE,
        )
    ]
    if not took:
        return {}
    order = database.rows("SELECT id FROM run WHERE state IN ('looking', 'waiting') ORDER BY state, id")
    return {row["id"]: place * median(took) for place, row in enumerate(order, 1)}


def _row(
    run: Any,
    now: Mapping[str, Any],
    deliveries: list[dict[str, str]],
    wait: float | None,
    seen: Mapping[tuple[int, str], dict[str, Any]],
) -> dict[str, Any]:
    """Return one run."""
    result = json.loads(run["result"]) or now.get("verdict") or {}
    notes = [] if run["number"] == run["newest"] else ["More images came later; a newer result stands above."]
    notes += [run["reason"]] if run["reason"] else []
    tone, verdict, alert = "grey", "", False
    if run["state"] == FAILED:
        tone, verdict, alert = "failed", "could not be processed", bool(result.get("alert"))
    elif result:
        verdict = str(result["verdict"])
        tone = TONES.get(verdict, "grey")
        notes += result.get("notes", [])
        doubtful = bool(result.get("doubtful"))
        if doubtful and run["number"] == run["newest"] and run["transfer"] == WHOLE and not run["open"]:
            doubtful = False
            notes.append("Since then the sender has ended the connection, and no more came.")
        alert = tone == "red" or (doubtful and run["transfer"] != QUIET)  # many a sender never ends its connection
        if doubtful:  # what may be missing is not healthy
            verdict += ", perhaps incomplete"
            tone = "amber" if tone == "green" else tone
    alert = alert and run["number"] == run["newest"]
    return {
        "id": run["id"],
        "label": run["label"],
        **about_row(run),
        "newest": run["number"] == run["newest"],
        "sender": run["sender"],
        "images": run["images"],
        "received": run["received"],
        "state": _state(run, now, bool(result), wait),
        "tone": tone,
        "verdict": verdict,
        "headline": str(result.get("headline") or ""),
        "alert": alert,
        "seen": seen.get((run["id"], verdict)) if alert else None,
        "score": result.get("score"),
        "percentile": result.get("percentile"),
        "anomaly_fraction": result.get("anomaly_fraction"),
        "seconds": None if not result.get("told") else round(result["told"] - run["received"], 1),
        "notes": notes,
        "model": str(result.get("model") or ""),
        "folder": f"{run['key']}/{run_name(run['number'])}" if run["state"] == DONE else "",
        "report": f"results/{run['key']}/{run_name(run['number'])}/report.html" if run["state"] == DONE else None,
        "deliveries": deliveries,
    }


def _latest(rows: list[dict[str, Any]], coming: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the row of the large card, and in words why what it says may not be of the patient who lies there now."""
    row = next((row for row in rows if row["verdict"] and (row["tone"] != "failed" or row["alert"])), None)
    if row is None:
        return None
    newer = [each["label"] for each in rows if each["id"] > row["id"] and each["state"] != "finished"]
    old = ""
    if coming:
        old = f"A newer series is being received: {coming[0]['label']}."
    elif newer:
        old = f"A newer series waits: {newer[0]}."
    return {"id": row["id"], "old": old}


def _state(run: Any, now: Mapping[str, Any], known: bool, wait: float | None) -> str:
    """Return what happens to a run, in words."""
    if run["state"] == LOOKING:
        stage = str(now.get("stage", "starting"))
        share = "" if known else f", {100 * float(now.get('share', 0.0)):.0f} %"
        return f"{STAGES.get(stage, stage)}{share}"
    if run["state"] in (DONE, FAILED):
        return "finished"
    return "waiting for its turn" + ("" if wait is None else f", verdict in {_duration(wait)}")


def _duration(seconds: float) -> str:
    """Return a duration as text, as exact as a guess is.

    >>> _duration(3), _duration(44), _duration(100)
    ('about 5 s', 'about 45 s', 'about 2 min')
    """
    return f"about {max(5, 5 * round(seconds / 5))} s" if seconds < 90 else f"about {round(seconds / 60)} min"


def _delivery(row: Any) -> dict[str, str]:
    """Return a delivery in words."""
    words = f"{row['destination']}: waiting to be sent"
    if row["state"] == SENT:
        words = f"sent to {row['destination']}"
    elif row["state"] == GIVEN_UP:
        words = f"{row['destination']}: given up ({row['reason']})"
    elif row["tries"]:
        wait = max(0.0, row["due"] - time.time())
        soon = "in less than a minute" if wait < 60 else f"in {wait / 60:.0f} min"
        words = f"{row['destination']}: not taken yet ({row['reason']}); again {soon}"
    return {"state": row["state"], "words": words}
