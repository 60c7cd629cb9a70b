"""The trials of fresh installations: which there are, and the table of results; they take long themselves."""

import json

import pytest

from install_checks import CHECKS  # isort: skip
from install_trials import BEGIN, CUDA, END, PROJECT, TOOLKITS, insert, oldest, quoted, table, trials  # isort: skip


def test_every_extra_for_users_has_a_trial():
    names = {trial.name for trial in trials()}
    assert set(PROJECT["optional-dependencies"]) - names == {"dev", "docs", "mutants"}
    known = set(CHECKS) | {"times", "missing", "app"}
    assert all(set(trial.checks) <= known for trial in trials())


def test_the_oldest_versions_are_those_of_the_project():
    assert oldest(["numpy>=1.26", "torch>=2.6,!=2.9.0"]) == ["numpy==1.26"]
    assert len(oldest(PROJECT["dependencies"])) == len(PROJECT["dependencies"]) - 1


@pytest.mark.parametrize("name", ["customtkinter", "PyQt6", "PySide6_Addons", "wxPython"])
def test_toolkits_are_recognised(name):
    assert TOOLKITS.match(name)


def test_cuda_is_recognised_and_nothing_else():
    assert CUDA.match("nvidia-cublas")
    assert CUDA.match("triton")
    assert not any(pattern.match(name) for pattern in (CUDA, TOOLKITS) for name in ("torch", "numpy", "pillow"))


def test_the_table_says_what_failed_and_goes_between_the_marks(tmp_path):
    core = {"name": "core", "lines": [["."]], "seconds": 60.0, "wrong": [], "mb": 400.0, "torch_mb": 800.0}
    core |= {
        "torch": "2",
        "python": "3.11",
        "packages": 40,
        "import_seconds": 0.1,
        "help_seconds": 0.3,
        "done": ["runs"],
    }
    brain = {"name": "brain", "lines": [[".[brain]"]], "seconds": 9.0, "wrong": ["pip: no"]}
    for one in (core, brain):
        (tmp_path / f"{one['name']}.json").write_text(json.dumps(one))
    made = table(tmp_path)
    assert "| `.` | 400 | 40 | 60 | none | none | runs |" in made
    assert "**failed**: pip: no" in made
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    insert(page, made)
    assert page.read_text() == f"before\n{BEGIN}\n{made}\n{END}\nafter\n"
    assert quoted(".[brain]") == "'.[brain]'"
