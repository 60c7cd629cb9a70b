"""The threshold curve: each threshold reveals the right share of the brain, whichever points it is taken at."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import tiny_brain

from itermask.core.stop_rules import stop_threshold
from itermask.core.threshold_curve import focused_percents, resample_curve, threshold_curve

BRAIN = np.ones((4, 5, 6), dtype=bool)


IMAGE = np.arange(120.0).reshape(4, 5, 6)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from([(9, 11), (6, 7, 5)]), st.integers(1, 30), st.integers(0, 2**32 - 1), st.floats(0.1, 1))
def test_every_threshold_is_exceeded_by_exactly_the_right_share(shape, steps, seed, share):
    rng = np.random.default_rng(seed)
    image = rng.standard_normal(shape)
    brain = rng.random(shape) < share
    brain.flat[:2] = True
    masks, seen = [brain], []

    def reconstruct(image, mask):
        np.testing.assert_array_equal(mask, masks[-1])  # each pass hides what the last one left
        return image + rng.standard_normal(shape)

    def on_step(step, threshold, mask, error):
        np.testing.assert_array_equal(mask, brain & (error > threshold))
        masks.append(mask)
        seen.append((step, threshold, error))

    curve = threshold_curve(image, brain, reconstruct, steps, on_step=on_step)
    assert curve.shape == (steps,)
    assert [step for step, _, _ in seen] == list(range(steps))
    count = int(brain.sum())
    for step, threshold, error in seen:
        assert threshold == curve[step]
        assert (error[~brain] == 0).all()
        # A share of 1 − i/steps exceeds it, rounded down to whole voxels.
        assert (error[brain] > threshold).sum() == count * (steps - step - 1) // steps
    assert curve[-1] == seen[-1][2].max()
    assert not masks[-1].any()


def test_the_curve_of_constant_errors_is_their_quantile_at_every_percent():
    image, brain = tiny_brain((30, 30, 30))
    offsets = np.random.default_rng(0).standard_normal(image.shape).astype(np.float32)
    for steps in (10, 25, 100):
        curve = threshold_curve(image, brain, lambda image, mask: image + offsets, steps)
        percent = 100 * np.arange(1, steps + 1) / steps
        np.testing.assert_allclose(curve, np.percentile(offsets[brain] ** 2, percent), rtol=0.05, atol=1e-3)


def test_a_curve_without_steps_is_refused():
    with pytest.raises(ValueError, match="at least one step"):
        threshold_curve(IMAGE, BRAIN, lambda image, mask: image, 0)


@pytest.mark.parametrize(
    ("coarse", "focus", "shrink", "finest"),
    [(20.0, 80.0, 0.5**0.5, 0.3), (10.0, 90.0, 0.5, 1.0), (40.0, 80.0, 0.8, 2.0)],
)
def test_focused_percents_rise_to_100_and_reveal_the_same_share_at_every_late_point(coarse, focus, shrink, finest):
    percents = focused_percents(coarse, focus, shrink, finest)
    assert percents[0] == coarse
    assert percents[-1] == 100
    hidden = 100 - percents[:-1]
    late = hidden[hidden <= 100 - focus + 1e-9]
    np.testing.assert_allclose(late[1:], shrink * late[:-1], rtol=1e-3)
    np.testing.assert_allclose(np.diff(percents[percents <= focus]), coarse)
    assert finest <= hidden[-1] < finest / shrink


def smooth_case():
    """A lesion of 3 % in a brain whose errors do not depend on the mask."""
    rng = np.random.default_rng(0)
    normal, brain = rng.standard_normal((20, 20, 20)), np.ones((20, 20, 20), dtype=bool)
    image = normal + 0.1 * rng.standard_normal(normal.shape)
    image[:6, :6, :6] += 1 + rng.random((6, 6, 6))
    return image, brain, lambda _image, _mask: normal


def test_a_focused_curve_has_the_thresholds_of_an_even_one_where_masks_do_not_matter():
    image, brain, reconstruct = smooth_case()
    even = threshold_curve(image, brain, reconstruct, 400)
    percents = focused_percents()
    focused = threshold_curve(image, brain, reconstruct, percents=percents)
    assert len(focused) == len(percents) < 20
    read = resample_curve(percents, focused, 400)
    assert len(read) == 400
    assert (np.diff(read) >= 0).all()
    at_points = [4 * int(p) - 1 for p in (20, 40, 60, 80, 90, 95, 100)]
    np.testing.assert_allclose(read[at_points], even[at_points])
    near = 8  # two percent of the brain
    assert (read[:-near] <= even[near:]).all()
    assert (read[near:] >= even[:-near]).all()


@pytest.mark.parametrize("gamma", [0.2, 0.5])
def test_a_focused_curve_stops_where_an_even_one_does(gamma):
    image, brain, reconstruct = smooth_case()
    even = stop_threshold(threshold_curve(image, brain, reconstruct, 400), gamma)
    percents = focused_percents()
    focused = stop_threshold(
        resample_curve(percents, threshold_curve(image, brain, reconstruct, percents=percents), 400), gamma
    )
    assert even.crossed
    assert focused.crossed
    assert abs(focused.step - even.step) <= 4  # one percent of the brain


@pytest.mark.parametrize("percents", [[], [0.0, 100.0], [50.0], [50.0, 40.0, 100.0], [50.0, 50.0, 100.0]])
def test_percents_that_do_not_rise_to_100_are_refused(percents):
    rng = np.random.default_rng(0)
    image = rng.standard_normal((6, 6, 6))
    with pytest.raises(ValueError, match="rise"):
        threshold_curve(image, np.ones(image.shape), lambda x, mask: x, percents=np.array(percents))


def test_the_default_curve_ends_where_a_third_of_a_percent_is_hidden():
    percents = focused_percents()
    assert len(percents) == 17
    assert 0.3 <= 100 - percents[-2] < 0.3 / 0.5**0.5
    assert focused_percents(finest=0.05)[-2] > 99.9
