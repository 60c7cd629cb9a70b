"""`itermask train`: a model from one's own normal scans."""

import os
import sys
from pathlib import Path
from typing import Annotated, Optional

import typer

from itermask.cli import complete
from itermask.cli.options import DeviceOption, sequence_option
from itermask.cli.show import progress_bar


def _list(wanted: bool) -> None:
    """Print the presets and leave."""
    if wanted:
        from itermask.presets import presets

        found = presets()
        width = max(map(len, found))
        for name, what in found.items():
            print(f"{name:<{width}}  {what}")
        raise typer.Exit


def train(
    data: Annotated[
        Path, typer.Argument(help="Data set's folder, or a .tsv/.csv table: path, split, [brain_mask, lesion, …].")
    ],
    out: Annotated[Path, typer.Option(help="Model folder; an interrupted run there is continued.")],
    sequence: Annotated[str, sequence_option("Sequence to train on, e.g. T1w.")],
    target: Annotated[
        Optional[str],
        typer.Option(help="Second sequence, for methods that learn from pairs.", autocompletion=complete.sequences),
    ] = None,
    preset: Annotated[
        Optional[str], typer.Option(help="Settings by name; see --list.", autocompletion=complete.presets)
    ] = None,
    config: Annotated[Optional[Path], typer.Option(help="TOML file with training settings, over the preset.")] = None,
    method: Annotated[Optional[str], typer.Option(help="Method to train.", autocompletion=complete.methods)] = None,
    steps: Annotated[Optional[int], typer.Option(help="Optimiser steps, in place of the file's.")] = None,
    start_from: Annotated[
        Optional[str],
        typer.Option(help="Model folder or bundled model to start from.", autocompletion=complete.models),
    ] = None,
    device: DeviceOption = "auto",
    data_name: Annotated[str, typer.Option(help="Name of the data, for the model card.")] = "unnamed",
    data_license: Annotated[str, typer.Option(help="Licence of the data, for the model card.")] = "unknown",
    data_source: Annotated[str, typer.Option(help="Where the data come from, for the model card.")] = "",
    license: Annotated[str, typer.Option(help="Licence of the weights, for the model card.")] = "unknown",
    list_presets: Annotated[
        bool, typer.Option("--list", help="List the presets and leave.", callback=_list, is_eager=True)
    ] = False,
) -> None:
    """Train on normal scans and calibrate on the healthy validation scans. `torchrun` trains on several devices."""
    from itermask.io.names import canonical_sequence
    from itermask.training.config import read_config
    from itermask.training.train import train_model

    settings = read_config(config, preset, method=method, steps=steps, start_from=start_from)
    about = {"name": data_name, "data_license": data_license, "source": data_source, "license": license}
    with progress_bar(out.name) as bar:
        second = canonical_sequence(target) if target else None
        train_model(data, canonical_sequence(sequence), out, settings, device, about, bar, second, _note)
    if os.environ.get("RANK", "0") == "0":
        print(f"model written to {out}")


def _note(text: str) -> None:
    """One line on standard error."""
    print(f"itermask: {text}", file=sys.stderr)
