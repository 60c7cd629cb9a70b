"""`itermask evaluate`: predictions against labels, without a model."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer
from rich.table import Table

from itermask.cli.console import console, print_json, refusals_as_json
from itermask.cli.options import JSONOption
from itermask.cli.show import progress_bar
from itermask.errors import InputError

if TYPE_CHECKING:
    from itermask.evaluation.evaluate import Evaluation


def evaluate(
    predictions: Annotated[
        Path,
        typer.Argument(
            help="Masks (or maps): a file, a folder, 'itermask run' folders; or a table: prediction, label."
        ),
    ],
    labels: Annotated[Optional[Path], typer.Argument(help="Labels: a file or folder; none with a table.")] = None,
    out: Annotated[
        Optional[Path], typer.Option(help="Folder for metrics.tsv, summary.json and summary.md; made if needed.")
    ] = None,
    maps: Annotated[bool, typer.Option("--maps", help="Predictions are continuous maps, not masks.")] = False,
    brain_mask: Annotated[Optional[Path], typer.Option(help="Brain mask for all scans, or a folder of masks.")] = None,
    images: Annotated[Optional[Path], typer.Option(help="The scans, for similarity: a file or folder.")] = None,
    size_limits: Annotated[str, typer.Option(help="Volumes in mL that divide scans into groups by size.")] = "1,10",
    seed: Annotated[int, typer.Option(help="Seed of the bootstrap intervals.")] = 0,
    as_json: JSONOption = False,
) -> None:
    """Compare masks or error maps with labels: one row a scan, and means with intervals."""
    from itermask.evaluation.evaluate import check_out, write_evaluation
    from itermask.evaluation.evaluate import evaluate as compare
    from itermask.io.outputs import plain

    with refusals_as_json(as_json):
        limits = _numbers(size_limits)
        if out is not None:
            check_out(out, predictions, labels, brain_mask, images)
        with progress_bar("evaluate") as bar:
            found = compare(predictions, labels, maps, brain_mask, images, limits, seed, bar)
        if out is not None:
            write_evaluation(found, out)
    if as_json:
        print_json(plain(found.summary))
    else:
        _print(found, out)
    if found.failed:
        raise typer.Exit(1 if found.summary["scans"] else 2)


def _numbers(text: str) -> list[float]:
    """Return numbers with commas between."""
    try:
        return [float(number) for number in text.split(",")]
    except ValueError as error:
        raise InputError(f"--size-limits {text}: separate numbers with commas, for example 1,10") from error


def _print(found: "Evaluation", out: Path | None) -> None:
    """Print the means on standard output; what was not evaluated on standard error."""
    summary = found.summary
    problems, lines = console(stderr=True), console()
    for name, reason in found.failed:
        problems.print(f"failed: {name}: {reason}", markup=False)
    for name, reason in summary["predictions_without_label"]:
        problems.print(f"prediction without label: {name}: {reason}", markup=False)
    if names := summary["labels_without_prediction"]:
        problems.print(f"{len(names)} files among the labels pair with nothing: {', '.join(names)}", markup=False)
    lines.print(
        f"{summary['scans']} scans evaluated, {len(found.failed)} failed, "
        f"{len(summary['predictions_without_label'])} predictions without label"
    )
    if summary["scans"]:
        lines.print(_table(summary), soft_wrap=False)
    if out is not None:
        lines.print(str(out / "summary.md"), markup=False)


def _table(summary: dict[str, Any]) -> Table:
    """Return mean, spread and interval of every metric."""
    table = Table("metric", "mean", "std", "95 % interval", "defined", box=None, pad_edge=False)
    for metric, values in summary["metrics"].items():
        mean, std, low, high = (_number(values[key]) for key in ("mean", "std", "low", "high"))
        table.add_row(metric, mean, std, f"{low}–{high}" if values["defined"] else "n/a", str(values["defined"]))
    return table


def _number(value: float) -> str:
    return f"{value:.4g}" if value == value else "n/a"
