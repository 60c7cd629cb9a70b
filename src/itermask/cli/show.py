"""What the command line shows while it works and when it is done."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from itermask.cli.console import console
from itermask.types import VERDICTS, Finding

COLOURS = dict(zip(VERDICTS, ("green", "yellow", "red"), strict=True))


@contextmanager
def progress_bar(title: str) -> Iterator["StageBar"]:
    """Show a bar on standard error; nothing where that is no terminal or `NO_COLOR` is set."""
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    errors = console(stderr=True)
    with Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal) as bar:
        yield StageBar(bar, title)


class StageBar:
    """Called with (stage, share done): one bar, named after the stage."""

    def __init__(self, bar: Progress, title: str) -> None:
        self.bar, self.title = bar, escape(title)
        self.task = bar.add_task(self.title, total=1.0)

    def __call__(self, stage: str, share: float) -> None:
        """Show how far a stage is."""
        self.bar.update(self.task, description=f"{self.title}: {stage}", completed=share)


def print_finding(name: str, finding: Finding, out: Path) -> None:
    """Print the verdict, the answers to the three questions, notes, and where the report lies."""
    lines = console()
    colour = COLOURS.get(finding.verdict, "white")
    lines.print(f"[bold]{escape(name)}[/bold]: [{colour}]{finding.verdict}[/{colour}]")
    if finding.headline:
        lines.print(f"  {escape(finding.headline)}")
    for answer in finding.questions:
        lines.print(f"  {escape(answer['asks'])} {escape(answer['sentence'])}")
    known = np.isfinite(finding.percentile)
    rank = f"above {finding.percentile:.0f} % of healthy scans" if known else "the model has no healthy range"
    lines.print(f"  score {finding.score:.3g} ({rank}), anomaly {100 * finding.anomaly_fraction:.2f} % of the brain")
    for warning in finding.warnings:
        lines.print(f"  [yellow]note:[/yellow] {escape(warning)}")
    lines.print(f"  {escape(str(out / 'report.html'))}")
