"""Every end of the command is one line or one JSON object: whatever the streams, the paths and the options are."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny_model import tiny_model, tiny_scan, write_nifti

from itermask.cli.streams import one_line, wants_json
from itermask.io.result_folder import MARK
from itermask.results.report import pictures


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "tiny"
    tiny_model(folder)
    return folder


@pytest.fixture(autouse=True)
def small_pictures(monkeypatch):
    """Large pictures take long to draw."""
    monkeypatch.setattr(pictures, "ROW_WIDTH", 300)


@pytest.fixture
def scan(tmp_path):
    return write_nifti(tmp_path / "sub-1_T1w.nii.gz", tiny_scan(given=False, blob=60.0))


def outside(arguments, *, redirect="", **environment):
    """The command in a process of its own, its output redirected by a shell."""
    words = " ".join(f"'{word}'" for word in map(str, arguments))
    line = f"'{sys.executable}' -m itermask {words} {redirect}"
    return subprocess.run(["bash", "-c", line], capture_output=True, check=False, env=os.environ | environment)


def one_refusal(result, code=2):
    """The only line of a refusal."""
    assert result[0] == code
    assert result[1] == ""
    assert len(result[2].splitlines()) == 1
    return result[2]


# --- own files -----------------------------------------------------------------------------------------------


def test_a_scan_or_mask_named_like_a_result_is_never_replaced(command, tmp_path):
    folder = tmp_path / "x"
    folder.mkdir()
    scan = write_nifti(folder / "brain.nii.gz", tiny_scan(given=False))
    (tmp_path / "way").symlink_to(folder)
    (tmp_path / "hard_T1w.nii.gz").hardlink_to(scan)
    (tmp_path / "soft_T1w.nii.gz").symlink_to(scan)
    other = write_nifti(tmp_path / "other_T1w.nii.gz", tiny_scan(given=False))
    before = scan.read_bytes()
    for given_scan, out, more in (
        (scan, folder, ()),
        (scan, tmp_path / "way", ()),
        (tmp_path / "way" / "brain.nii.gz", folder, ()),
        (tmp_path / "hard_T1w.nii.gz", folder, ()),
        (tmp_path / "soft_T1w.nii.gz", folder, ()),
        (other, folder, ("--brain-mask", scan)),
    ):
        line = one_refusal(command("run", given_scan, out, "--sequence", "T1w", *more))
        assert "would replace the input" in line
    assert "was not written by itermask" in one_refusal(command("run", other, folder))
    assert [path.name for path in folder.iterdir()] == ["brain.nii.gz"]
    assert scan.read_bytes() == before


def test_results_may_be_replaced_by_new_ones_but_not_when_corrected_by_hand(command, scan, model, tmp_path):
    out, run = tmp_path / "out", ("run", scan, tmp_path / "out", "--model", model, "--device", "cpu")
    assert command(*run)[0] == 0
    assert command(*run)[0] == 0
    assert (out / MARK).exists()
    (out / "anomaly.nii.gz").write_bytes(b"corrected")
    assert "was changed after it had been written" in one_refusal(command(*run))
    assert (out / "anomaly.nii.gz").read_bytes() == b"corrected"


def test_corrupt_replaces_nothing_but_what_it_wrote(command, scan, tmp_path):
    out = tmp_path / "spoiled_T1w.nii.gz"
    write_nifti(out, tiny_scan())
    before = out.read_bytes()
    assert "was not written by itermask" in one_refusal(command("corrupt", scan, out, "--artifact", "noise"))
    assert out.read_bytes() == before
    out.unlink()
    for artifact in ("zipper", "noise"):
        assert command("corrupt", scan, out, "--artifact", artifact)[0] == 0


def test_a_refused_scan_leaves_no_folder(command, model, tmp_path):
    scan = write_nifti(tmp_path / "a_T1w.nii.gz", tiny_scan(given=False))
    scan.write_bytes(scan.read_bytes()[:-20])
    assert "truncated" in one_refusal(command("run", scan, tmp_path / "new" / "out", "--model", model))
    assert not (tmp_path / "new").exists()


# --- streams and names ---------------------------------------------------------------------------------------


def test_a_full_closed_or_unread_output_is_no_traceback(model):
    full = outside(["models"], redirect="> /dev/full")
    assert (full.returncode, len(full.stderr.splitlines())) == (2, 1)
    assert b"No space left on device" in full.stderr
    closed = outside(["models"], redirect=">&-")
    assert (closed.returncode, closed.stderr) == (0, b"")
    unread = outside(["models", model, "--json"], redirect="| true")
    assert unread.stderr == b""


def test_names_that_are_no_text_run_and_are_printed_as_they_can_be(scan, model, tmp_path):
    odd = os.fsencode(tmp_path) + b"/latin-\xff\xe9_T1w.nii.gz"
    os.rename(scan, odd)  # noqa: PTH104
    arguments = [os.fsdecode(odd), tmp_path / "out", "--model", model, "--device", "cpu"]
    words = [sys.executable, "-m", "itermask", "run", *map(os.fspath, arguments)]
    done = subprocess.run(words, capture_output=True, check=False, env=os.environ | {"PYTHONIOENCODING": "ascii"})
    assert (done.returncode, done.stderr) == (0, b"")
    assert rb"latin-\xff\xe9_T1w.nii.gz" in done.stdout
    found = json.loads((tmp_path / "out" / "finding.json").read_text(encoding="utf-8"))
    assert found["settings"]["scan"] == r"latin-\xff\xe9_T1w.nii.gz"
    assert "</html>" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("as_json", [True, False])
def test_paths_too_long_for_the_system_are_refused(command, scan, tmp_path, as_json):
    long = "x" * 300
    for arguments in (
        ("run", scan, tmp_path / long),
        ("run", tmp_path / f"{long}.nii.gz", tmp_path / "out"),
        ("run", tmp_path / long, tmp_path / "out"),
        ("run", scan, tmp_path / "out", "--brain-mask", tmp_path / f"{long}.nii"),
        ("series", tmp_path / long),
        ("evaluate", tmp_path / long, tmp_path),
        ("cohort", tmp_path / long, "--out", tmp_path / "out"),
        ("bids", tmp_path / long, tmp_path / "out"),
    ):
        code, output, errors = command(*arguments, *(["--json"] if as_json else []))
        assert code == 2, arguments
        if as_json:
            assert "error" in json.loads(output)
            assert errors == ""
        else:
            assert (output, len(errors.splitlines())) == ("", 1)


@pytest.mark.parametrize("number", [-1, 0, 100_000, 10**30])
def test_threads_that_no_machine_has_are_refused(command, scan, tmp_path, number):
    assert f"--threads {number}" in one_refusal(command("run", scan, tmp_path / "out", "--threads", number))


# --- JSON ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", "--bogus"),
        ("run",),
        ("run", "a", "b", "--seed", "many"),
        ("bids", "a", "b", "third"),
        ("nothing",),
        ("models", "nowhere"),
        ("series", "nowhere"),
        ("evaluate", "nowhere", "nowhere"),
        ("cohort", "nowhere", "--out", "out"),
    ],
)
def test_every_failure_is_one_json_object_if_json_is_asked_for(command, tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    code, output, errors = command(*arguments, "--json")
    assert code == 2
    assert isinstance(json.loads(output)["error"], str)
    assert errors == ""


def test_a_fault_of_the_program_is_one_line_and_says_how_to_see_more(command, monkeypatch):
    def fail():
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr("itermask.models.folder.bundled_models", fail)
    line = one_refusal(command("models"), 70)
    assert line.startswith("itermask: unexpected ZeroDivisionError: division by zero; ")
    code, output, errors = command("models", "--json")
    assert (code, errors) == (70, "")
    assert "unexpected ZeroDivisionError" in json.loads(output)["error"]


# --- speed, and anything at all ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scan", "says"),
    [
        (tiny_scan(spacing=(2000.0, 2000.0, 2000.0)), "not possible"),
        (tiny_scan((40, 40, 4), (4.0, 4.0, 4.0), given=False), "only 4 slices, 16 mm thick"),
    ],
)
def test_what_the_header_tells_is_refused_before_pytorch_is_loaded(tmp_path, scan, says):
    path = write_nifti(tmp_path / "a_T1w.nii", scan)
    code = (
        "import sys; from itermask.cli.main import main\n"
        f"sys.argv = ['itermask', 'run', {str(path)!r}, {str(tmp_path / 'out')!r}]\n"
        "try: main()\n"
        "finally: print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "False\n")
    assert says in done.stderr


WORDS = st.sampled_from(
    ["run", "series", "models", "evaluate", "corrupt", "cohort", "bids", "--json", "--seed", "--gamma", "--threads",
     "--severity", "--sequence", "--artifact", "noise", "nan", "-1", "0", "1e400", "\udcff", "a\nb", "", "x" * 300,
     "--out", "--", "T1w", "--workers", "--model", "../nowhere", "--device", "--size-limits", "--brain-mask"]
)  # fmt: skip


@given(st.lists(WORDS, max_size=7))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_command_line_gives_a_traceback(command, tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    code, output, errors = command(*words)
    assert code in (0, 1, 2), (words, errors)
    assert "Traceback" not in errors
    assert "a fault of itermask" not in errors
    if code == 2 and wants_json(words):
        assert "error" in json.loads(output)


@given(st.text())
def test_one_line_is_one_line(text):
    line = one_line(text)
    assert "\n" not in line
    line.encode("utf-8")
    assert np.isscalar(line)
