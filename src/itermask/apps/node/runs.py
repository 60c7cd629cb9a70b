"""The queue: each closed series becomes one run, and each run ends once, done or failed with a reason."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from itermask.apps.node.audit import LOOKED, NOT_LOOKED, RECEIVED, SEEN, note
from itermask.apps.node.complete import QUIET, WHOLE, Arrival, doubts, is_doubtful, shortfall
from itermask.apps.node.database import Database, put_folder
from itermask.apps.node.store import Store, run_name

WAITING, LOOKING, DONE, FAILED = "waiting", "looking", "done", "failed"
DEATHS = 2  # of the analysis process during a run, after which the series has failed


@dataclass(frozen=True)
class Run:
    """One analysis of a series.

    Attributes:
        id: unlike that of any other run.
        series: SeriesInstanceUID.
        number: 1 for the first analysis of the series.
        label: of the series.
        source: folder of its images, or the file.
        folder: for its results.
        notes: what a reader must know of how it came.
        doubtful: whether nobody can say if all of it came.
    """

    id: int
    series: str
    number: int
    label: str
    source: Path
    folder: Path
    notes: tuple[str, ...] = ()
    doubtful: bool = False


class Runs:
    """The queue of a node."""

    def __init__(self, database: Database, store: Store) -> None:
        self.database, self.store = database, store
        self.put_back()

    def put_back(self) -> None:
        """Put back what was under way when the node ended, or when it could not go on: it is done again."""
        with self.database.change() as change:
            change.execute("UPDATE run SET state = ? WHERE state = ?", (WAITING, LOOKING))
            # More has come meanwhile: a run is made when that is complete.
            open_ = "SELECT uid FROM series WHERE open = 1"
            change.execute(f"DELETE FROM run WHERE state = ? AND series IN ({open_})", (WAITING,))

    def arriving(self) -> dict[str, Arrival]:
        """Return the series that are open, by UID; whether a connection still brings them is for others to say."""
        return {
            row["uid"]: _arrival(row)
            for row in self.database.rows(
                """SELECT *, (SELECT count(*) FROM instance WHERE instance.series = series.uid) AS images
                   FROM series WHERE open = 1"""
            )
        }

    def close(self, series: str, sending: bool = False) -> str:
        """Close a complete series: a run waits for its turn, or has failed where images are known to be missing.

        Args:
            series: UID of an open series.
            sending: whether a connection that brought some of it is open.

        Returns:
            why it has failed; empty if it waits.
        """
        now = time.time()
        with self.database.change() as change:
            row = change.execute(
                """SELECT *, (SELECT count(*) FROM instance WHERE instance.series = series.uid) AS images,
                   (SELECT count(*) FROM refused WHERE refused.series = series.uid) AS refused,
                   (SELECT max(reason) FROM refused WHERE refused.series = series.uid) AS why,
                   (SELECT coalesce(max(number), 0) FROM run WHERE run.series = series.uid) AS earlier
                   FROM series WHERE uid = ?""",
                (series,),
            ).fetchone()
            reason = shortfall(_arrival(row, sending), row["refused"], row["why"] or "")
            # What was cut off is opened again when its sender comes back and ends properly.
            transfer = WHOLE
            if is_doubtful(_arrival(row, sending)):
                transfer = QUIET if sending else row["transfer"]
            change.execute("UPDATE series SET open = 0, transfer = ? WHERE uid = ?", (transfer, series))
            change.execute(
                """INSERT INTO run (series, number, state, images, reason, received, complete, ended, result)
                   VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)""",
                (
                    *(series, row["earlier"] + 1, FAILED if reason else WAITING, row["images"], reason),
                    *(row["last"], now, now if reason else None, json.dumps({"alert": True} if reason else {})),
                ),
            )
            note(change, RECEIVED, series, row["sender"], f"{row['images']} images")
            if reason:
                note(change, NOT_LOOKED, series, what=reason)
        return reason

    def start(self) -> Run | None:
        """Take the run that has waited longest, of a study that is still being acquired first; None if none waits."""
        with self.database.change() as change:
            row = change.execute(
                """SELECT run.id, run.series, run.number, run.images, label, key, file, announced, exact, transfer
                   FROM run JOIN series ON series.uid = run.series WHERE state = ?
                   ORDER BY NOT EXISTS (SELECT 1 FROM series AS other WHERE other.study = series.study AND study <> ''
                                        AND other.open = 1)
                        AND NOT EXISTS (SELECT 1 FROM step WHERE step.study = series.study
                                        AND step.state = 'IN PROGRESS'), run.id LIMIT 1""",
                (WAITING,),
            ).fetchone()
            if row is None:
                return None
            change.execute("UPDATE run SET state = ?, started = ? WHERE id = ?", (LOOKING, time.time(), row["id"]))
        source = self.store.images / row["key"]
        return Run(
            id=row["id"],
            series=row["series"],
            number=row["number"],
            label=row["label"],
            source=source / row["file"] if row["file"] else source,
            folder=self.store.results / row["key"] / run_name(row["number"]),
            notes=doubts(_arrival(row)),
            doubtful=is_doubtful(_arrival(row)),
        )

    def finish(self, run: Run, made: Path, result: Mapping[str, Any], destinations: Sequence[str]) -> None:
        """Put the results of a run in place and queue them for sending, all at once or not at all.

        Args:
            run: that was started.
            made: folder of the results, on the disk; it is moved.
            result: what the page shows, as JSON can hold it.
            destinations: titles of those who get the results.
        """
        now = time.time()
        size = put_folder(made, run.folder, self.store.results)
        with self.database.change() as change:
            change.execute(
                "UPDATE run SET state = ?, ended = ?, bytes = ?, result = ? WHERE id = ?",
                (DONE, now, size, json.dumps(result), run.id),
            )
            change.executemany(
                "INSERT OR IGNORE INTO delivery (run, destination, state, since, due) VALUES (?, ?, 'waiting', ?, ?)",
                [(run.id, title, now, now) for title in destinations],
            )
            said = ", ".join(filter(None, (str(result.get("verdict", "")), str(result.get("headline") or ""))))
            note(change, LOOKED, run.series, str(result.get("model") or ""), said)
        self.store.changed()

    def fail(self, run: Run, reason: str, alert: bool = True) -> None:
        """Note that a run has failed.

        Args:
            run: that was started.
            reason: in plain words.
            alert: whether somebody should do something; not so for a localiser, or a sequence without a model.
        """
        result = json.dumps({"alert": alert})
        with self.database.change() as change:
            change.execute(
                "UPDATE run SET state = ?, ended = ?, reason = ?, result = ? WHERE id = ?",
                (FAILED, time.time(), reason, result, run.id),
            )
            note(change, NOT_LOOKED, run.series, what=reason)

    def seen(self, run: int, verdict: str, name: str) -> bool:
        """Note that somebody has seen what the page says of a run; kept at once, for every page.

        Args:
            run: its `id`.
            verdict: the words that were seen. If the page says something else later, that is not seen.
            name: of who has seen it; "" if not told.

        Returns:
            whether there is such a run; who saw it first counts.
        """
        with self.database.change() as change:
            row = change.execute("SELECT series FROM run WHERE id = ?", (run,)).fetchone()
            if row is None:
                return False
            new = change.execute(
                "INSERT OR IGNORE INTO acknowledged VALUES (?, ?, ?, ?)", (run, verdict, time.time(), name)
            ).rowcount
            if new:
                note(change, SEEN, row["series"], name, verdict)
        return True

    def died(self, run: Run, how: str) -> bool:
        """Note that the analysis process died during a run; the series has failed if that was not the first time.

        Returns:
            whether it has failed.
        """
        with self.database.change() as change:
            change.execute("UPDATE run SET deaths = deaths + 1, state = ? WHERE id = ?", (WAITING, run.id))
            deaths = change.execute("SELECT deaths FROM run WHERE id = ?", (run.id,)).fetchone()["deaths"]
        if deaths >= DEATHS:
            self.fail(run, f"the analysis process died {deaths} times ({how})")
        return bool(deaths >= DEATHS)

    def retry_failed(self) -> int:
        """Open every series again whose last run has failed; gives how many."""
        with self.database.change() as change:
            return change.execute(
                """UPDATE series SET open = 1 WHERE open = 0
                   AND EXISTS (SELECT 1 FROM instance WHERE instance.series = series.uid)
                   AND (SELECT state FROM run WHERE run.series = series.uid ORDER BY number DESC LIMIT 1) = ?""",
                (FAILED,),
            ).rowcount


def _arrival(row: Any, sending: bool = False) -> Arrival:
    return Arrival(row["images"], row["announced"], bool(row["exact"]), sending, row["transfer"])
