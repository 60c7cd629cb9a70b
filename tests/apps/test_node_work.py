"""One look at a series: the results of `itermask run`, the verdict before they are written, reasons in plain words."""

import json

import numpy as np
import pytest
from tiny_dicom import save, slices
from tiny_model import affine_of, oblique, tiny_head, tiny_model, tiny_scan, write_nifti

from itermask.apps.node import work
from itermask.apps.node.config import Look
from itermask.apps.node.work import Task, process_series, warm_up
from itermask.io.outputs import OUTPUTS
from itermask.models import choice
from itermask.results.report import pictures

AFFINE = oblique(affine_of())


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "tiny"
    tiny_model(folder)
    return folder


@pytest.fixture(autouse=True)
def place(monkeypatch, model):
    """The tiny model in the place of the bundled ones, and small pictures."""
    monkeypatch.setattr(choice, "BUNDLED", model.parent)
    monkeypatch.setattr(pictures, "ROW_WIDTH", 300)
    monkeypatch.setattr(work, "_loaded", {})


def head(**changes):
    return slices(np.rint(tiny_head(blob=60.0)[0]).astype(np.int16), AFFINE, **changes)


def look(source, out, notes=(), told=None, name="series 5 'MPRAGE sag'", **settings):
    task = Task(source, out, name, notes, Look(**settings))
    return process_series(task, (lambda content: None) if told is None else told.append)


def names_in(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_a_series_gives_what_the_command_line_gives(command, tmp_path, model):
    save(tmp_path / "study", head())
    warm_up(Look())
    assert len(work._loaded) == 1
    told = []
    found = look(tmp_path / "study", tmp_path / "out", ("Of how it came.",), told)
    assert command("run", tmp_path / "study", tmp_path / "run", "--device", "cpu")[0] == 0
    summary = {"dicom/summary-page.dcm", "dicom/summary-pdf.dcm"}
    assert names_in(tmp_path / "out") == names_in(tmp_path / "run") - summary > {*OUTPUTS, "dicom/segmentation.dcm"}
    ours, theirs = (json.loads((tmp_path / name / "finding.json").read_text()) for name in ("out", "run"))
    for name in ("score", "scores", "verdict", "threshold", "percentile", "versions"):
        assert ours[name] == theirs[name]
    for name in ("anomaly.nii.gz", "error.nii.gz"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "run" / name).read_bytes()
    assert found["verdict"] == ours["verdict"]
    assert found["notes"][0] == ours["warnings"][0] == "Of how it came."
    assert "Of how it came." in (tmp_path / "out" / "report.html").read_text()
    assert b"Of how it came." in (tmp_path / "out" / "dicom" / "scores.dcm").read_bytes()
    assert found["seconds"].keys() >= {"read", "find brain", "detect", "write"}
    (verdict,) = (content for content in told if "verdict" in content)
    assert verdict["verdict"]["verdict"] == found["verdict"]
    assert "write" not in verdict["verdict"]["seconds"], "it is told before anything is written"
    assert json.dumps(found, allow_nan=False)


def test_a_series_has_no_summary_which_its_study_gets(tmp_path):
    save(tmp_path / "study", head())
    task = Task(tmp_path / "study", tmp_path / "out", "series 5", (), Look())
    assert "verdict" in process_series(task, lambda content: None)
    names = names_in(tmp_path / "out" / "dicom")
    assert "scores.dcm" in names
    assert not any("summary" in name for name in names)


def test_a_nifti_scan(tmp_path):
    path = write_nifti(tmp_path / "a_T1w.nii.gz", tiny_scan(given=False))
    assert "verdict" in look(path, tmp_path / "out")
    assert names_in(tmp_path / "out") >= set(OUTPUTS)
    assert not (tmp_path / "out" / "dicom").exists()


def test_the_configuration_says_the_sequence_and_the_model_and_a_note_what_results_there_are_not(tmp_path, model):
    unclear = {"SeriesDescription": "brain sag", "ScanningSequence": "RM", "EchoTime": None}
    save(tmp_path / "study", head(FrameOfReferenceUID=None, **unclear))
    reason = look(tmp_path / "study", tmp_path / "out")
    assert reason["reason"].startswith("its sequence cannot be told (")
    said = {"sequences": {"Brain Sag": "T1w"}, "models": {"T1w": str(model)}}
    found = look(tmp_path / "study", tmp_path / "out", name="series 5 'brain sag'", **said)
    assert found["verdict"]
    assert found["notes"][0] == (
        "There are no DICOM results: DICOM results cannot refer to it, as its images have no FrameOfReferenceUID."
    )
    assert not (tmp_path / "out" / "dicom").exists()


def two_patients(datasets):
    for dataset in datasets[::2]:
        dataset.PatientID = "other"
    return datasets


SPIN = {"ScanningSequence": "SE", "InversionTime": None, "EchoTime": 100, "RepetitionTime": 5000}


@pytest.mark.parametrize(
    ("images", "reason", "alert"),
    [
        (lambda: slices(SeriesDescription="localizer"), "a localiser", False),
        (lambda: head(BodyPartExamined="KNEE"), "not a head: its body part is 'KNEE'", False),
        (lambda: two_patients(head()), "a series with 2 patients: the ID is not the same in all of its images", True),
        (
            lambda: head(SeriesDescription="T2", **SPIN),
            "no bundled model for sequence T2w; models here know T1w",
            False,
        ),
        (lambda: [each for n, each in enumerate(head()) if n != 7], "1 slice is missing among 23", True),
        (lambda: slices() + slices(EchoTime=9.0), "holds 2 volumes (echo time 2.98 ms; echo time 9 ms)", True),
        (lambda: slices(np.zeros((4, 4, 4), np.int16)), "holds nothing to process", True),
    ],
)
def test_what_cannot_be_looked_at_has_a_plain_reason(tmp_path, images, reason, alert):
    save(tmp_path / "study", images())
    found = look(tmp_path / "study", tmp_path / "out")
    assert reason in found["reason"]
    assert found["alert"] is alert
    assert str(tmp_path) not in found["reason"]
    assert "--" not in found["reason"]
    assert not (tmp_path / "out").exists()


def test_a_folder_without_images(tmp_path):
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "1.dcm").write_text("no image")
    found = look(tmp_path / "study", tmp_path / "out")
    assert "holds no MR series" in found["reason"]
