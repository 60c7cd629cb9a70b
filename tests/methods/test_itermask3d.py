"""IterMask3D as a method: what it learns from, and that a search can be finalized with any sensitivity."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from tiny import tiny_brain
from tiny_method import SHAPE, KnowsNormal, with_ball

from itermask.core import stop_rules, threshold_curve
from itermask.core.error_maps import error_map, smoothed_error
from itermask.core.guidance import high_frequency
from itermask.core.masks import MaskMix, remove_small_parts
from itermask.methods import METHODS, TrainingVolume, build_method
from itermask.methods import calibration as methods_calibration
from itermask.methods.itermask3d import IterMask3D, calibration
from itermask.methods.losses import squared_error


def case(lesion=True):
    """A prepared scan with a dark ball, the ball, and a runtime that knows the scan without it."""
    prepared, ball, normal = with_ball()
    return prepared if lesion else normal, ball, KnowsNormal(normal.image)


def volume(seed=0):
    image, brain = tiny_brain(SHAPE, seed)
    return TrainingVolume(image[None], brain, (2.0, 2.0, 2.0))


# Training


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_an_example_hides_what_it_asks_for(seed):
    method = IterMask3D(weights=(1.0, 0.25, 0.125))
    one = method.example(volume(), np.random.default_rng(seed))
    image, brain = volume().images[0], volume().brain
    filled, fine, hidden = one["input"]
    hidden = hidden > 0
    assert one["input"].dtype == one["target"].dtype == one["weight"].dtype == np.float32
    np.testing.assert_array_equal(one["target"][0], image)
    np.testing.assert_array_equal(filled[~hidden], image[~hidden])
    np.testing.assert_array_equal(fine, high_frequency(image, (2, 2, 2), method.cutoff))
    assert hidden.any()
    assert not (hidden & ~brain).any()
    np.testing.assert_array_equal(one["weight"][0], np.select([hidden, brain], [1.0, 0.25], 0.125))
    if hidden.sum() > 300:
        assert abs(np.corrcoef(filled[hidden], image[hidden])[0, 1]) < 0.25  # noise, which says nothing
        assert 0.8 < filled[hidden].std() < 1.2


def test_the_network_is_not_told_what_it_must_not_know():
    blind = IterMask3D(guidance=False, mask_channel=False).example(volume(), np.random.default_rng(0))
    assert blind["input"].shape == (2, *SHAPE)
    assert not blind["input"][1].any()
    assert IterMask3D(mask_channel=False).network_specs()["reconstruction"][1]["in_channels"] == 2
    assert IterMask3D().network_specs()["reconstruction"][1]["in_channels"] == 3


def test_every_example_of_a_batch_counts_the_same():
    generator = torch.Generator().manual_seed(0)
    target, weight = torch.randn(3, 1, 4, 4, 4, generator=generator), torch.rand(3, 1, 4, 4, 4, generator=generator)
    made = target + torch.randn(3, 1, 4, 4, 4, generator=generator)
    weight[1] *= 100  # the scale of an example's weights is nothing
    alone = [squared_error(made[n : n + 1], target[n : n + 1], weight[n : n + 1]) for n in range(3)]
    torch.testing.assert_close(squared_error(made, target, weight), torch.stack(alone).mean())
    even = squared_error(made, target, torch.ones_like(target))
    torch.testing.assert_close(even, torch.nn.functional.mse_loss(made, target))  # the paper's
    assert squared_error(made.bfloat16(), target, weight).dtype == torch.float32


# Detection


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"smoothing": 2.0},
        {"smallest": 200.0},
        {"steps": 40, "window": 12.5, "focused": False, "min_shrink": 0.01},
        {"focused": False},
    ],
)
def test_a_lesion_is_found(changes):
    prepared, ball, runtime = case()
    detection = IterMask3D(**changes).detect(prepared, runtime, np.random.default_rng(0), {"gamma": 0.2})
    if "smoothing" in changes:  # the error of the ball reaches into its surroundings
        assert (detection.mask & ball).sum() > 0.95 * ball.sum()
        assert not (detection.mask & ~ndimage.binary_dilation(ball, np.ones((3, 3, 3)), 2)).any()
    else:
        assert 2 * (detection.mask & ball).sum() / (detection.mask.sum() + ball.sum()) > 0.9
    assert not (detection.mask & ~prepared.brain).any()
    assert detection.scores["mask_size"] == pytest.approx(detection.mask.sum() / prepared.brain.sum())
    assert detection.scores["mean_error"] == pytest.approx(detection.error[prepared.brain].mean())
    assert detection.threshold == max(detection.trace["curve"][: detection.trace["step"] + 1])
    assert detection.trace["passes"] == len(detection.trace["mask_voxels"]) - 1
    assert json.loads(json.dumps(detection.trace)) == detection.trace


def test_passes_are_counted_and_the_network_sees_the_guidance_each_time():
    prepared, _, runtime = case()
    method = IterMask3D(steps=7, focused=False)
    detection = method.detect(prepared, runtime, np.random.default_rng(0), {"gamma": 0.2})
    assert len(runtime.seen) == 7 + 1 + detection.trace["passes"]  # curve, nothing hidden, refinement
    fine = high_frequency(prepared.image, prepared.spacing, method.cutoff)
    for inputs in runtime.seen:
        np.testing.assert_array_equal(inputs[1], fine)
        visible = inputs[2] == 0
        np.testing.assert_array_equal(inputs[0][visible], prepared.image[visible])
    np.testing.assert_array_equal(runtime.seen[0][2] > 0, prepared.brain)
    assert not runtime.seen[7][2].any()
    np.testing.assert_array_equal(runtime.seen[8][2] > 0, prepared.brain)
    hidden = [inputs[0][prepared.brain] for inputs in (runtime.seen[0], runtime.seen[8])]
    assert abs(np.corrcoef(*hidden)[0, 1]) < 0.2  # fresh noise each pass


def test_one_search_gives_one_mask_for_each_gamma():
    prepared, _, runtime = case()
    method = IterMask3D(steps=20, focused=False)
    search = method.explore(prepared, runtime, np.random.default_rng(0))
    gammas = (0.3, 0.01, 0.3, 0.05, 0.01)
    found = [method.finalize(search, {"gamma": gamma}) for gamma in gammas]
    np.testing.assert_array_equal(found[0].error, found[2].error)
    np.testing.assert_array_equal(found[1].mask, found[4].mask)
    direct = method.detect(prepared, runtime, np.random.default_rng(0), {"gamma": 0.05})
    np.testing.assert_array_equal(found[3].error, direct.error)
    assert found[3].trace == direct.trace
    published = method.detect(prepared, runtime, np.random.default_rng(0))
    assert published.trace == found[1].trace
    assert found[1].threshold <= found[3].threshold <= found[0].threshold


def test_the_profile_is_of_the_hidden_and_of_the_visible_brain():
    prepared, _, runtime = case(lesion=False)
    profile = IterMask3D(steps=10, focused=False).explore(prepared, runtime, np.random.default_rng(0)).profile
    first, visible = runtime.seen[0], runtime.seen[-1]
    for name, inputs in (("hidden_mean", first), ("visible_mean", visible)):
        error = error_map(prepared.image, runtime("reconstruction", inputs)[0], prepared.brain)
        assert np.exp(profile[name]) == pytest.approx(error[prepared.brain].mean(), rel=1e-4)


def test_progress_rises_within_each_stage():
    prepared, _, runtime = case()
    calls = []
    IterMask3D(steps=5, focused=False).detect(
        prepared, runtime, np.random.default_rng(0), {"gamma": 0.2}, lambda *call: calls.append(call)
    )
    assert [share for stage, share in calls if stage == "threshold"] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    refinement = [share for stage, share in calls if stage == "refinement"]
    assert refinement == sorted(refinement)
    assert refinement


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.3, 2.0))
def test_smoothing_averages_within_the_brain(seed, sigma):
    rng = np.random.default_rng(seed)
    image, brain = tiny_brain((12, 14, 10))
    measure = smoothed_error((sigma,) * 3)
    constant = measure(image, image + 2, brain)
    np.testing.assert_allclose(constant[brain], 4, rtol=1e-3)  # at the border, too
    assert (constant[~brain] == 0).all()
    wrong = image + rng.standard_normal(image.shape)
    plain, smooth = error_map(image, wrong, brain), measure(image, wrong, brain)
    assert plain[brain].min() <= smooth[brain].min()
    assert smooth[brain].max() <= plain[brain].max() * 1.0001
    assert smooth[brain].std() < plain[brain].std()
    # What lies outside the brain does not leak in.
    np.testing.assert_allclose(measure(image, np.where(brain, wrong, 1e3), brain), smooth, rtol=1e-5)


def test_no_smoothing_is_the_plain_squared_error():
    assert smoothed_error((0.0, 0.0, 0.0)) is error_map


def test_specks_are_dropped_and_nothing_else():
    mask = np.zeros((12, 12), dtype=bool)
    mask[1, 1] = mask[3, 3:5] = mask[6:9, 6:9] = True
    mask[9, 9] = True  # touches the square by a corner only
    sizes = {1: 13, 1.5: 11, 2: 11, 2.5: 9, 9: 9, 9.5: 0}
    assert {size: int(remove_small_parts(mask, size).sum()) for size in sizes} == sizes
    assert not (remove_small_parts(mask, 2) & ~mask).any()


# Settings


@pytest.mark.parametrize("name", METHODS)
def test_settings_rebuild_the_method(name):
    method = build_method(name)
    stored = json.loads(json.dumps(method.settings()))
    assert build_method(name, stored).settings() == method.settings()
    assert method.test_time <= set(stored)


def test_mask_shares_come_from_plain_settings():
    method = build_method("itermask3d", {"masks": {"ellipsoid": 1, "field": 0, "full": 0}, "weights": [1, 1, 1]})
    assert method.masks == MaskMix(1, 0, 0)
    assert method.weights == (1, 1, 1)


@pytest.mark.parametrize(
    ("name", "chosen", "message"),
    [
        ("itermask9", {}, "unknown method 'itermask9'; known are .*itermask3d"),
        ("itermask3d", {"stepz": 1}, "unknown setting stepz"),
        ("itermask3d", {"masks": {"full": 0.5}}, "add up to 1"),
    ],
)
def test_what_cannot_be_built_is_refused(name, chosen, message):
    with pytest.raises(ValueError, match=message):
        build_method(name, chosen)


def test_a_threshold_limit_only_lowers_the_scans_own_threshold():
    prepared, _, runtime = case()
    method = IterMask3D(steps=20, focused=False)
    search = method.explore(prepared, runtime, np.random.default_rng(0))
    bulk = stop_rules.bulk_level(search.curve)
    assert search.curve[14] <= bulk <= search.curve[16]
    free = method.finalize(search, {"gamma": 0.2})
    loose = method.finalize(search, {"gamma": 0.2, "threshold_limit": 2 * free.threshold / bulk})
    tight = method.finalize(search, {"gamma": 0.2, "threshold_limit": free.threshold / bulk / 2})
    assert loose.threshold == free.threshold == free.trace["own_threshold"] == tight.trace["own_threshold"]
    np.testing.assert_array_equal(loose.mask, free.mask)
    assert tight.threshold == tight.trace["threshold_limit"] == pytest.approx(free.threshold / 2)
    assert tight.mask.sum() >= free.mask.sum()


def test_a_curve_that_never_becomes_steep_stops_at_the_limit():
    prepared, ball, runtime = case()
    method = IterMask3D(steps=20, focused=False)
    search = method.explore(prepared, runtime, np.random.default_rng(0))
    limit = 0.5 * search.curve[-1] / stop_rules.bulk_level(search.curve)
    found = method.finalize(search, {"gamma": np.inf, "threshold_limit": limit})
    assert not found.trace["crossed"]
    assert found.threshold == pytest.approx(0.5 * search.curve[-1])
    assert (found.mask & ball).any()
    assert not method.finalize(search, {"gamma": np.inf}).mask.any()


# Where the refinement starts, and the operating point


def test_the_refinement_may_start_from_the_curves_mask():
    prepared, _, runtime = case()
    hidden = []
    for start in ("brain", "curve"):
        runtime.seen.clear()
        method = IterMask3D(start=start, focused=False, steps=50)
        found = method.detect(prepared, runtime, np.random.default_rng(0), {"gamma": 0.2})
        first = runtime.seen[50 + 1][2] > 0  # after the curve, and the pass with nothing hidden
        assert found.trace["mask_voxels"][0] == first.sum()
        assert found.mask.any()
        hidden.append((first, found))
    (whole, _), (part, found) = hidden
    np.testing.assert_array_equal(whole, prepared.brain)
    left = 1 - (found.trace["step"] + 1) / 50  # of the brain, at the stop
    assert part.sum() == pytest.approx(left * prepared.brain.sum(), abs=1)
    assert not (part & ~prepared.brain).any()
    assert (found.revealed[prepared.brain & ~part] == 1).all()


def test_a_focused_curves_mask_is_that_of_the_last_pass_before_the_stop():
    brain = np.ones((10, 10), bool)
    masks = threshold_curve.CurveMasks(brain, np.array([20.0, 60.0, 100.0]))
    for kept in (80, 40, 0):
        mask = np.zeros_like(brain)
        mask.flat[:kept] = True
        masks.add(mask)
    assert [int(masks.at(percent).sum()) for percent in (10, 20, 59, 60, 99.9, 100)] == [100, 80, 80, 40, 40, 0]


def test_gamma_lies_in_the_middle_of_its_range(monkeypatch):
    """From the smallest that suits healthy scans to the largest that their curves reach; neither end."""
    gammas = methods_calibration.GAMMAS
    monkeypatch.setattr(calibration, "largest_reached", lambda rule, searches: 25)

    def sizes(point):
        if "threshold_limit" in point:
            return np.zeros(5) if point["threshold_limit"] >= 10 else np.ones(5)
        return np.zeros(5) if point["gamma"] >= gammas[5] else np.ones(5)

    point = IterMask3D().calibrate([], sizes)
    assert point["gamma"] == gammas[15]
    assert point["gamma"] == pytest.approx(np.sqrt(gammas[5] * gammas[25]), rel=0.05)
    assert point["threshold_limit"] == 10


def test_the_largest_gamma_is_one_that_half_of_the_curves_reach():
    steep, flat = np.linspace(0, 1, 100) ** 8, np.linspace(0, 0.001, 100)
    searches = [SimpleNamespace(curve=curve) for curve in (steep, steep, flat)]
    place = calibration.largest_reached(IterMask3D().rule, searches)
    rule = IterMask3D().rule
    assert rule.stop_at(steep, methods_calibration.GAMMAS[place]).step < 99
    assert rule.stop_at(steep, methods_calibration.GAMMAS[place + 1]).step == 99
    assert calibration.largest_reached(IterMask3D().rule, searches[2:]) == 0
