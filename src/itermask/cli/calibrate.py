"""`itermask calibrate`: a model's operating point and healthy range, measured on one's own healthy scans."""

import json
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from itermask.cli import complete
from itermask.cli.options import AlignOption, DeviceOption
from itermask.cli.show import progress_bar
from itermask.errors import InputError


def calibrate(
    data: Annotated[Path, typer.Argument(help="BIDS tree or table of healthy scans; every one is used, or split val.")],
    out: Annotated[Path, typer.Option(help="Folder of the new model.")],
    model: Annotated[
        str, typer.Option(help="Model folder or bundled name to calibrate anew.", autocompletion=complete.models)
    ],
    setting: Annotated[Optional[list[str]], typer.Option(help="Test-time setting to change, as name=value.")] = None,
    method: Annotated[
        Optional[str],
        typer.Option(
            help="Use the networks with another method of the same family, e.g. inpainting.",
            autocompletion=complete.methods,
        ),
    ] = None,
    align: AlignOption = False,
    device: DeviceOption = "auto",
    threads: Annotated[Optional[int], typer.Option(help="Threads on the CPU; default: PyTorch's.")] = None,
) -> None:
    """Calibrate a model on healthy scans of one's own scanner; no labels are needed.

    Weights and operating point stay: only the centre of the healthy range moves. Ends with a self-test.
    """
    from itermask.training.train import calibrate_model

    with progress_bar(out.name) as bar:
        calibrate_model(
            data, model, out, dict(_pair(text) for text in setting or []), device, bar, method, align, threads, print
        )
    print(f"model written to {out}")


def _pair(text: str) -> tuple[str, Any]:
    """Return `name=value`, the value as JSON has it."""
    name, separator, value = text.partition("=")
    try:
        return name, json.loads(value)
    except ValueError as error:
        raise InputError(
            f"--setting {text}: write it as name=value, where the value is a number, true, false or a "
            f'"text" in double quotes{"" if separator else " (the = is missing)"}'
        ) from error
