"""What lies around the package: recipes that agree with it, and the entry point that containers start."""

import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest
from tiny_cohort import write_bids, write_model

import itermask
from itermask.cli import bids as bids_module
from itermask.results.paper import read_finding

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
APP = [sys.executable, "-m", "itermask.cli.bids_app"]


def called(*words, **how):
    return subprocess.run([*APP, *map(str, words)], capture_output=True, text=True, check=False, timeout=500, **how)


def name_of(requirement):
    return re.split(r"[^\w-]", requirement)[0].lower().replace("_", "-")


def test_the_version_is_the_same_everywhere():
    assert re.search(r"^version: (.+)$", (ROOT / "CITATION.cff").read_text(), re.M)[1] == itermask.__version__
    conda = (ROOT / "packaging" / "conda" / "meta.yaml").read_text()
    assert re.search(r'set version = "(.+)"', conda)[1] == itermask.__version__


def test_the_conda_recipe_has_the_packages_own_requirements_and_commands():
    text = (ROOT / "packaging" / "conda" / "meta.yaml").read_text()
    run = text.split("  run:\n")[1].split("\ntest:")[0]
    found = dict(re.findall(r"- (\S+) (\S+)", run))
    names = {"pytorch": "torch", "matplotlib-base": "matplotlib"}
    told = {names.get(name, name): limit for name, limit in found.items()}
    needed = {name_of(one): one[len(name_of(one)) :] for one in PROJECT["dependencies"]}
    assert told == needed | {"python": PROJECT["requires-python"]}
    for name, place in PROJECT["scripts"].items():
        assert f"- {name} = {place}" in text


def test_nothing_that_the_package_itself_needs_is_a_toolkit_for_windows():
    assert not {"customtkinter", "deepbet", "pyqt5", "pyside6"} & {name_of(one) for one in PROJECT["dependencies"]}


def test_the_lean_extra_is_what_deepbet_lists_but_its_window():
    try:
        listed = {name_of(one) for one in requires("deepbet") or ()}
    except PackageNotFoundError:
        pytest.skip("deepbet is not installed")
    extras = {name_of(one) for one in PROJECT["optional-dependencies"]["brain-lean"]}
    own = {name_of(one) for one in PROJECT["dependencies"]}
    assert {one.replace("_", "-") for one in listed} - {"customtkinter"} <= extras | own
    code = (
        "import sys; sys.modules['customtkinter'] = sys.modules['tkinter'] = None; "
        "from itermask.prepare.brain import extractor_for; assert extractor_for('T1w').name == 'deepbet'; "
        "from deepbet.bet import BrainExtraction; BrainExtraction(no_gpu=True)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300)


def test_the_containers_copy_what_is_there_and_start_the_entry_point():
    docker, apptainer = ((ROOT / "packaging" / name).read_text() for name in ("Dockerfile", "itermask.def"))
    copied = [word for line in re.findall(r"^COPY (.+) \S+$", docker, re.M) for word in line.split()]
    copied += [line.split()[0] for line in apptainer.split("%files\n")[1].split("\n\n")[0].splitlines()]
    kept = (ROOT / ".dockerignore").read_text().splitlines()
    assert copied
    for name in copied:
        assert (ROOT / name).exists()
        assert f"!{name}" in kept
    assert 'ENTRYPOINT ["itermask-bids"]' in docker
    assert 'exec itermask-bids "$@"' in apptainer
    assert PROJECT["scripts"]["itermask-bids"] == "itermask.cli.bids_app:main"
    for text in (docker, apptainer):
        extras = re.search(r"/src\[(.+?)\]", text)[1].split(",")
        assert set(extras) <= set(PROJECT["optional-dependencies"])
        assert "brain-any" not in extras  # 294 MB for what the bundled network does
        assert "--no-deps" in text


def test_the_workflow_is_yaml_and_its_tests_are_there():
    yaml = pytest.importorskip("yaml")
    text = (ROOT / ".github" / "workflows" / "ci.yml").read_text()
    jobs = yaml.safe_load(text)["jobs"]
    assert {"everything", "no-extras", "oldest", "newest", "container"} <= set(jobs)
    for name in re.findall(r"tests/\w+\.py|packaging/\w+\.py|\.ci/\w+", text):
        assert (ROOT / name).is_file(), name
    extras = re.search(r'-e "\.\[(.+?)\]"', text)[1].split(",")
    assert set(extras) <= set(PROJECT["optional-dependencies"])
    cff = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors"} <= set(cff)


@pytest.mark.parametrize("word", ["-h", "--help", "-V", "--version"])
def test_the_app_knows_help_and_version_by_both_names(word):
    done = called(word)
    assert (done.returncode, done.stderr) == (0, "")
    if "elp" in word or word == "-h":
        assert "--participant-label" in done.stdout
    else:
        assert done.stdout == f"itermask {itermask.__version__}\n"


def test_the_app_runs_both_levels_and_leaves_what_is_promised(tmp_path):
    model = write_model(tmp_path / "model")
    work = tmp_path / "work"
    words = [*APP, "@DATA", "@OUT", "--model", model, "--workers", "0", "-w", work]
    tried = [sys.executable, str(ROOT / "packaging" / "try_app.py"), *map(str, words)]
    done = subprocess.run(tried, capture_output=True, text=True, check=False, timeout=500)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "both levels ended well" in done.stdout
    assert work.is_dir()
    assert not list(work.iterdir())


def test_a_cohorts_methods_say_its_versions_and_are_no_part_of_bids(tmp_path):
    tree, model = write_bids(tmp_path / "tree", 2), write_model(tmp_path / "model")
    done = called(tree, tmp_path / "out", "--skip-bids-validation", "--model", model, "--workers", "0")
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "out" / "methods.md").read_text()
    assert "2 scans were processed with itermask" in text
    assert "the model model, version 0 (method itermask3d)" in text
    assert "arXiv 2504.04911" in text
    assert "methods.md" in (tmp_path / "out" / ".bidsignore").read_text().split()
    sidecar = tmp_path / "out" / "sub-01/anat/sub-01_space-T1w_desc-anomaly_mask.json"
    assert read_finding(sidecar).versions["itermask"] in text


def test_the_work_dir_is_made_and_used_and_one_that_cannot_be_is_refused(tmp_path, monkeypatch):
    import tempfile

    monkeypatch.setenv("TMPDIR", os.environ.get("TMPDIR", "/tmp"))
    monkeypatch.setattr(tempfile, "tempdir", None)
    bids_module.use_work_dir(tmp_path / "a" / "b")
    assert tempfile.gettempdir() == str(tmp_path / "a" / "b")
    (tmp_path / "file").write_text("")
    with pytest.raises(itermask.InputError, match="--work-dir"):
        bids_module.use_work_dir(tmp_path / "file" / "c")
