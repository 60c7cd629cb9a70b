"""The summary of a study that has ended: one page, as a PDF file and as DICOM objects for the archive."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_OID, uuid5

from itermask import __version__
from itermask.apps.node.database import sync_tree
from itermask.apps.node.ends import Ended
from itermask.apps.node.process import Tell
from itermask.apps.node.state import study_view
from itermask.apps.node.steps import DISCONTINUED
from itermask.apps.node.store import Store

if TYPE_CHECKING:
    from itermask.io.dicom.summary import Names

FILE = "summary.pdf"
PAGE, DOCUMENT = 7, 8  # which of a series' numbers the objects' series take, see `Identity.series_number`


@dataclass(frozen=True)
class StudyTask:
    """What to sum up.

    Attributes:
        out: folder for the summary; it does not exist yet.
        study: its UID.
        number: of the summary, from 1.
        about: what is known of the study, in words that name no patient.
        tone: of the worst series.
        line: the study's one line.
        parts: arguments of `itermask.results.report.study.Part`, one a series.
        notes: sentences on the study as a whole.
        models: names of those that were used.
        headers: files that say whose study it is; the first that can be read is taken.
        sources: class and instance UID of each image.
        largest: number of its last series.
    """

    out: Path
    study: str
    number: int
    about: tuple[str, ...]
    tone: str
    line: str
    parts: tuple[Mapping[str, Any], ...]
    notes: tuple[str, ...]
    models: tuple[str, ...]
    headers: tuple[Path, ...]
    sources: tuple[tuple[str, str], ...]
    largest: int


def study_task(store: Store, ended: Ended, out: Path) -> StudyTask | None:
    """Return what is to be summed up of a study; None where nothing in it was meant to be processed.

    Args:
        store: of the node.
        ended: the study.
        out: folder for the summary.
    """
    rows, study = study_view(store, ended.study)
    if study is None or not study["judged"]:
        return None
    rows = sorted((row for row in rows if row["newest"]), key=lambda row: row["received"])
    series = store.database.rows("SELECT uid, key, about FROM series WHERE study = ?", ended.study)
    images = store.database.rows(
        """SELECT series.key, instance.kind, instance.uid, instance.name FROM instance
           JOIN series ON series.uid = instance.series WHERE series.study = ? ORDER BY series.uid, instance.uid""",
        ended.study,
    )
    first = {row["key"]: store.images / row["key"] / row["name"] for row in reversed(images)}
    made = [store.results / row["folder"] for row in rows if row["folder"]]
    numbers = [json.loads(row["about"]).get("series_number") or 0 for row in series]
    return StudyTask(
        out=out,
        study=ended.study,
        number=ended.number,
        about=tuple(filter(None, (study["when"] and f"Acquired: {study['when']}", study["scanner"]))),
        tone=study["tone"],
        line=study["words"],
        parts=tuple(_part(row, store.results, row["id"] in study["judged"]) for row in rows),
        notes=_notes(ended),
        models=tuple(sorted({row["model"] for row in rows if row["model"]})),
        headers=(*first.values(), *(folder / "dicom" / "segmentation.dcm" for folder in made)),
        sources=tuple((row["kind"], row["uid"]) for row in images),
        largest=max((int(number) for number in numbers), default=0),
    )


def sum_up(task: StudyTask, tell: Tell) -> dict[str, Any]:
    """Write a study's summary: `summary.pdf`, and in `dicom/` the page as secondary capture and encapsulated PDF.

    Returns:
        nothing, or `reason` where no DICOM objects can be made.
    """
    from itermask.io.dicom.summary import page_document, page_image
    from itermask.io.dicom.write import DOCUMENT as DOCUMENT_FILE
    from itermask.io.dicom.write import FOLDER
    from itermask.io.dicom.write import PAGE as PAGE_FILE
    from itermask.results.report.study import Part, study_files

    parts = [Part(**each) for each in task.parts]
    document, page = study_files(task.about, task.tone, task.line, parts, task.notes)
    folder = task.out / FOLDER
    folder.mkdir(parents=True)
    (task.out / FILE).write_bytes(document)
    header = _header(task.headers)
    if header is None or str(header.StudyInstanceUID) != task.study:
        sync_tree(task.out)
        return {"reason": "no image of the study is on the disk any more"}
    image = page_image(header, task.sources, page, _names("summary page", PAGE, task))
    image.save_as(folder / PAGE_FILE, enforce_file_format=True)
    made = page_document(header, task.sources, document, _names("summary pdf", DOCUMENT, task))
    made.save_as(folder / DOCUMENT_FILE, enforce_file_format=True)
    sync_tree(task.out)
    return {}


def _part(row: Mapping[str, Any], results: Path, judged: bool) -> dict[str, Any]:
    """Return what the page says of a series."""
    numbers = []
    if row["score"] is not None:
        numbers.append(f"score {row['score']:.3g}")
    if row["percentile"] is not None:
        numbers.append(f"higher than {row['percentile']:.3g} % of healthy scans")
    if row["anomaly_fraction"] is not None:
        numbers.append(f"{100 * row['anomaly_fraction']:.2f} % of the brain marked")
    return {
        "label": row["label"],
        "verdict": row["verdict"] or "not processed",
        "tone": row["tone"],
        "headline": row["headline"],
        "numbers": ", ".join(numbers),
        "notes": tuple(row["notes"]),
        "report": results / row["folder"] / "report.html" if row["folder"] else None,
        "aside": not judged,
    }


def _notes(ended: Ended) -> tuple[str, ...]:
    """Return what a reader must know of how the study ended."""
    notes = []
    if DISCONTINUED in ended.said.states:
        notes.append("The scanner reports that the examination was discontinued.")
    if ended.missing:
        which = "series" if ended.missing > 1 else "one series"
        count = f"{ended.missing} " if ended.missing > 1 else ""
        notes.append(f"The scanner reports {count}{which} more than came; what is in them is not known here.")
    return tuple(notes)


def _header(paths: Sequence[Path]) -> Any:
    """Return the first header that can be read; None if there is none."""
    from itermask.io.dicom.sources import completed_header

    for path in paths:
        try:
            return completed_header(path)
        except Exception:  # whatever damage does to a reader
            continue
    return None


def _names(part: str, nth: int, task: StudyTask) -> "Names":
    """Name an object: of a study always the same series, and an instance a summary."""
    from itermask.io.dicom.summary import TITLE, Names

    def uid(*words: object) -> str:
        return f"2.25.{uuid5(NAMESPACE_OID, ' '.join(map(str, (task.study, part, *words)))).int}"

    plain = [{key: str(value) for key, value in each.items() if key != "report"} for each in task.parts]
    said = json.dumps([__version__, task.line, task.notes, plain, task.models, task.sources], sort_keys=True)
    digest = sha256(said.encode()).hexdigest()
    return Names(
        uid("series"), 100 * task.largest + nth, uid(digest), task.number, TITLE, ", ".join(task.models)[:64] or "none"
    )
