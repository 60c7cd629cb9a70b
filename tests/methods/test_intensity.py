"""Intensity thresholding: matching undoes contrast, bright and dark lesions are found, and no network is needed."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from tiny import tiny_brain, tiny_config
from tiny_method import bare_model, check_run, dice, healthy_scan, same_finding, train_tiny, with_ball

import itermask
from itermask.errors import InputError
from itermask.methods import TrainingVolume
from itermask.methods.baselines.histogram import PERCENTS, landmarks, match, rising
from itermask.methods.baselines.intensity import IntensityThreshold
from itermask.models.folder import CARD, WEIGHTS, load_model
from itermask.pipeline import RunSettings
from itermask.training.cache import prepare_entry
from itermask.training.calibration import calibrate
from itermask.training.table import read_data
from itermask.training.train import calibrate_model, train_model

WANTED = tuple(np.linspace(-2.5, 3, len(PERCENTS)))


def volumes(count):
    for seed in range(count):
        image, brain = tiny_brain(seed=seed)
        yield TrainingVolume(image[None], brain, (4.0, 4.0, 4.0))


def detect(method, prepared, point=None):
    return method.detect(prepared, None, np.random.default_rng(0), point)


def calibrated(direction, longer=0.0):
    """A method that has learned, and its threshold on five healthy scans with tails that reach further."""
    method = IntensityThreshold(direction)
    method.fit(volumes(6))
    scans = []
    for seed in range(10, 15):
        scan = healthy_scan(seed)
        image = scan.prepared.image
        low, high = np.percentile(image[scan.prepared.brain], [3, 95])  # outside the landmarks
        spread = image + longer * (image > high) - longer * (image < low)
        scans.append(replace(scan, prepared=replace(scan.prepared, image=spread.astype(np.float32))))
    return method, calibrate(bare_model(method), scans)["operating_point"]


# Histogram


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.01, 100), st.floats(-50, 50))
def test_landmarks_go_where_they_should_and_order_is_kept(seed, scale, offset):
    values = np.sort(scale * np.random.default_rng(seed).gamma(2.0, size=400) + offset)
    own = landmarks(values)
    np.testing.assert_allclose(match(own, own, WANTED), WANTED, atol=1e-4)
    matched = match(values, own, WANTED)
    assert (np.diff(matched) >= 0).all()
    assert matched.dtype == np.float32
    np.testing.assert_allclose(match(values, own, own), values, rtol=1e-5, atol=1e-4)


@settings(max_examples=25, deadline=None)
@given(st.floats(0.1, 10), st.floats(-20, 20))
def test_matching_undoes_a_linear_contrast(scale, offset):
    values = np.random.default_rng(0).gamma(2.0, size=500)
    changed = scale * values + offset
    first, second = (match(v, landmarks(v), WANTED) for v in (values, changed))
    np.testing.assert_allclose(second, first, atol=1e-2)


def test_beyond_the_landmarks_the_last_slope_goes_on():
    own, wanted = np.arange(10.0), 2 * np.arange(10.0)
    np.testing.assert_allclose(match(np.array([-3.0, 12.0]), own, wanted), [-6, 24])


def test_equal_landmarks_are_one():
    own = np.array([0, 0, 0, 1, 2, 3, 4, 5, 5, 6.0])
    assert np.isfinite(match(np.linspace(-1, 7, 30), own, WANTED)).all()
    with pytest.raises(ValueError, match=r"constant \(4\)"):
        match(np.ones(3), np.full(10, 4.0), WANTED)


def test_rising_numbers():
    assert rising((0, 1, 1, 2))
    assert not rising((0, 1, 0.5))
    assert not rising((1, 1, 1))
    assert not rising((0, np.nan, 2))


# The method


def test_landmarks_are_learned_from_the_brains_of_all_scans():
    method = IntensityThreshold()
    method.fit(volumes(3))
    expected = np.mean([np.percentile(v.images[0][v.brain], PERCENTS) for v in volumes(3)], axis=0)
    np.testing.assert_allclose(method.landmarks, expected, rtol=1e-5)
    again = IntensityThreshold(**json.loads(json.dumps(method.settings())))
    assert again.settings() == method.settings()
    assert again.landmarks == method.landmarks


def test_given_landmarks_are_kept():
    method = IntensityThreshold(landmarks=WANTED)
    method.fit(volumes(2))
    assert method.landmarks == WANTED


def test_nothing_is_learned_from_nothing():
    with pytest.raises(ValueError, match="at least one normal scan"):
        IntensityThreshold().fit([])


@pytest.mark.parametrize(("direction", "contrast"), [("bright", 5.0), ("dark", -5.0)])
def test_a_lesion_is_found_in_its_direction_only(direction, contrast):
    prepared, ball, _ = with_ball(contrast)
    method, point = calibrated(direction)
    found = detect(method, prepared, point)
    if direction == "bright":  # the ball lies where the tissue is bright
        assert dice(found.mask, ball) > 0.8
    else:
        assert (found.mask & ~ball).sum() < 0.01 * prepared.brain.sum()
        darkest = ball & (prepared.image < prepared.image[prepared.brain & ~ball].min() - 0.5)
        assert darkest.any()
        assert found.mask[darkest].all()
    other = {"bright": "dark", "dark": "bright"}[direction]
    blind, point = calibrated(other)
    assert (detect(blind, prepared, point).mask & ball).sum() < 0.1 * ball.sum()


@pytest.mark.parametrize("direction", ["bright", "dark"])
def test_the_error_is_monotone_and_not_negative(direction):
    prepared, _, _ = with_ball(5.0)
    method, _ = calibrated(direction)
    found = detect(method, prepared)
    order = np.argsort(prepared.image[prepared.brain], kind="stable")
    errors = found.error[prepared.brain][order]
    assert (errors >= 0).all()
    assert ((np.diff(errors) if direction == "bright" else -np.diff(errors)) >= 0).all()
    assert errors.max() > 3


def test_without_landmarks_the_models_scale_is_taken():
    prepared, _, _ = with_ball(5.0)
    found = detect(IntensityThreshold(), prepared)
    np.testing.assert_allclose(
        found.error[prepared.brain], np.maximum(prepared.image[prepared.brain] + 3, 0), atol=1e-6
    )


@pytest.mark.parametrize("direction", ["bright", "dark"])
def test_the_threshold_rises_when_healthy_tails_are_longer(direction):
    assert calibrated(direction, 2.0)[1]["threshold"] > 1.1 * calibrated(direction)[1]["threshold"]


def test_there_is_no_network_to_train():
    method = IntensityThreshold()
    assert method.network_specs() == {}
    with pytest.raises(ValueError, match="no network"):
        method.example(next(volumes(1)), np.random.default_rng(0))
    with pytest.raises(ValueError, match="no network"):
        method.loss({}, {})


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"direction": "grey"}, "bright or dark, not 'grey'"),
        ({"landmarks": (1.0, 2.0)}, "must be 10 rising numbers"),
        ({"landmarks": WANTED[::-1]}, "must be 10 rising numbers"),
        ({"landmarks": (np.nan, *WANTED[1:])}, "must be 10 rising numbers"),
    ],
)
def test_settings_that_mean_nothing_are_refused(chosen, message):
    with pytest.raises(ValueError, match=message):
        IntensityThreshold(**chosen)


# End to end


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return train_tiny(tmp_path_factory.mktemp("intensity"), "intensity", {"direction": "dark"})


def test_trained_calibrated_and_run(folder, tmp_path):
    model, finding = check_run(folder, tmp_path)
    assert load_file(folder / WEIGHTS) == {}
    assert model.card["networks"] == {}
    assert model.card["metrics"].keys() == {f"healthy_{s}_{m}" for s in finding.scores for m in ("median", "p95")}
    assert "NaN" not in (folder / CARD).read_text()
    assert model.method.direction == "dark"
    assert len(model.method.landmarks) == len(PERCENTS)
    assert not (folder / "checkpoint.safetensors").exists()
    path = tmp_path / "sub-01_T1w.nii.gz"
    scan = itermask.read_scan(path, "T1w", tmp_path / "sub-01_mask.nii.gz")
    assert same_finding(finding, itermask.run(scan, model))
    with pytest.raises(InputError, match="has no gamma"):
        itermask.run(scan, model, RunSettings(gamma=0.1))
    less, more = (itermask.run(scan, model, RunSettings(sensitivity=s)) for s in (0.8, 2.0))
    assert more.anomaly_fraction > less.anomaly_fraction
    assert more.threshold == pytest.approx(less.threshold * 0.4)


def test_only_the_training_scans_are_learned_from(folder):
    model = load_model(folder, device="cpu")
    entries = [entry for entry in read_data(folder.parent / "table.tsv", "T1w") if entry.split == "train"]
    prepared = [prepare_entry(entry, "T1w", model.grid) for entry in entries]
    expected = np.mean([landmarks(one.image[one.brain]) for one in prepared], axis=0)
    assert len(prepared) == 2
    np.testing.assert_allclose(model.method.landmarks, expected, atol=2e-3)  # the cache keeps half precision


def test_the_same_scans_give_the_same_model(folder, tmp_path):
    again = train_tiny(tmp_path, "intensity", {"direction": "dark"})
    one, other = (load_model(path, device="cpu") for path in (folder, again))
    assert one.card["method_settings"] == other.card["method_settings"]
    assert one.calibration | {"seconds": 0} == other.calibration | {"seconds": 0}
    assert (folder / WEIGHTS).read_bytes() == (again / WEIGHTS).read_bytes()


def test_the_direction_can_be_turned_by_calibration(folder, tmp_path):
    table = folder.parent / "table.tsv"
    turned = load_model(calibrate_model(table, folder, tmp_path / "turned", {"direction": "bright"}, "cpu"))
    assert turned.method.direction == "bright"
    assert turned.card["method_settings"]["landmarks"] == load_model(folder).card["method_settings"]["landmarks"]
    with pytest.raises(InputError, match="landmarks: not a test-time setting"):
        calibrate_model(table, folder, tmp_path / "other", {"landmarks": list(WANTED)}, "cpu")


def test_a_network_is_refused(folder, tmp_path):
    networks = {"reconstruction": {"name": "autoencoder", "arguments": {}}}
    config = tiny_config(method="intensity", method_settings={}, networks=networks)
    with pytest.raises(InputError, match="trains no network 'reconstruction'"):
        train_model(folder.parent / "table.tsv", "T1w", tmp_path / "model", config, "cpu")


def test_a_folder_of_another_method_is_not_written_over(folder, tmp_path):
    (tmp_path / "checkpoint.safetensors").write_bytes(b"of a network")
    config = tiny_config(method="intensity", method_settings={}, networks={})
    with pytest.raises(InputError, match=r"another method.*use another --out"):
        train_model(folder.parent / "table.tsv", "T1w", tmp_path, config, "cpu")
    assert not (tmp_path / CARD).exists()
