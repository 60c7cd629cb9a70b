"""The test-time procedure: thresholds that reveal the right share, the right stop, and masks that settle."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import tiny_brain

from itermask.core.error_maps import error_map
from itermask.core.refinement import MAX_PASSES, refine
from itermask.core.stop_rules import own_slope, stop_threshold
from itermask.core.threshold_curve import focused_percents, resample_curve, threshold_curve

GAMMAS = (0.003, 0.01, 0.05, 0.1, 0.4)


def dice(a, b):
    return 2 * (a & b).sum() / (a.sum() + b.sum())


# Phase 1: the threshold curve


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


def test_another_error_measure_is_used_for_curve_and_mask():
    image, brain = tiny_brain((12, 12))

    def absolute(image, reconstruction, brain):
        return np.where(brain, np.abs(image - reconstruction), 0)

    offsets = np.random.default_rng(0).standard_normal(image.shape)
    curve = threshold_curve(image, brain, lambda image, mask: image + offsets, 4, measure=absolute)
    np.testing.assert_allclose(curve[-1], np.abs(offsets[brain]).max(), rtol=1e-6)
    refined = refine(image, brain, lambda image, mask: image + offsets, curve[1], measure=absolute)
    np.testing.assert_array_equal(refined.mask, brain & (np.abs(offsets) > curve[1]))


# The stop threshold


@pytest.mark.parametrize("points", [20, 50, 100, 137])
@pytest.mark.parametrize(("a", "b"), [(0.05, 0.014), (0.3, 0.012), (1.0, 0.01), (0.5, 0.0155)])
def test_a_tangent_is_left_where_its_derivative_says(a, b, points):
    percent = 100 * np.arange(1, points + 1) / points
    crossings = set()
    for gamma in GAMMAS:
        stop = stop_threshold(a * np.tan(b * percent), gamma, tangent_alone=True)
        slope = a * b / np.cos(b * percent) ** 2  # the derivative, per percent whatever the number of points
        above = np.flatnonzero(slope > gamma)
        expected = above[0] if above.size else points - 1
        either = stop_threshold(a * np.tan(b * percent), gamma)
        assert expected - np.ceil(0.03 * points) <= either.step <= expected  # near the pole the curve's own is earlier
        assert stop.fitted
        assert stop.r_squared > 0.999
        assert stop.step == expected
        assert stop.crossed == bool(above.size)
        assert stop.value == a * np.tan(b * percent[expected])
        np.testing.assert_allclose(stop.slope, slope, rtol=0.01)
        crossings.add(stop.step)
    assert len(crossings) >= 2  # gamma matters


def test_points_from_the_first_above_the_limit_are_left_out_of_the_fit():
    percent = np.arange(1, 101)
    spoilt = 0.3 * np.tan(0.012 * percent)
    spoilt[85:] = 50 + percent[85:] ** 2  # no tangent goes through these
    stop = stop_threshold(spoilt, 0.01)
    assert stop.fitted
    assert stop.step == np.flatnonzero(0.3 * 0.012 / np.cos(0.012 * percent) ** 2 > 0.01)[0]
    assert not stop_threshold(spoilt, 0.01, fit_limit=1e9).fitted


def test_a_poor_fit_takes_the_smoothed_first_differences():
    curve = np.r_[np.full(90, 0.2), 0.2 + 3 * np.arange(1, 11)]
    stop = stop_threshold(curve, 0.5)
    assert not stop.fitted
    # 3 per percent from point 91 on: a centred average of 5 exceeds 0.5 when it holds one of them.
    assert stop.step == 88
    assert stop.crossed
    assert stop.value == 0.2
    assert stop_threshold(curve, 2.0).step == 91  # needs four of five


@settings(max_examples=30, deadline=None)
@given(st.integers(6, 60), st.integers(0, 2**32 - 1))
def test_the_moving_average_is_centred_and_of_five(points, seed):
    rises = np.random.default_rng(seed).uniform(0, 1, points) * np.linspace(1, 0.1, points) ** 3  # no tangent
    curve = 0.7 + np.cumsum(rises)
    stop = stop_threshold(curve, 0.2, window=500 / points)
    assert not stop.fitted
    own = np.diff(curve)
    own = np.r_[own[0], own] * points / 100  # before the first point nothing is known
    expected = [own[max(0, at - 2) : at + 3].mean() for at in range(points)]
    np.testing.assert_allclose(stop.slope, expected, atol=1e-12)


@pytest.mark.parametrize("window", [0.5, 1.25, 3.0, 5.0, 7.3])
def test_gamma_means_the_same_for_curves_of_any_length(window):
    """Points of one smooth curve: where the slope is averaged over as much of the brain, the stop is in one place."""
    places = []
    for points in (80, 100, 200, 400, 1000):
        percent = 100 * np.arange(1, points + 1) / points
        curve = 0.3 + 0.002 * percent + 2 * np.exp((percent - 100) / 1.5)
        stop = stop_threshold(curve, 0.3, window=window)
        assert not stop.fitted
        places.append(percent[stop.step])
    assert max(places) - min(places) <= 1.5 * 1.25  # a point and half a step of the shortest


def test_the_slope_by_hand():
    curve = np.array([1.0, 2.0, 4.0, 7.0])
    np.testing.assert_allclose(own_slope(curve, 1.0), np.array([1, 1, 2, 3]) / 25)  # a step at least
    np.testing.assert_allclose(own_slope(curve, 50.0)[1:3], [1.25 / 25, 2.0 / 25])  # half the neighbours' steps too
    np.testing.assert_allclose(own_slope(curve, 75.0), [2 / 50, 4 / 75, 6 / 75, 5 / 50])


@pytest.mark.parametrize("points", [20, 50, 100, 200])
def test_first_differences_are_per_percent(points):
    percent = 100 * np.arange(1, points + 1) / points
    curve = np.where(percent > 60, 0.5 * (percent - 60) ** 2, 0) + 0.2 * (percent > 20)  # no tangent
    stop = stop_threshold(curve, 20.0, fit_limit=1e9)
    assert not stop.fitted
    assert abs(percent[stop.step] - 80) <= 2.6 * 100 / points  # the slope is percent − 60: 20 at 80 %


@pytest.mark.parametrize("points", [5, 20, 100])
@pytest.mark.parametrize("level", [0.0, 0.4])
def test_a_curve_that_never_rises_takes_the_last_step(points, level):
    curve = level + 0.01 * (1 - np.exp(-np.arange(points))) + 1e-5 * np.arange(points)
    stop = stop_threshold(curve, gamma=0.02)
    assert not stop.crossed
    assert stop.step == points - 1
    assert stop.value == curve[-1]


def real_curve(seed, points=400):
    """A curve like those of real scans: flat, falling now and then by some percent, and steep at its end."""
    rng = np.random.default_rng(seed)
    percent = 100 * np.arange(1, points + 1) / points
    smooth = rng.uniform(0.02, 0.5) * np.tan(percent * rng.uniform(0.005, 0.0155))
    smooth += rng.uniform(0, 3) * np.exp((percent - 100) / rng.uniform(0.3, 4))
    passes = np.interp(percent, np.linspace(0, 100, 18), rng.uniform(-1, 1, 18))  # each pass draws its own noise
    return smooth * (1 + rng.uniform(0.1, 0.4) * passes)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([40, 100, 400]), st.booleans(), st.sampled_from([1.25, 5.0]))
def test_a_smaller_gamma_flags_more(seed, points, alone, window):
    curve = real_curve(seed, points)
    stops = [stop_threshold(curve, gamma, window=window, tangent_alone=alone) for gamma in 0.003 * 1.3 ** np.arange(36)]
    values = [stop.value for stop in stops]
    assert values == sorted(values)
    for stop in stops:
        assert stop.value == curve[: stop.step + 1].max()


def test_real_curves_fall():
    """Else the test above would be one of rising curves alone."""
    assert np.mean([(np.diff(real_curve(seed)) < 0).any() for seed in range(100)]) > 0.8


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-1, 2), min_size=1, max_size=60), st.lists(st.floats(1e-3, 3), min_size=2, max_size=4))
def test_a_larger_gamma_never_stops_earlier(increments, gammas):
    curve = np.cumsum(increments)
    stops = [stop_threshold(curve, gamma) for gamma in sorted(gammas)]
    for gamma, stop in zip(sorted(gammas), stops, strict=True):
        assert stop.value == curve[: stop.step + 1].max()
        assert stop.slope.shape == curve.shape
        assert not (stop.slope[: stop.step] > gamma).any()
        assert (stop.slope[stop.step] > gamma) == stop.crossed
        assert stop.crossed or stop.step == len(curve) - 1
    assert [stop.step for stop in stops] == sorted(stop.step for stop in stops)


@pytest.mark.parametrize("curve", [[], [[1.0, 2.0]], [1.0, np.nan], [1.0, np.inf]])
def test_a_curve_that_is_none_is_refused(curve):
    with pytest.raises(ValueError, match="finite"):
        stop_threshold(np.array(curve))


def test_a_steep_end_that_a_good_tangent_misses_is_found_by_differences():
    percent = np.arange(1, 101.0)
    curve = 0.3 * np.tan(0.008 * percent)
    curve[97:] += (11.0, 15.0, 30.0)  # above the fit limit
    tangent = stop_threshold(curve, gamma=0.004)
    assert tangent.fitted
    steep = stop_threshold(curve, gamma=0.3)
    assert steep.r_squared >= 0.85
    assert not steep.fitted
    assert steep.crossed
    assert 93 <= steep.step < 99
    alone = stop_threshold(curve, gamma=0.3, tangent_alone=True)  # as published: the last step
    assert (alone.fitted, alone.crossed, alone.step) == (True, False, 99)
    nowhere = stop_threshold(curve, gamma=50.0)
    assert (nowhere.fitted, nowhere.crossed, nowhere.step) == (True, False, 99)


@pytest.mark.parametrize("arguments", [{"gamma": 0}, {"gamma": np.nan}, {"fit_limit": -1.0}, {"window": 0.0}])
def test_a_sensitivity_that_is_none_is_refused(arguments):
    with pytest.raises(ValueError, match="positive"):
        stop_threshold(np.arange(1.0, 10.0), **arguments)


# Phase 2: refinement


def scripted(image, brain, sizes):
    """A reconstruction under which the mask has the given sizes, pass after pass, at threshold 1."""
    inside = np.flatnonzero(brain)
    remaining = iter(sizes)

    def reconstruct(image, mask):
        wrong = image.copy()
        wrong.flat[inside[: next(remaining)]] += 2
        wrong[~brain] += 100  # whatever it says outside the brain
        return wrong

    return reconstruct


@pytest.mark.parametrize(
    ("sizes", "min_shrink", "why"),
    [
        ([400, 200, 100, 100], 0.01, "no change"),
        ([400, 300, 298], 0.01, "a shrink of less than 1 %"),
        ([400, 300, 295], 0.02, "a shrink of less than 2 %"),
        ([400, 300, 301], 0.01, "growth"),
        ([400, 50, 0], 0.01, "an empty mask"),
        ([0], 0.01, "an empty mask at once"),
    ],
)
def test_refinement_stops(sizes, min_shrink, why):
    image, brain = tiny_brain((14, 14, 14))
    calls = []
    refined = refine(
        image, brain, scripted(image, brain, sizes), 1.0, None, min_shrink, on_pass=lambda *call: calls.append(call)
    )
    assert refined.trace == [brain.sum(), *sizes], why
    assert refined.passes == len(sizes)
    assert calls == list(enumerate(sizes, start=1))
    assert refined.settled
    assert refined.mask.sum() == sizes[-1]
    assert not (refined.mask & ~brain).any()
    assert (refined.error[~brain] == 0).all()


def test_a_shrink_of_exactly_the_limit_goes_on():
    image, brain = tiny_brain((14, 14, 14))
    assert refine(image, brain, scripted(image, brain, [400, 396, 396]), 1.0).passes == 3


def test_a_mask_that_keeps_shrinking_is_stopped():
    image, brain = tiny_brain((30, 30, 30))
    sizes = [int(brain.sum() * 0.97**n) for n in range(1, 200)]
    refined = refine(image, brain, scripted(image, brain, sizes), 1.0)
    assert refined.passes == MAX_PASSES
    assert not refined.settled


def test_the_last_pass_is_what_is_returned():
    image, brain = tiny_brain((10, 12))
    made = []

    def reconstruct(image, mask):
        made.append(np.where(mask, 0, image))
        return made[-1]

    refined = refine(image, brain, reconstruct, 1.0)
    assert refined.reconstruction is made[-1]
    np.testing.assert_array_equal(refined.error, error_map(image, made[-1], brain))
    np.testing.assert_array_equal(refined.mask, refined.error > 1.0)


def test_a_start_mask_counts_inside_the_brain_only():
    image, brain = tiny_brain((14, 14, 14))
    start = np.zeros(brain.shape, dtype=bool)
    start[:7] = True
    hidden = []

    def reconstruct(image, mask):
        hidden.append(mask)
        return image

    refined = refine(image, brain, reconstruct, 1.0, start)
    np.testing.assert_array_equal(hidden[0], start & brain)
    assert refined.trace == [(start & brain).sum(), 0]
    empty = refine(image, brain, reconstruct, 1.0, np.zeros_like(brain))
    assert (empty.passes, empty.settled) == (1, True)


@pytest.mark.parametrize("shape", [(64, 60), (30, 34, 28)])
@pytest.mark.parametrize("contrast", [-2.0, 2.0])
@pytest.mark.parametrize("steps", [40, 100])
def test_what_is_not_normal_is_found(shape, contrast, steps):
    normal, brain = tiny_brain(shape, seed=3)
    axes = np.meshgrid(*[np.arange(n) / n for n in shape], indexing="ij")
    lesion = brain & (sum((axis - 0.4) ** 2 for axis in axes) < 0.12**2)
    assert 0.01 < lesion.sum() / brain.sum() < 0.1
    image = np.where(lesion, normal + contrast, normal)
    rng = np.random.default_rng(0)

    def reconstruct(image, mask):
        """Knows what is normal where it sees nothing, and repeats what it sees."""
        noise = rng.standard_normal(shape)
        return np.where(mask, normal + 0.2 * noise, image + 0.01 * noise)

    stop = stop_threshold(threshold_curve(image, brain, reconstruct, steps), gamma=0.1)
    assert stop.crossed
    refined = refine(image, brain, reconstruct, stop.value)
    assert dice(refined.mask, lesion) > 0.95
    assert refined.trace[0] == brain.sum()
    assert len(refined.trace) == refined.passes + 1
    nothing = stop_threshold(threshold_curve(normal, brain, reconstruct, steps), gamma=0.5)
    assert not refine(normal, brain, reconstruct, nothing.value).mask.any()


# What cannot be worked on

BRAIN = np.ones((4, 5, 6), dtype=bool)
IMAGE = np.arange(120.0).reshape(4, 5, 6)
WRONG = {
    "the brain mask is empty": (IMAGE, ~BRAIN),
    "NaN or infinite": (np.where(IMAGE == 7, np.nan, IMAGE), BRAIN),
    "constant over the brain": (np.ones_like(IMAGE), BRAIN),
    "differ in shape": (IMAGE, BRAIN[:3]),
}


@pytest.mark.parametrize("message", WRONG)
def test_both_phases_refuse(message):
    image, brain = WRONG[message]
    with pytest.raises(ValueError, match=message):
        threshold_curve(image, brain, lambda image, mask: image)
    with pytest.raises(ValueError, match=message):
        refine(image, brain, lambda image, mask: image, 1.0)


def test_a_curve_without_steps_is_refused():
    with pytest.raises(ValueError, match="at least one step"):
        threshold_curve(IMAGE, BRAIN, lambda image, mask: image, 0)


def test_a_threshold_or_start_that_is_none_is_refused():
    with pytest.raises(ValueError, match="threshold is NaN"):
        refine(IMAGE, BRAIN, lambda image, mask: image, np.nan)
    with pytest.raises(ValueError, match="start mask"):
        refine(IMAGE, BRAIN, lambda image, mask: image, 1.0, BRAIN[:2])


@pytest.mark.parametrize(
    ("reconstruct", "message"),
    [(lambda image, mask: image[:3], "shape"), (lambda image, mask: image * np.nan, "NaN or infinite")],
)
def test_a_reconstruction_that_is_none_is_refused(reconstruct, message):
    with pytest.raises(ValueError, match=message):
        threshold_curve(IMAGE, BRAIN, reconstruct, 3)
    with pytest.raises(ValueError, match=message):
        refine(IMAGE, BRAIN, reconstruct, 1.0)


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
