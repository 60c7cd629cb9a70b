"""The command `itermask`: finds the subcommand, and turns a refusal into one line and exit code 2."""

import atexit
import gc
import sys
from typing import Annotated

import typer

from itermask import __version__
from itermask.cli import (
    benchmark,
    bids,
    calibrate,
    cohort,
    corrupt,
    demo,
    doctor,
    evaluate,
    listen,
    models,
    run,
    series,
    train,
    view,
)
from itermask.errors import InputError

app = typer.Typer(
    name="itermask",
    help="Find what is not normal in brain MRI. For research use only; not a diagnosis.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command("run")(run.run)
app.command("bids", cls=bids.SpacedLabels)(bids.bids)
app.command("cohort")(cohort.cohort)
app.command("listen")(listen.listen)
app.command("demo")(demo.demo)
app.command("train")(train.train)
app.command("calibrate")(calibrate.calibrate)
app.command("benchmark")(benchmark.benchmark)
app.command("evaluate")(evaluate.evaluate)
app.command("models")(models.models)
app.command("view")(view.view)
app.command("series")(series.series)
app.command("corrupt")(corrupt.corrupt)
app.command("doctor")(doctor.doctor)


def _version(context: typer.Context, wanted: bool) -> None:
    if wanted and not context.resilient_parsing:  # a shell that asks for completions
        print(f"itermask {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options before the subcommand."""


def collect_seldom() -> None:
    """Loading PyTorch makes a million objects that stay until the end; looking through them takes a second of a run."""
    gc.set_threshold(50_000)
    atexit.unregister(gc.freeze)
    atexit.register(gc.freeze)


def main() -> None:
    """Entry point of the command."""
    collect_seldom()
    try:
        app()
    except InputError as error:
        print(f"itermask: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("itermask: interrupted", file=sys.stderr)
        sys.exit(130)
