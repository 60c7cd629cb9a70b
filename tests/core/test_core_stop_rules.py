"""The stop threshold: where a curve is left, whatever its length and its fit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from itermask.core.stop_rules import own_slope, stop_threshold

GAMMAS = (0.003, 0.01, 0.05, 0.1, 0.4)


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
    with_ball = 0.3 * np.tan(0.012 * percent)
    with_ball[85:] = 50 + percent[85:] ** 2  # no tangent goes through these
    stop = stop_threshold(with_ball, 0.01)
    assert stop.fitted
    assert stop.step == np.flatnonzero(0.3 * 0.012 / np.cos(0.012 * percent) ** 2 > 0.01)[0]
    assert not stop_threshold(with_ball, 0.01, fit_limit=1e9).fitted


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
