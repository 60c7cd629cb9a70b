"""What has to be sent: results to destinations, reports of storage commitment; tried until taken or given up."""

import json
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from itermask.apps.node.audit import NOT_SENT, note, note_study
from itermask.apps.node.audit import SENT as TAKEN
from itermask.apps.node.config import Deliver, NodeConfig
from itermask.apps.node.database import Database
from itermask.apps.node.store import Store, run_name, summary_name

WAITING, SENT, GIVEN_UP = "waiting", "sent", "given up"


@dataclass(frozen=True)
class Delivery:
    """Results of a run, or a study's summary, that a destination is to get.

    Attributes:
        run: or summary, as `summary` says.
        destination: its title.
        label: of the series; of a summary empty.
        series: UID; of a summary that of the study.
        folder: they lie in.
        taken: UIDs of those that it has taken.
        tries: that have failed.
        summary: whether it is a summary.
    """

    run: int
    destination: str
    label: str
    series: str
    folder: Path
    taken: tuple[str, ...]
    tries: int
    summary: bool = False

    @property
    def table(self) -> str:
        """Where it is written down."""
        return "summary_delivery" if self.summary else "delivery"


@dataclass(frozen=True)
class Report:
    """A report of storage commitment: what was asked for (see `itermask.apps.node.commit`), and where it is to go."""

    id: int
    asked: dict[str, Any]
    title: str
    host: str
    port: int
    tries: int


class Outbox:
    """The waiting deliveries and reports of a node."""

    def __init__(self, database: Database, store: Store, config: NodeConfig) -> None:
        self.database, self.store, self.rules = database, store, config.deliver
        known = [each.title for each in config.destinations]
        with database.change() as change:
            for table in ("delivery", "summary_delivery"):
                change.execute(
                    f"""UPDATE {table} SET state = ?, reason = 'no destination of this name any more'
                        WHERE state = ? AND destination NOT IN ({",".join("?" * len(known))})""",
                    (GIVEN_UP, WAITING, *known),
                )

    def next_delivery(self, destination: str) -> Delivery | None:
        """Return the delivery to a destination that is due first; None if none is due."""
        row = self.database.row(
            """SELECT delivery.*, run.number, series.key, series.label, series.uid, 0 AS summary FROM delivery
               JOIN run ON run.id = delivery.run JOIN series ON series.uid = run.series
               WHERE delivery.state = ?1 AND destination = ?2 AND due <= ?3
               UNION ALL
               SELECT summary_delivery.*, summary.number, summary.key, '', summary.study, 1 FROM summary_delivery
               JOIN summary ON summary.id = summary_delivery.run
               WHERE summary_delivery.state = ?1 AND destination = ?2 AND due <= ?3
               ORDER BY due, summary, run LIMIT 1""",
            WAITING,
            destination,
            time.time(),
        )
        if row is None:
            return None
        name = (summary_name if row["summary"] else run_name)(row["number"])
        taken = tuple(json.loads(row["sent"]))
        return Delivery(
            *(row["run"], destination, row["label"], row["uid"], self.store.results / row["key"] / name),
            *(taken, row["tries"], bool(row["summary"])),
        )

    def delivered(self, delivery: Delivery) -> None:
        """Note that the destination has taken everything."""
        with self.database.change() as change:
            change.execute(
                f"""UPDATE {delivery.table} SET state = ?, tries = tries + 1, due = ?, reason = ''
                   WHERE run = ? AND destination = ?""",
                (SENT, time.time(), delivery.run, delivery.destination),
            )
            self._note(change, TAKEN, delivery)

    def put_off(self, delivery: Delivery, taken: Sequence[str], reason: str) -> str:
        """Return a try has failed, after some were taken.

        Returns:
            what happens now, in words.
        """
        with self.database.change() as change:
            since = change.execute(
                f"SELECT since FROM {delivery.table} WHERE run = ? AND destination = ?",
                (delivery.run, delivery.destination),
            ).fetchone()["since"]
            state, due, words = _next_try(delivery.tries, since, self.rules)
            change.execute(
                f"""UPDATE {delivery.table} SET state = ?, tries = tries + 1, due = ?, reason = ?, sent = ?
                   WHERE run = ? AND destination = ?""",
                (
                    *(state, due, reason, json.dumps([*delivery.taken, *taken])),
                    *(delivery.run, delivery.destination),
                ),
            )
            if state == GIVEN_UP:
                self._note(change, NOT_SENT, delivery, reason)
        return words

    def _note(self, change: sqlite3.Connection, event: str, delivery: Delivery, why: str = "") -> None:
        """Add to the audit log what has become of a delivery."""
        if delivery.summary:
            words = ": ".join(filter(None, ("the study's summary", why)))
            note_study(change, event, delivery.series, delivery.destination, words)
        else:
            note(change, event, delivery.series, delivery.destination, why)

    def add_report(self, asked: dict[str, Any], title: str, host: str, port: int) -> None:
        """Queue a report of storage commitment for sending."""
        now = time.time()
        with self.database.change() as change:
            change.execute(
                "INSERT INTO commitment (asked, title, host, port, state, since, due) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (json.dumps(asked), title, host, port, WAITING, now, now),
            )

    def next_report(self) -> Report | None:
        """Return the report that is due first; None if none is due."""
        row = self.database.row(
            "SELECT * FROM commitment WHERE state = ? AND due <= ? ORDER BY due LIMIT 1", WAITING, time.time()
        )
        if row is None:
            return None
        return Report(row["id"], json.loads(row["asked"]), row["title"], row["host"], row["port"], row["tries"])

    def reported(self, report: Report) -> None:
        """Note that the sender has taken a report, which is then forgotten."""
        with self.database.change() as change:
            change.execute("DELETE FROM commitment WHERE id = ?", (report.id,))

    def put_off_report(self, report: Report, reason: str) -> str:
        """Return a try to send a report has failed.

        Returns:
            what happens now, in words.
        """
        with self.database.change() as change:
            since = change.execute("SELECT since FROM commitment WHERE id = ?", (report.id,)).fetchone()["since"]
            state, due, words = _next_try(report.tries, since, self.rules)
            change.execute(
                "UPDATE commitment SET state = ?, tries = tries + 1, due = ?, reason = ? WHERE id = ?",
                (state, due, reason, report.id),
            )
        return words

    def next_due(self) -> float | None:
        """Return the seconds until anything is due; None if nothing waits."""
        row = self.database.row(
            """SELECT min(due) AS due FROM (SELECT due FROM delivery WHERE state = ?1
               UNION ALL SELECT due FROM summary_delivery WHERE state = ?1
               UNION ALL SELECT due FROM commitment WHERE state = ?1)""",
            WAITING,
        )
        return None if row is None or row["due"] is None else max(0.0, row["due"] - time.time())


def _next_try(tries: int, since: float, rules: Deliver) -> tuple[str, float, str]:
    """Return state, time and text after a failed try: twice as long a wait each time, until it is given up."""
    now = time.time()
    if now - since >= 3600 * rules.give_up_hours:
        return GIVEN_UP, now, "given up"
    wait = min(rules.longest_wait, rules.first_wait * 2.0 ** min(tries, 30))
    return WAITING, now + wait, f"again in {wait:g} s"
