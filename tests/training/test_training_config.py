"""Training settings: a TOML file over the defaults, and one line for every mistake in it."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from itermask.errors import InputError
from itermask.prepare.grid import Grid
from itermask.prepare.intensity import IntensityScale
from itermask.training.augment import Augmentation
from itermask.training.config import TrainingConfig, read_config


def written(folder, text):
    path = folder / "training.toml"
    path.write_text(text)
    return path


def test_without_a_file_the_defaults_hold():
    assert read_config(None) == TrainingConfig()


def test_a_file_changes_what_it_names(tmp_path):
    text = """
steps = 12
box = [32, 48, 32]
[method_settings]
steps = 20
[networks.reconstruction]
name = "reference-unet-3d"
arguments = { in_channels = 3 }
[augmentation]
flip = 0.0
"""
    config = read_config(written(tmp_path, text), batch=3, seed=None)
    assert config == TrainingConfig(
        steps=12,
        batch=3,
        box=(32, 48, 32),
        method_settings={"steps": 20},
        networks={"reconstruction": {"name": "reference-unet-3d", "arguments": {"in_channels": 3}}},
        augmentation=Augmentation(flip=0.0),
    )


def test_changes_go_over_the_file(tmp_path):
    assert read_config(written(tmp_path, "steps = 12"), steps=7).steps == 7


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"stepz = 3", r"unknown setting stepz, did you mean steps\? known are align, augmentation, batch"),
        (b"steps = ", "not valid TOML"),
        (b"steps = \xff\xfe", "not valid TOML"),
        (b"steps = 0", "steps must be a whole number, at least 1, not 0"),
        (b"batch = -1", "batch must be a whole number, at least 1, not -1"),
        (b"steps = 2.5", "steps must be a whole number, not 2.5"),
        (b"steps = true", "steps must be a whole number, not True"),
        (b"batch = " + b"9" * 400, r"batch must be a whole number, at least 1, not 9{20}… \(400 digits\)"),
        (b"batch = " + b"9" * 5000, "not valid TOML"),
        (b"box = " + b"[" * 3000, "not valid TOML"),
        (b"learning_rate = 0", "learning_rate must be above 0, not 0"),
        (b"learning_rate = nan", "learning_rate must be above 0, not nan"),
        (b"ema = 1.5", "ema must be a share from 0 to 1, not 1.5"),
        (b'precision = "fp64"', "precision must be auto, bf16, fp16 or fp32, not 'fp64'"),
        (b'steps = "many"', "steps must be a whole number, not 'many'"),
        (b"box = 3", "box must be a list of 3 values, not 3|box must be a list, not 3"),
        (b"box = [32, 32]", r"box must be a list of 3 values, not \[32, 32\]"),
        (b'box = [32, "a", 32]', r"box\[2\] must be a whole number, not 'a'"),
        (b"align = 1", "align must be true or false, not 1"),
        (b"spacing = [0.0, 2.0, 2.0]", "voxel sizes in mm"),
        (b"slice_area = 20.0", "own slices"),
        (b"[augmentation]\ntwist = 1", r"\[augmentation\] unknown setting twist"),
        (b"[augmentation]\nflip = 1.5", r"\[augmentation\] flip must be a share from 0 to 1, not 1.5"),
        (b"[augmentation]\nshift = 1.5", "augmentation.shift must be a whole number, not 1.5"),
        (b"augmentation = 3", "augmentation must be a table of settings, not 3"),
        (b"box = [32, 48, 48]\n[augmentation]\nquarter_turns = 0.1", "equal first and third edges"),
        (b"networks = { reconstruction = 3 }", "networks.* must"),
        (b"[networks.reconstruction]\nname = 3", "networks.reconstruction must have a name"),
        (b"[networks.reconstruction]\nname = 'a'\nargument = 3", "networks.reconstruction must have a name"),
    ],
)
def test_a_mistake_is_one_line_that_names_the_file(tmp_path, content, message):
    path = tmp_path / "training.toml"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        read_config(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_one_line(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_config(tmp_path / "none.toml")


def test_an_unknown_change_does_not_speak_of_a_file():
    with pytest.raises(InputError, match="training settings: unknown setting stepz"):
        read_config(None, stepz=1)


@settings(max_examples=80, deadline=None)
@given(st.integers(1, 500), st.integers(0, 100), st.floats(0, 1))
def test_the_learning_rate_is_a_trapezoid(steps, warmup, decay_share):
    config = replace(TrainingConfig(), steps=steps, warmup=warmup, decay_share=decay_share, learning_rate=2.0)
    rates = np.array([config.learning_rate_at(step) for step in range(steps)])
    assert (rates > 0).all()
    assert rates.max() <= 2.0
    assert config.learning_rate_at(steps) == 0
    turns = np.diff(np.sign(np.diff(rates).round(12)))
    assert (turns <= 0).all()  # it rises, stays, falls, and never rises again
    flat = np.arange(steps)[max(0, warmup - 1) : steps - int(np.ceil(decay_share * steps)) + 1]
    np.testing.assert_allclose(rates[flat], 2.0)
    if warmup > 1 and warmup < (1 - decay_share) * steps:
        np.testing.assert_allclose(rates[:warmup], 2.0 * np.arange(1, warmup + 1) / warmup)


def test_the_learning_rate_by_hand():
    config = TrainingConfig(steps=10, warmup=2, decay_share=0.4, learning_rate=1.0)
    rates = [config.learning_rate_at(step) for step in range(10)]
    assert rates == pytest.approx([0.5, 1, 1, 1, 1, 1, 1, 0.75, 0.5, 0.25])


def test_the_intensity_scale_of_a_model(tmp_path):
    config = read_config(written(tmp_path, "intensity = { high = 60.0, top = 2.0 }"))
    assert config.grid().scale == IntensityScale(high=60.0, top=2.0)
    assert config.as_dict()["intensity"]["top"] == 2
    with pytest.raises(InputError, match="the scale's top"):
        read_config(written(tmp_path, "intensity = { top = -4.0 }"))


def test_the_grid_of_a_models_own_slices(tmp_path):
    config = read_config(written(tmp_path, "spacing = [1.5, 1.5, 0]\nbox = [64, 64, 1]\nslice_area = 10"))
    assert config.grid() == Grid((1.5, 1.5, 0), (64, 64, 1), 16, slice_area=10)
    assert config.grid().slices


def test_epochs_are_steps_once_the_scans_are_counted():
    config = TrainingConfig(epochs=3, batch=2)
    assert config.for_scans(5).steps == 8  # 7.5 batches
    assert config.for_scans(5, processes=2).steps == 4
    assert TrainingConfig(steps=12).for_scans(5).steps == 12


def test_steps_that_are_asked_for_replace_a_presets_epochs():
    config = read_config(None, preset="itermask3d-published", steps=5)
    assert config.for_scans(100).steps == 5


def test_the_rate_drops_where_the_paper_lets_it():
    config = replace(read_config(None, preset="itermask3d-published"), steps=500)
    rates = [config.learning_rate_at(step) for step in range(500)]
    assert rates[:300] == [1e-3] * 300
    assert rates[300:] == pytest.approx([1e-4] * 200)


def test_a_file_goes_over_a_preset_table_by_table(tmp_path):
    path = written(tmp_path, "batch = 1\n[method_settings]\nsteps = 50\n[augmentation]\nflip = 0.5")
    config = read_config(path, "itermask3d-published")
    assert (config.batch, config.epochs) == (1, 500)
    assert config.method_settings["steps"] == 50
    assert config.method_settings["mask_channel"] is False
    assert (config.augmentation.flip, config.augmentation.quarter_turns) == (0.5, 0.1)
