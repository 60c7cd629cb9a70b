"""Lists for the programs that come next: which scans to leave out, which participants to keep, and what scans cost.

* `group_T1w_exclude.tsv`: scans outside the healthy range, not judged, or failed, with the reason.
* `group_T1w_bidsignore.txt`: the same as lines for the `.bidsignore` of the scans' tree.
* `group_T1w_keep.txt`: participants none of whose scans is left out, for `--participant-label $(cat …)`.
* `group_T1w_keep.json`: the same as a BIDS filter file, for fMRIPrep's `--bids-filter-file`.
* `logs/scans.tsv`: seconds and memory of each scan; in `logs`, as it differs from run to run.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from itermask.apps.cohort.derivative import write_text
from itermask.apps.cohort.manifest import LOGS
from itermask.types import NOT_JUDGED, VERDICTS

if TYPE_CHECKING:
    from itermask.apps.cohort.rows import Row

LEFT_OUT = (VERDICTS[2], NOT_JUDGED)
EXPORTS = ("exclude.tsv", "bidsignore.txt", "keep.txt", "keep.json")  # each after `group_<sequence>_`
STAGES = ("read", "load model", "find brain", "plausibility", "correct bias", "align", "prepare", "detect", "restore",
          "quality")  # fmt: skip


def left_out(row: "Row") -> str:
    """Return why a scan is left out; "" if it is kept.

    Example:
        >>> from itermask.apps.cohort.manifest import Record
        >>> from itermask.apps.cohort.rows import Row
        >>> left_out(Row(Record("sub-01_T1w", "failed", {}, reason="a truncated file"), ""))
        'a truncated file'
    """
    if not row.ok:
        return row.record.reason or "could not be processed"
    verdict = str(row.record.figures.get("verdict", ""))
    if verdict not in LEFT_OUT:
        return ""
    return str(row.record.figures.get("headline") or verdict)


def exports(sequence: str, rows: Sequence["Row"]) -> dict[str, str]:
    """Return the lists of a sequence's table: text by file name, see this module.

    Args:
        sequence: of the table.
        rows: of the table.

    Example:
        >>> sorted(exports("T1w", []))
        ['group_T1w_bidsignore.txt', 'group_T1w_exclude.tsv', 'group_T1w_keep.json', 'group_T1w_keep.txt']
    """
    reasons = {row.record.name: left_out(row) for row in rows}
    out = [row for row in rows if reasons[row.record.name]]
    lines = ["participant_id\tsession_id\tname\tverdict\treason"]
    for row in out:
        record = row.record
        verdict = str(record.figures.get("verdict", "")) if row.ok else "failed"
        cells = (record.subject, record.session, record.name, verdict, reasons[record.name])
        lines.append("\t".join(" ".join(cell.split()) or "n/a" for cell in cells))
    incomplete = {row.record.subject for row in out}
    kept = sorted({row.record.subject for row in rows if row.record.subject} - incomplete)
    labels = [subject.removeprefix("sub-") for subject in kept]
    filters = {sequence.lower(): {"datatype": "anat", "suffix": sequence, "subject": labels}}
    texts = {
        "exclude.tsv": "".join(f"{line}\n" for line in lines),
        "bidsignore.txt": "".join(f"/{_escaped(row.record.scan)}\n" for row in out),
        "keep.txt": "".join(f"{label}\n" for label in labels),
        "keep.json": json.dumps(filters, indent=1) + "\n",
    }
    return {f"group_{sequence}_{name}": texts[name] for name in EXPORTS}


def _escaped(path: str) -> str:
    """Return a path as a line of `.bidsignore` that means it alone."""
    return "".join(f"\\{letter}" if letter in "*?[]!#\\ " else letter for letter in path)


def costs(out: Path) -> dict[str, dict[str, Any]]:
    """Return what the logs tell of each scan's last run: `seconds`, `peak_mib` of its process, seconds by stage.

    Args:
        out: results folder.

    Example:
        >>> costs(folder)
        {}
    """
    found: dict[str, dict[str, Any]] = {}
    for entry in sorted(_entries(out), key=lambda entry: str(entry.get("finished", ""))):
        if isinstance(entry.get("timings"), dict):
            found[str(entry["name"])] = {
                "seconds": entry.get("seconds"),
                "peak_mib": round(float(entry.get("peak_bytes") or 0) / 2**20, 1),
                **{stage.replace(" ", "_"): entry["timings"].get(stage) for stage in STAGES},
            }
    return dict(sorted(found.items()))


def _entries(out: Path) -> Iterator[dict[str, Any]]:
    """Yield the logs' lines about scans; a line that was cut off is passed over."""
    for path in sorted((out / LOGS).glob("run-*.jsonl")):
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if isinstance(entry, dict) and "name" in entry:
                yield entry


def write_costs(out: Path) -> None:
    """Write `logs/scans.tsv`; nothing where the logs tell of no scan.

    Example:
        >>> write_costs(folder)
    """
    told = costs(out)
    if not told:
        return
    names = ["name", *next(iter(told.values()))]
    lines = ["\t".join(names)]
    for name, values in told.items():
        lines.append("\t".join([name, *("n/a" if value is None else f"{value:g}" for value in values.values())]))
    write_text(out / LOGS / "scans.tsv", "".join(f"{line}\n" for line in lines))
