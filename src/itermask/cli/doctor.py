"""`itermask doctor`: what is installed, what works, and whether a scan would run."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from itermask.cli.console import console, print_json
from itermask.cli.options import DeviceOption, JSONOption

if TYPE_CHECKING:
    from rich.console import Console

    from itermask.apps.doctor import Examination
    from itermask.apps.doctor.brain import Tool

YES, NO = "[green]yes[/green]", "[yellow]no[/yellow]"


def doctor(
    quick: Annotated[bool, typer.Option("--quick", help="Do not look at a scan; takes some seconds less.")] = False,
    device: DeviceOption = "auto",
    as_json: JSONOption = False,
) -> None:
    """Say what is installed and what works, and look at a bundled scan. Exit code 0 if a scan would run, else 1."""
    from itermask.apps.doctor import examine

    found = examine(quick, device)
    if as_json:
        print_json(found.as_dict())
    else:
        _print(found, console())
    if not found.would_run:
        raise typer.Exit(1)


def _print(found: "Examination", lines: "Console") -> None:
    """Everything in words, the answer last."""
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
        (one.name, one.sequence, one.method, f"{one.dims}D {one.looks_at}" if one.dims else "", one.license)
        for one in found.models
    ]
    _section(lines, ("model", "sequence", "method", "looks at", "licence"), [tuple(map(escape, row)) for row in models])
    complete = [one.name for one in found.extras if one.complete]
    lines.print(f"\nextras that are complete: {', '.join(complete) or 'none'}")
    for one in found.extras:
        if not one.complete:
            adds = f"{one.adds} ({', '.join(one.missing)})" if one.adds else ", ".join(one.missing)
            lines.print(f"  {escape(one.install)} adds {escape(adds)}")
    lines.print()
    if found.look is not None and found.look.problem is None:
        look = found.look
        lines.print(f"A bundled scan, looked at with {look.model} in {look.seconds:.1f} s: {look.verdict}.")
    for note in found.notes:
        lines.print(f"[yellow]note:[/yellow] {escape(note)}")
    for reason in found.reasons:
        lines.print(f"[red]wrong:[/red] {escape(reason)}")
    lines.print("[green]A scan would run.[/green]" if found.would_run else "[red]A scan would not run.[/red]")


def _section(lines: "Console", titles: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    """A table with a line of space above."""
    table = Table(*titles, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*row)
    lines.print()
    lines.print(table, soft_wrap=False)


def _state(tool: "Tool") -> str:
    """Whether a tool is there, with its weights; else how to get it."""
    if tool.version is None:
        return escape(f"not installed: {tool.install}")
    return escape(f"{tool.version}, {tool.problem or 'weights are there'}")


def _text(text: str, install: str) -> str:
    """What there is, and the command that adds what is not."""
    return escape(f"{text}: {install}" if install else text)
