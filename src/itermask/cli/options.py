"""Options that several commands share: one wording and one completion each."""

from typing import Annotated, Any, Optional

import typer

from itermask import __version__
from itermask.cli import complete
from itermask.errors import InputError

DeviceOption = Annotated[
    str, typer.Option("--device", help="auto, cpu, cuda, mps or openvino.", autocompletion=complete.devices)
]
ModelOption = Annotated[
    Optional[str],
    typer.Option(
        "--model",
        help="Model folder or bundled name; default: one that suits the scan.",
        autocompletion=complete.models,
    ),
]
SeedOption = Annotated[int, typer.Option("--seed", help="Seed of the noise fill.")]
GammaOption = Annotated[
    Optional[float], typer.Option("--gamma", help="Stop slope instead of the model's; smaller flags more.")
]
SensitivityOption = Annotated[
    Optional[float],
    typer.Option("--sensitivity", help="Divides the model's operating point: 2 flags more, 0.5 less."),
]
N4Option = Annotated[bool, typer.Option("--n4", help="Correct slow brightness changes first (N4).")]
AlignOption = Annotated[bool, typer.Option("--align", help="Process along MNI axes (rigid registration).")]
JSONOption = Annotated[
    bool, typer.Option("--json", help="Print JSON on standard output instead of lines; see docs/command-line.md.")
]

# Of the commands over many scans.
MemoryOption = Annotated[
    Optional[float], typer.Option("--memory", "--mem-gb", help="GiB that the workers share; default: the free memory.")
]
WorkersOption = Annotated[
    Optional[int],
    typer.Option("--workers", "--nprocs", help="Worker processes; 0: only this one. Default: by cores and memory."),
]
TimeLimitOption = Annotated[float, typer.Option("--time-limit", help="Minutes after which a scan is given up.")]
ShardOption = Annotated[str, typer.Option("--shard", help="i/n: only every n-th scan from the i-th, for job arrays.")]
DaskOption = Annotated[
    Optional[str], typer.Option("--dask", help="Scheduler of a Dask cluster, e.g. tcp://node1:8786.")
]
ReferenceByOption = Annotated[
    Optional[str],
    typer.Option(
        "--reference-by",
        help="Columns that identify a scanner for relative scores, e.g. site,protocol; else the scanner's.",
    ),
]
RetryFailedOption = Annotated[bool, typer.Option("--retry-failed", help="Try scans again that failed before.")]
ReportsOnlyOption = Annotated[
    bool, typer.Option("--reports-only", help="Draw the reports of finished scans again, nothing else.")
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Only list what would be done.")]


def sequence_option(help: str) -> Any:
    """Return `--sequence`, which commands use differently, with the known sequences offered."""
    return typer.Option("--sequence", help=help, autocompletion=complete.sequences)


def brain_mask_option(otherwise: str) -> Any:
    """Return `--brain-mask` of one scan; `otherwise` says what happens without."""
    return typer.Option("--brain-mask", help=f"Brain mask on the scan's grid; else {otherwise}.")


def show_version(context: typer.Context, wanted: bool) -> None:
    """Print the version and leave; not where a shell asks for completions."""
    if wanted and not context.resilient_parsing:
        print(f"itermask {__version__}")
        raise typer.Exit


def parse_part(text: str, option: str) -> tuple[int, int]:
    """Return `i/n`, one part of n, as numbers.

    Args:
        text: what was given.
        option: to which option, for the message.

    Raises:
        InputError: it is not that, or i is not within 1 to n.

    Example:
        >>> parse_part("2/4", "--shard")
        (2, 4)
    """
    try:
        number, count = (int(part) for part in text.split("/"))
    except ValueError:
        number, count = 0, 0
    if not 1 <= number <= count:
        raise InputError(f"{option} {text}: write it as 1/4, 2/4, … up to 4/4")
    return number, count
