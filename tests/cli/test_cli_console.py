"""Colours and bars are for terminals: nothing else ever gets an escape sequence, nor a terminal with NO_COLOR."""

import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import typer
from rich.table import Table
from tiny_cohort import scan_of, write_model
from tiny_dicom import save, slices
from tiny_model import write_nifti

import itermask.cli
from itermask.cli.cohort_show import cohort_bar
from itermask.cli.console import console, print_json, refusals_as_json
from itermask.cli.main import main
from itermask.cli.show import progress_bar
from itermask.errors import InputError
from itermask.results.report import pictures

ESCAPE = "\x1b"


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self):
        return True


@pytest.fixture
def streams(monkeypatch):
    """Puts a terminal or a pipe instead of standard output and standard error; gives both."""

    def put(terminal, **environment):
        for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "COLUMNS"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("TERM", "xterm-256color")
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        made = [Terminal() if terminal else io.StringIO() for _ in range(2)]
        monkeypatch.setattr(sys, "stdout", made[0])
        monkeypatch.setattr(sys, "stderr", made[1])
        return made

    return put


CASES = [
    (True, {}, True),
    (True, {"NO_COLOR": ""}, True),
    (True, {"NO_COLOR": "1"}, False),
    (True, {"NO_COLOR": "1", "FORCE_COLOR": "1"}, False),
    (False, {}, False),
    (False, {"FORCE_COLOR": "1"}, False),
    (False, {"TTY_COMPATIBLE": "1"}, False),
]


@pytest.mark.parametrize(("terminal", "environment", "coloured"), CASES)
def test_colours_and_bars_are_for_terminals_without_no_color(streams, terminal, environment, coloured):
    output, errors = streams(terminal, **environment)
    console().print("[bold]a[/bold] [red]b[/red]")
    with progress_bar("scan") as bar:
        bar("looking", 0.5)
    with cohort_bar("many"):
        pass
    assert (ESCAPE in output.getvalue()) == coloured
    assert (ESCAPE in errors.getvalue()) == coloured
    assert bool(errors.getvalue()) == coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", output.getvalue()) == "a b\n"


def test_lines_of_a_table_stay_whole_in_a_pipe_and_fit_a_terminal(streams):
    table = Table("a", "b", box=None)
    table.add_row("x " * 50, "y " * 50)
    output, _ = streams(False)
    console().print(table, soft_wrap=False)
    assert len(output.getvalue().splitlines()) == 2
    output, _ = streams(True, COLUMNS="60")
    console().print(table, soft_wrap=False)
    assert len(output.getvalue().splitlines()) > 2
    assert output.getvalue().count("x") == 50


def test_no_command_has_a_console_of_its_own():
    folder = Path(itermask.cli.__file__).parent
    own = [path.name for path in folder.glob("*.py") if re.search(r"\bConsole\(", path.read_text())]
    assert own == ["console.py"]


def test_refusals():
    with pytest.raises(InputError, match="no scan"), refusals_as_json(False):
        raise InputError("no scan")
    with pytest.raises(KeyError), refusals_as_json(True):
        raise KeyError("a fault of ours")


def test_a_refusal_as_json_keeps_the_exit_code(capsys):
    with pytest.raises(typer.Exit) as caught, refusals_as_json(True, None, scan="ä_T1w.nii"):
        raise InputError('no "scan"\nhere')
    assert caught.value.exit_code == 2
    output = capsys.readouterr().out
    assert len(output.splitlines()) == 1
    assert json.loads(output) == {"error": 'no "scan"\\nhere', "scan": "ä_T1w.nii"}
    assert output.isascii()


def test_json_is_strict():
    with pytest.raises(ValueError, match="JSON"):
        print_json({"score": float("nan")})


# --- whole commands ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def things(tmp_path_factory):
    """A model, two scans, masks with labels, and a DICOM folder."""
    folder = tmp_path_factory.mktemp("things")
    write_model(folder / "model")
    (folder / "scans").mkdir()
    for seed in (1, 2):
        write_nifti(folder / "scans" / f"sub-{seed}_T1w.nii.gz", scan_of(seed))
    for name in ("masks", "labels"):
        (folder / name).mkdir()
        nib.save(nib.Nifti1Image(np.eye(4, dtype=np.uint8)[None].repeat(4, 0), np.eye(4)), folder / name / "a.nii.gz")
    save(folder / "dicom", slices())
    return folder


COMMANDS = {
    "run": ["run", "{}/scans/sub-1_T1w.nii.gz", "{new}", "--model", "{}/model", "--device", "cpu"],
    "cohort": ["cohort", "{}/scans", "--out", "{new}", "--model", "{}/model", "--workers", "0"],
    "models": ["models"],
    "series": ["series", "{}/dicom"],
    "evaluate": ["evaluate", "{}/masks", "{}/labels"],
    "doctor": ["doctor", "--quick"],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_on_a_terminal_with_no_color_writes_plain_text(things, streams, monkeypatch, tmp_path, name):
    monkeypatch.setattr(pictures, "ROW_WIDTH", 300)
    words = [word.format(things, new=tmp_path / "out") for word in COMMANDS[name]]
    monkeypatch.setattr(sys, "argv", ["itermask", *words])
    output, errors = streams(True, NO_COLOR="1")
    with pytest.raises(SystemExit) as end:
        main()
    assert not end.value.code, errors.getvalue()
    assert len(output.getvalue().splitlines()) > 1
    assert ESCAPE not in output.getvalue() + errors.getvalue()


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
@pytest.mark.parametrize(("no_color", "coloured"), [("", True), ("1", False)])
def test_on_a_real_terminal(things, no_color, coloured):
    import pty

    master, slave = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "NO_COLOR": no_color}
    command = [sys.executable, "-m", "itermask", "series", str(things / "dicom")]
    subprocess.run(command, stdout=slave, stderr=slave, env=environment, check=True, timeout=60)
    os.close(slave)
    shown = os.read(master, 65536).decode()
    os.close(master)
    assert "axial" in shown
    assert (ESCAPE in shown) == coloured
