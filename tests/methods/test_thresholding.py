"""One error map a scan and a fixed threshold: what is flagged, and how healthy scans choose the threshold."""

import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_method import bare_model, dice, healthy_scan, with_ball

from itermask.core.profile import error_profile
from itermask.methods.calibration import THRESHOLDS, small, threshold_point
from itermask.methods.fixed_threshold import FixedThresholdMethod
from itermask.training.calibration import calibrate


class FarFromNormal(FixedThresholdMethod):
    """The error is the distance from a known normal image, times a factor."""

    name = "far"
    dims = 3

    def __init__(self, normal=0.0, factor=1.0, noise=0.0):
        self.normal, self.factor, self.noise = normal, factor, noise

    def settings(self):
        return {}

    def network_specs(self):
        return {}

    def example(self, volume, rng):
        raise AssertionError

    def loss(self, networks, batch):
        raise AssertionError

    def error_and_reconstruction(self, prepared, runtime, rng):
        reconstruction = self.normal + self.noise * rng.standard_normal(prepared.image.shape)
        return self.factor * (prepared.image - reconstruction) ** 2, reconstruction


def detect(method, prepared, **how):
    return method.detect(prepared, None, np.random.default_rng(0), **how)


def test_what_exceeds_the_threshold_in_the_brain_is_flagged():
    prepared, ball, normal = with_ball()
    found = detect(FarFromNormal(normal.image), prepared, point={"threshold": 8.0})
    np.testing.assert_array_equal(found.mask, ball)
    assert (found.mask.dtype, found.error.dtype, found.reconstruction.dtype) == (bool, np.float32, np.float32)
    assert (found.error[~prepared.brain] == 0).all()
    assert found.error[ball] == pytest.approx(16, rel=1e-4)
    assert found.scores["mask_size"] == pytest.approx(ball.sum() / prepared.brain.sum())
    assert found.scores["mean_error"] == pytest.approx(16 * ball.sum() / prepared.brain.sum(), rel=1e-4)
    assert found.threshold == 8.0
    assert found.profile == error_profile(found.error[prepared.brain])
    assert json.loads(json.dumps(found.trace)) == {"threshold": 8.0}


def test_background_is_never_flagged():
    prepared, _, normal = with_ball()
    everywhere = FarFromNormal(np.where(prepared.brain, normal.image, 50.0))
    assert not (detect(everywhere, prepared).mask & ~prepared.brain).any()


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(1e-3, 100), min_size=2, max_size=6))
def test_a_larger_threshold_flags_no_more(levels):
    prepared, _, _ = with_ball()
    method = FarFromNormal()
    search = method.explore(prepared, None, np.random.default_rng(0))
    masks = [method.finalize(search, {"threshold": level}).mask for level in sorted(levels)]
    for looser, stricter in pairwise(masks):
        assert not (stricter & ~looser).any()


def test_without_a_point_the_published_one_is_used():
    prepared, _, normal = with_ball()
    method = FarFromNormal(normal.image, noise=0.5)
    assert method.published_point() == {"threshold": 1.0}
    found = detect(method, prepared)
    np.testing.assert_array_equal(found.mask, (found.error > 1) & prepared.brain)


def test_a_search_is_told_and_is_the_same_for_the_same_seed():
    prepared, _, _ = with_ball()
    calls = []
    one = detect(FarFromNormal(noise=1.0), prepared, progress=lambda *call: calls.append(call))
    other = detect(FarFromNormal(noise=1.0), prepared)
    assert calls == [("error map", 1.0)]
    assert one.error.tobytes() == other.error.tobytes()
    assert one.profile == other.profile


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: replace(p, brain=np.zeros_like(p.brain)), "the brain mask is empty"),
        (lambda p: replace(p, image=np.full_like(p.image, np.nan)), "NaN or infinite"),
        (lambda p: replace(p, image=np.ones_like(p.image)), "constant"),
    ],
)
def test_what_no_method_can_work_on_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        detect(FarFromNormal(), change(with_ball()[0]))


def test_an_error_that_is_no_number_is_refused():
    with pytest.raises(ValueError, match="error map holds NaN"):
        detect(FarFromNormal(normal=np.nan), with_ball()[0])


# Calibration


def test_thresholds_rise_evenly():
    ratios = np.array(THRESHOLDS[1:]) / THRESHOLDS[:-1]
    assert ratios.min() > 1
    assert ratios.max() < 1.03
    assert THRESHOLDS[0] <= 0.001
    assert THRESHOLDS[-1] > 1000


@settings(max_examples=50, deadline=None)
@given(st.floats(0.003, 300), st.integers(1, 30))
def test_the_smallest_threshold_that_suits_is_found(level, scans):
    """Masks that are exponential in the threshold, as errors with an exponential tail give."""
    factors = np.linspace(0.8, 1.2, scans)

    def sizes(point):
        return np.exp(-point["threshold"] / (level * factors))

    index = THRESHOLDS.index(threshold_point(sizes)["threshold"])
    if index < len(THRESHOLDS) - 1:
        assert small(sizes({"threshold": THRESHOLDS[index]}))
    assert index == 0 or not small(sizes({"threshold": THRESHOLDS[index - 1]}))


def test_where_none_suits_the_largest_is_taken():
    assert threshold_point(lambda point: np.ones(5)) == {"threshold": THRESHOLDS[-1]}


def test_the_threshold_rises_with_the_errors_of_healthy_scans():
    scans = [healthy_scan(seed) for seed in range(10, 15)]
    found = {
        factor: calibrate(bare_model(FarFromNormal(factor=factor)), scans)["operating_point"]["threshold"]
        for factor in (0.25, 1.0, 4.0)
    }
    assert found[4.0] == pytest.approx(4 * found[1.0], rel=0.02)
    assert found[0.25] == pytest.approx(0.25 * found[1.0], rel=0.02)


def test_calibration_makes_healthy_masks_small_and_finds_the_lesion():
    prepared, ball, normal = with_ball()
    method = FarFromNormal(normal.image, noise=0.1)
    scans = [replace(healthy_scan(seed), prepared=normal) for seed in range(10, 15)]  # of one brain: known is normal
    calibration = calibrate(bare_model(method), scans)
    assert small(np.array(calibration["healthy"]["mask_size"]))
    assert calibration["default_score"] == "profile_distance"
    assert len(calibration["healthy"]["profile_distance"]) == 5
    assert dice(detect(method, prepared, point=calibration["operating_point"]).mask, ball) > 0.9
