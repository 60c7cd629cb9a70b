"""`itermask view`: a local page over a folder of results."""

import signal
import sys
from pathlib import Path
from threading import Event
from types import FrameType
from typing import Annotated, Optional

import typer


def view(
    out: Annotated[Path, typer.Argument(help="Folder of results of run, cohort or bids.")],
    rater: Annotated[
        Optional[str], typer.Option(help="Who rates; only this rater's ratings are then shown. Else your login name.")
    ] = None,
    host: Annotated[
        Optional[str],
        typer.Option(help="IP address to listen at; else this machine alone can look. No password, no encryption."),
    ] = None,
    port: Annotated[int, typer.Option(help="Port, 0 for a free one.")] = 8115,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Only print the address.")] = False,
) -> None:
    """Go through results in a browser: list, reports, and ratings kept in ratings.tsv. Ends with Ctrl-C."""
    from itermask.view.server import LOOPBACK, ViewServer

    server = ViewServer(out, LOOPBACK if host is None else host, port, rater or _login(), own=rater is not None)
    ended = Event()

    def end(number: int, frame: FrameType | None) -> None:
        ended.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    server.start()
    if not server.is_local:
        print(f"itermask: other machines can look too, by {server.host} and without encryption", file=sys.stderr)
    print(server.address, flush=True)
    if not no_browser:
        _open(server.address)
    ended.wait()
    server.stop()


def _login() -> str:
    """Name of the user."""
    from getpass import getuser

    try:
        return getuser()
    except (ImportError, KeyError, OSError):
        return "unknown"


def _open(address: str) -> None:
    """Open a browser, where there is a screen for one; browsers in the terminal would take it away."""
    import os
    import webbrowser

    if sys.platform in ("darwin", "win32") or {"DISPLAY", "WAYLAND_DISPLAY"} & set(os.environ):
        webbrowser.open(address)
