"""The examination: it says what is there, finds what is broken, and its answer is that of a real look."""

import importlib
import json
import tempfile
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from tiny_model import tiny_model

from itermask.apps.doctor import brain, demo_run, examine, extras
from itermask.models import choice
from itermask.results.report import pictures
from itermask.types import VERDICTS

PROJECT = Path(__file__).parents[2] / "pyproject.toml"


@pytest.fixture
def bundled(tmp_path, monkeypatch):
    """A tiny model instead of the bundled ones; gives its folder."""
    monkeypatch.setattr(choice, "BUNDLED", tmp_path / "bundled")
    monkeypatch.setattr(pictures, "ROW_WIDTH", 300)
    tiny_model(tmp_path / "bundled" / "tiny")
    return tmp_path / "bundled" / "tiny"


def test_this_installation_would_run():
    found = examine(quick=True)
    assert found.would_run, found.reasons
    assert found.demo is None
    states = {one.name: one for one in found.runtimes}
    assert states["cpu"].works
    assert found.torch.version in states["cpu"].description
    assert found.torch.number_format in states["cpu"].description
    assert found.machine.cores >= 1
    assert found.machine.free_memory_gib > 0
    (t1w,) = [one for one in found.models if one.name == "t1w-2mm"]
    assert (t1w.sequence, t1w.dims, t1w.license, t1w.problem) == ("T1w", 3, "CC BY-SA 3.0", None)
    assert json.loads(json.dumps(found.as_dict(), allow_nan=False))["would_run"] is True


def test_a_real_run_comes_to_a_verdict_and_leaves_nothing_behind(bundled, tmp_path, monkeypatch):
    (tmp_path / "temp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temp"))
    found = demo_run.run_demo("cpu")
    assert found.problem is None
    assert (found.model, found.scan) == ("tiny", "healthy_T1w.nii.gz")
    assert found.verdict in VERDICTS
    assert found.score is not None
    assert "cpu" in found.computed_with
    assert list((tmp_path / "temp").iterdir()) == []


def test_a_run_says_why_it_failed(bundled):
    assert demo_run.run_demo("abacus").problem.startswith("--device abacus: unknown device")


def test_damaged_weights_are_told_and_the_answer_is_no(bundled, command):
    weights = bundled / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:500])
    code, output, errors = command("doctor", "--json")
    found = json.loads(output)
    assert (code, errors, found["would_run"]) == (1, "", False)
    assert "model.safetensors" in found["models"][0]["problem"]
    assert "model.safetensors" in found["demo"]["problem"]
    assert len(found["reasons"]) == 2
    code, output, _ = command("doctor", "--quick")
    assert code == 1
    assert output.splitlines()[-1] == "A scan would not run."
    assert "model.safetensors" in output


def test_no_model_at_all(tmp_path, monkeypatch):
    monkeypatch.setattr(choice, "BUNDLED", tmp_path)
    assert "no bundled model" in examine(quick=True).reasons[0]


def test_a_device_that_is_not_there():
    for device in ("abacus", "cuda:99"):
        (reason,) = examine(quick=True, device=device).reasons
        assert f"--device {device}" in reason


def test_the_answer_in_words(command):
    code, output, errors = command("doctor", "--quick")
    assert (code, errors) == (0, "")
    lines = output.splitlines()
    assert lines[-1] == "A scan would run."
    for word in ("Python", "cores", "openvino", "deepbet", "t1w-2mm", "CC BY-SA 3.0", "extras"):
        assert word in output


# --- extras ----------------------------------------------------------------------------------------------------


def test_every_extra_has_words():
    told = tomllib.loads(PROJECT.read_text())["project"]["optional-dependencies"]
    assert set(extras.ADDS) == set(told) - set(extras.FOR_WORK_ON_IT)


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("numpy>=1.0", ""),
        ("numpy", ""),
        ("numpy>=9999", "numpy>=9999 ("),
        ("a-package-that-nobody-has>=1", "a-package-that-nobody-has"),
    ],
)
def test_what_lacks_to_a_requirement(text, missing):
    assert extras.missing_part(Requirement(text)).startswith(missing)
    assert bool(extras.missing_part(Requirement(text))) == bool(missing)


def write_distribution(folder, name, module, lines=(), files=()):
    """An installed package as pip leaves it."""
    info = folder / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("\n".join(["Metadata-Version: 2.1", f"Name: {name}", "Version: 1.0", *lines]) + "\n")
    (info / "RECORD").write_text("".join(f"{path},,\n" for path in (f"{module}/__init__.py", *files)))
    (folder / module).mkdir()
    (folder / module / "__init__.py").write_text("")


def test_extras_of_an_installed_package(tmp_path, monkeypatch):
    needs = ["numpy", "numpy>=9999; extra == 'late'", "scipy; extra == 'there'", "nobodys; extra == 'gone'"]
    lines = [f"Requires-Dist: {need}" for need in needs] + [
        f"Provides-Extra: {one}" for one in ("there", "gone", "late")
    ]
    write_distribution(tmp_path, "made-up", "made_up", lines)
    monkeypatch.syspath_prepend(tmp_path)
    gone, late, there = extras.find_extras("made-up")
    assert (there.name, there.complete, there.missing) == ("there", True, [])
    assert (gone.complete, gone.missing, gone.install) == (False, ["nobodys"], "pip install 'made-up[gone]'")
    assert late.missing[0].startswith("numpy>=9999 (")
    assert extras.find_extras("a-package-that-nobody-has") == []


# --- brain extraction ------------------------------------------------------------------------------------------


def test_weights_of_a_tool(tmp_path, monkeypatch):
    about = ("Made up", "made-up-bet", "made_up_bet", "any", "brain-any")
    monkeypatch.setattr(brain, "TOOLS", (about,))
    tool, _ = brain.find_tools()
    assert (tool.version, tool.weights, tool.problem) == (None, 0, "not installed")
    weights = "made_up_bet/models/0.model"
    write_distribution(tmp_path, "made-up-bet", "made_up_bet", files=[weights])
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    tool, _ = brain.find_tools()
    assert tool.version == "1.0"
    assert "0.model" in tool.problem
    (tmp_path / weights).parent.mkdir()
    (tmp_path / weights).write_bytes(b"")
    assert brain.find_tools()[0].problem is not None, "an empty file is no weights"
    (tmp_path / weights).write_bytes(b"weights")
    tool, _ = brain.find_tools()
    assert (tool.weights, tool.problem) == (1, None)
