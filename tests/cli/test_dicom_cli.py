"""`itermask run` and `itermask series` on DICOM: from a folder to a finding and back to DICOM."""

import json

import highdicom as hd
import nibabel as nib
import numpy as np
import pytest
from tiny_dicom import PRESENTATION, base, save, slices, uid
from tiny_model import affine_of, oblique, tiny_head, tiny_model, tiny_scan, write_nifti

import itermask
from itermask.io.outputs import OUTPUTS, PASSES
from itermask.io.result_folder import MARK
from itermask.io.scans import read_scans
from itermask.results.report import pictures
from itermask.run_scans import run as run_scan

AFFINE = oblique(affine_of())


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "tiny"
    tiny_model(folder)
    return folder


@pytest.fixture(autouse=True)
def small_pictures(monkeypatch):
    """Large pictures take long to draw."""
    monkeypatch.setattr(pictures, "ROW_WIDTH", 300)


def head(**changes):
    """A stripped head with a bright spot as DICOM slices."""
    image = np.rint(tiny_head(blob=60.0)[0]).astype(np.int16)
    return slices(image, AFFINE, **changes)


@pytest.fixture
def study(tmp_path):
    """A T1w series, a localiser, and files that are no images."""
    folder = tmp_path / "study"
    save(folder / "t1", head())
    save(folder / "loc", slices(series=1, SeriesDescription="localizer"))
    save(folder, [base(PRESENTATION, SOPInstanceUID="1.2.4")], "state")
    (folder / "notes.txt").write_text("no image")
    return folder


def test_a_folder_gives_masks_and_dicom_results(command, study, model, tmp_path):
    out = tmp_path / "out"
    code, output, errors = command("run", study, out, "--model", model, "--device", "cpu")
    assert code == 0
    assert errors.splitlines() == [
        "itermask: not processed: series 1 'localizer': a localiser",
        "itermask: left out: state: Grayscale Softcopy Presentation State Storage, no MR image",
        "itermask: left out: notes.txt: not a DICOM file",
    ]
    assert {path.name for path in out.iterdir()} == {*OUTPUTS, PASSES, "dicom", MARK}
    lines = output.splitlines()
    assert lines[0] == "series 5 'MPRAGE sag': T1w (TI 900 ms, TR 2300 ms, TE 2.98 ms, description 'MPRAGE sag')"
    assert lines[1].startswith("study, series 5 'MPRAGE sag': ")
    assert lines[-1].strip() == str(out / "dicom")
    anomaly = nib.load(out / "anomaly.nii.gz")
    assert np.allclose(anomaly.affine, AFFINE, atol=1e-4)
    seg = hd.seg.segread(out / "dicom" / "segmentation.dcm")
    marked = int(np.asanyarray(anomaly.dataobj).sum())
    assert marked > 0
    assert int(seg.pixel_array.sum()) == marked
    scores = json.loads((out / "finding.json").read_text())
    (group,) = hd.sr.srread(out / "dicom" / "scores.dcm").content.get_image_measurement_groups()
    said = {each.name.value: each.value for each in group.get_measurements()}
    assert said["score"] == pytest.approx(scores["score"], rel=0.01)  # rounded to what it means


def test_dicom_and_nifti_of_one_scan_give_the_same_bits(command, study, model, tmp_path):
    (source,) = read_scans(study)
    nifti = write_nifti(tmp_path / "scan_T1w.nii.gz", source.scan)
    for name, path in (("a", study), ("b", nifti)):
        assert command("run", path, tmp_path / name, "--model", model, "--device", "cpu")[0] == 0
    for name in ("anomaly", "error", "reconstruction", "brain"):
        one, other = (np.asanyarray(nib.load(tmp_path / each / f"{name}.nii.gz").dataobj) for each in "ab")
        assert np.array_equal(one, other)
    found = run_scan(study, itermask.load_model(model, device="cpu"))
    assert np.array_equal(found.anomaly, np.asanyarray(nib.load(tmp_path / "a" / "anomaly.nii.gz").dataobj) > 0)


def test_series_is_asked_for_where_several_fit(command, study, model, tmp_path):
    save(study / "other", head(series=6, SeriesDescription="MPRAGE again"))
    out = tmp_path / "out"
    code, _, errors = command("run", study, out, "--model", model)
    assert code == 2
    assert errors == (f"itermask: {study}: 2 series fit; choose one with --series: 5 (MPRAGE sag), 6 (MPRAGE again)\n")
    assert not out.exists()
    code, output, _ = command("run", study, out, "--model", model, "--series", "again", "--no-dicom")
    assert code == 0
    assert output.startswith("series 6 'MPRAGE again': T1w")


def test_all_series_have_a_folder_each_and_a_refusal_does_not_stop_the_others(command, study, model, tmp_path):
    spin = {"ScanningSequence": "SE", "InversionTime": None, "EchoTime": 100, "RepetitionTime": 5000}
    save(study / "t2", head(series=6, SeriesDescription="T2", **spin))
    out = tmp_path / "out"
    code, _, errors = command("run", study, out, "--model", model, "--series", "all", "--no-dicom")
    assert code == 1
    assert "series 6 'T2': is T2w, but the model" in errors.splitlines()[0]
    assert len(errors.splitlines()) == 4  # the localiser and the two files are named as well
    assert {path.name for path in out.iterdir()} == {"series-5"}
    code, _, _ = command("run", study, tmp_path / "none", "--model", model, "--series", "all", "--sequence", "FLAIR")
    assert code == 2


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--series", "9"], "--series 9: there is none; there are 1 (localizer), 5 (MPRAGE sag)"),
        (["--series", "1"], "--series 1: series 1 'localizer' cannot be read: a localiser"),
        (["--sequence", "FLAIR"], "series 5 'MPRAGE sag': is FLAIR, but the model"),
    ],
)
def test_refusals_of_dicom(command, study, model, tmp_path, arguments, says):
    code, output, errors = command("run", study, tmp_path / "out", "--model", model, *arguments)
    assert (code, output) == (2, "")
    assert says in errors
    assert len(errors.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_dicom_results_of_nifti_are_refused(command, model, tmp_path):
    nifti = write_nifti(tmp_path / "sub-1_T1w.nii.gz", tiny_scan(given=False))
    code, _, errors = command("run", nifti, tmp_path / "out", "--model", model, "--dicom")
    assert code == 2
    assert errors.startswith("itermask: --dicom: sub-1_T1w.nii.gz is not a DICOM scan")


def test_a_series_without_frame_of_reference_has_no_dicom_results(command, model, tmp_path):
    save(tmp_path / "study", head(FrameOfReferenceUID=None))
    code, _, errors = command("run", tmp_path / "study", tmp_path / "out", "--model", model, "--dicom")
    assert code == 2
    assert "leave them out with --no-dicom" in errors
    assert not (tmp_path / "out").exists()
    assert command("run", tmp_path / "study", tmp_path / "out", "--model", model)[0] == 0
    notes = json.loads((tmp_path / "out" / "finding.json").read_text())["warnings"]
    assert notes[0] == "There are no DICOM results: its images have no FrameOfReferenceUID."
    assert not (tmp_path / "out" / "dicom").exists()


def test_json_names_what_is_left_aside(command, study, model, tmp_path):
    code, output, errors = command("run", study, tmp_path / "out", "--model", model, "--json")
    assert (code, errors) == (0, "")
    assert json.loads(output)["left_aside"] == [
        "not processed: series 1 'localizer': a localiser",
        "left out: state: Grayscale Softcopy Presentation State Storage, no MR image",
        "left out: notes.txt: not a DICOM file",
    ]


def test_the_list_of_series(command, study, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    code, output, errors = command("series", study)
    assert (code, errors) == (0, "")
    lines = output.splitlines()
    assert lines[0].split() == ["series", "sequence", "slices", "voxels", "description"]
    assert lines[1].startswith("1       cannot be used  5 axial")
    assert lines[2].split()[:4] == ["5", "T1w", "24", "axial"]
    assert "36×40, 2×2.5×3 mm" in lines[2]
    assert lines[3:] == [
        "1: a localiser",
        "5: TI 900 ms, TR 2300 ms, TE 2.98 ms, description 'MPRAGE sag'",
        "left out: state: Grayscale Softcopy Presentation State Storage, no MR image",
        "left out: notes.txt: not a DICOM file",
    ]


def test_the_list_as_json(command, study):
    code, output, errors = command("series", study, "--json")
    assert (code, errors) == (0, "")
    found = json.loads(output)
    localiser, t1 = found["series"]
    assert (localiser["label"], localiser["problem"], localiser["spacing_mm"]) == ("1", "a localiser", None)
    assert (t1["label"], t1["sequence"], t1["problem"], t1["slices"]) == ("5", "T1w", None, 24)
    assert t1["spacing_mm"] == pytest.approx([2.0, 2.5, 3.0], abs=1e-5)
    assert {left["reason"] for left in found["left_out"]} == {
        "not a DICOM file",
        "Grayscale Softcopy Presentation State Storage, no MR image",
    }


def test_nothing_to_list(command, tmp_path):
    (tmp_path / "notes.txt").write_text("no image")
    code, output, _ = command("series", tmp_path)
    assert code == 0
    assert output.splitlines() == ["no MR series", "left out: notes.txt: not a DICOM file"]
    assert command("series", tmp_path / "missing")[0] == 2


def test_of_two_patients_each_series_says_whose_it_is(command, tmp_path):
    """By identifier and study, never by name; of one patient nothing is said."""
    save(tmp_path / "a", slices(series=1, PatientID="P-1", PatientName="Doe^Jane"))
    code, out, _ = command("series", tmp_path)
    assert code == 0
    assert "P-1" not in out
    save(tmp_path / "b", slices(series=2, PatientID="P-2", PatientName="Roe^Ann", AccessionNumber="B2",
                                StudyInstanceUID=uid("other study")))  # fmt: skip
    code, out, _ = command("series", tmp_path)
    assert code == 0
    (first,) = [line for line in out.splitlines() if "P-1" in line]
    (second,) = [line for line in out.splitlines() if "P-2" in line]
    assert first.lstrip().startswith("1 ")
    assert second.lstrip().startswith("2 ")
    assert "A1" in first
    assert "B2" in second
    assert "Doe" not in out
    told = json.loads(command("series", tmp_path, "--json")[1])["series"]
    assert [(each["label"], each["patient_id"], each["accession_number"]) for each in told] == [
        ("1", "P-1", "A1"),
        ("2", "P-2", "B2"),
    ]
