"""`itermask demo`: three bundled real cases, start to finish."""

from pathlib import Path
from typing import Annotated

import typer


def demo(
    out: Annotated[Path, typer.Argument(help="Folder for the three results.")] = Path("demo-output"),
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
) -> None:
    """Run the bundled model on a healthy scan, the same scan with ghosting, and an MS patient's scan."""
