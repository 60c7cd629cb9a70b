"""`itermask series`: what DICOM images a folder, zip or file holds."""

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from itermask.io.dicom.series import Found, Series


def series(
    path: Annotated[Path, typer.Argument(help="DICOM folder (with all below it), zip or file.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """List the MR series of a folder, zip or file: their guessed sequence and why, and what cannot be used and why."""
    from itermask.io.dicom.series import find_series

    found = find_series(path)
    if as_json:
        print(json.dumps(_plain(found), indent=1, ensure_ascii=False))
    else:
        _print(found)


def _plain(found: "Found") -> dict[str, Any]:
    """Everything that was found, as JSON holds it."""
    return {
        "series": [
            {
                "label": each.label,
                "number": each.number,
                "uid": each.uid,
                "study": each.study,
                "description": each.description,
                "part": each.part,
                "slices": len(each.frames),
                "shape": list(each.shape),
                "spacing_mm": None if each.spacing is None else [round(size, 6) for size in each.spacing],
                "plane": each.plane,
                "sequence": each.guess.sequence,
                "evidence": each.guess.evidence,
                "derived": each.derived,
                "problem": each.problem or None,
            }
            for each in found.series
        ],
        "left_out": [{"file": left.name, "reason": left.reason} for left in found.left_out],
    }


def _print(found: "Found") -> None:
    """A table of the series, then how many files were left out for each reason."""
    console = Console(soft_wrap=True, highlight=False)
    table = Table("series", "sequence", "slices", "voxels", "description", box=None, pad_edge=False)
    for each in found.series:
        words = ", ".join(text for text in (each.description, each.part) if text)
        sequence = "[yellow]cannot be used[/yellow]" if each.problem else each.guess.sequence or "unknown"
        table.add_row(each.label, sequence, f"{len(each.frames)} {each.plane}", _voxels(each), escape(words))
    console.print(table if found.series else "no MR series")
    for each in found.series:
        console.print(f"{each.label}: {escape(each.problem or each.guess.evidence)}")
    counts = Counter(left.reason for left in found.left_out)
    for reason, count in sorted(counts.items()):
        name = next(left.name for left in found.left_out if left.reason == reason)
        others = f" and {count - 1} more" if count > 1 else ""
        console.print(f"left out: {escape(Path(name).name)}{others}: {escape(reason)}")


def _voxels(series: "Series") -> str:
    """Number and size of voxels."""
    columns, rows, _ = series.shape
    size = "" if series.spacing is None else f", {'×'.join(f'{edge:.3g}' for edge in series.spacing)} mm"
    return f"{columns}×{rows}{size}"
