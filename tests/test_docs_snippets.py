"""What the documents say can be done: code runs, commands parse, settings are accepted, links and pictures are there.

Python blocks and blocks of `itermask` commands are run, each page in a folder of tiny files of its own. A comment
behind `print(…)` is what it must print. An HTML comment in the line before a block changes that:

    <!-- not run: reason -->            parsed and its imports are looked up, no more
    <!-- run as: itermask … -->         this command instead of the block's

Pages that are not run as a whole stand in `ELSEWHERE`, with the reason.
"""

import ast
import io
import json
import re
import shlex
import shutil
import tomllib
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from urllib.parse import unquote

import nibabel as nib
import numpy as np
import pytest
import typer
from tiny_dicom import save, slices
from tiny_model import affine_of, oblique, tiny_head, tiny_model, tiny_scan, write_nifti
from typer.main import get_command

from itermask.apps.node.config import read_config as read_node
from itermask.cli.main import app
from itermask.evaluation.benchmark.plan import read_plan
from itermask.methods import build_method
from itermask.models import choice
from itermask.networks import build_network
from itermask.results.report import pictures
from itermask.training.config import read_config as read_training
from itermask.training.fit import check_networks

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])
NAMES = [page.relative_to(ROOT).as_posix() for page in PAGES]
NOTEBOOKS = ("developer", "radiographer", "radiologist", "researcher")
ELSEWHERE = {
    "docs/command-line.md": "tests/apps/test_doctor.py and tests/cli/test_cli_json.py run it",
    "docs/how-to/add-a-method.md": "tests/test_add_a_method.py runs it, as a package",
    "docs/dicom.md": "tests/io/test_dicom_docs.py runs it",
    "docs/node.md": "tests/apps/test_node_docs.py runs it",
    **{f"docs/notebooks/{name}.md": "tests/test_notebooks.py runs it" for name in NOTEBOOKS},
    "docs/results.md": "needs data that are not part of the package",
    "docs/speed.md": "needs data that are not part of the package",
    "docs/view.md": "its server does not end by itself; tests/apps/test_view_server.py starts one",
}
FENCE = re.compile(
    r"^(?P<mark><!-- (?:not run|run as): [^\n]+ -->\n)?^```(?P<kind>\S*)[^\n]*\n(?P<text>.*?)^```$", re.M | re.S
)
COMMAND = re.compile(r"^(?:\.venv/bin/)?itermask\b")


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text, and the mark before it."""

    kind: str
    text: str
    mark: str

    @property
    def commands(self):
        """Its lines that call `itermask`, without comments and with continued lines joined."""
        if self.kind not in ("", "bash", "console"):
            return []
        lines = self.text.replace("\\\n", " ").splitlines()
        return [line.removeprefix("$ ") for line in lines if COMMAND.match(line.removeprefix("$ "))]


def blocks(page):
    return [Block(m["kind"], m["text"], (m["mark"] or "").strip()) for m in FENCE.finditer(page.read_text())]


def arguments(line):
    """A command's arguments, without what its output goes through, and the file that its output goes to."""
    words = shlex.split(line, comments=True)
    words = words[: words.index("|")] if "|" in words else words
    target = words[words.index(">") + 1] if ">" in words else None
    return (words[: words.index(">")] if target else words)[1:], target


def options_of(command):
    """Every option that a command knows."""
    return {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}


def with_name(found):
    return pytest.mark.parametrize(("name", "item"), found, ids=[f"{name}-{at}" for at, (name, _) in enumerate(found)])


ALL = [(name, block) for name, page in zip(NAMES, PAGES, strict=True) for block in blocks(page)]
LINES = [(name, line) for name, block in ALL for line in block.commands if "…" not in line and "COMMAND" not in line]
INLINE = [
    (name, span)
    for name, page in zip(NAMES, PAGES, strict=True)
    for span in re.findall(r"(?<!`)`(itermask [a-z][^`\n]* --[^`\n]*)`(?!`)", FENCE.sub("", page.read_text()))
]


# Commands


@with_name(LINES)
def test_a_command_is_one_that_the_program_takes(name, item):
    (command, *rest), _ = arguments(item)
    program = get_command(app)
    if command.startswith("-"):  # of the program itself: some of these change the user's shell as they are read
        assert {command, *rest} <= options_of(program) | {"--help"}, f"{name}: {item}"
        return
    assert command in program.commands, f"{name}: {item}"
    with suppress(typer.Exit):  # an option that prints something and leaves
        program.commands[command].make_context(command, rest)


@with_name(INLINE)
def test_an_option_in_a_sentence_exists(name, item):
    command = get_command(app).commands[item.split()[1]]
    assert set(re.findall(r"--[a-z0-9-]+", item)) - options_of(command) - {"--help"} == set(), f"{name}: {item}"


def test_a_wrong_option_would_be_noticed():
    with pytest.raises(Exception, match="No such option"):
        test_a_command_is_one_that_the_program_takes("page", "itermask run a b --sensitvity 2")
    with pytest.raises(AssertionError):
        test_a_command_is_one_that_the_program_takes("page", "itermask --verson")
    with pytest.raises(AssertionError):
        test_an_option_in_a_sentence_exists("page", "itermask run --sensitvity")


# Settings


OWN_PACKAGE = "docs/how-to/add-a-method.md"  # its settings are of a package that is not installed


@with_name([(name, block) for name, block in ALL if block.kind == "toml" and name != OWN_PACKAGE])
def test_settings_are_accepted(name, item, tmp_path):
    path = tmp_path / "settings.toml"
    path.write_text(item.text)
    values = tomllib.loads(item.text)
    reads = {"protocols": read_plan, "sender": read_node, "watch": read_node, "look": read_node}
    read = next((reads[key] for key in values if key in reads), read_training)
    assert read(path) is not None
    if read is read_training:
        config = read_training(path)
        method = build_method(config.method, config.method_settings)
        own = {role: (spec["name"], spec.get("arguments", {})) for role, spec in config.networks.items()}
        specs = method.network_specs() | own
        check_networks(method, {role: build_network(*spec) for role, spec in specs.items()}, config.grid())


# Python and commands, run


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """A folder with a tiny model and every file that the pages name."""
    place = tmp_path_factory.mktemp("docs")
    for name in ("any-2mm", "t1w-2mm"):
        tiny_model(place / "models" / name)
    scan = tiny_scan(blob=60.0)
    brain = nib.Nifti1Image(scan.brain_mask.astype(np.uint8), scan.affine)
    for folder in ("predictions", "labels", "brains", "FOLDER", "BIDS_DIR/sub-01/anat"):
        (place / folder).mkdir(parents=True)
    for path in ("sub-01_T1w.nii.gz", "FOLDER/a_T1w.nii.gz", "BIDS_DIR/sub-01/anat/sub-01_T1w.nii.gz"):
        write_nifti(place / path, scan)
    about = {"Name": "made", "BIDSVersion": "1.9.0"}
    (place / "BIDS_DIR" / "dataset_description.json").write_text(json.dumps(about))
    label = nib.Nifti1Image((scan.image > 140).astype(np.uint8), scan.affine)
    for path, image in (("brain", brain), ("predictions/a", label), ("labels/a", label), ("brains/a", brain)):
        nib.save(image, place / f"{path}.nii.gz")
    save(place / "study", slices(np.rint(tiny_head(blob=60.0)[0]).astype(np.int16), oblique(affine_of())))
    case = place / "BraTS2021" / "BraTS2021_00000"
    case.mkdir(parents=True)
    for ending in ("t1", "t1ce", "t2", "flair", "seg"):
        (case / f"BraTS2021_00000_{ending}.nii.gz").touch()
    shutil.copytree(place / "BIDS_DIR", place / "downloads")
    (place / "cases.tsv").write_text("participant_id\tT1w\n01\tsub-01_T1w.nii.gz\n")
    return place


def look_up_imports(text):
    """Fail if the package lacks what a block imports from it."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("itermask"):
            module = import_module(node.module)
            for one in node.names:
                assert hasattr(module, one.name), f"{node.module} has no {one.name}"


def run_page(page, command):
    """Run what a page holds, in the working directory; gives how many blocks were run."""
    known, ran = {"__name__": "docs"}, 0
    for block in blocks(page):
        lines = block.commands
        if not lines and block.kind != "python":
            continue
        if block.mark.startswith("<!-- not run"):
            if block.kind == "python":
                look_up_imports(block.text)
            continue
        ran += 1
        if block.mark.startswith("<!-- run as: "):
            lines = [block.mark.removeprefix("<!-- run as: ").removesuffix(" -->")]
        if block.kind == "python":
            with redirect_stdout(io.StringIO()) as printed:
                exec(compile(block.text, page.name, "exec"), known)
            for expected in re.findall(r"^ *print\(.*\)  # (.*)$", block.text, re.M):
                assert expected in printed.getvalue(), f"{page.name}: {expected}"
        for line in lines:
            words, target = arguments(line)
            if words[0].startswith("-"):
                continue  # the program's own options are looked up, never run
            ends = words[:2] != ["listen", "node.toml"] or "--explain" in words
            assert ends, f"{line}: does not end by itself; mark its block"
            assert words[0] != "view", f"{line}: does not end by itself; mark its block"
            code, out, errors = command(*words)
            assert code == 0, f"{line}: {errors}"
            if target:
                Path(target).write_text(out)
    return ran


@pytest.fixture
def place(template, tmp_path, monkeypatch):
    """A copy of the template as the working directory, with the tiny model instead of the bundled ones."""
    folder = tmp_path / "place"
    shutil.copytree(template, folder)
    monkeypatch.setattr(choice, "BUNDLED", folder / "models")
    monkeypatch.setattr(pictures, "ROW_WIDTH", 300)
    monkeypatch.setenv("HOME", str(tmp_path))  # nothing that is run may change the user's own files
    monkeypatch.chdir(folder)
    return folder


def runnable(block):
    return bool(block.kind == "python" or block.commands) and not block.mark.startswith("<!-- not run")


RUN = sorted({name for name, block in ALL if runnable(block)} - set(ELSEWHERE))


@pytest.mark.parametrize("name", RUN)
def test_a_page_runs(name, place, command):
    assert run_page(ROOT / name, command) > 0


def test_a_page_that_does_not_run_would_be_noticed(place, command, tmp_path):
    page = tmp_path / "page.md"
    page.write_text("```python\nvalue = 1\n```\n\n```python\nassert value == 2\n```\n")
    with pytest.raises(AssertionError):
        run_page(page, command)
    page.write_text("```python\nprint(1 + 1)  # 3\n```\n")
    with pytest.raises(AssertionError, match="3"):
        run_page(page, command)
    page.write_text("<!-- not run: why -->\n```python\nfrom itermask.types import Scam\n```\n")
    with pytest.raises(AssertionError, match="has no Scam"):
        run_page(page, command)
    page.write_text("```bash\nitermask run nowhere_T1w.nii.gz out\n```\n")
    with pytest.raises(AssertionError, match="nowhere"):
        run_page(page, command)


def test_every_mark_stands_before_a_block_and_gives_a_reason():
    for name, page in zip(NAMES, PAGES, strict=True):
        marks = re.findall(r"<!-- (?:not run|run as)[^\n]*", page.read_text())
        assert len(marks) == sum(bool(block.mark) for block in blocks(page)), name


# Links


def anchor(heading):
    """The anchor of a heading, as code hosts and the site make it."""
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").strip().lower()
    return re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")


def anchors(page):
    return {anchor(line) for line in re.findall(r"^#+ (.*)$", FENCE.sub("", page.read_text()), re.M)}


def links(page):
    text = re.sub(r"`[^`\n]*`", "", FENCE.sub("", page.read_text()))
    return [link for link in re.findall(r"\]\(([^)\s]+)\)", text) if not re.match(r"[a-z]+:", link)]


@pytest.mark.parametrize("name", [*NAMES, *(p.relative_to(ROOT).as_posix() for p in ROOT.glob("src/**/README.md"))])
def test_links_and_pictures_are_there(name):
    for link in links(ROOT / name):
        path, _, part = unquote(link).partition("#")
        target = (ROOT / name).parent / path if path else ROOT / name
        assert target.exists(), f"{name}: {link}"
        if part:
            assert part in anchors(target), f"{name}: {link}"


def test_every_picture_is_shown_somewhere():
    shown = {Path(link).name for page in PAGES for link in links(page)}
    assert {path.name for path in (ROOT / "docs" / "pictures").iterdir()} - shown == set()
