"""Scores against the healthy range: percentiles, limits, the verdict and its reasons."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_profile import healthy

from itermask.core.profile import fit_profiles
from itermask.results.scoring import PROFILE_SCORE, all_scores, compare_scores, limits, verdict
from itermask.types import UNKNOWN, VERDICTS, Detection

WITHIN, BORDERLINE, OUTSIDE = VERDICTS
positive = st.lists(st.floats(1e-4, 10), min_size=4, max_size=40)


def detection(mask_size=0.01, profile=None):
    nothing = np.zeros((2, 2, 2))
    scores = {"mask_size": mask_size, "mean_error": 0.3}
    return Detection(nothing > 0, nothing, nothing, scores, profile or {}, 0.5)


def calibration(profiles):
    fitted = fit_profiles(profiles)
    distances = [fitted.distance(profile) for profile in profiles]
    return {
        "healthy": {"mask_size": [0.0, 0.002, 0.004, 0.008], PROFILE_SCORE: distances},
        "profile": fitted.to_json(),
        "default_score": PROFILE_SCORE,
    }


def test_without_calibration_there_are_values_only():
    compared, profile, default = compare_scores(detection(profile={"level": 1.0}), {})
    assert compared == {"mask_size": {"value": 0.01}, "mean_error": {"value": 0.3}}
    assert profile == {"level": {"value": 1.0}}
    assert default == "mask_size"
    assert verdict(compared, {}) == (UNKNOWN, [])


def test_scores_are_placed_among_healthy_scans():
    profiles = healthy(20)
    known = calibration(profiles)
    compared, profile, default = compare_scores(detection(0.004, profiles[3]), known)
    assert compared["mask_size"] == {
        "value": 0.004,
        "percentile": 50.0,
        "healthy_median": pytest.approx(0.003),
        "healthy_p95": pytest.approx(np.percentile([0, 0.002, 0.004, 0.008], 95)),
    }
    assert compared["mean_error"] == {"value": 0.3}  # no healthy values of this one
    assert default == PROFILE_SCORE
    fitted = fit_profiles(profiles)
    assert compared[PROFILE_SCORE]["value"] == pytest.approx(fitted.distance(profiles[3]))
    for name, z in fitted.standardise(profiles[3]).items():
        assert profile[name] == {"value": profiles[3][name], "z": pytest.approx(z)}


def test_a_scan_without_a_profile_falls_back_on_the_mask_size():
    known = calibration(healthy(10))
    assert PROFILE_SCORE not in all_scores(detection(), known)
    assert compare_scores(detection(), known)[2] == "mask_size"


@settings(max_examples=50, deadline=None)
@given(positive, st.floats(0, 20), st.floats(0, 20))
def test_percentile_and_verdict_never_fall_as_the_score_rises(values, one, other):
    known = {"healthy": {"mask_size": values}}
    lower, higher = (compare_scores(detection(value), known)[0] for value in sorted((one, other)))
    assert 0 <= lower["mask_size"]["percentile"] <= higher["mask_size"]["percentile"] <= 100
    assert VERDICTS.index(verdict(lower, known)[0]) <= VERDICTS.index(verdict(higher, known)[0])


@settings(max_examples=50, deadline=None)
@given(positive)
def test_limits_leave_the_healthy_within(values):
    borderline, outside = limits(values)
    assert borderline == pytest.approx(np.percentile(values, 95))
    assert outside >= borderline
    known = {"healthy": {"mask_size": values}}
    verdicts = [verdict(compare_scores(detection(value), known)[0], known)[0] for value in values]
    assert verdicts.count(WITHIN) >= 0.94 * len(values) - 1


def test_outside_begins_two_interquartile_ranges_above_on_logarithms():
    values = np.exp(np.linspace(0, 1, 101))  # quartiles at e^0.25 and e^0.75
    borderline, outside = limits(values.tolist())
    assert borderline == pytest.approx(np.exp(0.95))
    assert outside == pytest.approx(np.exp(0.75 + 2 * 0.5))


def test_one_odd_healthy_scan_does_not_move_the_outer_limit():
    values = [1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7, 1.8, 1.9, 2.0] * 3
    assert limits([*values, 21.0])[1] < 1.2 * limits(values)[1]


def test_healthy_masks_that_are_all_empty_make_any_mask_stand_out():
    known = {"healthy": {"mask_size": [0.0] * 8}}
    assert verdict(compare_scores(detection(0.0), known)[0], known) == (WITHIN, [])
    assert verdict(compare_scores(detection(0.01), known)[0], known) == (OUTSIDE, ["mask_size"])


def test_the_verdict_is_the_worst_and_names_its_scores():
    known = {"healthy": {"mask_size": [0.001, 0.002, 0.003, 0.004], PROFILE_SCORE: [0.9, 1.0, 1.1, 1.2]}}

    def say(mask_size, distance):
        return verdict({"mask_size": {"value": mask_size}, PROFILE_SCORE: {"value": distance}}, known)

    assert say(0.002, 1.0) == (WITHIN, [])
    assert say(0.0041, 1.0) == (BORDERLINE, ["mask_size"])
    assert say(0.0041, 30.0) == (OUTSIDE, [PROFILE_SCORE])
    assert say(0.5, 30.0) == (OUTSIDE, [PROFILE_SCORE, "mask_size"])
