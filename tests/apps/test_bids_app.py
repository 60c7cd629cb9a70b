"""`itermask bids` and `itermask cohort` from start to finish, as their users call them."""

import csv
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_cohort import contents, scan_of, write_bad, write_bids, write_model
from tiny_model import write_nifti

from itermask import __version__
from itermask.apps.cohort.derivative import check_tree, describe_derivative, validate
from itermask.cli.options import parse_part
from itermask.errors import InputError

VALIDATOR = shutil.which("bids-validator-deno", path=str(Path(sys.executable).parent))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A tree of two scans and a bad one, and a model."""
    folder = tmp_path_factory.mktemp("app")
    return write_bids(folder / "tree", 2, ["cut"]), write_model(folder / "model")


@pytest.fixture(scope="module")
def derivative(made):
    """The tree's derivative, and what the command said and returned."""
    tree, model = made
    out = tree / "derivatives" / "itermask"
    command = [sys.executable, "-m", "itermask", "bids", tree, out, "--model", model, "--workers", "0"]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    return out, done


def rows(path):
    with open(path, newline="") as source:
        return list(csv.DictReader(source, delimiter="\t"))


def test_a_tree_becomes_a_derivative_with_a_table_and_a_page(made, derivative):
    tree, _ = made
    out, done = derivative
    assert done.returncode == 1, done.stderr
    assert done.stderr == ""
    assert done.stdout.splitlines()[-1].startswith(
        "2 processed, 0 kept from earlier, 1 failed; reasons are in the table"
    )
    described = json.loads((out / "dataset_description.json").read_text())
    assert described["DatasetType"] == "derivative"
    assert described["GeneratedBy"][0]["Name"] == "itermask"
    assert described["GeneratedBy"][0]["Version"] == __version__
    assert described["DatasetLinks"] == {"raw": "../.."}
    assert described["SourceDatasets"][0]["URL"] == tree.resolve().as_uri()
    found = rows(out / "group_T1w.tsv")
    assert [(row["participant_id"], row["status"], row["sex"]) for row in found] == [
        ("sub-01", "ok", "F"), ("sub-02", "ok", "M"), ("sub-cut", "failed", "F"),
    ]  # fmt: skip
    assert found[2]["reason"].startswith("sub-cut/anat/sub-cut_T1w.nii.gz: truncated or damaged")
    for row in found[:2]:
        assert (out / row["report"]).read_text().rstrip().endswith("</html>")
    page = (out / "group_T1w.html").read_text()
    assert "3</dd><dt>scans" in page
    assert "Score and age" in page
    assert not (out / ".part").exists()
    assert not list((out / "logs").glob("workers-*")), "an empty log is removed"


@pytest.mark.servers
@pytest.mark.skipif(VALIDATOR is None, reason="bids-validator-deno is not installed")
def test_the_validator_accepts_names_and_sidecars(derivative):
    out, _ = derivative
    done = subprocess.run([VALIDATOR, str(out), "--format", "json"], capture_output=True, text=True, check=False)
    issues = json.loads(done.stdout)["issues"]["issues"]
    assert {issue["code"] for issue in issues} <= {"TOO_FEW_AUTHORS", "NIFTI_UNIT"}
    assert not [issue for issue in issues if issue["severity"] == "error"]


@pytest.mark.servers
@pytest.mark.skipif(VALIDATOR is None, reason="bids-validator-deno is not installed")
def test_a_tree_that_is_not_valid_is_refused_but_not_for_a_scan_that_cannot_be_read(made, tmp_path):
    tree, _ = made
    shutil.copytree(tree, tmp_path / "tree", ignore=shutil.ignore_patterns("derivatives"))
    (tmp_path / "tree/sub-cut/anat/sub-cut_T1w.nii.gz").write_bytes(b"")
    validate(tmp_path / "tree")
    (tmp_path / "tree/sub-01/anat/sub-01_wrong_T1w.nii.gz").write_bytes(b"x")
    with pytest.raises(InputError, match=r"not a valid BIDS tree \(.*sub-01_wrong_T1w.*use --skip-bids-validation"):
        validate(tmp_path / "tree")


def test_levels_dry_run_and_exit_codes(command, made, derivative, tmp_path):
    tree, model = made
    out, _ = derivative
    arguments = ["--model", model, "--skip-bids-validation"]
    code, output, errors = command("bids", tree, out, "participant", *arguments)
    assert (code, errors) == (1, "")
    assert output.startswith("0 processed, 2 kept from earlier, 1 failed")
    code, output, _ = command("bids", tree, out, "participant", *arguments, "--participant-label", "01", "sub-02")
    assert (code, output) == (0, "0 processed, 2 kept from earlier, 0 failed\n")
    code, output, _ = command("bids", tree, out, *arguments, "--dry-run", "--retry-failed")
    assert code == 0
    assert [line.split()[:2] for line in output.splitlines()[:3]] == [
        ["done", "sub-01_T1w"], ["done", "sub-02_T1w"], ["retry", "sub-cut_T1w"],
    ]  # fmt: skip
    assert output.splitlines()[-1] == "3 scans (2 done, 1 retry): 1 would be processed"
    code, output, _ = command("bids", tree, tmp_path / "new", *arguments, "--dry-run", "--shard", "2/2")
    assert (code, output.splitlines()[-1]) == (0, "1 scans (1 new): 1 would be processed")
    assert not (tmp_path / "new").exists(), "a dry run writes nothing"
    before = contents(out)
    assert command("bids", tree, out, "group", *arguments)[0] == 1
    assert contents(out) == before


def test_a_group_says_what_is_still_to_do(command, made, derivative, tmp_path):
    tree, model = made
    out, _ = derivative
    shutil.copytree(out, tmp_path / "out")
    (tmp_path / "out" / "manifest" / "sub-01_T1w.json").unlink()
    (tmp_path / "out" / "manifest" / "sub-cut_T1w.json").unlink()
    code, output, errors = command("bids", tree, tmp_path / "out", "group", "--model", model)
    assert (code, output.strip()) == (0, str(tmp_path / "out" / "group_T1w.html"))
    assert errors == "itermask: 2 of 3 scans have not been processed yet.\n"
    assert "2 of 3 scans have not been processed yet." in (tmp_path / "out" / "group_T1w.html").read_text()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--shard", "3/2"], "--shard 3/2: write it as"),
        (["--workers", "-1"], "--workers -1: must not be negative"),
        (["--memory", "0"], "--memory 0: must be above 0"),
        (["--dask", "tcp://x:1", "--workers", "2"], "leave out --workers"),
        (["--participant-label", "09"], "no participant 09"),
        (["--gamma", "1", "--sensitivity", "2"], "gamma or sensitivity, not both"),
        (["--model", "nothing"], "nothing: no such model folder"),
        (["--device", "nonsense"], "unknown device"),
        (["--bids-filter-file", "none.json"], "not a readable BIDS filter file"),
    ],
)
def test_options_that_cannot_be_are_one_line_and_nothing_is_written(command, made, tmp_path, options, message):
    tree, model = made
    start = ["bids", tree, tmp_path / "out", "--skip-bids-validation"]
    code, output, errors = command(*start, *([] if "--model" in options else ["--model", model]), *options)
    assert (code, output) == (2, "")
    assert re.search(message, errors)
    assert errors.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_folders_that_are_no_bids_tree(command, made, tmp_path):
    tree, model = made
    assert "no such folder" in command("bids", tmp_path / "none", tmp_path / "out")[2]
    assert "is the tree of the scans" in command("bids", tree, tree, "--model", model)[2]
    (tmp_path / "bare").mkdir()
    for text, message in (
        (None, "no such file; a BIDS tree has it"),
        ('{"Name": "x"}', "BIDSVersion is missing"),
        ('{"Name": "x", "BIDSVersion": "1.8.0", "DatasetType": "derivative"}', "is of a derivative data set"),
    ):
        if text is not None:
            (tmp_path / "bare" / "dataset_description.json").write_text(text)
        with pytest.raises(InputError, match=message):
            check_tree(tmp_path / "bare")


def test_a_derivative_outside_its_tree_names_where_the_tree_is_and_is_written_once(made, tmp_path):
    tree, _ = made
    describe_derivative(tree, tmp_path)
    described = json.loads((tmp_path / "dataset_description.json").read_text())
    assert described["DatasetLinks"]["raw"] == tree.resolve().as_uri()
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    describe_derivative(tree, tmp_path)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before


def test_a_cohort_of_loose_scans_becomes_folders_a_table_and_a_page(command, made, tmp_path):
    _, model = made
    data = tmp_path / "data"
    data.mkdir()
    write_nifti(data / "p1_T1w.nii.gz", scan_of(0))
    write_bad(data / "p2_T1w.nii.gz", "zeros", scan_of(1))
    (data / "participants.tsv").write_text("participant_id\tage\np1\t31\np2\t32\n")
    arguments = ["cohort", data, "--out", tmp_path / "out", "--model", model]
    code, output, errors = command(*arguments, "--workers", "0")
    assert (code, errors) == (1, "")
    assert output.splitlines()[0] == str(tmp_path / "out" / "group_T1w.html")
    assert output.splitlines()[1].startswith("1 processed, 0 kept from earlier, 1 failed")
    assert {path.name for path in (tmp_path / "out" / "p1_T1w").iterdir()} >= {"anomaly.nii.gz", "report.html"}
    found = rows(tmp_path / "out" / "group_T1w.tsv")
    assert [(row["name"], row["status"], row["age"]) for row in found] == [
        ("p1_T1w", "ok", "31"), ("p2_T1w", "failed", "32"),
    ]  # fmt: skip
    assert found[0]["report"] == "p1_T1w/report.html"
    (tmp_path / "out" / "group_T1w.tsv").unlink()
    assert command(*arguments, "--shard", "1/2")[0] == 0
    assert not (tmp_path / "out" / "group_T1w.tsv").exists(), "the table is of all shards"
    assert command(*arguments)[1].splitlines()[1].startswith("0 processed, 1 kept from earlier, 1 failed")
    assert (tmp_path / "out" / "group_T1w.tsv").exists()


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "a/b", "1/2/3", "-1/2"])
def test_shards_that_are_none(text):
    with pytest.raises(InputError, match="write it as 1/4"):
        parse_part(text, "--shard")


def test_shards():
    assert parse_part("3/12", "--shard") == (3, 12)
