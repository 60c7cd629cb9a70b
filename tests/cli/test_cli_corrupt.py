"""`itermask corrupt`: a corrupted scan of the same geometry, and what was done; one line and code 2 for bad input."""

import json
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
from tiny_model import ORIENTATIONS, oblique, stored_as, tiny_scan, turned, write_nifti

from itermask.io.names import sequence_of
from itermask.synth.artifacts import ARTIFACTS
from itermask.synth.artifacts import corrupt as corrupted
from itermask.synth.artifacts import replay as replay_artifact
from itermask.types import top_axis


@pytest.fixture
def scan(tmp_path):
    """A stripped scan in its file."""
    return write_nifti(tmp_path / "sub-1_T1w.nii.gz", tiny_scan(given=False))


def data(path):
    return np.asanyarray(nib.load(path).dataobj)


def refused(result):
    """The one line of a refusal."""
    code, output, errors = result
    assert (code, output) == (2, "")
    assert len(errors.splitlines()) == 1, errors
    assert errors.startswith("itermask: ")
    return errors


# --- what works ----------------------------------------------------------------------------------------------


def test_a_corrupted_scan_and_what_was_done_to_it(command, scan, tmp_path):
    out = tmp_path / "new" / "spoiled.nii.gz"
    code, output, errors = command(
        "corrupt", scan, out, "--artifact", "ghosting", "--severity", 4, "--seed", 3, "--axis", 1
    )
    assert (code, errors) == (0, "")
    assert output == f"ghosting, severity 4: {out}, {out.parent / 'spoiled.json'}\n"
    assert sorted(path.name for path in out.parent.iterdir()) == ["spoiled.json", "spoiled.nii.gz"]
    record = json.loads((out.parent / "spoiled.json").read_text())
    assert (record["artifact"], record["severity"], record["seed"], record["scan"]) == ("ghosting", 4, 3, scan.name)
    given = tiny_scan(given=False)
    wanted = corrupted(given.image, "ghosting", 4, 3, 1, spacing=given.spacing)
    assert record["parameters"] == json.loads(json.dumps(wanted.parameters))
    assert np.array_equal(data(out), wanted.image)
    assert np.array_equal(data(out), replay_artifact(given.image, "ghosting", record["parameters"]))
    assert sequence_of(out) == "T1w"  # not in its name, but in the file beside it


@pytest.mark.parametrize("orientation", ORIENTATIONS[::7])
def test_the_geometry_is_the_scans_and_the_top_is_the_heads(command, tmp_path, orientation):
    straight = tiny_scan()
    stored = stored_as(replace(straight, affine=oblique(straight.affine)), orientation)
    scan, mask = tmp_path / "in_T1w.nii", tmp_path / "mask.nii.gz"
    write_nifti(scan, stored, sform=2, qform=1)
    write_nifti(mask, replace(stored, image=stored.brain_mask.astype(np.float32)))
    out = tmp_path / "out_T1w.nii"
    code, _, errors = command("corrupt", scan, out, "--artifact", "missing_chunk", "--brain-mask", mask)
    assert (code, errors) == (0, "")
    before, after, damaged = (nib.load(path) for path in (scan, out, tmp_path / "out_T1w_damaged.nii.gz"))
    for image in (after, damaged):
        assert np.array_equal(image.affine, before.affine)
        assert image.shape == before.shape
        assert np.array_equal(image.header["pixdim"], before.header["pixdim"])
        for name in ("sform_code", "qform_code", "srow_x", "quatern_b"):
            assert np.array_equal(image.header[name], before.header[name])
    assert after.get_data_dtype() == np.float32
    assert damaged.get_data_dtype() == np.uint8
    wanted = corrupted(straight.image, "missing_chunk", 5, 0, 2, straight.brain_mask, straight.spacing)
    assert np.array_equal(data(tmp_path / "out_T1w_damaged.nii.gz") > 0, turned(wanted.damaged, orientation))
    assert np.array_equal(data(out), turned(wanted.image, orientation))
    assert top_axis(stored)[0] == json.loads((tmp_path / "out_T1w.json").read_text())["parameters"]["axis"]


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_the_top_axis_is_where_superior_lies(orientation):
    axis, direction = top_axis(stored_as(tiny_scan(), orientation))
    assert orientation[2].tolist() == [axis, direction]


def test_a_brain_mask_says_what_is_measured_against(command, tmp_path):
    whole = tiny_scan(skull=True)
    scan = write_nifti(tmp_path / "scan_T1w.nii", whole)
    mask = write_nifti(tmp_path / "mask.nii", replace(whole, image=whole.brain_mask.astype(np.float32)))
    assert command("corrupt", scan, tmp_path / "a.nii", "--artifact", "zipper", "--brain-mask", mask)[0] == 0
    assert command("corrupt", scan, tmp_path / "b.nii", "--artifact", "zipper")[0] == 0
    marked = data(tmp_path / "a_damaged.nii.gz") > 0
    assert not marked[~whole.brain_mask].any()
    assert (data(tmp_path / "b_damaged.nii.gz") > 0)[~whole.brain_mask].any()


def test_severity_0_and_a_mask_of_an_earlier_artifact(command, scan, tmp_path):
    out, mask = tmp_path / "out.nii", tmp_path / "out_damaged.nii.gz"
    assert command("corrupt", scan, out, "--artifact", "zipper", "--severity", 0)[0] == 0
    assert np.array_equal(data(out), data(scan))
    assert not data(mask).any()
    assert command("corrupt", scan, out, "--artifact", "zipper")[0] == 0
    assert data(mask).any()
    assert command("corrupt", scan, out, "--artifact", "noise")[0] == 0
    assert not mask.exists()
    assert json.loads((tmp_path / "out.json").read_text())["artifact"] == "noise"


@pytest.mark.parametrize("arguments", [["--list"], ["--artifact", "list"], ["a.nii", "b.nii", "--artifact", "list"]])
def test_the_list_has_a_line_for_every_artifact(command, arguments):
    code, output, errors = command("corrupt", *arguments)
    assert (code, errors) == (0, "")
    lines = output.splitlines()
    assert [line.split()[0] for line in lines] == sorted(ARTIFACTS)
    assert all(len(line.split()) > 5 for line in lines)


# --- what is refused -----------------------------------------------------------------------------------------

BAD_OPTIONS = {
    "unknown artifact": (["--artifact", "earthquake"], "--artifact earthquake"),
    "severity too high": (["--severity", "11"], "--severity 11"),
    "severity below 0": (["--severity", "-1"], "--severity -1"),
    "severity that is no number": (["--severity", "nan"], "--severity nan"),
    "fourth axis": (["--axis", "3"], "--axis 3"),
    "negative axis": (["--axis", "-1"], "--axis -1"),
    "negative seed": (["--seed", "-1"], "--seed -1"),
    "more than the brain has": (["--artifact", "missing_chunk", "--severity", "10", "--axis", "0"], "leaves nothing"),
}


@pytest.mark.parametrize("name", BAD_OPTIONS)
def test_a_bad_option(command, scan, tmp_path, name):
    arguments, says = BAD_OPTIONS[name]
    line = refused(command("corrupt", scan, tmp_path / "out.nii", "--artifact", "noise", *arguments))
    assert says in line
    assert [path.name for path in tmp_path.iterdir()] == [scan.name]


def test_a_bad_scan(command, scan, tmp_path):
    out = tmp_path / "out.nii"
    negative = write_nifti(tmp_path / "negative_T1w.nii", replace(tiny_scan(given=False), image=tiny_scan().image - 50))
    (tmp_path / "notes.txt").write_text("no scan")
    for path, says in (
        (tmp_path / "missing_T1w.nii", "no such file"),
        (tmp_path / "notes.txt", "not a NIfTI file"),
        (negative, "negative"),
    ):
        line = refused(command("corrupt", path, out, "--artifact", "noise"))
        assert line.startswith(f"itermask: {path}: ")
        assert says in line
    line = refused(command("corrupt", scan, out, "--artifact", "noise", "--brain-mask", tmp_path / "none.nii"))
    assert line == f"itermask: {tmp_path}/none.nii: no such file\n"
    assert not out.exists()


def test_no_input_is_ever_overwritten(command, scan, tmp_path):
    before = scan.read_bytes()
    (tmp_path / "link.nii.gz").hardlink_to(scan)
    (tmp_path / "sub-1_T1w.json").write_text("{}")
    damaged = write_nifti(tmp_path / "x_damaged.nii.gz", tiny_scan())
    for given, out in (
        (scan, scan),
        (scan, tmp_path / "." / "link.nii.gz"),
        (scan, tmp_path / "sub-1_T1w.nii"),  # its JSON file would be the scan's own
        (damaged, tmp_path / "x.nii"),
    ):
        line = refused(command("corrupt", given, out, "--artifact", "zipper"))
        assert "would replace the input" in line
    assert "would replace" in refused(command("corrupt", scan, damaged, "--artifact", "noise", "--brain-mask", damaged))
    assert scan.read_bytes() == before
    assert (tmp_path / "sub-1_T1w.json").read_text() == "{}"


def test_an_output_that_cannot_be_one(command, scan, tmp_path):
    (tmp_path / "folder.nii").mkdir()
    (tmp_path / "file").write_text("mine")
    for out, says in (
        (tmp_path / "out.txt", "must be a NIfTI file"),
        (tmp_path / ".nii.gz", "must be a NIfTI file"),
        (tmp_path / "folder.nii", "is a folder"),
        (tmp_path / "file" / "out.nii", "is a file"),
    ):
        assert says in refused(command("corrupt", scan, out, "--artifact", "noise"))
    assert (tmp_path / "file").read_text() == "mine"


def test_an_artifact_is_needed(command, scan, tmp_path):
    code, output, errors = command("corrupt", scan, tmp_path / "out.nii")
    assert (code, output) == (2, "")
    assert "--artifact" in errors
