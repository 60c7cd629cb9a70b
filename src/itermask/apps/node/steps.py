"""What the scanner says of an examination itself (MPPS): that it has begun, and that it is complete or was given up."""

import json
import time
from dataclasses import dataclass
from typing import Any

from itermask.apps.node.complete import IN_PROGRESS
from itermask.apps.node.database import Database
from itermask.io.dicom.files import MR_IMAGES

PERFORMED_STEP = "1.2.840.10008.3.1.2.3.3"
COMPLETED, DISCONTINUED = "COMPLETED", "DISCONTINUED"
# Answers (DICOM PS3.4, annex F; PS3.7, annex C).
SUCCESS, INVALID, FINAL, DUPLICATE, UNKNOWN = 0x0000, 0x0106, 0x0110, 0x0111, 0x0112
MOST = 1000  # series in a step


@dataclass(frozen=True)
class Said:
    """What the scanner has said of a study.

    Attributes:
        states: of its steps.
        series: UIDs of the series with MR images that it has made.
        changed: when it last said something, seconds since 1970; 0 if never.
    """

    states: tuple[str, ...] = ()
    series: tuple[str, ...] = ()
    changed: float = 0.0


class Steps:
    """Performed procedure steps of a node; nothing of patients is kept."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def create(self, uid: str, told: Any) -> int:
        """Note that a step has begun (N-CREATE), and return the status to answer with."""
        try:
            studies = {str(item.StudyInstanceUID) for item in told.ScheduledStepAttributesSequence}
            state = str(told.PerformedProcedureStepStatus)
        except AttributeError:
            return INVALID
        if not uid or not studies or state != IN_PROGRESS:
            return INVALID
        with self.database.change() as change:
            if change.execute("SELECT 1 FROM step WHERE uid = ?", (uid,)).fetchone():
                return DUPLICATE
            change.executemany(
                "INSERT INTO step (uid, study, state, changed) VALUES (?, ?, ?, ?)",
                [(uid, study, state, time.time()) for study in sorted(studies)],
            )
        return SUCCESS

    def change(self, uid: str, told: Any) -> int:
        """Note that a step has gone on or ended (N-SET), and return the status to answer with."""
        state = str(told.get("PerformedProcedureStepStatus") or "")
        if state not in ("", IN_PROGRESS, COMPLETED, DISCONTINUED):
            return INVALID
        with self.database.change() as change:
            row = change.execute("SELECT state, series FROM step WHERE uid = ?", (uid,)).fetchone()
            if row is None:
                return UNKNOWN
            if row["state"] != IN_PROGRESS:
                return FINAL
            series = _series(told) or json.loads(row["series"])
            change.execute(
                "UPDATE step SET state = ?, series = ?, changed = ? WHERE uid = ?",
                (state or IN_PROGRESS, json.dumps(series), time.time(), uid),
            )
        return SUCCESS

    def of(self, study: str) -> Said:
        """Return what the scanner has said of a study."""
        rows = self.database.rows("SELECT state, series, changed FROM step WHERE study = ? ORDER BY changed", study)
        if not rows:
            return Said()
        series = [uid for row in rows for uid in json.loads(row["series"])]
        return Said(tuple(row["state"] for row in rows), tuple(dict.fromkeys(series)), rows[-1]["changed"])


def _series(told: Any) -> list[str]:
    """Return the series with MR images that a step says it has made; others never come here."""
    found = []
    for item in (told.get("PerformedSeriesSequence") or [])[:MOST]:
        kinds = {str(image.get("ReferencedSOPClassUID")) for image in item.get("ReferencedImageSequence") or []}
        if kinds & set(MR_IMAGES) and item.get("SeriesInstanceUID"):
            found.append(str(item.SeriesInstanceUID))
    return found
