"""Standard output and standard error, whatever they are: closed, full, ASCII alone, or a pipe that nobody reads."""

import json
import os
import sys
from collections.abc import Sequence


def open_streams() -> None:
    r"""Give the process its three streams, where some are closed, and let them take any letter.

    A letter that a stream's encoding does not know, or a byte of a file's name that is not UTF-8, is written as
    `\xff`. A closed stream is replaced by one that swallows everything; else a file that is opened later would take
    its number, and get what is printed.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if callable(change := getattr(stream, "reconfigure", None)):
            change(errors="backslashreplace")


def wants_json(arguments: Sequence[str]) -> bool:
    """Return whether a command line asks for JSON, also one that cannot be read otherwise.

    >>> wants_json(["run", "--json", "scan.nii"]), wants_json(["run", "--", "--json"])
    (True, False)
    """
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    return "--json" in options


def one_line(text: str) -> str:
    r"""Return a message on one line; a line break in a file's name is written as `\n`.

    >>> one_line("a\nb: no such file")
    'a\\nb: no such file'
    """
    try:
        text = os.fsencode(text).decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # half a character that is of no file's name
        text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return text.strip().replace("\r", "\\r").replace("\n", "\\n")


def tell(message: str, as_json: bool, code: int) -> int:
    """Say in one line, or as a JSON object, why the command ends; gives the exit code.

    Example:
        >>> tell("a.nii.gz: no such file", as_json=True, code=2)
        {"error": "a.nii.gz: no such file"}
        2
    """
    try:
        if as_json:
            print(json.dumps({"error": one_line(message)}), flush=True)
        else:
            print(f"itermask: {one_line(message)}", file=sys.stderr, flush=True)
    except (OSError, ValueError):
        pass  # nobody can be told; the exit code stays
    return code


def flushed(code: int) -> int:
    """Write what is left to print; gives the exit code, another where that fails.

    Where nobody reads the pipe any more nothing is said and the code is 1 at least; a full disk is named and gives 2.

    Example:
        >>> flushed(0)
        0
    """
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _swallow()
        return code or 1
    except (OSError, ValueError) as error:
        _swallow()
        said = getattr(error, "strerror", None) or error
        return tell(f"standard output cannot be written to ({said}); files that were written are whole", False, 2)
    return code


def _swallow() -> None:
    """Lead standard output into nothing, so that what is left in it is no fault at the end of the process."""
    try:
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, sys.stdout.fileno())
        os.close(nothing)
    except (OSError, ValueError):
        pass
