"""`itermask train`: a model from one's own normal scans."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from itermask.cli import complete
from itermask.cli.options import DeviceOption, sequence_option
from itermask.cli.progress import bar_or_lines

if TYPE_CHECKING:
    from itermask.training.config import TrainingConfig


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
    steps: Annotated[Optional[int], typer.Option(help="Optimiser steps; replaces the file's.")] = None,
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
        bool, typer.Option("--list", help="List the presets and exit.", callback=_list, is_eager=True)
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Check whether training can begin, and exit; nothing is written.")
    ] = False,
    plan: Annotated[
        Optional[Path],
        typer.Option(help="Write voxel size and box that suit the data, as a file for --config, and exit."),
    ] = None,
) -> None:
    """Train on normal scans and calibrate on the healthy validation scans. `torchrun` trains on several devices.

    Ctrl-C and SIGTERM end training after a step, with a checkpoint; the same command resumes it.
    """
    from itermask.io.names import canonical_sequence
    from itermask.training.config import read_config
    from itermask.training.stopping import TrainingStopped, stop_on_signals
    from itermask.training.train import train_model

    settings = read_config(config, preset, method=method, steps=steps, start_from=start_from)
    about = {"name": data_name, "data_license": data_license, "source": data_source, "license": license}
    name, second = canonical_sequence(sequence), canonical_sequence(target) if target else None
    if plan is not None:
        _plan(data, name, settings, second, plan)
    if check:
        _check(data, name, settings, second, out)
    if check or plan is not None:
        return
    try:
        with stop_on_signals() as stop, bar_or_lines(out.name) as bar:
            train_model(data, name, out, settings, device, about, bar, second, _note, stop)
    except TrainingStopped as end:
        _note(str(end))
        raise typer.Exit(128 + end.signal) from end
    if os.environ.get("RANK", "0") == "0":
        print(f"model written to {out}")


def _note(text: str) -> None:
    """Print one line on standard error."""
    print(f"itermask: {text}", file=sys.stderr)


def _check(data: Path, sequence: str, settings: "TrainingConfig", target: str | None, out: Path) -> None:
    """Say whether a training can begin; an `InputError` says why not."""
    from itermask.training.check import check_training
    from itermask.training.train import check_model_folder, read_checked

    entries = read_checked(data, sequence, settings, target, _note)
    check_model_folder(out)
    found = check_training(entries, sequence, settings, out)
    for sentence in found.notes:
        _note(sentence)
    print(f"training can begin: {found.training} subjects to train on, {found.validation} to validate on")


def _plan(data: Path, sequence: str, settings: "TrainingConfig", target: str | None, path: Path) -> None:
    """Write a plan of voxel size and box; a file that is there is left alone."""
    from itermask.errors import InputError
    from itermask.training.check import fingerprint, plan_text, planned
    from itermask.training.train import read_checked

    if path.exists():
        raise InputError(f"{path}: exists already; choose another name")
    entries = read_checked(data, sequence, settings, target, _note)
    found = fingerprint([entry for entry in entries if entry.split == "train"], sequence)
    text = plan_text(found, planned(found, settings.divisor))
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.part")
    partial.write_text(text)
    os.replace(partial, path)
    print(f"{path}: {'; '.join(line for line in text.splitlines() if not line.startswith('#'))}")
