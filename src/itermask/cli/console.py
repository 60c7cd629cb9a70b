"""Where the command line prints: colours and bars for terminals alone, and JSON for programs."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer
from rich.console import Console

from itermask.cli.streams import one_line
from itermask.errors import InputError

WIDE = 1000  # columns outside a terminal: lines of a table stay whole


def console(stderr: bool = False) -> Console:
    """Return a console on standard output or standard error.

    It has colours, and is a terminal for bars, only where the stream is one and `NO_COLOR` is not set or empty
    (https://no-color.org); whatever else is set. Elsewhere it writes plain text, without a single escape sequence.

    Lines are not broken. Print a table with `soft_wrap=False`, so that its cells are, where the terminal is narrow.
    """
    stream = sys.stderr if stderr else sys.stdout
    terminal = stream.isatty()
    if terminal and not os.environ.get("NO_COLOR"):
        return Console(stderr=stderr, soft_wrap=True, highlight=False)
    width = None if terminal or os.environ.get("COLUMNS") else WIDE
    return Console(stderr=stderr, soft_wrap=True, highlight=False, color_system=None, force_terminal=False, width=width)


def print_json(value: Any, indent: int | None = 1) -> None:
    """Print one JSON value on standard output; with `indent` None on one line.

    Raises:
        ValueError: a number in it is not finite, which JSON cannot hold.

    Example:
        >>> print_json({"verdict": "borderline"}, indent=None)
        {"verdict": "borderline"}
    """
    print(json.dumps(value, indent=indent, allow_nan=False), flush=True)


@contextmanager
def refusals_as_json(wanted: bool, indent: int | None = 1, **more: Any) -> Iterator[None]:
    """Turn an `InputError` into `{"error": …}` on standard output where `wanted`; the exit code stays 2.

    Args:
        wanted: whether the command prints JSON.
        indent: as for `print_json`.
        more: what else the object holds.

    Raises:
        InputError: as it came, where not `wanted`.
    """
    try:
        yield
    except InputError as error:
        if not wanted:
            raise
        print_json({"error": one_line(str(error)), **more}, indent)
        raise typer.Exit(2) from error
