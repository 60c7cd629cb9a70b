"""The scans of a folder of results, whichever command wrote them.

`itermask cohort` and `itermask bids` keep a record of each scan in `manifest/`, also of those that failed. Where there
is none, each `finding.json` is a scan: of `itermask run`, of `itermask demo`, or of a node.
"""

import html
import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from itermask.apps.cohort.manifest import DONE, LOGS, MANIFEST, Record, read_records
from itermask.apps.web.files import inside
from itermask.errors import InputError
from itermask.results import whose
from itermask.results.regions import voxel_ml
from itermask.results.report.charts import finite
from itermask.results.report.page import TONES
from itermask.types import UNKNOWN, WORST_FIRST

FAILED = "could not be processed"
HERE = "."  # the scan whose results lie in the folder itself
HEAD = 4096  # bytes of a report within which its title stands
HASHED, RUN = re.compile(r"[0-9a-f]{16,}"), re.compile(r"/run-(\d+)$")  # folders of a node's results
TITLE = re.compile(r"<title>(.*?) – itermask report</title>", re.DOTALL)


@dataclass(frozen=True)
class Entry:
    """One scan of the list; None stands where there is no number.

    Attributes:
        scan: unlike that of any other scan of the folder: its name in the manifest, or the folder of its results, both
            relative to the folder that is shown; `HERE` for results that lie in it.
        name: for readers.
        title: what its report calls it, where that says more.
        sequence: such as `T1w`; "" if not told.
        verdict: one of `VERDICTS`, `UNKNOWN` or `FAILED`.
        tone: colour of the verdict: green, amber, red, grey, failed.
        score: the default score; higher is less normal.
        percentile: share of healthy validation scans with a lower score, 0 to 100.
        healthy_median: of the same score in healthy validation scans.
        healthy_p95: their 95th percentile.
        anomaly_ml: volume of the anomaly mask in mL.
        anomaly_fraction: its share of the brain, 0 to 1.
        model: that processed it; "" if not told.
        report: path of its report below the folder that is shown; "" without one.
        notes: what a reader must know.
        reason: why it could not be processed; "" if it could.
        headline: what decided the verdict, in one sentence; "" in older results.
        stands_out: how far the scan is from healthy ones; None in older results.
        about: when and with what it was acquired; "" where not known.
    """

    scan: str
    name: str
    title: str = ""
    sequence: str = ""
    verdict: str = FAILED
    tone: str = "failed"
    score: float | None = None
    percentile: float | None = None
    healthy_median: float | None = None
    healthy_p95: float | None = None
    anomaly_ml: float | None = None
    anomaly_fraction: float | None = None
    model: str = ""
    report: str = ""
    notes: tuple[str, ...] = ()
    reason: str = ""
    headline: str = ""
    stands_out: float | None = None
    about: str = ""

    def values(self) -> dict[str, Any]:
        """Return all of it as JSON can hold it."""
        return asdict(self)


def list_scans(out: Path) -> list[Entry]:
    """Return all scans of a folder of results and of the folders in it, the least normal first.

    That is: the worst verdict first, then what stands out most, then the highest score; those that could not be looked
    at come last, by name. Links to folders are not followed, and what lies behind links that lead out is not read.

    Args:
        out: folder of the results.

    Raises:
        InputError: there is no such folder.

    Example:
        >>> list_scans(folder)
        []
    """
    if not out.is_dir():
        raise InputError(f"{out}: no such folder; give the folder of the results of 'itermask run', 'cohort' or 'bids'")
    root = out.resolve()
    found: dict[str, Entry] = {}
    for here, folders, names in os.walk(root):
        folder = Path(here)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        if MANIFEST in folders:
            for record in read_records(folder):
                entry = _of_record(root, folder, record)
                found.setdefault(entry.scan, entry)
            folders[:] = [name for name in folders if name not in (MANIFEST, LOGS)]
        if "finding.json" in names and (scan := _below(root, folder)) not in found:
            found[scan] = _of_folder(root, folder, scan)
    return sorted(map(_sendable, found.values()), key=_order)


def _order(entry: Entry) -> tuple[Any, ...]:
    """Return what entries are sorted by; the order of a cohort's page."""
    rank = WORST_FIRST.index(entry.verdict) if entry.verdict in WORST_FIRST else len(WORST_FIRST)
    out = -1.0 if entry.stands_out is None else entry.stands_out
    return (bool(entry.reason), rank, -out, entry.score is None, -(entry.score or 0.0), entry.scan)


def _below(root: Path, path: Path) -> str:
    """Return a path relative to the folder that is shown, with `/`."""
    return path.relative_to(root).as_posix()


def _of_record(root: Path, folder: Path, record: Record) -> Entry:
    """Return the entry of a record in the manifest of `folder`."""
    prefix = "" if folder == root else f"{_below(root, folder)}/"
    outputs, figures = record.outputs, record.figures
    scan, sequence = f"{prefix}{record.name}", str(record.sequence or "")
    if record.state != DONE or not isinstance(figures, Mapping):
        return Entry(scan, scan, sequence=sequence, reason=str(record.reason or "its record tells no reason"))
    reports = [prefix + name for name in (outputs if isinstance(outputs, Mapping) else ()) if name.endswith(".html")]
    return _entry(root, scan, figures, sequence, next(iter(reports), ""))


def _of_folder(root: Path, folder: Path, scan: str) -> Entry:
    """Return the entry of a folder with `finding.json`."""
    name = root.name if scan == HERE else scan
    prefix = "" if scan == HERE else f"{scan}/"
    path = inside(root, f"{prefix}finding.json")
    if path is None:
        return Entry(scan, name, reason=f"{prefix}finding.json: leads out of the folder that is shown")
    try:
        summary = json.loads(path.read_text(encoding="utf-8"))
        settings, scores, search = (_mapping(summary[key]) for key in ("settings", "scores", "search"))
        default = str(search.get("default_score"))
        known = [default] if default in scores else [key for key in scores if _value(scores[key]) == summary["score"]]
        healthy = _mapping(scores[known[0]]) if known else {}
        figures = {key: summary[key] for key in ("verdict", "score", "percentile", "anomaly_fraction", "warnings")}
        figures |= {key: healthy.get(key) for key in ("healthy_median", "healthy_p95")}
        figures |= {key: summary.get(key) for key in ("headline", "stands_out")}
        about = summary.get("source")
        figures |= {"model": settings.get("model"), "anomaly_ml": _volume(root, prefix, summary)}
    except (OSError, ValueError, KeyError, TypeError):
        return Entry(scan, name, reason=f"{prefix}finding.json: cannot be read, or is none; process the scan again")
    entry = _entry(root, scan, figures, str(settings.get("sequence") or ""), f"{prefix}report.html")
    title = _title(root, entry.report)
    if any(map(HASHED.fullmatch, scan.split("/"))):  # of a node: nobody knows a scan by that
        name = (whose.named(about) if isinstance(about, Mapping) else "") or title or name
        if (again := RUN.search(scan)) and again[1] != "1":
            name += f", look {again[1]}"
        title = ""
    return replace(entry, name=name, title=title, about=_about(about))


def _about(about: Any) -> str:
    """Return when and with what a scan was acquired, as `finding.json` tells; "" where it does not."""
    if not isinstance(about, Mapping):
        return ""
    when = f"{whose.day(str(about.get('study_date') or ''))} {whose.clock(str(about.get('study_time') or ''))}".strip()
    maker, model = (str(about.get(name) or "") for name in ("manufacturer", "model"))
    return " · ".join(filter(None, (when, whose.scanner(maker, model, finite(about.get("field_strength"))))))


def _entry(root: Path, scan: str, figures: Mapping[str, Any], sequence: str, report: str) -> Entry:
    """Return the entry of a scan that was processed."""
    verdict = str(figures.get("verdict") or UNKNOWN)
    warnings = figures.get("warnings")
    notes = [str(note) for note in warnings] if isinstance(warnings, list) else []
    if not report or inside(root, report) is None:
        report, notes = "", [*notes, "Its report is missing."]
    return Entry(
        scan=scan,
        name=scan,
        sequence=sequence,
        verdict=verdict,
        tone=TONES.get(verdict, "grey"),
        score=finite(figures.get("score")),
        percentile=finite(figures.get("percentile")),
        healthy_median=finite(figures.get("healthy_median")),
        healthy_p95=finite(figures.get("healthy_p95")),
        anomaly_ml=finite(figures.get("anomaly_ml")),
        anomaly_fraction=finite(figures.get("anomaly_fraction")),
        model=str(figures.get("model") or ""),
        report=report,
        notes=tuple(notes),
        headline=str(figures.get("headline") or ""),
        stands_out=finite(figures.get("stands_out")),
    )


def _mapping(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise TypeError("not a table of names")
    return value


def _value(score: Any) -> Any:
    return score.get("value") if isinstance(score, Mapping) else None


def _volume(root: Path, prefix: str, summary: Mapping[str, Any]) -> float | None:
    """Return the volume of the anomaly mask in mL: of its regions if all are listed, else of the mask itself."""
    regions = summary.get("regions")
    if isinstance(regions, Mapping) and regions.get("count") == len(regions.get("listed", ())):
        return float(sum(region["volume_ml"] for region in regions["listed"]))
    path = inside(root, f"{prefix}anomaly.nii.gz")
    return None if path is None else _volume_of_mask(path)


def _volume_of_mask(path: Path) -> float | None:
    """Return the volume of a mask's file in mL; None if it cannot be read."""
    import nibabel as nib
    import numpy as np

    try:
        image: Any = nib.load(path)
        return float(np.count_nonzero(np.asanyarray(image.dataobj))) * voxel_ml(image.affine)
    except (OSError, ValueError, EOFError, nib.filebasedimages.ImageFileError):
        return None


def _title(root: Path, report: str) -> str:
    """Return what a report calls its scan; "" without one."""
    path = inside(root, report) if report else None
    if path is None:
        return ""
    with path.open("rb") as file:
        found = TITLE.search(file.read(HEAD).decode("utf-8", "replace"))
    return html.unescape(found[1]) if found else ""


def _sendable(entry: Entry) -> Entry:
    """Return the entry; a refusal where its name is in no encoding that a page or a table could hold."""
    try:
        json.dumps(entry.values(), ensure_ascii=False).encode()
    except UnicodeEncodeError:
        name = entry.scan.encode("utf-8", "backslashreplace").decode()
        return Entry(name, name, reason="its name is not in UTF-8; rename it")
    return entry
