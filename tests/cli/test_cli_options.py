"""Options that several commands have mean the same in all of them, and say so in the same words."""

import pytest
import typer

from itermask.cli.main import app

COMMANDS = typer.main.get_command(app).commands
WITH_DEVICE = {"run", "bids", "cohort", "demo", "train", "calibrate", "benchmark", "doctor"}
WITH_JSON = {"run", "bids", "cohort", "evaluate", "models", "series", "doctor"}
PROCESSING = ("run", "bids", "cohort")


def option(command, name):
    """An option of a command by its long name; None if it has none."""
    return next((one for one in COMMANDS[command].params if name in one.opts), None)


def test_every_command_with_a_device_names_all_of_them():
    found = {name: one for name in COMMANDS if (one := option(name, "--device")) is not None}
    assert set(found) >= WITH_DEVICE
    assert {one.help for one in found.values()} == {"auto, cpu, cuda, mps or openvino."}


@pytest.mark.parametrize("name", ["--model", "--seed", "--sensitivity", "--gamma", "--n4"])
def test_commands_that_process_scans_share_options(name):
    assert len({option(command, name).help for command in PROCESSING}) == 1


@pytest.mark.parametrize("name", ["--workers", "--memory", "--shard", "--dask", "--time-limit", "--dry-run"])
def test_commands_over_many_scans_share_options(name):
    one, other = (option(command, name) for command in ("bids", "cohort"))
    assert (one.help, one.opts, one.default) == (other.help, other.opts, other.default)


def test_json_is_told_alike_wherever_it_is():
    found = {name: one for name in COMMANDS if (one := option(name, "--json")) is not None}
    assert set(found) >= WITH_JSON
    assert len({one.help for one in found.values()}) == 1
