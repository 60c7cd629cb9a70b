"""The command `itermask`: finds the subcommand, and turns a refusal into one line and exit code 2."""

import atexit
import gc
import os
import sys
import traceback
from typing import Annotated

import typer

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
from itermask.cli.options import show_version
from itermask.cli.streams import flushed, open_streams, tell, wants_json
from itermask.errors import InputError

TRACEBACK = "ITERMASK_TRACEBACK"  # set to show where an unexpected error came from

app = typer.Typer(
    name="itermask",
    help="Find what is not normal in brain MRI. For research use only; not a diagnosis.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"]},
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


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", "-V", callback=show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Read the options before the subcommand."""


def collect_seldom() -> None:
    """Collect garbage less often: PyTorch makes a million lasting objects, and searching them takes a second a run."""
    gc.set_threshold(50_000)
    atexit.unregister(gc.freeze)
    atexit.register(gc.freeze)


def main() -> None:
    """Run the command: every end is an exit code, and at most one line says what went wrong."""
    open_streams()
    collect_seldom()
    as_json = wants_json(sys.argv[1:])
    code = ended(as_json)
    sys.exit(flushed(code))


def ended(as_json: bool) -> int:
    """Run the subcommand; gives the exit code, and says why where it is not 0."""
    try:
        # In JSON an unknown option is told as an object too; else in typer's own words.
        result = app(standalone_mode=not as_json)
        return result if isinstance(result, int) else 0
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(bool(end.code))
    except KeyboardInterrupt:
        return tell("interrupted", as_json, 130)
    except InputError as error:
        return tell(str(error), as_json, 2)
    except MemoryError:
        return tell("there is not enough memory for this", as_json, 2)
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            return 1
        said = error.strerror or str(error)
        if error.filename is None:
            return tell(f"writing failed ({said}); is the disk full, or standard output?", as_json, 2)
        return tell(f"{error.filename!s}: cannot be used ({said})", as_json, 2)
    except Exception as error:
        if callable(text := getattr(error, "format_message", None)):  # a command line that cannot be read
            return tell(
                f"{text()} ('itermask --help' lists what there is)", as_json, int(getattr(error, "exit_code", 2))
            )
        if type(error).__name__ == "Abort":
            return tell("interrupted", as_json, 130)
        if os.environ.get(TRACEBACK):
            traceback.print_exc()
        said = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        return tell(f"unexpected {said}; this is a fault of itermask, and {TRACEBACK}=1 shows where", as_json, 70)
