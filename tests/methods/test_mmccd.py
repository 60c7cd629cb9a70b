"""MMCCD: the diffusion's arithmetic, what is learned, and that a pixel is judged where it was hidden and only there."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_method import check_run, dice, same_finding, with_ball
from tiny_pairs import SHAPE, other, pair_volume, train_pairs

import itermask
from itermask.errors import MissingExtraError
from itermask.methods import build_method
from itermask.methods.mmccd import MMCCD
from itermask.methods.mmccd.diffusion import STEPS, noised, sample, sampling_times
from itermask.methods.mmccd.method import PUBLISHED
from itermask.models.folder import WEIGHTS, load_model
from itermask.networks import build_network
from itermask.runtime.torch_runtime import TorchRuntime
from itermask.training.config import read_config
from itermask.training.loop import Trainer
from itermask.types import Prepared

pytest.importorskip("monai.networks.schedulers")

SMALL = {"width": 4, "strips": 8, "ddim_steps": 2, "erode": 4.0}
LEVELS = np.cumprod(1 - np.linspace(1e-4, 0.02, STEPS))  # share of the clean image's variance at every step


def flat(size):
    """One slice that is all brain, with nothing to see but noise."""
    image = np.random.default_rng(0).standard_normal((size, size, 1)).astype(np.float32)
    return Prepared(image, np.ones(image.shape, dtype=bool), (1.875, 1.875, 5.0), None, (0.0, 1.0))


class KnowsHidden:
    """A perfect translator of one normal brain: what it sees it translates as it is, what is hidden as normal tissue.

    So a lesion comes back wherever it is visible, and normal tissue in its place where it is not.
    """

    description = "knows what is hidden"

    def __init__(self, seen, normal):
        self.seen, self.normal = (np.moveaxis(image, -1, 0) for image in (seen, normal))
        self.conditions, self.times, self.back = [], [], 0

    def batch(self, role, inputs, t=None):
        if role == "b_to_a":
            self.back += len(inputs)
            return (1.0 - inputs) / 0.5
        assert inputs.shape[1] == 2
        assert t.shape == (len(inputs),)
        self.times.append(t)
        found = []
        for _noisy, condition in inputs:
            self.conditions.append(condition.tobytes())
            at = int(np.argmax((condition == self.seen).sum(axis=(1, 2))))
            found.append(other(np.where(condition == self.seen[at], self.seen[at], self.normal[at])))
        return np.array(found)[:, None]


def tiny_runtime():
    """Random small networks."""
    torch.manual_seed(0)
    forward = build_network("time-unet", {"widths": [4, 8], "group_size": 4, "features": 8})
    for film in (*forward.down_films, *forward.up_films):  # what they learn
        torch.nn.init.normal_(film.weight)
    backward = build_network("block-unet", {"dims": 2, "in_channels": 1, "widths": [4, 8], "group_size": 4})
    return TorchRuntime({"a_to_b": forward, "b_to_a": backward}, "cpu", torch.float32)


def error_of(method, prepared, runtime, seed=0):
    return method.explore(prepared, runtime, np.random.default_rng(seed)).error


# The process


def test_noise_follows_the_linear_schedule():
    rng = np.random.default_rng(0)
    clean, noise = rng.standard_normal((2, 4, 1, 3, 3)).astype(np.float32)
    times = np.array([0, 10, 500, 999])
    found = noised(*(torch.from_numpy(one) for one in (clean, noise, times))).numpy()
    level = LEVELS[times][:, None, None, None]
    np.testing.assert_allclose(found, np.sqrt(level) * clean + np.sqrt(1 - level) * noise, atol=1e-5)


@settings(max_examples=30, deadline=None)
@given(st.sampled_from([count for count in range(1, 101) if STEPS % count == 0]), st.integers(0, 2**32 - 1))
def test_the_network_is_told_the_step_that_its_input_is_at(count, seed):
    """With a network that always gives one answer, the noise at every step is what the schedule says it is."""
    clean, start = np.random.default_rng(seed).standard_normal((2, 2, 3, 3)).astype(np.float32)
    noise = (start - np.sqrt(LEVELS[-1]) * clean) / np.sqrt(1 - LEVELS[-1])
    asked = []

    def predict(noisy, time):
        asked.append(time)
        np.testing.assert_allclose(noisy, np.sqrt(LEVELS[time]) * clean + np.sqrt(1 - LEVELS[time]) * noise, atol=1e-3)
        return clean

    np.testing.assert_allclose(sample(predict, start, count), clean, atol=1e-6)
    assert asked == sampling_times(count)
    assert len(asked) == count
    assert asked[0] == STEPS - 1


def test_without_the_library_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "monai.networks.schedulers", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'itermask\[diffusion\]'"):
        sample(lambda noisy, time: noisy, np.zeros((1, 2, 2), np.float32), 1)


@pytest.mark.parametrize("count", [0, 3, 999, 1001])
def test_steps_that_do_not_divide_the_process_are_refused(count):
    with pytest.raises(ValueError, match="must divide 1000"):
        sampling_times(count)


# The network


@pytest.mark.parametrize("dims", [2, 3])
def test_the_network_hears_the_time_of_each_input(dims):
    torch.manual_seed(0)
    network = build_network("time-unet", {"dims": dims, "widths": [4, 8, 8], "group_size": 4, "features": 8}).eval()
    x = torch.randn(1, 2, *[16, 8, 8][:dims]).repeat(3, *[1] * (dims + 1))
    times = torch.tensor([3, 3, 700])
    with torch.inference_mode():
        deaf = network(x, times)
        assert deaf.shape == (3, 1, *x.shape[2:])
        torch.testing.assert_close(deaf[0], deaf[2])  # before it has learned anything
    for film in (*network.down_films, *network.up_films):
        torch.nn.init.normal_(film.weight)
    with torch.inference_mode():
        told = network(x, times)
    torch.testing.assert_close(told[0], told[1])
    assert (told[0] - told[2]).abs().max() > 0.01


# Training


def test_an_example_hides_a_strip_of_the_first_sequence():
    method = MMCCD(slices=6, width=4, background=0.5)
    example = method.example(pair_volume(), np.random.default_rng(0))
    image = (6, 1, *SHAPE[:2])
    kinds = {key: (value.shape, str(value.dtype)) for key, value in example.items()}
    assert kinds == {
        "a": (image, "float32"),
        "b": (image, "float32"),
        "weight": (image, "float32"),
        "condition": (image, "float32"),
        "noise": (image, "float32"),
        "time": ((6,), "int64"),
    }
    hidden = example["condition"] != example["a"]
    for one in hidden[:, 0]:
        rows, columns = one.all(axis=1), one.all(axis=0)
        assert (one == rows[:, None]).all() != (one == columns).all()
        assert 2 <= max(rows.sum() * (not columns.all()), columns.sum() * (not rows.all())) <= 4
    assert 0.5 < example["condition"][hidden].std() < 1.5
    assert not (example["noise"] == example["condition"]).any()


def test_times_are_uniform_and_combs_are_as_frequent_as_asked():
    times, hidden = [], {}
    for combs in (0.0, 1.0):
        method = MMCCD(slices=10, width=2, combs=combs)
        examples = [method.example(pair_volume(), np.random.default_rng(seed)) for seed in range(40)]
        times += [example["time"] for example in examples]
        hidden[combs] = np.mean([(example["condition"] != example["a"]).mean() for example in examples])
    times = np.concatenate(times)
    assert (times.min(), times.max()) >= (0, 990)
    assert times.max() < STEPS
    np.testing.assert_allclose(np.percentile(times, [25, 50, 75]), [250, 500, 750], atol=60)
    assert hidden[1.0] > 2 * hidden[0.0]


def test_the_loss_asks_for_the_clean_other_sequence():
    method = MMCCD(slices=3, width=4)
    example = method.example(pair_volume(), np.random.default_rng(0))
    batch = {key: torch.from_numpy(value)[None] for key, value in example.items()}
    one = {key: value[0] for key, value in batch.items()}
    asked = []

    def forward(x, t):
        asked.append((x, t))
        return one["b"] + 2

    assert float(method.loss({"a_to_b": forward, "b_to_a": lambda x: one["a"] + 0 * x}, batch)) == pytest.approx(4)
    ((x, t),) = asked
    assert torch.equal(t, one["time"])
    assert torch.equal(x[:, 1:], one["condition"])
    level = torch.from_numpy(LEVELS).float()[t][:, None, None, None]
    torch.testing.assert_close(x[:, :1], level.sqrt() * one["b"] + (1 - level).sqrt() * one["noise"])


def test_it_learns():
    torch.manual_seed(0)
    method = MMCCD(slices=8, width=4)
    networks = torch.nn.ModuleDict(tiny_runtime().networks)
    optimizer = torch.optim.Adam(networks.parameters(), lr=0.01)
    losses = []
    for step in range(60):
        example = method.example(pair_volume(), np.random.default_rng(step))
        batch = {key: torch.from_numpy(value)[None] for key, value in example.items()}
        optimizer.zero_grad()
        loss = method.loss(networks, batch)
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert np.mean(losses[-5:]) < 0.3 * np.mean(losses[:5])


# Detection


@pytest.mark.parametrize("share", [0, 4])
@pytest.mark.parametrize("contrast", [-4.0, 4.0])
def test_a_pixel_is_judged_where_it_was_hidden_and_only_there(contrast, share):
    """The lesion comes back wherever it is visible, so were visible pixels counted its error would be less."""
    prepared, ball, normal = with_ball(contrast)
    method = MMCCD(**SMALL | {"share": share})
    assert error_of(method, normal, KnowsHidden(normal.image, normal.image)).max() < 1e-9
    runtime = KnowsHidden(prepared.image, normal.image)
    found = method.detect(prepared, runtime, np.random.default_rng(0))
    wanted = ball & method.scored(prepared)
    np.testing.assert_allclose(found.error, np.where(wanted, contrast**2, 0), atol=1e-4)
    assert dice(found.mask, wanted) == 1.0
    assert found.reconstruction[wanted] == pytest.approx(normal.image[wanted], abs=1e-5)
    assert (found.reconstruction[~prepared.brain] == -3).all()


def test_the_published_setting_makes_the_papers_passes():
    prepared = flat(64)
    runtime = KnowsHidden(prepared.image, prepared.image)
    method = MMCCD(**PUBLISHED)
    error_of(method, prepared, runtime)
    assert sum(len(times) for times in runtime.times) == 128 * 100
    assert len(set(runtime.conditions)) == 128
    assert runtime.back == 128
    assert {int(time) for times in runtime.times for time in times} == set(sampling_times(100))
    assert {key: getattr(MMCCD(), key) for key in PUBLISHED} | {"skip": False} == PUBLISHED  # the default, but faster


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 20), st.integers(1, 40), st.integers(0, 20), st.sampled_from([0.0, 4.0, 9.0]))
def test_every_scored_pixel_is_hidden_whatever_is_saved(width, strips, share, erode):
    from itermask.methods.mmccd.detection import sampling_plan

    prepared, _, _ = with_ball()
    method = MMCCD(width=width, strips=strips, share=share, erode=erode)
    scored = method.scored(prepared)
    times = np.zeros((2, *scored.shape), dtype=int)
    for at, hiding in sampling_plan(method, scored):
        times[hiding.axis, ..., at] += hiding.mask
        assert (hiding.mask & scored[..., at]).any()
    assert (times[:, scored] > 0).all()
    assert (times > 0).any(axis=(0, 1, 2))[~scored.any(axis=(0, 1))].sum() == 0


def test_what_is_skipped_changes_nothing():
    prepared, _, _ = with_ball()
    runtime = tiny_runtime()
    method = MMCCD(**SMALL)
    all_strips = error_of(replace(method, skip=False), prepared, runtime)
    np.testing.assert_allclose(error_of(method, prepared, runtime), all_strips, atol=1e-5 * all_strips.max())


def test_a_slice_does_not_depend_on_what_else_is_processed():
    prepared, _, _ = with_ball()
    runtime, method = tiny_runtime(), MMCCD(**SMALL)
    whole = error_of(method, prepared, runtime)
    held = np.flatnonzero(whole.any(axis=(0, 1)))
    assert len(held) > 6
    alone = np.zeros_like(prepared.brain)
    alone[..., held[3]] = prepared.brain[..., held[3]]
    found = error_of(method, replace(prepared, brain=alone), runtime)
    close = 1e-5 * whole.max()
    np.testing.assert_allclose(found[..., held[3]], whole[..., held[3]], atol=close)
    assert not found[..., np.arange(whole.shape[-1]) != held[3]].any()
    for batch in (1, 7, 1000):
        np.testing.assert_allclose(error_of(replace(method, batch=batch), prepared, runtime), whole, atol=close)


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not():
    prepared, _, _ = with_ball()
    runtime, method = tiny_runtime(), MMCCD(**SMALL)
    one, again, other_seed = (error_of(method, prepared, runtime, seed) for seed in (3, 3, 4))
    assert one.tobytes() == again.tobytes()
    assert not np.allclose(one, other_seed)


def test_the_papers_network_hears_the_time_too():
    """Its output is 0 before training, so that what comes back is that of an image of zeros in the brain."""
    prepared, _, _ = with_ball()
    forward = {"dims": 2, "in_channels": 2, "channels": [8, 8], "attention_levels": [False, True], "with_time": True}
    runtime = TorchRuntime({"a_to_b": build_network("guided-unet", forward), "b_to_a": torch.nn.Identity()}, "cpu")
    error = error_of(MMCCD(**SMALL), prepared, runtime)
    scored = MMCCD(**SMALL).scored(prepared)
    np.testing.assert_allclose(error, np.where(scored, prepared.image**2, 0), atol=1e-4)


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"width": 0}, "width must be at least 1"),
        ({"strips": 0}, "strips must be at least 1"),
        ({"batch": 0}, "batch must be at least 1"),
        ({"combs": 1.5}, "combs is a share"),
        ({"share": -1}, "share must not be negative"),
        ({"skip": 1}, "skip (is|must be) true or false"),
        ({"ddim_steps": 7}, "must divide 1000"),
        ({"erode": -1.0}, "erode must not be negative"),
    ],
)
def test_settings_that_mean_nothing_are_refused(chosen, message):
    with pytest.raises(ValueError, match=message):
        build_method("mmccd", chosen)


# End to end


def test_trained_calibrated_and_run_on_one_sequence(tmp_path):
    backward = {"name": "block-unet", "arguments": {"dims": 2, "in_channels": 1, "widths": [4, 8], "group_size": 4}}
    forward = {"name": "time-unet", "arguments": {"widths": [4, 8], "group_size": 4, "features": 8}}
    how = SMALL | {"slices": 3, "share": 4, "combs": 0.5}, {"a_to_b": forward, "b_to_a": backward}
    folder = train_pairs(tmp_path / "one", "mmccd", *how)
    model, finding = check_run(folder, tmp_path)
    assert model.method.settings() | how[0] == model.method.settings()
    again = train_pairs(tmp_path / "other", "mmccd", *how)
    assert (again / WEIGHTS).read_bytes() == (folder / WEIGHTS).read_bytes()
    scan = itermask.read_scan(tmp_path / "sub-01_T1w.nii.gz", "T1w", tmp_path / "sub-01_mask.nii.gz")
    assert same_finding(finding, itermask.run(scan, load_model(again, device="cpu")))


@pytest.mark.parametrize("name", ["cyclic-unet", "mmccd", "cyclic-unet-published", "mmccd-published"])
def test_the_settings_that_come_with_it_can_be_trained(name, tmp_path):
    own = Path(__file__).parents[2] / "configs" / "flair" / f"{name}.toml"
    config = read_config(own) if own.is_file() else read_config(None, preset=name)
    trainer = Trainer(config, config.grid(), tmp_path, "cpu")
    assert trainer.method.name == config.method
    assert set(trainer.networks) == {"a_to_b", "b_to_a"}
    assert config.augmentation.contrast == config.augmentation.gamma == 0  # the pair's relation stays
    if name == "mmccd-published":
        own = trainer.method.settings()
        assert {key: own[key] for key in PUBLISHED} == PUBLISHED
        assert own["combs"] == 0
        assert config.batch * own["slices"] == 32
