"""IterMask2 from training to a report: on stacks stored in any way."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tiny_model import ORIENTATIONS, affine_of, oblique, stored_as, turned, write_nifti
from tiny_slices import SHAPE, SPACING, stack_config, tiny_stack, write_stacks

import itermask
from itermask.io.outputs import OUTPUTS, PASSES, write_finding
from itermask.io.result_folder import MARK
from itermask.models.folder import load_model
from itermask.results.report import pictures
from itermask.training.train import calibrate_model, train_model


@pytest.fixture(autouse=True)
def small_pictures(monkeypatch):
    """Large pictures take long to draw."""
    monkeypatch.setattr(pictures, "ROW_WIDTH", 300)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Two patients to train on and four to validate with, each with lesion in some slices."""
    lesions = {0: [4, 5], 3: [2], 4: [6, 7]}
    return write_stacks(tmp_path_factory.mktemp("stacks"), lesions=lesions)


@pytest.fixture(scope="module")
def folder(data, tmp_path_factory):
    return train_model(data, "FLAIR", tmp_path_factory.mktemp("trained") / "flair", stack_config(), "cpu")


def test_a_trained_folder_is_a_calibrated_model_of_slices(folder):
    model = load_model(folder, device="cpu")
    assert (model.grid.spacing, model.grid.box, model.grid.slice_area) == ((3.0, 3.0, 0.0), (24, 32, 1), 12.0)
    assert set(model.calibration["operating_point"]) == {"gamma"}
    assert model.calibration["planes"] == ["axial"]
    assert (model.calibration["scans"], model.calibration["subjects"]) == (4, 4)
    assert {len(values) for values in model.calibration["healthy"].values()} == {4}


def test_a_model_is_calibrated_anew_with_another_stop_rule(folder, data, tmp_path):
    again = calibrate_model(data, folder, tmp_path / "again", {"stop": "validation"}, "cpu")
    model = load_model(again, device="cpu")
    assert set(model.calibration["operating_point"]) == {"threshold"}
    finding = itermask.run(tiny_stack(9), model, itermask.RunSettings(sensitivity=2.0))
    assert finding.threshold == pytest.approx(model.calibration["operating_point"]["threshold"] / 2)
    assert np.isfinite(finding.scores["profile_distance"]["value"])
    with pytest.raises(itermask.InputError, match="first: not a test-time setting of itermask2"):
        calibrate_model(data, folder, tmp_path / "third", {"first": "network"}, "cpu")


@pytest.mark.parametrize("settings_", [{}, {"first": "network", "stop": "validation", "squares": 0.5}])
def test_an_interrupted_training_goes_on_to_the_same_bits(data, tmp_path, settings_):
    small = {"dims": 2, "widths": [4, 8], "group_size": 4}
    networks = stack_config().networks | (
        {"first": {"name": "block-unet", "arguments": small | {"in_channels": 1}}} if settings_ else {}
    )
    config = stack_config(
        networks=networks, method_settings={"steps": 5, "focused": False, "slices": 2} | settings_, workers=0
    )
    whole = train_model(data, "FLAIR", tmp_path / "whole", config, "cpu")

    def stop(stage, share):
        if stage.startswith("training") and share > 0.7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_model(data, "FLAIR", tmp_path / "parts", config, "cpu", report=stop)
    parts = train_model(data, "FLAIR", tmp_path / "parts", config, "cpu")
    one, other = (load_file(out / "checkpoint.safetensors") for out in (whole, parts))
    assert one.keys() == other.keys()
    assert all(torch.equal(one[key], other[key]) for key in one)
    cards = [load_model(out, device="cpu").calibration | {"seconds": 0} for out in (whole, parts)]
    assert cards[0] == cards[1]


@pytest.mark.parametrize("orientation", [*ORIENTATIONS[::9], ORIENTATIONS[5]])
@pytest.mark.parametrize("tilted", [False, True])
def test_a_stack_is_processed_however_it_is_stored(folder, tmp_path, orientation, tilted):
    model = load_model(folder, device="cpu")
    straight = replace(tiny_stack(9, blob=60), affine=oblique(affine_of(SPACING)) if tilted else affine_of(SPACING))
    stored = stored_as(straight, orientation)
    path = write_nifti(tmp_path / "sub_FLAIR.nii.gz", stored)
    finding = itermask.run(path, model)
    expected = itermask.run(straight, model)
    for name in ("anomaly", "error", "reconstruction", "brain"):
        array = getattr(finding, name)
        assert array.shape == stored.image.shape
        np.testing.assert_allclose(array, turned(getattr(expected, name), orientation), atol=1e-2)
    assert finding.score == pytest.approx(expected.score, rel=1e-3)
    assert not (finding.anomaly & ~finding.brain).any()
    assert finding.settings["model_voxel_size_mm"] == pytest.approx(SPACING)


def test_slices_of_another_plane_are_processed_with_a_word(folder):
    scan = tiny_stack(9)
    nod = np.array([[1, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 0], [0, 0, 0, 1]])  # axial slices become coronal ones
    upright = replace(scan, affine=nod @ scan.affine)
    finding = itermask.run(upright, load_model(folder, device="cpu"))
    assert "The slices are coronal, but the model has learned axial ones." in finding.warnings
    assert finding.error.any()


def test_a_single_slice_is_processed_and_reported(folder, tmp_path):
    whole = tiny_stack(9, blob=60)
    one = replace(whole, image=whole.image[..., 5:6], brain_mask=whole.brain_mask[..., 5:6])
    scan = itermask.read_scan(write_nifti(tmp_path / "one_FLAIR.nii.gz", one))
    finding = itermask.run(scan, load_model(folder, device="cpu"))
    assert finding.anomaly.shape == (*SHAPE[:2], 1)
    assert finding.search["slices"] == 1
    write_finding(scan, finding, tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {*OUTPUTS, PASSES, MARK}


def test_the_report_of_a_stack_shows_its_slices(folder, tmp_path):
    scan = tiny_stack(9, blob=60)
    finding = itermask.run(scan, load_model(folder, device="cpu"))
    write_finding(scan, finding, tmp_path)
    page = (tmp_path / "report.html").read_text()
    held = np.flatnonzero(scan.brain_mask.any((0, 1)))
    assert page.count("<h3>Axial<small>") == -(-len(held) // pictures.STACK_ROW)
    assert "Coronal" not in page
    assert "Sagittal" not in page
    assert "Threshold curve" in page
    skipped = (scan.brain_mask.sum((0, 1))[held] * 9 / 100 < 12).sum()
    assert skipped > 0
    assert f"{skipped} slices with less than 12 cm² of brain were not processed." in page
