"""What the live page shows: plain values and words, made from the database and what goes on now."""

import json
import time
from collections.abc import Mapping
from typing import Any

from itermask.finding import NOT_JUDGED, UNKNOWN, VERDICTS
from itermask.node.complete import QUIET, WHOLE
from itermask.node.config import NodeConfig
from itermask.node.outbox import GIVEN_UP, SENT
from itermask.node.runs import DONE, FAILED, LOOKING
from itermask.node.store import GIB, Store, run_name

TONES = dict(zip(VERDICTS, ("green", "amber", "red"), strict=True)) | {UNKNOWN: "grey", NOT_JUDGED: "grey"}
MOST = 200  # rows of the page
STAGES = {"detect": "looking for anomalies", "search": "looking for anomalies", "refine": "outlining"}


def snapshot(config: NodeConfig, store: Store, now: Mapping[int, Mapping[str, Any]]) -> dict[str, Any]:
    """Everything on the page.

    Args:
        config: of the node.
        store: of the node.
        now: by run, what the process that looks has told: `stage`, `share`, `verdict`.

    Returns:
        values that JSON can hold: `node`, `space`, `receiving`, `rows` (newest first).
    """
    database = store.database
    with database.lock:  # one moment for all
        receiving = database.rows(
            """SELECT label, sender, announced, last,
               (SELECT count(*) FROM instance WHERE instance.series = series.uid) AS images
               FROM series WHERE open = 1 ORDER BY last DESC"""
        )
        runs = database.rows(
            """SELECT run.*, label, sender, key, open, transfer,
               (SELECT max(number) FROM run AS other WHERE other.series = run.series) AS newest
               FROM run JOIN series ON series.uid = run.series ORDER BY run.id DESC LIMIT ?""",
            MOST,
        )
        sent: dict[int, list[dict[str, str]]] = {}
        oldest = min((run["id"] for run in runs), default=0)
        for row in database.rows("SELECT * FROM delivery WHERE run >= ? ORDER BY destination", oldest):
            sent.setdefault(row["run"], []).append(_delivery(row))
        used = store.used
    return {
        "node": config.title,
        "space": f"{used / GIB:.1f} of {config.keep.quota_gb:g} GiB used",
        "waiting": sum(run["state"] not in (DONE, FAILED) for run in runs),
        "receiving": [
            {
                "label": row["label"],
                "sender": row["sender"],
                "images": row["images"],
                "announced": row["announced"],
            }
            for row in receiving
        ],
        "rows": [_row(run, now.get(run["id"], {}), sent.get(run["id"], [])) for run in runs],
    }


def _row(run: Any, now: Mapping[str, Any], deliveries: list[dict[str, str]]) -> dict[str, Any]:
    """One run."""
    result = json.loads(run["result"]) or now.get("verdict") or {}
    notes = [] if run["number"] == run["newest"] else ["More images came later; a newer look stands above."]
    notes += [run["reason"]] if run["reason"] else []
    tone, verdict, alert = "grey", "", False
    if run["state"] == FAILED:
        tone, verdict, alert = "failed", "could not be looked at", bool(result.get("alert"))
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
    return {
        "id": run["id"],
        "label": run["label"],
        "sender": run["sender"],
        "images": run["images"],
        "received": run["received"],
        "state": _state(run, now, bool(result)),
        "tone": tone,
        "verdict": verdict,
        "headline": str(result.get("headline") or ""),
        "alert": alert and run["number"] == run["newest"],
        "score": result.get("score"),
        "percentile": result.get("percentile"),
        "anomaly_fraction": result.get("anomaly_fraction"),
        "seconds": None if not result.get("told") else round(result["told"] - run["received"], 1),
        "notes": notes,
        "report": f"results/{run['key']}/{run_name(run['number'])}/report.html" if run["state"] == DONE else None,
        "deliveries": deliveries,
    }


def _state(run: Any, now: Mapping[str, Any], known: bool) -> str:
    """What happens to a run, in words."""
    if run["state"] == LOOKING:
        stage = str(now.get("stage", "starting"))
        share = "" if known else f", {100 * float(now.get('share', 0.0)):.0f} %"
        return f"{STAGES.get(stage, stage)}{share}"
    return "finished" if run["state"] in (DONE, FAILED) else "waiting for its turn"


def _delivery(row: Any) -> dict[str, str]:
    """A delivery in words."""
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
