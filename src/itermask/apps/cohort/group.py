"""All scans of a results folder side by side: `group_T1w.tsv`, its data dictionary, and the page.

Merges the records of all shards. A scan that could not be processed is a row with its reason.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from itermask.apps.cohort.derivative import write_text
from itermask.apps.cohort.exports import exports, write_costs
from itermask.apps.cohort.manifest import DONE, Record, read_records
from itermask.apps.cohort.mosaic import pictures_of
from itermask.apps.cohort.page import outliers_first, render
from itermask.apps.cohort.relative import SCANNER as BY_SCANNER
from itermask.apps.cohort.relative import relative_to_groups
from itermask.apps.cohort.rows import FIRST, LAST, THEN, Row, cells, rows_of, score_names
from itermask.results.paper import Used, methods_text
from itermask.results.report.charts import score_name
from itermask.types import NOT_JUDGED, UNKNOWN, VERDICTS

MISSING = "n/a"
COLUMNS: dict[str, dict[str, Any]] = {
    "name": {"Description": "Name of the scan, without ending"},
    "participant_id": {"Description": "Who was scanned"},
    "session_id": {"Description": "Which visit"},
    "status": {
        "Description": "Whether the scan could be processed",
        "Levels": {"ok": "it was processed", "failed": "it could not be processed, see reason"},
    },
    "verdict": {
        "Description": "Where the score lies among healthy scans",
        "Levels": {
            VERDICTS[0]: "neither image quality nor a region stands out from healthy scans",
            VERDICTS[1]: "one of them is above the healthy scans' 95th percentile",
            VERDICTS[2]: "one of them is far above it, or tissue is missing",
            NOT_JUDGED: "it is no brain scan that the model can judge",
            UNKNOWN: "the model has no healthy range",
        },
    },
    "headline": {"Description": "What decided the verdict, in one sentence"},
    "stands_out": {
        "Description": "How far the scan is from healthy ones: image quality and focal score together, each 1 at its "
        "borderline and 2 where outside begins; the table's page has corrupt images first, and is sorted by it within "
        "a verdict"
    },
    "decided_by": {
        "Description": "The question that decided the verdict",
        "Levels": {
            "judged": "can it be judged",
            "quality": "is the image spoiled",
            "focal": "does something stand out",
        },
    },
    "quality_score": {"Description": "How corrupt the image looks; higher is worse, see the documentation"},
    "likely_fault": {"Description": "The likely fault of the image, as text"},
    "reference_group": {"Description": "The scans of this table that the relative scores compare with"},
    "reference_scans": {"Description": "How many scans that group has"},
    "relative_quality": {
        "Description": "Image-quality score over the median of its reference group, in robust standard deviations"
    },
    "relative_focal": {
        "Description": "Logarithm of the focal score over the median of its group, in robust standard deviations"
    },
    "study_date": {"Description": "Day of the study or series, YYYYMMDD, as the sidecar or header says it"},
    "manufacturer": {"Description": "Of the scanner, as the sidecar or header says it"},
    "scanner_model": {"Description": "The manufacturer's name for the scanner"},
    "field_strength": {"Description": "Of the scanner", "Units": "tesla"},
    "site": {"Description": "Where it was scanned, as the sidecar or header says it"},
    "protocol": {"Description": "Name of the protocol"},
    "score": {"Description": "The model's default score of the whole scan; higher is less normal"},
    "percentile": {
        "Description": "Share of the model's healthy validation scans with a lower score",
        "Units": "percent",
    },
    "anomaly_fraction": {"Description": "Share of the brain in the anomaly mask, 0 to 1"},
    "anomaly_ml": {"Description": "Volume of the anomaly mask", "Units": "mL"},
    "brain_ml": {"Description": "Volume of the brain mask", "Units": "mL"},
    "mean_error": {"Description": "Mean of the error map over the brain"},
    "threshold": {"Description": "Error level of the anomaly mask, in the model's intensity scale"},
    "age": {"Description": "Age, as the data set says it", "Units": "year"},
    "sex": {"Description": "Sex, as the data set says it"},
    "model": {"Description": "Model that processed the scan"},
    "brain_mask": {"Description": "Where the brain mask comes from: given, stripped (there was no skull), or a tool"},
    "bias_correction": {"Description": "Whether slow brightness changes were taken out first, and with what"},
    "alignment": {"Description": "Whether the model processed along MNI axes, and what aligned the scan"},
    "notes": {"Description": "What a reader of the result must know"},
    "report": {"Description": "The scan's report, relative to this file"},
    "scan": {"Description": "The scan's file, relative to the data set or as it was given"},
    "reason": {"Description": "Why the scan could not be processed"},
}


def columns(scores: Sequence[str]) -> list[str]:
    """Return the table's columns, each once.

    Example:
        >>> columns(["focal"])[:2]
        ['name', 'participant_id']
    """
    return list(dict.fromkeys((*FIRST, *THEN, *scores, *LAST)))


def table(rows: Sequence[Row]) -> str:
    r"""Return the table as text, with tabs, sorted by name; `n/a` where there is nothing.

    Example:
        >>> table([]).split("\t")[0]
        'name'
    """
    scores = score_names(rows)
    lines = [columns(scores)]
    for row in rows:
        found = cells(row, scores)
        lines.append([_cell(found[name]) for name in columns(scores)])
    return "".join("\t".join(line) + "\n" for line in lines)


def _cell(value: Any) -> str:
    """Return a cell's text: numbers with six digits, nothing that would break a line."""
    if value is None or value == "":
        return MISSING
    return f"{value:.6g}" if isinstance(value, float) else " ".join(str(value).split())


def dictionary(rows: Sequence[Row]) -> str:
    """Return what the table's columns mean, as JSON.

    Example:
        >>> "verdict" in dictionary([])
        True
    """
    scores = score_names(rows)
    told = {name: {"Description": f"{score_name(name)}; higher is less normal"} for name in scores}
    return json.dumps({name: COLUMNS.get(name) or told[name] for name in columns(scores)}, indent=1) + "\n"


def write_group(
    out: Path,
    layout: str,
    about: Callable[[Record], Mapping[str, str]],
    note: str = "",
    by: Sequence[str] = (),
    keep: Callable[[Record], bool] | None = None,
) -> list[Path]:
    """Write table, data dictionary, page and lists of each sequence in a results folder.

    The lists are those of `itermask.apps.cohort.exports`; beside them `methods.md` says how scans were processed.

    Args:
        out: results folder.
        layout: of the run, one of `LAYOUTS`.
        about: gives `age` and `sex` of a record's subject, where known.
        note: a sentence for the pages, such as how many scans have not been processed yet.
        by: columns that tell scanners apart, see `itermask.apps.cohort.relative`; its own choice if empty.
        keep: whether a record takes part; all do if None.

    Returns:
        the pages.

    Raises:
        InputError: they cannot be written.
    """
    pages = []
    for sequence, found in rows_of(out, layout, about, keep).items():
        rows, groups = relative_to_groups(found, by or BY_SCANNER)
        write_text(out / f"group_{sequence}.tsv", table(rows))
        write_text(out / f"group_{sequence}.json", dictionary(rows))
        page = out / f"group_{sequence}.html"
        write_text(
            page,
            render(
                sequence, rows, note, [group.sentence() for group in groups], pictures_of(outliers_first(rows), out)
            ),
        )
        pages.append(page)
        for name, text in exports(sequence, rows).items():
            write_text(out / name, text)
    write_methods(out, keep)
    write_costs(out)
    return pages


def write_methods(out: Path, keep: Callable[[Record], bool] | None = None) -> None:
    """Write `methods.md`, a paragraph for a paper on how the folder's scans were processed; nothing without a scan."""
    records = [record for record in read_records(out) if record.state == DONE and (keep is None or keep(record))]
    figures = [record.figures for record in records]
    if figures:
        write_text(out / "methods.md", methods_text(Used(one, one.get("versions") or {}) for one in figures))
