"""IterMask2: what it learns from, how it processes a stack, and its settings."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_itermask2 import QUICK, KnowsSlices, dice, found, tiny_runtime, volume, with_ball
from tiny_slices import stack_grid, tiny_stack

from itermask.core.guidance import high_frequency
from itermask.core.masks import MaskMix
from itermask.methods import build_method
from itermask.methods.itermask2 import IterMask2
from itermask.prepare.prepare import prepare
from itermask.training.loop import Trainer
from itermask.types import TrainingVolume


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(["network", "hidden"]), st.booleans(), st.sampled_from([0.0, 0.5, 1]))
def test_an_example_hides_part_of_some_slices(seed, first, told, squares):
    method = IterMask2(first=first, mask_channel=told, squares=squares, slices=3)
    whole = volume(1)
    example = method.example(whole, np.random.default_rng(seed))
    assert set(example) == {"input", "target", "weight"} | ({"weight_first"} if first == "network" else set())
    assert {value.dtype for value in example.values()} == {np.dtype("float32")}
    assert example["input"].shape == (3, 3 if told else 2, *whole.brain.shape[:2])
    known = np.moveaxis(whole.images[0], -1, 0)
    for inputs, target, weight in zip(example["input"], example["target"], example["weight"], strict=True):
        place = int(np.abs(known - target[0]).sum((1, 2)).argmin())
        brain = whole.brain[..., place]
        np.testing.assert_array_equal(target[0], known[place])
        hidden = weight[0] == method.weights[0]
        assert hidden.any()
        assert not (hidden & ~brain).any()
        np.testing.assert_array_equal(inputs[0][~hidden], target[0][~hidden])
        assert (inputs[0][hidden] != target[0][hidden]).all()
        np.testing.assert_array_equal(inputs[1], high_frequency(target[0], whole.spacing[:2], method.cutoff))
        assert set(np.unique(weight)) <= {np.float32(w) for w in method.weights}
        if told:
            np.testing.assert_array_equal(inputs[2] > 0, hidden)
    if first == "network":
        assert set(np.unique(example["weight_first"])) == {np.float32(method.weights[0]), np.float32(method.weights[2])}


def test_both_networks_learn():
    method = IterMask2(first="network", slices=2)
    networks = torch.nn.ModuleDict(tiny_runtime(method).networks)
    example = method.example(volume(), np.random.default_rng(0))
    method.loss(networks, {key: torch.from_numpy(value)[None] for key, value in example.items()}).backward()
    for role in ("reconstruction", "first"):
        assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in networks[role].parameters())
        assert any((p.grad != 0).any() for p in networks[role].parameters())


@pytest.mark.parametrize("stop", ["own", "level", "validation", "fixed"])
@pytest.mark.parametrize("first", ["network", "hidden"])
def test_what_the_model_cannot_explain_is_found(stop, first):
    prepared, ball, normal = with_ball()
    method = IterMask2(stop=stop, first=first, **QUICK)
    runtime = KnowsSlices(prepared, normal.image)
    detection = found(method, prepared, runtime)
    assert dice(detection.mask, ball) > 0.85
    assert detection.error[ball].mean() > 10 * detection.error[prepared.brain & ~ball].mean()
    assert detection.scores["mask_size"] == pytest.approx(detection.mask.sum() / prepared.brain.sum())
    assert detection.trace["settled"]
    assert detection.trace["slices"] == prepared.brain.any((0, 1)).sum()
    assert detection.trace["mask_voxels"][0] == prepared.brain.sum()
    roles = {role for role, _ in runtime.seen}
    assert roles == ({"first", "reconstruction"} if first == "network" else {"reconstruction"})
    assert all(inputs.shape[1] == 1 for role, inputs in runtime.seen if role == "first")  # the guidance alone
    assert ("curve" in detection.trace) == (stop == "own")


@pytest.mark.parametrize("stop", ["own", "validation"])
def test_without_refinement_the_first_pass_decides(stop):
    prepared, ball, normal = with_ball()
    method = IterMask2(stop=stop, iterate=False, **QUICK)
    detection = found(method, prepared, KnowsSlices(prepared, normal.image))
    np.testing.assert_array_equal(detection.mask, (detection.error > detection.threshold) & prepared.brain)
    assert detection.trace["passes"] == 1
    assert detection.mask[ball].mean() > 0.9


def test_without_guidance_the_network_sees_none_of_it():
    prepared, _, normal = with_ball()
    blind = IterMask2(guidance=False, stop="validation")
    assert not blind.example(volume(1), np.random.default_rng(0))["input"][:, 1].any()
    runtime = KnowsSlices(prepared, normal.image)
    blind.explore(prepared, runtime, np.random.default_rng(0))
    assert runtime.seen
    assert not any(inputs[:, 1].any() for _, inputs in runtime.seen)


def test_a_normal_stack_shows_next_to_nothing():
    _, _, normal = with_ball()
    detection = found(IterMask2(stop="fixed"), normal, KnowsSlices(normal, normal.image))
    assert detection.scores["mask_size"] < 0.01


@pytest.mark.parametrize("runtime", ["knows", "network"])
@pytest.mark.parametrize("first", ["network", "hidden"])
def test_a_slice_does_not_depend_on_the_slices_beside_it(runtime, first, monkeypatch):
    prepared, _, normal = with_ball()
    method = IterMask2(stop="fixed", first=first)
    used = KnowsSlices(prepared, normal.image) if runtime == "knows" else tiny_runtime(method)
    whole = found(method, prepared, used)
    monkeypatch.setattr("itermask.methods.itermask2.detection.BATCH", 3)
    parts = np.arange(prepared.brain.shape[2]) % 3
    for part in range(3):
        some = replace(prepared, brain=prepared.brain & (parts == part))
        alone = found(method, some, used)
        here = parts == part
        assert np.array_equal(alone.mask[..., here], whole.mask[..., here])
        np.testing.assert_allclose(alone.error[..., here], whole.error[..., here], rtol=1e-4, atol=1e-5)
        assert not alone.mask[..., ~here].any()
        assert not alone.error[..., ~here].any()


def test_a_search_finalizes_the_same_however_often_and_seeds_differ():
    prepared, _, normal = with_ball()
    method = IterMask2(**QUICK)
    runtime = KnowsSlices(prepared, normal.image)
    search = method.explore(prepared, runtime, np.random.default_rng(3))
    one, _, again = (method.finalize(search, {"gamma": gamma}) for gamma in (0.05, 0.5, 0.05))
    assert np.array_equal(one.mask, again.mask)
    assert np.array_equal(one.reconstruction, again.reconstruction)
    other = found(method, prepared, runtime, 4)
    assert not np.array_equal(one.reconstruction, other.reconstruction)
    assert dice(one.mask, other.mask) > 0.9


def test_a_smaller_point_flags_no_less():
    prepared, _, normal = with_ball()
    for stop, name in (("own", "gamma"), ("fixed", "threshold")):
        method = IterMask2(stop=stop, **QUICK)
        search = method.explore(prepared, KnowsSlices(prepared, normal.image), np.random.default_rng(0))
        sizes = [method.finalize(search, {name: level}).scores["mask_size"] for level in (4.0, 0.5, 0.02)]
        assert sizes == sorted(sizes)


@pytest.mark.parametrize("broken", ["empty", "constant", "nan"])
def test_what_cannot_be_processed_is_refused(broken):
    prepared, _, normal = with_ball()
    changed = {
        "empty": {"brain": np.zeros_like(prepared.brain)},
        "constant": {"image": np.zeros_like(prepared.image)},
        "nan": {"image": prepared.image * np.nan},
    }[broken]
    with pytest.raises(ValueError, match=r"empty|constant|NaN"):
        found(IterMask2(), replace(prepared, **changed), KnowsSlices(prepared, normal.image))


def test_blobs_are_seen_and_not_expected():
    scattered = MaskMix(ellipsoid=0, field=1, full=0)
    plain, blobbed = (
        IterMask2(blobs=share, slices=3, masks=scattered).example(volume(), np.random.default_rng(0))
        for share in (0.0, 1.0)
    )
    for example, differs in ((plain, False), (blobbed, True)):
        visible = (example["input"][:, 2] == 0) & np.isclose(example["weight"][:, 0], 0.1)
        assert ((example["input"][:, 0] != example["target"][:, 0])[visible].any()) == differs


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"first": "both"}, "first is network or hidden"),
        ({"stop": "never"}, "stop is one of own, level, validation, fixed"),
        ({"iterate": 1}, "iterate (is|must be) true or false"),
        ({"first": "network", "guidance": False}, "take first = hidden"),
        ({"slices": 0}, "at least one slice"),
        ({"squares": 1.5}, "squares is a share"),
        ({"blobs": -1}, "blobs is a share"),
        ({"exceeding": 2}, "exceeding is a share"),
        ({"start_share": -0.1}, "start_share is a share"),
        ({"masks": {"full": 0.5}}, "add up to 1"),
        ({"depth": 3}, "depth"),
    ],
)
def test_settings_that_mean_nothing_are_refused(wrong, says):
    with pytest.raises(ValueError, match=says):
        build_method("itermask2", wrong)


def test_settings_survive_a_card():
    method = IterMask2(first="network", squares=0.5, masks=MaskMix(0.5, 0.5, 0.0), weights=(1.0, 0.5, 0.0))
    assert build_method("itermask2", json.loads(json.dumps(method.settings()))) == method
    assert set(method.network_specs()) == {"reconstruction", "first"}


@pytest.mark.parametrize("name", ["flair-2d", "itermask2-published"])
def test_the_settings_that_come_with_the_package_can_be_trained(name, tmp_path):
    from itermask.training.config import read_config

    pytest.importorskip("monai")
    config = read_config(None, preset=name)
    trainer = Trainer(config, config.grid(), tmp_path, "cpu")
    assert trainer.method.name == "itermask2"
    assert config.batch * trainer.method.slices == (12 if name == "flair-2d" else 32)
    with torch.no_grad():
        for role, network in trainer.networks.items():
            channels = trainer.specs[role][1]["in_channels"]
            assert network.eval()(torch.zeros(1, channels, 128, 128)).shape == (1, 1, 128, 128)


def test_the_first_network_sees_the_guidance_and_nothing_else():
    """While it learns as well: it would learn nothing of use from the noise-filled slice."""
    method = IterMask2(first="network", squares=1.0, slices=2, mask_channel=False)
    prepared = prepare(tiny_stack(0), stack_grid())
    volume = TrainingVolume(prepared.image[None], prepared.brain, prepared.spacing, "axial")
    example = method.example(volume, np.random.default_rng(0))
    seen = {}

    class Watches(torch.nn.Module):
        def __init__(self, role):
            super().__init__()
            self.role = role

        def forward(self, x):
            seen[self.role] = x
            return x[:, :1]

    batch = {key: torch.from_numpy(value)[None] for key, value in example.items()}
    method.loss({role: Watches(role) for role in ("reconstruction", "first")}, batch)
    np.testing.assert_array_equal(seen["first"].numpy()[:, 0], example["input"][:, 1])
    assert seen["first"].shape[1] == 1
    for fine, target in zip(seen["first"].numpy()[:, 0], example["target"][:, 0], strict=True):
        np.testing.assert_allclose(fine, high_frequency(target, prepared.spacing[:2], method.cutoff), atol=1e-5)
