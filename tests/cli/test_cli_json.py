"""`--json`: one object on standard output, with the same keys as the files; refusals too; the same exit codes."""

import json

import nibabel as nib
import numpy as np
import pytest
from tiny_cohort import scan_of, write_bids, write_model
from tiny_dicom import save, slices
from tiny_model import affine_of, tiny_head, tiny_model, tiny_scan, write_nifti

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


def told(result, code=0):
    """The one object of a command that ended with `code`; nothing else was printed."""
    assert result[0] == code, result
    assert result[2] == ""
    return json.loads(result[1])


# --- run -------------------------------------------------------------------------------------------------------


def test_run_says_what_finding_json_says_with_places_and_volumes(command, model, tmp_path):
    scan, out = write_nifti(tmp_path / "sub-1_T1w.nii.gz", tiny_scan(given=False, blob=60.0)), tmp_path / "out"
    result = command("run", scan, out, "--model", model, "--device", "cpu", "--json")
    found = told(result)
    assert len(result[1].splitlines()) == 1
    written = json.loads((out / "finding.json").read_text())
    assert {key: found[key] for key in written} == written
    assert (found["scan"], found["out"], found["series"]) == (str(scan), str(out), None)
    assert sorted(found["files"].values()) == sorted(str(path) for path in out.iterdir() if path.name != MARK)
    for name in ("anomaly", "brain"):
        mask = nib.load(found["files"][name])
        volume = np.asanyarray(mask.dataobj).sum() * np.prod(mask.header.get_zooms()) / 1000
        assert found[f"{name}_ml"] == pytest.approx(volume)
    assert 0 < found["anomaly_ml"] < found["brain_ml"]


def test_a_refusal_of_run(command, model, tmp_path):
    scan = tmp_path / "missing_T1w.nii"
    plain = command("run", scan, tmp_path / "out", "--model", model)
    found = told(command("run", scan, tmp_path / "out", "--model", model, "--json"), code=plain[0])
    assert found == {"error": plain[2].removeprefix("itermask: ").strip(), "scan": str(scan)}
    assert "gamma" in told(command("run", scan, tmp_path / "out", "--gamma", "-1", "--json"), code=2)["error"]


def test_several_series_are_a_line_each(command, model, tmp_path):
    image = np.rint(tiny_head(blob=60.0)[0]).astype(np.int16)
    spin = {"ScanningSequence": "SE", "InversionTime": None, "EchoTime": 100, "RepetitionTime": 5000}
    save(tmp_path / "study" / "t1", slices(image, affine_of()))
    save(tmp_path / "study" / "t2", slices(image, affine_of(), series=6, SeriesDescription="T2", **spin))
    out = tmp_path / "out"
    arguments = ["--model", model, "--device", "cpu", "--series", "all", "--json"]
    code, output, errors = command("run", tmp_path / "study", out, *arguments)
    assert (code, errors) == (1, "")
    good, refused = (json.loads(line) for line in output.splitlines())
    assert (good["series"]["label"], good["series"]["sequence"]) == ("5", "T1w")
    assert good["files"]["dicom"] == str(out / "series-5" / "dicom")
    assert refused["series"]["label"] == "6"
    assert "is T2w, but the model" in refused["error"]
    assert "verdict" not in refused


# --- what is listed --------------------------------------------------------------------------------------------


def test_models(command, model):
    (found,) = [one for one in told(command("models", "--json"))["models"] if one["name"] == "t1w-2mm"]
    assert (found["sequence"], found["method"], found["dims"]) == ("T1w", "itermask3d", 3)
    assert found["spacing"] == [2.0, 2.0, 2.0]
    assert found["license"] == "CC BY-SA 3.0"
    assert told(command("models", model, "--json")) == told(command("models", model))
    assert "nobodys" in told(command("models", "nobodys", "--json"), code=2)["error"]


def test_series(command, tmp_path):
    save(tmp_path / "study", slices())
    assert len(told(command("series", tmp_path / "study", "--json"))["series"]) == 1
    assert "no such" in told(command("series", tmp_path / "none", "--json"), code=2)["error"]


# --- many scans ------------------------------------------------------------------------------------------------


def test_evaluate_prints_its_summary(command, tmp_path):
    label = np.zeros((6, 6, 6), dtype=np.uint8)
    label[1:4, 2:5, 1:3] = 1
    for folder in ("masks", "labels"):
        (tmp_path / folder).mkdir()
        nib.save(nib.Nifti1Image(label, np.eye(4)), tmp_path / folder / "a.nii.gz")
    paths = (tmp_path / "masks", tmp_path / "labels")
    found = told(command("evaluate", *paths, "--out", tmp_path / "out", "--json"))
    assert found == json.loads((tmp_path / "out" / "summary.json").read_text())
    assert found["metrics"]["dice"]["mean"] == 1
    nib.save(nib.Nifti1Image(label[1:], np.eye(4)), tmp_path / "masks" / "a.nii.gz")
    assert told(command("evaluate", *paths, "--json"), code=2)["failed"][0][0] == "a"
    assert "--size-limits" in told(command("evaluate", *paths, "--size-limits", "x", "--json"), code=2)["error"]


def test_a_cohort_is_summed_up(command, tmp_path):
    write_model(tmp_path / "model")
    (tmp_path / "scans").mkdir()
    write_nifti(tmp_path / "scans" / "a_T1w.nii.gz", scan_of(1))
    flat = tmp_path / "scans" / "b_T1w.nii.gz"
    nib.save(nib.Nifti1Image(np.zeros((5, 5, 5), np.float32), np.eye(4)), flat)
    out = tmp_path / "out"
    arguments = ["cohort", tmp_path / "scans", "--out", out, "--model", tmp_path / "model", "--workers", "0", "--json"]
    ahead = told(command(*arguments, "--dry-run"))
    assert (ahead["counts"], ahead["to_do"]) == ({"new": 2}, 2)
    assert not out.exists()
    found = told(command(*arguments), code=1)
    assert [found[key] for key in ("scans", "processed", "kept", "failed", "not_processed")] == [2, 1, 0, 1, 0]
    (failure,) = found["failures"]
    assert failure["name"] == "b_T1w"
    assert "every voxel is 0" in failure["reason"]
    assert sum(found["verdicts"].values()) == 1
    assert found["tables"] == [str(out / "group_T1w.tsv")]
    again = told(command(*arguments), code=1)
    assert [again[key] for key in ("processed", "kept", "failed")] == [0, 1, 1]
    assert "--shard" in told(command(*arguments, "--shard", "0/2"), code=2)["error"]


def test_the_group_level_alone_says_nothing_of_scans(command, tmp_path):
    tree = write_bids(tmp_path / "tree", 1)
    arguments = ["bids", tree, tmp_path / "out", "group", "--skip-bids-validation", "--json"]
    found = told(command(*arguments))
    assert (found["processed"], found["kept"], found["failed"], found["not_processed"]) == (None, None, 0, 1)
    assert "no such folder" in told(command("bids", tmp_path / "none", tmp_path / "out", "--json"), code=2)["error"]
