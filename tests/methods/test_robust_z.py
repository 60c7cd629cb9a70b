"""Robust z: no contrast or unit changes it, its sides are mirror images, and the prior lies where white matter does."""

import json
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from tiny import tiny_brain, tiny_grid
from tiny_method import check_run, dice, healthy_scan, same_finding, train_tiny, with_ball

import itermask
from itermask.errors import InputError
from itermask.methods import build_method
from itermask.methods.baselines.robust_z import RobustZ
from itermask.methods.baselines.robust_z.prior import FILE, prior_for, stretched, white_matter
from itermask.methods.baselines.robust_z.standardise import ENOUGH, middle_and_spread, smoothed, trimmed_mean_and_spread
from itermask.models.folder import WEIGHTS, load_model
from itermask.prepare.grid import Grid
from itermask.prepare.prepare import prepare
from itermask.training.train import calibrate_model
from itermask.types import Scan


def error_of(method, prepared):
    return method.explore(prepared, None, np.random.default_rng(0)).error


def as_scan(turn=((0, 1), (1, 1), (2, 1)), spacing=(4.0, 4.0, 4.0), seed=0, shape=(30, 36, 28)):
    """A brain, stored along other axes."""
    image, brain = tiny_brain(shape, seed)
    affine = np.diag([*spacing, 1.0])
    turn = np.array(turn)
    back = nib.orientations.inv_ornt_aff(turn, shape)
    image, brain = (nib.orientations.apply_orientation(one, turn) for one in (np.where(brain, image + 5, 0), brain))
    return Scan(image.astype(np.float32), affine @ back, "T1w", brain)


# Standardising


@settings(max_examples=25, deadline=None)
@given(st.floats(0.01, 100), st.floats(-50, 50), st.booleans())
def test_no_unit_of_intensity_changes_z(scale, offset, prior):
    prepared = with_ball()[0]
    changed = replace(prepared, image=np.where(prepared.brain, scale * prepared.image + offset, -3))
    method = RobustZ(white_matter=prior)
    np.testing.assert_allclose(error_of(method, changed), error_of(method, prepared), atol=2e-3)


def test_a_contrast_turned_over_turns_the_side_over():
    prepared = with_ball()[0]
    over = replace(prepared, image=np.where(prepared.brain, -prepared.image, -3))
    bright, dark, either = (error_of(RobustZ(side=side), prepared) for side in ("bright", "dark", "either"))
    np.testing.assert_allclose(error_of(RobustZ(side="dark"), over), bright, atol=1e-5)
    np.testing.assert_allclose(np.maximum(bright, dark), either, atol=1e-6)
    assert (np.minimum(bright, dark) == 0).all()


def test_z_is_the_distance_from_the_median_in_deviations():
    prepared = with_ball()[0]
    values = prepared.image[prepared.brain].astype(float)
    spread = 1.4826 * np.median(np.abs(values - np.median(values)))
    found = error_of(RobustZ(smoothing=0.0), prepared)[prepared.brain]
    np.testing.assert_allclose(found, np.maximum((values - np.median(values)) / spread, 0), rtol=1e-4, atol=1e-5)


def test_smoothing_is_in_mm_and_stays_in_the_brain():
    brain = np.zeros((21, 21, 21), bool)
    brain[:, :15] = True
    point = np.zeros(brain.shape)
    point[10, 7, 10] = 1000
    fine = smoothed(point, brain, (1.0, 1.0, 2.0), 2.0)
    at = np.indices(brain.shape) - np.array([10, 7, 10]).reshape(3, 1, 1, 1)
    along = [np.sqrt((fine * (at[axis] * size) ** 2).sum() / fine.sum()) for axis, size in enumerate((1, 1, 2))]
    np.testing.assert_allclose(along, 2.0, atol=0.15)
    assert (fine[~brain] == 0).all()
    np.testing.assert_allclose(smoothed(np.where(brain, 7.0, 99), brain, (1, 1, 1), 2.0)[brain], 7.0)
    alone = smoothed(point, brain, (1.0, 1.0, 2.0), 2.0, slices=True)
    assert set(np.flatnonzero(alone.any((0, 1)))) == {10}


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(-20, 20), st.floats(0.1, 5))
def test_a_lesion_in_the_tissue_does_not_move_it(seed, mean, spread):
    rng = np.random.default_rng(seed)
    tissue = mean + spread * rng.normal(size=4000)
    lesion = mean + spread * (10 + rng.random(400))
    found = trimmed_mean_and_spread(np.concatenate([tissue, lesion]))
    assert abs(found[0] - mean) < 0.15 * spread
    assert 0.85 * spread < found[1] < 1.1 * spread


def test_what_cannot_be_standardised_is_refused():
    with pytest.raises(ValueError, match="one intensity"):
        middle_and_spread(np.array([1.0, 1, 1, 5]))
    with pytest.raises(ValueError, match="white matter is expected"):
        trimmed_mean_and_spread(np.arange(ENOUGH - 1.0))
    for chosen in ({"side": "grey"}, {"smoothing": -1.0}, {"smoothing": float("nan")}, {"white_matter": 1}):
        with pytest.raises(ValueError, match=next(iter(chosen))):
            build_method("robust-z", chosen)


# The prior


def test_the_prior_is_small_has_an_origin_and_is_almost_symmetric():
    prior = white_matter()
    assert FILE.stat().st_size <= 100_000
    about = FILE.with_suffix(".md").read_text()
    assert "IXI" in about
    assert "CC BY-SA 3.0" in about
    assert 0.05 < (prior > 0.7).mean() < 0.15
    assert prior.max() <= 1
    assert np.corrcoef(prior.ravel(), prior[::-1].ravel())[0, 1] > 0.97  # right is like left
    assert np.corrcoef(prior.ravel(), prior[:, ::-1].ravel())[0, 1] < 0.9
    assert prior[:, :, 28:].mean() > 1.2 * prior[:, :, :28].mean()  # the lower half holds cerebellum and brainstem


@settings(max_examples=20, deadline=None)
@given(st.permutations([0, 1, 2]), st.lists(st.sampled_from([1, -1]), min_size=3, max_size=3))
def test_the_prior_lies_alike_however_a_scan_is_stored(axes, flips):
    grid = tiny_grid()
    straight = prior_for(prepare(as_scan(), grid))
    turned = prior_for(prepare(as_scan(np.stack([axes, flips], axis=1)), grid))
    np.testing.assert_allclose(turned, straight, atol=1e-5)


@pytest.mark.parametrize("across", [0, 1, 2])
def test_on_a_scans_own_slices_the_prior_lies_as_in_the_volume(across):
    spacing = [4.0, 4.0, 4.0]
    spacing[across] = 6.0
    scan = as_scan(spacing=spacing)
    stack = prepare(scan, Grid((4.0, 4.0, 0.0), (32, 48, 1), 16))
    volume = prepare(scan, Grid((4.0, 4.0, 4.0), (32, 48, 32), 16))
    assert stack.placement.axes[2] == across
    one, other = (p.placement.to_native(prior_for(p)) for p in (stack, volume))
    inside = scan.brain_mask
    assert np.corrcoef(one[inside], other[inside])[0, 1] > 0.95


def test_emptied_slices_do_not_move_the_prior():
    scan = as_scan(spacing=(4.0, 4.0, 6.0))
    stack = prepare(scan, Grid((4.0, 4.0, 0.0), (32, 48, 1), 16))
    held = np.flatnonzero(stack.brain.any((0, 1)))
    brain = stack.brain.copy()
    brain[..., held[-4:]] = False
    cut = prior_for(replace(stack, brain=brain))
    rest = cut > 0
    assert rest.any()
    np.testing.assert_allclose(cut[..., held[:-4]], prior_for(stack)[..., held[:-4]], atol=1e-6)


def test_one_slice_is_refused():
    scan = as_scan()
    middle = replace(scan, image=scan.image[:, :, 14:15], brain_mask=scan.brain_mask[:, :, 14:15])
    prepared = prepare(middle, Grid((4.0, 4.0, 0.0), (32, 48, 1), 16))
    with pytest.raises(ValueError, match="a single slice"):
        prior_for(prepared)
    assert np.isfinite(error_of(RobustZ(), prepared)).all()  # without the prior a slice will do


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 9), st.integers(0, 4), st.integers(2, 12))
def test_a_constant_map_stays_constant_in_its_box(size, low, extent):
    found = stretched(np.full((size, 2, 3), 0.5), (low + extent + 1, 4, 4), [(low, low + extent), (0, 4), (1, 3)])
    assert (found[low : low + extent, :, 1:3] == 0.5).all()
    assert found.sum() == pytest.approx(0.5 * extent * 4 * 2)


def test_a_lesion_outside_white_matter_counts_less_with_the_prior():
    prepared = healthy_scan(1).prepared
    share = prior_for(prepared)
    error = error_of(RobustZ(side="either", smoothing=0.0, white_matter=True), prepared)
    inside = prepared.image[prepared.brain & (share > 0.7)]
    mean, spread = trimmed_mean_and_spread(inside.astype(float))
    np.testing.assert_allclose(
        error, np.where(prepared.brain, np.abs(prepared.image - mean) / spread * share, 0), atol=1e-3
    )


# End to end


@pytest.mark.parametrize(("side", "contrast"), [("bright", 6.0), ("dark", -6.0)])
def test_a_lesion_is_found_on_its_side(side, contrast):
    prepared, ball, _ = with_ball(contrast)
    found = RobustZ(smoothing=0.0, side=side).detect(prepared, None, np.random.default_rng(0), {"threshold": 2.0})
    other = {"bright": "dark", "dark": "bright"}[side]
    missed = RobustZ(smoothing=0.0, side=other).detect(prepared, None, np.random.default_rng(0), {"threshold": 2.0})
    assert (found.mask & ball).sum() > 0.4 * ball.sum()  # half of it lies in the tissue of the other side
    assert dice(found.mask, ball) > 2 * dice(missed.mask, ball)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return train_tiny(tmp_path_factory.mktemp("robust"), "robust-z", {"side": "dark"})


def test_trained_calibrated_and_run(folder, tmp_path):
    model, finding = check_run(folder, tmp_path)
    assert load_file(folder / WEIGHTS) == {}
    assert model.card["method_settings"] == {"smoothing": 1.5, "side": "dark", "white_matter": False}
    assert finding.threshold in [point["threshold"] for point in [model.calibration["operating_point"]]]
    scan = itermask.read_scan(tmp_path / "sub-01_T1w.nii.gz", "T1w", tmp_path / "sub-01_mask.nii.gz")
    assert same_finding(finding, itermask.run(scan, model))


def test_side_and_prior_are_changed_by_calibration(folder, tmp_path):
    table = folder.parent / "table.tsv"
    changes = {"side": "either", "white_matter": True}
    turned = load_model(calibrate_model(table, folder, tmp_path / "turned", changes, "cpu"))
    assert turned.method.settings() == {"smoothing": 1.5, "side": "either", "white_matter": True}
    assert turned.calibration["operating_point"] != load_model(folder).calibration["operating_point"]
    assert json.loads((tmp_path / "turned" / "card.json").read_text())["calibration"]["scans"] == 4
    with pytest.raises(InputError, match="side is bright, dark or either"):
        calibrate_model(table, folder, tmp_path / "other", {"side": "grey"}, "cpu")
