"""Completion: the words offered are those that commands take, in every shell, quickly and without loading PyTorch."""

import json
import os
import shutil
import subprocess
import sys

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from itermask.cli import complete
from itermask.cli.main import app
from itermask.io.names import SEQUENCES, canonical_sequence
from itermask.methods import METHODS
from itermask.models.folder import bundled_models
from itermask.runtime.device import pick_device
from itermask.synth.artifacts import ARTIFACTS


def names(offers):
    return [name for name, _ in offers]


def test_all_that_there_is_is_offered_for_nothing_typed():
    assert set(names(complete.methods(""))) == set(METHODS)
    assert names(complete.models("")) == list(bundled_models())
    assert set(names(complete.artifacts(""))) == set(ARTIFACTS)
    assert tuple(names(complete.sequences(""))) == SEQUENCES


def test_a_model_is_offered_with_its_sequence_and_method():
    assert dict(complete.models("t1w"))["t1w-2mm"] == "T1w, itermask3d"


@pytest.mark.parametrize("name", complete.DEVICES)
def test_every_device_that_is_offered_is_a_device(name):
    if name in ("auto", "openvino"):
        assert pick_device(name).type in ("cpu", "cuda", "mps")
    else:
        assert torch.device(name).type == name


@given(st.text(max_size=4) | st.sampled_from(["t", "T", "t1", "fl", "c", "o", "itermask", "T1W", "g"]))
def test_offers_go_on_from_what_is_typed(typed):
    for offer in (complete.devices, complete.sequences, complete.models, complete.methods, complete.artifacts):
        assert all(name.startswith(typed) for name in names(offer(typed)))
    assert all(canonical_sequence(name) in SEQUENCES for name in names(complete.sequences(typed)))


def test_a_damaged_card_does_not_stop_completion(tmp_path, monkeypatch):
    monkeypatch.setattr(complete, "PACKAGE", tmp_path)
    for name, text in (("cut", "{"), ("list", "[]"), ("empty", "{}")):
        (tmp_path / "models" / "bundled" / name).mkdir(parents=True)
        (tmp_path / "models" / "bundled" / name / "card.json").write_text(text)
    assert complete.models("") == [("cut", ""), ("empty", ""), ("list", "")]


# --- the program, as shells call it ----------------------------------------------------------------------------

PROGRAM = """#!{python}
import json, os, sys, time
from itermask.cli.main import main
try:
    main()
finally:
    if "REPORT" in os.environ:
        loaded = [name for name in ("torch", "scipy", "matplotlib", "nibabel") if name in sys.modules]
        with open(os.environ["REPORT"], "w") as file:
            json.dump({{"seconds": time.process_time(), "loaded": loaded}}, file)
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """A folder for PATH with `itermask` in it."""
    folder = tmp_path_factory.mktemp("bin")
    (folder / "itermask").write_text(PROGRAM.format(python=sys.executable))
    (folder / "itermask").chmod(0o755)
    return folder


def asks(shell, line):
    """The environment in which a shell asks for completions of a line."""
    return {
        "_ITERMASK_COMPLETE": f"complete_{shell}",
        "_TYPER_COMPLETE_ARGS": line,
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(line.split()) - (not line.endswith(" "))),
    }


@pytest.fixture
def answer(monkeypatch, capsys):
    """What the program prints in an environment."""

    def call(**environment):
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(SystemExit):
            app([], prog_name="itermask")
        return capsys.readouterr().out

    return call


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_devices_in_every_shell(answer, shell):
    output = answer(**asks(shell, "itermask calibrate --device "))
    for name in complete.DEVICES:
        assert name in output
    assert ("OpenVINO on the CPU" in output) == (shell != "bash")  # which knows of words alone


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("itermask do", ["doctor"]),
        ("itermask run a b --model t1w", ["t1w-2mm"]),
        ("itermask run a b --sequence t", ["t1w", "t2w", "t1ce", "t2starw"]),
        ("itermask train --method cyc", ["cyclic-unet"]),
        ("itermask --version mod", ["models"]),
        ("itermask corrupt --list --art", ["--artifact"]),
        ("itermask run some/fold", []),
    ],
)
def test_words(answer, line, words):
    assert answer(**asks("bash", line)).split() == words


def test_completion_is_quick_and_loads_nothing_heavy(program, tmp_path):
    report = tmp_path / "report.json"
    for line in ("itermask run --model ", "itermask train --method "):
        environment = {**os.environ, **asks("zsh", line), "REPORT": str(report)}
        done = subprocess.run([program / "itermask"], env=environment, capture_output=True, check=True, timeout=60)
        assert b"itermask3d" in done.stdout
        found = json.loads(report.read_text())
        assert found["loaded"] == []
        assert found["seconds"] < 1.0  # of processor time; 0.25 is usual


BASH = """
eval "$(_ITERMASK_COMPLETE=source_bash itermask)"
complete -p itermask
COMP_WORDS=(itermask run --device o) COMP_CWORD=3
_itermask_completion itermask
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not there")
def test_in_bash_itself(program):
    path = f"{program}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "--norc", "-c", BASH], env={**os.environ, "PATH": path}, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["complete -o default -F _itermask_completion itermask", "openvino"]


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not there")
def test_it_installs_itself_for_the_shell_that_asks(program, tmp_path):
    path = f"{program}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "--norc", "-c", "itermask --install-completion; echo $?"],
        env={**os.environ, "PATH": path, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "0", done.stderr
    (script,) = (tmp_path / ".bash_completions").iterdir()
    assert "_ITERMASK_COMPLETE=complete_bash" in script.read_text()
    assert str(script) in (tmp_path / ".bashrc").read_text()


@pytest.mark.parametrize(
    ("shell", "word"), [("zsh", "compdef"), ("fish", "complete --command itermask"), ("bash", "COMPREPLY")]
)
def test_the_script_of_any_shell_can_be_asked_for(answer, shell, word):
    assert word in answer(_ITERMASK_COMPLETE=f"source_{shell}")
