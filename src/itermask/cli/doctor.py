"""`itermask doctor`: what is installed, what works, and whether a scan would run."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer
from rich.markup import escape
from rich.table import Table

from itermask.cli.console import console, print_json
from itermask.cli.options import DeviceOption, JSONOption, brain_mask_option, sequence_option
from itermask.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console

    from itermask.apps.doctor import Examination
    from itermask.apps.doctor.brain import Tool
    from itermask.apps.doctor.scan import Forecast

YES, NO = "[green]yes[/green]", "[yellow]no[/yellow]"


def doctor(
    scan: Annotated[
        Optional[Path],
        typer.Argument(help="NIfTI file or DICOM folder: say what would happen to it, and compute nothing."),
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Do not process a scan; takes some seconds less.")] = False,
    device: DeviceOption = "auto",
    as_json: JSONOption = False,
    series: Annotated[
        Optional[str], typer.Option(help="Of a DICOM folder: which series, as for 'itermask run'.")
    ] = None,
    sequence: Annotated[Optional[str], sequence_option("Of the scan; else what its file says.")] = None,
    brain_mask: Annotated[Optional[Path], brain_mask_option("it is found")] = None,
    model: Annotated[
        Optional[str], typer.Option(help="Model folder or bundled name; default: one that suits the scan.")
    ] = None,
) -> None:
    """Say what is installed and what works, and process a bundled scan; or what would happen to a scan of yours.

    Exit code 0 if a scan would run, else 1.
    """
    from itermask.apps.doctor import examine

    if scan is not None:
        _say(scan, as_json, series=series, sequence=sequence, brain_mask=brain_mask, model=model)
        return
    if series or sequence or brain_mask or model:
        raise InputError("--series, --sequence, --brain-mask and --model belong to a scan; name it too")
    found = examine(quick, device)
    if as_json:
        print_json(found.as_dict())
    else:
        _print(found, console())
    if not found.would_run:
        raise typer.Exit(1)


def _print(found: "Examination", lines: "Console") -> None:
    """Print everything as text, the answer last."""
    machine, torch = found.machine, found.torch
    lines.print(f"[bold]itermask {found.version}[/bold], Python {machine.python}, {escape(machine.platform)}")
    lines.print(
        f"{machine.cores} cores and {machine.free_memory_gib:.1f} GiB of memory to use, "
        f"{machine.free_temp_gib:.1f} GiB free in {escape(machine.temp)}"
    )
    if torch.version is not None:
        features = ", ".join(torch.features) or "no special instructions"
        lines.print(f"PyTorch {torch.version}, {torch.number_format} on the CPU ({features})")
    if found.runtimes:
        rows = [(one.name, YES if one.works else NO, _text(one.description, one.install)) for one in found.runtimes]
        _section(lines, ("--device", "works", "with"), rows)
    tools = [(one.sequences, one.name, _state(one)) for one in found.brain_extraction]
    _section(lines, ("brain extraction of", "by", "state"), tools)
    if not any(one.problem is None for one in found.brain_extraction):
        lines.print("Without one, give --brain-mask, or scans without skull.")
    models = [
        (one.name, one.sequence, one.method, f"{one.dims}D {one.input_form}" if one.dims else "", one.license)
        for one in found.models
    ]
    _section(
        lines, ("model", "sequence", "method", "processes", "licence"), [tuple(map(escape, row)) for row in models]
    )
    complete = [one.name for one in found.extras if one.complete]
    lines.print(f"\nextras that are complete: {', '.join(complete) or 'none'}")
    for one in found.extras:
        if not one.complete:
            adds = f"{one.adds} ({', '.join(one.missing)})" if one.adds else ", ".join(one.missing)
            lines.print(f"  {escape(one.install)} adds {escape(adds)}")
    lines.print()
    if found.demo is not None and found.demo.problem is None:
        demo = found.demo
        lines.print(f"A bundled scan, processed with {demo.model} in {demo.seconds:.1f} s: {demo.verdict}.")
    for note in found.notes:
        lines.print(f"[yellow]note:[/yellow] {escape(note)}")
    for reason in found.reasons:
        lines.print(f"[red]wrong:[/red] {escape(reason)}")
    lines.print("[green]A scan would run.[/green]" if found.would_run else "[red]A scan would not run.[/red]")


def _say(path: Path, as_json: bool, **how: "str | Path | None") -> None:
    """Print what would happen to a scan."""
    from itermask.apps.doctor.scan import foresee

    found = foresee(path, **how)  # type: ignore[arg-type]
    if as_json:
        print_json(found.as_dict())
    else:
        lines = console()
        for label, text in _forecast(found):
            lines.print(f"[bold]{label}[/bold]  {escape(text)}")
        for note in found.notes:
            lines.print(f"[yellow]note:[/yellow] {escape(note)}")
        for line in found.aside:
            lines.print(escape(line))
        if found.refusal:
            lines.print(f"[red]refused:[/red] {escape(found.refusal)}")
        lines.print("[green]It would run.[/green]" if found.would_run else "[red]It would not run.[/red]")
    if not found.would_run:
        raise typer.Exit(1)


def _forecast(found: "Forecast") -> Iterator[tuple[str, str]]:
    """Yield labels and texts of what is known of a scan."""
    yield "scan", found.scan
    for label, text in found.about:
        yield label.lower(), text
    if found.shape:
        size = " × ".join(map(str, found.shape))
        tilted = f", tilted by {found.tilt:g}° from the scanner's axes" if found.tilt >= 0.5 else ""
        edges = " × ".join(f"{step:.3g}" for step in found.spacing_mm)
        yield "geometry", f"{size} voxels of {edges} mm, axes {found.axes}{tilted}"
    if found.sequence:
        yield "sequence", f"{found.sequence} ({found.evidence})"
    if found.model:
        own = len(found.voxel_mm) == 3 and found.voxel_mm[2] == 0
        grid = "the scan's own slices" if own else f"{' × '.join(f'{edge:.3g}' for edge in found.voxel_mm)} mm"
        yield "model", f"{found.model}, {found.why}; processes {grid}"
    if found.brain:
        how = {"given": "the mask that is given", "stripped": "the scan is stripped already"}
        yield "brain", how.get(found.brain, f"would be extracted by {found.brain}")


def _section(lines: "Console", titles: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    """Print a table with a line of space above."""
    table = Table(*titles, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*row)
    lines.print()
    lines.print(table, soft_wrap=False)


def _state(tool: "Tool") -> str:
    """Return whether a tool is there, with its weights; else how to get it."""
    if tool.version is None:
        return escape(f"not installed: {tool.install}")
    return escape(f"{tool.version}, {tool.problem or 'weights are there'}")


def _text(text: str, install: str) -> str:
    """Return what there is, and the command that adds what is not."""
    return escape(f"{text}: {install}" if install else text)
