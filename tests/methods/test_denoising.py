"""The denoising autoencoder: its noise is coarse and in the brain only, and a clean scan is what it processes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import tiny_brain
from tiny_method import RemembersNormal, bare_model, check_run, dice, healthy_scan, same_finding, train_tiny, with_ball

import itermask
from itermask.methods import TrainingVolume
from itermask.methods.baselines.coarse_noise import coarse_noise
from itermask.methods.baselines.denoising import Denoising
from itermask.models.folder import WEIGHTS, load_model
from itermask.training.calibration import calibrate

SHAPE = (16, 20, 12)


def volume(seed=0):
    image, brain = tiny_brain(SHAPE, seed)
    return TrainingVolume(image[None], brain, (2.0, 2.0, 2.0))


# Noise


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.lists(st.integers(1, 20), min_size=2, max_size=3),
    st.floats(0.5, 6),
    st.floats(1, 40),
)
def test_noise_is_finite_for_any_grid_and_follows_from_the_seed(seed, shape, spacing, cell):
    one, other = (coarse_noise(shape, [spacing] * len(shape), cell, np.random.default_rng(seed)) for _ in range(2))
    assert one.shape == tuple(shape)
    assert one.dtype == np.float32
    assert np.isfinite(one).all()
    assert np.abs(one).max() < 8  # interpolated, never extrapolated
    assert one.tobytes() == other.tobytes()


def test_noise_is_as_coarse_as_its_grid_whatever_the_voxel_size():
    def alike(spacing, cell, distance):
        """Mean correlation of voxels that are `distance` mm apart along the first axis."""
        steps = round(distance / spacing)
        values = [coarse_noise((64, 24), (spacing, spacing), cell, np.random.default_rng(seed)) for seed in range(60)]
        first, second = (np.concatenate([v[part].ravel() for v in values]) for part in (np.s_[:-steps], np.s_[steps:]))
        return np.corrcoef(first, second)[0, 1]

    for spacing in (1.0, 2.0):
        assert alike(spacing, 16, 4) > 0.8
        assert abs(alike(spacing, 16, 40)) < 0.15
    assert alike(1.0, 4, 4) < 0.5


def test_the_grid_lies_anywhere():
    """Were it fixed, its points would always vary more than the voxels between them."""
    values = np.stack([coarse_noise((64,), (1.0,), 8.0, np.random.default_rng(seed)) for seed in range(3000)])
    spread = values.std(axis=0)
    assert abs(values.mean()) < 0.05
    assert spread.min() > 0.9 * spread.max()
    assert 0.7 < spread.mean() < 0.95


def test_a_grid_without_width_is_refused():
    with pytest.raises(ValueError, match="wider than 0"):
        coarse_noise((4, 4), (1, 1), 0, np.random.default_rng(0))


# Training


@pytest.mark.parametrize("dims", [2, 3])
def test_the_network_sees_noise_in_the_brain_and_learns_the_clean_image(dims):
    example = Denoising(dims, slices=4).example(volume(), np.random.default_rng(0))
    brain = example["target"] > -3
    noise = example["input"] - example["target"]
    assert (noise[~brain] == 0).all()
    assert (noise[brain] != 0).mean() > 0.99
    assert example["input"].shape == ((1, *SHAPE) if dims == 3 else (4, 1, *SHAPE[:2]))
    if dims == 3:
        np.testing.assert_array_equal(example["target"][0], volume().images[0])


def test_the_strength_is_random_up_to_its_limit():
    levels = []
    for seed in range(200):
        example = Denoising(strength=2.0, cell=2.0).example(volume(), np.random.default_rng(seed))
        levels.append((example["input"] - example["target"])[0][volume().brain].std())
    levels = np.array(levels)
    assert levels.max() < 2.0
    assert levels.min() < 0.1
    assert levels.std() > 0.2


# Detection


@pytest.mark.parametrize("dims", [2, 3])
def test_what_is_removed_is_the_anomaly(dims):
    prepared, ball, normal = with_ball(4.0)
    runtime = RemembersNormal(normal.image)
    found = Denoising(dims).detect(prepared, runtime, np.random.default_rng(0))
    assert dice(found.mask, ball) > 0.95
    if dims == 2:
        held = prepared.brain.any(axis=(0, 1))
        seen = np.moveaxis(np.concatenate(runtime.batches)[:, 0], 0, -1)
        np.testing.assert_array_equal(seen, prepared.image[..., held])  # no noise is added


def test_the_operating_point_rises_with_the_errors_of_healthy_scans():
    scan = healthy_scan(2)
    levels = []
    for offset in (0.2, 1.0):
        scans = [type(scan)(scan.prepared, str(number)) for number in range(4)]
        model = bare_model(Denoising(2), RemembersNormal(scan.prepared.image, offset))
        levels.append(calibrate(model, scans)["operating_point"]["threshold"])
    assert levels[1] == pytest.approx(25 * levels[0], rel=0.03)


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"dims": 1}, "dims must be 2 or 3"),
        ({"cell": 0.0}, "cell must be positive"),
        ({"strength": -1.0}, "strength must be positive"),
        ({"strength": float("nan")}, "strength must be positive"),
    ],
)
def test_settings_that_mean_nothing_are_refused(chosen, message):
    with pytest.raises(ValueError, match=message):
        Denoising(**chosen)


# End to end


@pytest.mark.parametrize("dims", [2, 3])
def test_trained_calibrated_and_run(dims, tmp_path):
    arguments = {"dims": dims, "in_channels": 1, "widths": [4, 8], "group_size": 4}
    networks = {"reconstruction": {"name": "block-unet", "arguments": arguments}}
    how = {"settings": {"dims": dims, "slices": 3, "cell": 12.0}, "networks": networks}
    folder = train_tiny(tmp_path / "one", "denoising", **how)
    model, finding = check_run(folder, tmp_path)
    assert model.method.settings() | {"dims": dims, "cell": 12.0} == model.method.settings()
    again = train_tiny(tmp_path / "other", "denoising", **how)
    assert (again / WEIGHTS).read_bytes() == (folder / WEIGHTS).read_bytes()
    scan = itermask.read_scan(tmp_path / "sub-01_T1w.nii.gz", "T1w", tmp_path / "sub-01_mask.nii.gz")
    assert same_finding(finding, itermask.run(scan, load_model(again, device="cpu")))
