"""The healthy-profile distance: about 1 for healthy scans, large for others, the same after a card's round trip."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from itermask.core.profile import (
    CURVE_PERCENTS,
    ERROR_PERCENTS,
    FLOOR,
    HealthyProfiles,
    error_profile,
    fit_profiles,
    profile_features,
)

NAMES = tuple(f"feature_{number}" for number in range(8))


def healthy(count, seed=0):
    """Profiles with strongly correlated features of different scale."""
    rng = np.random.default_rng(seed)
    common = rng.standard_normal((count, 1))
    values = 0.9 * common + 0.4 * rng.standard_normal((count, len(NAMES)))
    return [dict(zip(NAMES, row, strict=True)) for row in values * np.linspace(0.1, 2, len(NAMES)) - 3]


def moved(profile, by):
    return profile | {name: profile[name] + by.get(name, 0) for name in profile}


@pytest.mark.parametrize("points", [10, 20, 50, 100])
def test_features_are_logarithms_of_error_levels(points):
    rng = np.random.default_rng(0)
    curve = np.cumsum(rng.uniform(0.1, 1, points))
    hidden, visible = rng.exponential(2.0, 5000), rng.exponential(0.1, 5000)
    features = profile_features(curve, hidden, visible)
    assert len(features) == len(CURVE_PERCENTS) + 4
    for percent in CURVE_PERCENTS:
        assert np.exp(features[f"curve_{percent}"]) == pytest.approx(curve[points * percent // 100 - 1])
    assert np.exp(features["hidden_mean"]) == pytest.approx(hidden.mean())
    assert np.exp(features["hidden_median"]) == pytest.approx(np.median(hidden))
    assert np.exp(features["hidden_p99"]) == pytest.approx(np.percentile(hidden, 99))
    assert np.exp(features["visible_mean"]) == pytest.approx(visible.mean())


def test_features_of_one_error_map_are_logarithms_of_its_levels():
    errors = np.random.default_rng(0).exponential(2.0, 5000)
    features = error_profile(errors)
    assert np.exp(features["mean_error"]) == pytest.approx(errors.mean())
    for percent in ERROR_PERCENTS:
        above = np.mean(errors > np.exp(features[f"error_percentile_{percent}"]))
        assert above == pytest.approx(1 - percent / 100, abs=1e-3)
    assert len(features) == len(ERROR_PERCENTS) + 1
    shuffled = error_profile(np.random.default_rng(1).permutation(errors))
    assert shuffled == pytest.approx(features)
    doubled = error_profile(2 * errors)
    np.testing.assert_allclose([doubled[name] - features[name] for name in features], np.log(2))


def test_errors_of_zero_have_a_floor():
    features = profile_features(np.zeros(10), np.zeros(5), np.zeros(5))
    assert set(features.values()) == set(error_profile(np.zeros(5)).values()) == {np.log(FLOOR)}


@settings(max_examples=25, deadline=None)
@given(st.floats(0.01, 100))
def test_scaling_the_errors_moves_every_feature_by_the_logarithm(factor):
    rng = np.random.default_rng(1)
    parts = np.cumsum(rng.uniform(0.1, 1, 20)), rng.exponential(2, 500), rng.exponential(1, 500)
    before, after = profile_features(*parts), profile_features(*[factor * part for part in parts])
    np.testing.assert_allclose([after[name] - before[name] for name in before], np.log(factor), atol=1e-9)


def test_distances_of_other_healthy_scans_are_about_one():
    fitted = fit_profiles(healthy(60))
    distances = [fitted.distance(profile) for profile in healthy(300, seed=1)]
    assert 0.7 < np.median(distances) < 1.3
    assert np.percentile(distances, 99) < 3


def test_a_shift_against_the_correlation_stands_out_more_than_one_along_it():
    fitted = fit_profiles(healthy(60))
    centre = dict(zip(fitted.names, fitted.centre, strict=True))
    assert fitted.distance(centre) == 0
    spread = dict(zip(fitted.names, fitted.spread, strict=True))
    along = moved(centre, spread)
    against = moved(centre, {name: spread[name] * (-1) ** number for number, name in enumerate(NAMES)})
    assert fitted.distance(against) > 2 * fitted.distance(along)
    assert fitted.standardise(along) == pytest.approx(dict.fromkeys(NAMES, 1.0))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(-3, 3), min_size=8, max_size=8), st.floats(1, 20))
def test_distance_grows_in_proportion_to_the_departure(direction, factor):
    fitted = fit_profiles(healthy(30))
    centre = dict(zip(fitted.names, fitted.centre, strict=True))
    once = fitted.distance(moved(centre, dict(zip(NAMES, direction, strict=True))))
    many = fitted.distance(moved(centre, {n: factor * d for n, d in zip(NAMES, direction, strict=True)}))
    assert many == pytest.approx(factor * once, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_one_odd_scan_among_the_healthy_hides_no_other(seed):
    scans = healthy(29, seed)
    alone = fit_profiles(scans)
    first, second = (9 * alone.spread[NAMES.index(name)] for name in NAMES[5:7])
    odd = moved(scans[0], {NAMES[5]: first, NAMES[6]: -second})
    centre = dict(zip(alone.names, alone.centre, strict=True))
    like_it = moved(centre, {NAMES[5]: -first / 3, NAMES[6]: second / 3})
    unlike_it = moved(centre, {NAMES[0]: 5 * alone.spread[0]})
    both = fit_profiles([*scans, odd])
    # Unbounded, the odd scan would leave less than 0.48 of the first distance.
    assert both.distance(like_it) > 0.5 * alone.distance(like_it)
    assert both.distance(unlike_it) > 0.8 * alone.distance(unlike_it)


def test_a_feature_that_never_varies_does_not_divide_by_zero():
    scans = [profile | {"still": 1.0} for profile in healthy(5)]
    fitted = fit_profiles(scans)
    assert np.isfinite(fitted.distance(scans[0]))
    assert fitted.distance(scans[0] | {"still": 2.0}) > 10


def test_the_order_of_scans_and_features_does_not_matter():
    scans = healthy(12)
    shuffled = [dict(reversed(list(profile.items()))) for profile in reversed(scans)]
    probe = healthy(1, seed=9)[0]
    assert fit_profiles(shuffled).distance(probe) == pytest.approx(fit_profiles(scans).distance(probe))


def test_json_round_trip_gives_the_same_distances():
    fitted = fit_profiles(healthy(10))
    again = HealthyProfiles.from_json(json.loads(json.dumps(fitted.to_json())))
    for profile in healthy(5, seed=3):
        assert again.distance(profile) == fitted.distance(profile)
        assert again.standardise(profile) == fitted.standardise(profile)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_too_few_scans_are_refused(count):
    with pytest.raises(ValueError, match="at least 3"):
        fit_profiles(healthy(count))
