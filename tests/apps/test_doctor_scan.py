"""What would happen to a scan: nothing is computed, and what is foretold is what a run does."""

import json

import numpy as np
import pytest
from tiny_dicom import save, slices
from tiny_model import affine_of, oblique, tiny_head, tiny_model, tiny_scan, write_nifti

from itermask.apps.doctor.scan import foresee
from itermask.models import choice
from itermask.prepare import brain
from itermask.results.report import pictures

AFFINE = oblique(affine_of())


@pytest.fixture(autouse=True)
def bundled(tmp_path, monkeypatch):
    monkeypatch.setattr(choice, "BUNDLED", tmp_path / "bundled")
    monkeypatch.setattr(pictures, "ROW_WIDTH", 300)
    tiny_model(tmp_path / "bundled" / "tiny")


def head(**changes):
    return slices(np.rint(tiny_head(blob=60.0)[0]).astype(np.int16), AFFINE, **changes)


def test_a_series_is_foretold_as_it_is_run(command, tmp_path):
    save(tmp_path / "study", head())
    found = foresee(tmp_path / "study")
    assert found.would_run
    code, _, _ = command("run", tmp_path / "study", tmp_path / "out", "--device", "cpu")
    assert code == 0
    done = json.loads((tmp_path / "out" / "finding.json").read_text())["settings"]
    assert (found.sequence, found.model, found.why) == (done["sequence"], done["model"], done["model_choice"])
    assert found.brain == done["brain_mask"] == "stripped"
    np.testing.assert_allclose(found.spacing_mm, done["voxel_size_mm"], atol=1e-4)
    assert dict(found.about)["Series"] == "5 'MPRAGE sag'"
    assert found.tilt > 0


def test_no_brain_is_extracted_and_no_network_runs(tmp_path, monkeypatch):
    path = write_nifti(tmp_path / "a_T1w.nii.gz", tiny_scan(given=False))

    class Tool:
        name = "deepbet 9"

        def extract(self, scan):
            raise AssertionError("nothing is to be computed")

    monkeypatch.setattr(brain, "stripped_brain", lambda *_: None)
    monkeypatch.setattr(brain, "extractor_for", lambda _: Tool())
    found = foresee(path)
    assert found.brain == "deepbet 9"
    assert found.would_run


@pytest.mark.parametrize(
    ("changes", "says", "known"),
    [
        ({"SeriesDescription": "localizer"}, "a localiser", ()),
        ({"SeriesDescription": "brain", "ScanningSequence": "RM", "EchoTime": None}, "sequence is unknown", ("shape",)),
        ({"SeriesDescription": "T2 tse", "ScanningSequence": "SE", "InversionTime": None, "EchoTime": 100,
          "RepetitionTime": 5000}, "no bundled model for sequence T2w", ("shape", "sequence")),
    ],
)  # fmt: skip
def test_a_refusal_is_told_with_all_that_was_known_before_it(command, tmp_path, changes, says, known):
    save(tmp_path / "study", head(**changes))
    found = foresee(tmp_path / "study")
    assert says in found.refusal
    assert [bool(getattr(found, name)) for name in ("shape", "sequence")] == [
        name in known for name in ("shape", "sequence")
    ]
    assert (found.model, found.brain) == ("", "")
    code, _, err = command("run", tmp_path / "study", tmp_path / "out", "--device", "cpu")
    assert code == 2
    assert says in " ".join(err.split())


def test_a_child_would_get_no_verdict(tmp_path):
    save(tmp_path / "study", head(PatientAge="007Y"))
    found = foresee(tmp_path / "study")
    assert found.would_run
    assert any(note.startswith("There would be no verdict: the person is 7 years old") for note in found.notes)


def test_the_command(command, tmp_path):
    save(tmp_path / "study", head())
    code, out, _ = command("doctor", tmp_path / "study")
    assert code == 0
    for text in ("It would run.", "T1w", "tiny", "the scan is stripped already"):
        assert text in out
    code, out, _ = command("doctor", tmp_path / "study", "--model", "none", "--json")
    assert code == 1
    told = json.loads(out)
    assert told["would_run"] is False
    assert "no such model folder" in told["refusal"]
    code, _, err = command("doctor", "--series", "5")
    assert code == 2
    assert "name it too" in err
