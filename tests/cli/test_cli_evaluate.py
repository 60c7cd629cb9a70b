"""The command: a table on standard output, what is amiss on standard error, and the exit code says which."""

import json
import subprocess
import sys

import nibabel as nib
import numpy as np
import pytest


@pytest.fixture
def folders(tmp_path):
    """Two scans: masks, maps and labels."""
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        label = np.zeros((6, 6, 6), dtype=np.uint8)
        label[1:4, 2:5, 1:3] = 1
        error = (label + rng.random(label.shape)).astype(np.float32)
        for folder, data in (("labels", label), ("maps", error), ("masks", (error > 0.9).astype(np.uint8))):
            (tmp_path / folder).mkdir(exist_ok=True)
            nib.save(nib.Nifti1Image(data, np.eye(4)), tmp_path / folder / f"{name}.nii.gz")
    nib.save(nib.Nifti1Image(np.ones((6, 6, 6), dtype=np.uint8), np.eye(4)), tmp_path / "brain.nii")
    return tmp_path


def test_masks(command, folders):
    code, output, errors = command(
        "evaluate", folders / "masks", folders / "labels", "--out", folders / "out", "--seed", 3
    )
    assert (code, errors) == (0, "")
    lines = output.splitlines()
    assert lines[0] == "2 scans evaluated, 0 failed, 0 predictions without label"
    assert lines[1].split() == ["metric", "mean", "std", "95", "%", "interval", "defined"]
    assert lines[-1] == str(folders / "out" / "summary.md")
    summary = json.loads((folders / "out" / "summary.json").read_text())
    assert summary["seed"] == 3
    shown = next(line.split() for line in lines if line.startswith("dice "))
    assert float(shown[1]) == pytest.approx(summary["metrics"]["dice"]["mean"], rel=1e-3)


def test_maps(command, folders):
    arguments = ["--maps", "--brain-mask", folders / "brain.nii", "--size-limits", "0.01,0.1"]
    code, output, errors = command("evaluate", folders / "maps", folders / "labels", *arguments)
    assert (code, errors) == (0, "")
    for metric in ("best_threshold_dice", "best_shared_threshold_dice", "auroc_voxels", "auprc_voxels"):
        assert f"\n{metric} " in output
    assert "\ndice " not in output
    assert not (folders / "out").exists()


def test_some_fail(command, folders):
    nib.save(nib.Nifti1Image(np.zeros((6, 6, 5)), np.eye(4)), folders / "masks" / "a.nii.gz")
    nib.save(nib.Nifti1Image(np.zeros((6, 6, 6)), np.eye(4)), folders / "masks" / "[c].nii.gz")
    nib.save(nib.Nifti1Image(np.zeros((6, 6, 6)), np.eye(4)), folders / "labels" / "d.nii.gz")
    code, output, errors = command("evaluate", folders / "masks", folders / "labels", "--out", folders / "out")
    assert code == 1
    failed, lone, left = errors.splitlines()
    assert failed.startswith("failed: a: ")
    assert "shape (6, 6, 5) is not (6, 6, 6)" in failed
    assert lone == "prediction without label: [c]: no label has its name"
    assert left == "1 files among the labels pair with nothing: d"
    assert output.startswith("1 scans evaluated, 1 failed, 1 predictions without label")
    page = (folders / "out" / "summary.md").read_text()
    assert failed.removeprefix("failed: ") in page


def test_all_fail(command, folders):
    for name in ("a", "b"):
        (folders / "masks" / f"{name}.nii.gz").write_bytes(b"nothing")
    code, output, errors = command("evaluate", folders / "masks", folders / "labels")
    assert code == 2
    assert len(errors.splitlines()) == 2
    assert output == "0 scans evaluated, 2 failed, 0 predictions without label\n"


def test_refusals_are_one_line(command, folders):
    (folders / "file").touch()
    other = folders / "other"
    other.mkdir()
    nib.save(nib.Nifti1Image(np.zeros((6, 6, 6)), np.eye(4)), other / "unlike.nii")
    masks, labels = folders / "masks", folders / "labels"
    for arguments, words in (
        ((masks, other), "nothing pairs by name"),
        ((masks,), "LABELS is missing"),
        ((folders / "none", labels), "no such file"),
        ((masks, labels, "--out", folders / "file"), "is a file"),
        ((masks, labels, "--size-limits", "one"), "--size-limits one"),
        ((masks, labels, "--size-limits", "2,1"), "--size-limits"),
        ((masks, labels, "--seed", "-1"), "--seed -1"),
    ):
        code, output, errors = command("evaluate", *arguments)
        assert (code, output) == (2, "")
        assert len(errors.splitlines()) == 1, errors
        assert errors.startswith("itermask: ")
        assert words in errors


def test_help_and_no_network_library(command):
    code, output, _ = command("evaluate", "--help")
    assert code == 0
    for option in ("--out", "--maps", "--brain-mask", "--images", "--size-limits", "--seed"):
        assert option in output
    program = "import sys; from itermask.evaluation.evaluate import evaluate; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout.strip() == "False"
