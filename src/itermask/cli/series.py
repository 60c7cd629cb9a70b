"""`itermask series`: what DICOM images a folder, zip or file holds."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from itermask.cli.console import console, print_json, refusals_as_json
from itermask.cli.options import JSONOption

if TYPE_CHECKING:
    from itermask.io.dicom.series import Found, Series


def series(
    path: Annotated[Path, typer.Argument(help="DICOM folder (with all below it), zip or file.")],
    as_json: JSONOption = False,
) -> None:
    """List the MR series of a folder, zip or file: their guessed sequence and why, and what cannot be used and why."""
    from itermask.io.dicom.series import find_series

    with refusals_as_json(as_json):
        found = find_series(path)
    if as_json:
        print_json(_plain(found))
    else:
        _print(found)


def _plain(found: "Found") -> dict[str, Any]:
    """Return everything that was found, as JSON holds it."""
    return {
        "series": [plain_series(each) for each in found.series],
        "left_out": [{"file": left.name, "reason": left.reason} for left in found.left_out],
    }


def plain_series(series: "Series") -> dict[str, Any]:
    """Return one series, as JSON holds it."""
    return {
        "label": series.label,
        "number": series.number,
        "uid": series.uid,
        "study": series.study,
        "accession_number": series.source.accession_number,
        "study_date": series.source.study_date,
        "patient_id": series.frames[0].patient[0],
        "description": series.description,
        "part": series.part,
        "slices": len(series.frames),
        "shape": list(series.shape),
        "spacing_mm": None if series.spacing is None else [round(size, 6) for size in series.spacing],
        "plane": series.plane,
        "sequence": series.guess.sequence,
        "evidence": series.guess.evidence,
        "derived": series.derived,
        "problem": series.problem or None,
        "notes": list(series.notes),
    }


def _print(found: "Found") -> None:
    """Print a table of the series, then how many files were left out for each reason."""
    from itermask.io.dicom.aside import left_out_lines

    lines = console()
    owners = whose(found.series)
    table = Table("series", "sequence", "slices", "voxels", "description", box=None, pad_edge=False)
    if owners:
        table.add_column("of")
    for each in found.series:
        said = ", ".join(text for text in (each.description, each.part) if text)
        sequence = "[yellow]cannot be used[/yellow]" if each.problem else each.guess.sequence or "unknown"
        table.add_row(
            each.label,
            sequence,
            f"{len(each.frames)} {each.plane}",
            _voxels(each),
            escape(said),
            *map(escape, owners.get(each.label, ())),
        )
    if found.series:
        lines.print(table, soft_wrap=False)
    else:
        lines.print("no MR series")
    for each in found.series:
        lines.print(f"{each.label}: {escape(each.problem or each.guess.evidence)}")
        for note in each.notes:
            lines.print(f"{each.label}: {escape(note)}")
    for line in left_out_lines(found):
        lines.print(escape(line))


def whose(series: "Sequence[Series]") -> dict[str, tuple[str]]:
    """Return by label which patient and study a series is of; empty where all are of one study of one patient.

    Patients are told by their identifier, never by name; those without one are counted.

    Example:
        >>> whose([])
        {}
    """
    from itermask.results.whose import day, study_code

    patients = list(dict.fromkeys(each.frames[0].patient for each in series))
    if len(patients) <= 1 and len({each.study for each in series}) <= 1:
        return {}
    found = {}
    for each in series:
        patient = each.frames[0].patient
        alike = [other for other in patients if other[0] == patient[0]]
        named = f"patient {patient[0]}" if patient[0] else f"patient {patients.index(patient) + 1}, without identifier"
        if len(alike) > 1 and patient[0]:
            named += f" ({alike.index(patient) + 1} of {len(alike)} persons with this identifier)"
        study = study_code(each.source.accession_number, each.study)
        found[each.label] = (", ".join(filter(None, (named, study, day(each.source.study_date)))),)
    return found


def _voxels(series: "Series") -> str:
    """Return the number and size of voxels."""
    columns, rows, _ = series.shape
    size = "" if series.spacing is None else f", {'×'.join(f'{edge:.3g}' for edge in series.spacing)} mm"
    return f"{columns}×{rows}{size}"
