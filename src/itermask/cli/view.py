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
        Optional[str], typer.Option(help="Name of the rater, whose ratings alone are shown; default: your login name.")
    ] = None,
    host: Annotated[
        Optional[str],
        typer.Option(
            help="IP address to listen at; else only this machine can open the page. Others need what follows."
        ),
    ] = None,
    port: Annotated[int, typer.Option(help="Port, 0 for a free one.")] = 8115,
    password_file: Annotated[
        Optional[Path], typer.Option(help="File with a password that the page asks for; the user name says who rates.")
    ] = None,
    certificate: Annotated[Optional[Path], typer.Option(help="Certificate for HTTPS (PEM), with --key.")] = None,
    key: Annotated[Optional[Path], typer.Option(help="Key of the certificate.")] = None,
    name: Annotated[
        Optional[list[str]], typer.Option(help="Further host name under which the page answers; may be repeated.")
    ] = None,
    unprotected: Annotated[
        bool, typer.Option("--unprotected", help="Let other machines open the page without password or HTTPS.")
    ] = False,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Only print the address.")] = False,
) -> None:
    """Go through results in a browser: list, reports, and ratings kept in ratings.tsv. Ends with Ctrl-C."""
    from itermask.apps.view.server import LOOPBACK, ViewServer
    from itermask.apps.web.access import Access, read_password

    password = "" if password_file is None else read_password(password_file)
    access = Access(password, certificate, key, tuple(name or ()), unprotected)
    where = LOOPBACK if host is None else host
    server = ViewServer(out, where, port, rater or _login(), own=rater is not None, access=access)
    ended = Event()

    def end(number: int, frame: FrameType | None) -> None:
        ended.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    server.start()
    if not server.is_local:
        how = "with a password and HTTPS" if password and certificate else "without password or encryption"
        print(f"itermask: other machines can open the page too, by {server.host} and {how}", file=sys.stderr)
    print(server.address, flush=True)
    if not no_browser:
        _open(server.address)
    ended.wait()
    server.stop()


def _login() -> str:
    """Return the name of the user."""
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
