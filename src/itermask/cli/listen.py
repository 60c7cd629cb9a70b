"""`itermask listen`: a DICOM node that processes what it receives, with a live page."""

import logging
import os
import signal
import warnings
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from itermask.errors import InputError

if TYPE_CHECKING:
    from itermask.apps.node.config import NodeConfig


def listen(
    config: Annotated[Optional[Path], typer.Argument(help="TOML file of the node; see --example.")] = None,
    example: Annotated[bool, typer.Option("--example", help="Print a TOML file with every setting.")] = False,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Process again the series that could not be processed before.")
    ] = False,
    dry_run: Annotated[
        Optional[Path],
        typer.Option("--explain", help="Say for each series of a folder whether it would be processed, and why."),
    ] = None,
    audit: Annotated[
        bool, typer.Option("--audit", help="Print who received, processed, sent and saw what, as a table, and exit.")
    ] = False,
) -> None:
    """Listen for series from a scanner, process each at once, show it on a live page, send the results."""
    from itermask.apps.node.audit import read_audit
    from itermask.apps.node.config import example as print_example
    from itermask.apps.node.config import read_config
    from itermask.apps.node.serve import Node
    from itermask.apps.node.work import check_processing

    if example:
        print(print_example(), end="")
        return
    if config is None:
        raise InputError("give the node's TOML file; 'itermask listen --example' prints one")
    told = read_config(config)
    if dry_run is not None:
        _explain(dry_run, told)
        return
    if audit:
        for line in read_audit(told.folder):
            print(line)
        return
    os.umask(0o077)  # whatever the node writes names patients
    check_processing(told.look)
    _log_to_stderr()
    node = Node(told, retry_failed=retry_failed)
    _trace_to(told.folder / "traces.log")

    def end(number: int, frame: FrameType | None) -> None:
        node.ask_to_stop()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    with node:
        node.wait()
    logging.getLogger("itermask.node").info("%s has ended", told.title)


def _explain(folder: Path, config: "NodeConfig") -> None:
    """Print a row for each series: what would be done with it, what decides, and why."""
    from rich.markup import escape
    from rich.table import Table

    from itermask.apps.node.explain import explain
    from itermask.cli.console import console

    table = Table("study", "series", "description", "processed", "decided by", "why", box=None, pad_edge=False)
    for each in explain(folder, config):
        said = "[green]yes[/green]" if each.process else "[yellow]no[/yellow]"
        table.add_row(escape(each.study), each.label, escape(each.description), said, escape(each.by), escape(each.why))
    console().print(table, soft_wrap=False)


def _log_to_stderr() -> None:
    """Log what the node does in plain lines with the time, without libraries' remarks on unusual headers."""
    warnings.filterwarnings("ignore", module="pydicom")
    log = logging.getLogger("itermask.node")
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%Y-%m-%d %H:%M:%S"))
    log.handlers = [handler]
    log.setLevel(logging.INFO)
    log.propagate = False
    logging.getLogger("itermask.web").handlers = [handler]
    logging.getLogger("pynetdicom").addHandler(logging.NullHandler())  # what it says of connections, the node says too
    logging.getLogger("pynetdicom").propagate = False


def _trace_to(path: Path) -> None:
    """Keep what only developers of the program need out of the log, in a file of at most 2 MB."""
    from logging.handlers import RotatingFileHandler

    traces = logging.getLogger("itermask.node.traces")
    traces.handlers = [RotatingFileHandler(path, maxBytes=1_000_000, backupCount=1, encoding="utf-8", delay=True)]
    traces.propagate = False
