"""Who did what and when: what was received, processed, sent and seen, one line each, never changed.

Events are written in the transaction of what they tell of, so that neither is there without the other. They name
studies and series as the page does, and no patient; and stay when the series themselves are removed.
"""

import json
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from itermask.errors import InputError
from itermask.results.whose import study_code

RECEIVED, LOOKED, NOT_LOOKED, SENT, NOT_SENT, SEEN, ENDED = (
    "received",
    "processed",
    "not processed",
    "sent",
    "not sent",
    "seen",
    "study ended",
)
EARLIER = {"looked at": LOOKED, "not looked at": NOT_LOOKED}  # what 0.2.0 and before wrote
COLUMNS = ("time", "event", "study", "series", "series_uid", "who", "what")


def note(change: sqlite3.Connection, event: str, series: str, who: str = "", what: str = "") -> None:
    """Add an event.

    Args:
        change: a transaction, see `itermask.apps.node.database.Database.change`.
        event: `RECEIVED`, `LOOKED`, `NOT_LOOKED`, `SENT`, `NOT_SENT`, `SEEN` or `ENDED`.
        series: UID.
        who: sender, model, destination or person.
        what: how much, which verdict, or why not.
    """
    row = change.execute("SELECT study, label, about FROM series WHERE uid = ?", (series,)).fetchone()
    _insert(change, event, row, series, who, what)


def note_study(change: sqlite3.Connection, event: str, study: str, who: str = "", what: str = "") -> None:
    """Add an event of a whole study; `study` is its UID, the rest as of `note`."""
    row = change.execute("SELECT study, '' AS label, about FROM series WHERE study = ?", (study,)).fetchone()
    _insert(change, event, row, "", who, what)


def _insert(change: sqlite3.Connection, event: str, row: Any, series: str, who: str, what: str) -> None:
    about = {} if row is None else json.loads(row["about"])
    study = "" if row is None else study_code(str(about.get("accession_number") or ""), row["study"])
    label = "" if row is None else row["label"]
    change.execute(
        "INSERT INTO audit (time, event, study, series, who, what) VALUES (?, ?, ?, ?, ?, ?)",
        (time.time(), event, study, json.dumps([label, series]), who, what),
    )


def lines(rows: Iterable[Any]) -> Iterator[str]:
    r"""Yield a table of events, with tabs between columns: the header, then a line an event, times in UTC.

    Events that an earlier version wrote in other words are shown in today's; the database keeps what was written.

    Example:
        >>> next(lines([])).split("\t")[:3]
        ['time', 'event', 'study']
    """
    yield "\t".join(COLUMNS)
    for row in rows:
        label, uid = json.loads(row["series"])
        when = datetime.fromtimestamp(row["time"], UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        event = EARLIER.get(row["event"], row["event"])
        yield "\t".join(_cell(text) for text in (when, event, row["study"], label, uid, row["who"], row["what"]))


def read_audit(folder: Path) -> Iterator[str]:
    """Yield the table of a node's folder, also while the node runs.

    Raises:
        InputError: there is no queue in the folder, or it cannot be read.
    """
    path = folder / "queue.sqlite"
    if not path.is_file():
        raise InputError(f"{path}: there is none; start the node first, or name its folder in the file")
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            connection.row_factory = sqlite3.Row
            yield from lines(connection.execute("SELECT * FROM audit ORDER BY id"))
    except sqlite3.Error as error:
        raise InputError(f"{path}: cannot be read ({error}); start the node once with this version") from error


def _cell(text: Any) -> str:
    """Return a text without what would break the table."""
    return " ".join(str(text).split())
