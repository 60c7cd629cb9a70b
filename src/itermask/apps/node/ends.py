"""Studies that have ended: each gets one summary, and another one if more of it comes later."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from itermask.apps.node.audit import ENDED, note_study
from itermask.apps.node.complete import study_waiting_time
from itermask.apps.node.config import Complete
from itermask.apps.node.database import Database, put_folder
from itermask.apps.node.steps import Said, Steps
from itermask.apps.node.store import Store, summary_name

DONE, FAILED, NONE = "done", "failed", "none"


@dataclass(frozen=True)
class Ended:
    """A study that has ended.

    Attributes:
        study: its UID.
        number: of the summary that is due, from 1.
        key: name of the folder of its summaries.
        last: the newest run that the summary is of.
        folder: for the summary.
        said: what the scanner has said of the study.
        missing: series that the scanner says it has made, and that have not come.
    """

    study: str
    number: int
    key: str
    last: int
    folder: Path
    said: Said = field(default_factory=Said)
    missing: int = 0


class Studies:
    """The summaries of a node."""

    def __init__(self, database: Database, store: Store, steps: Steps) -> None:
        self.database, self.store, self.steps = database, store, steps

    def next_due(self, rules: Complete, now: float | None = None) -> Ended | None:
        """Return the study that ended first and has no summary of all of it; None if there is none.

        Args:
            rules: how long to wait.
            now: seconds since 1970.
        """
        now = time.time() if now is None else now
        for row in self.database.rows(
            """SELECT study, max(series.last) AS last,
               (SELECT max(run.id) FROM run JOIN series AS own ON own.uid = run.series
                WHERE own.study = series.study) AS newest,
               (SELECT max(summary.last) FROM summary WHERE summary.study = series.study) AS told,
               (SELECT max(number) FROM summary WHERE summary.study = series.study) AS number,
               EXISTS (SELECT 1 FROM run JOIN series AS own ON own.uid = run.series
                       WHERE own.study = series.study AND run.state IN ('waiting', 'looking')) AS busy
               FROM series WHERE study <> '' GROUP BY study
               HAVING max(open) = 0 AND NOT busy AND newest > coalesce(told, 0) ORDER BY last"""
        ):
            said = self.steps.of(row["study"])
            here = {each["uid"] for each in self.database.rows("SELECT uid FROM series WHERE study = ?", row["study"])}
            missing = len(set(said.series) - here)
            if now - max(row["last"], said.changed) < study_waiting_time(said.states, missing, rules):
                continue
            number, key = (row["number"] or 0) + 1, f"study-{sha256(row['study'].encode()).hexdigest()[:20]}"
            folder = self.store.results / key / summary_name(number)
            return Ended(row["study"], number, key, row["newest"], folder, said, missing)
        return None

    def finish(self, ended: Ended, made: Path, words: str, destinations: Sequence[str]) -> None:
        """Put a summary in place and queue it for sending, all at once or not at all.

        Args:
            ended: of `next_due`.
            made: folder of the summary, on the disk; it is moved.
            words: the study's one line.
            destinations: titles of those who get the summary.
        """
        now = time.time()
        size = put_folder(made, ended.folder, self.store.results)
        with self.database.change() as change:
            made_ = change.execute(
                "INSERT INTO summary (study, number, key, state, last, ended, bytes) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (ended.study, ended.number, ended.key, DONE, ended.last, now, size),
            ).lastrowid
            change.executemany(
                "INSERT INTO summary_delivery (run, destination, state, since, due) VALUES (?, ?, 'waiting', ?, ?)",
                [(made_, title, now, now) for title in destinations],
            )
            note_study(change, ENDED, ended.study, what=words)
        self.store.changed()

    def close(self, ended: Ended, state: str = NONE, reason: str = "") -> None:
        """Close a study without a summary: none of it was to be processed, or (`FAILED`) it cannot be made."""
        with self.database.change() as change:
            change.execute(
                "INSERT INTO summary (study, number, key, state, last, ended, reason) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (ended.study, ended.number, ended.key, state, ended.last, time.time(), reason),
            )
            note_study(change, ENDED, ended.study, what=f"no summary: {reason}" if reason else "nothing to sum up")

    def retry_failed(self) -> None:
        """Try again the summaries that could not be made."""
        with self.database.change() as change:
            change.execute("DELETE FROM summary WHERE state = ?", (FAILED,))
