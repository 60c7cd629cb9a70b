"""Matched thresholds flag what they should of healthy brains, and what is found there is what a mask there finds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from itermask.evaluation.matched import flagged_share, matched_measures, matched_thresholds, paired_gain


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.lists(st.integers(1, 300), min_size=1, max_size=5), st.floats(0.001, 0.9))
def test_no_more_is_flagged_than_wanted_and_one_voxel_more_would_be_too_many(seed, sizes, share):
    rng = np.random.default_rng(seed)
    errors = [rng.gamma(1.0, size=size) for size in sizes]
    threshold = matched_thresholds(errors, [share])[0]
    assert flagged_share(errors, threshold) <= share + 1e-6
    everything = np.concatenate(errors)
    assert threshold in everything
    assert flagged_share(errors, np.nextafter(threshold, -np.inf)) > share - 1e-6


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.1, 10), st.floats(-5, 5))
def test_only_the_order_of_errors_counts(seed, scale, offset):
    rng = np.random.default_rng(seed)
    errors = [rng.normal(size=200) for _ in range(3)]
    shares = [0.01, 0.1, 0.5]
    changed = matched_thresholds([scale * one + offset for one in errors], shares)
    np.testing.assert_allclose(changed, scale * matched_thresholds(errors, shares) + offset, atol=1e-9)
    assert (np.diff(changed) <= 0).all()


def test_every_subject_counts_the_same():
    quiet, loud = np.zeros(1000), np.ones(10)
    assert flagged_share([quiet, loud], 0.5) == pytest.approx(0.5)
    assert flagged_share([quiet, loud, loud], 0.5) == pytest.approx(2 / 3)
    assert flagged_share([quiet, loud, loud], 0.5, ["a", "b", "b"]) == pytest.approx(0.5)
    ramp = np.arange(100.0)
    one, twice = (
        matched_thresholds([ramp, 10 * ramp, *more], [0.2], names)[0]
        for more, names in (([], ["a", "b"]), ([10 * ramp], ["a", "b", "b"]))
    )
    assert one == twice


def test_a_map_that_is_flat_flags_less_rather_than_more():
    flat = np.array([0.0] * 95 + [1.0] * 5)
    assert matched_thresholds([flat], [0.01, 0.05, 0.2]).tolist() == [1.0, 0.0, 0.0]
    assert [flagged_share([flat], threshold) for threshold in (1.0, 0.0)] == [0.0, 0.05]


def test_what_is_found_is_what_a_mask_finds():
    brain = np.ones((10, 10, 10), bool)
    brain[0] = False
    lesion, error = np.zeros_like(brain), np.zeros(brain.shape)
    lesion[2:4, 2:4, 2:4] = True
    lesion[0, 0, 0] = True  # outside the brain: missed
    error[2:4, 2:4, 2] = 5.0  # half of the first
    error[7, 7, 7] = error[9, 0, 0] = 4.0  # two false ones
    error[0] = 9.0  # not processed
    found = matched_measures(error, lesion, brain, (1.0, 2.0, 3.0), 1.0)
    assert found == pytest.approx({
        "dice": 2 * 4 / (6 + 9),
        "sensitivity": 4 / 9,
        "lesions_found": 0.5,
        "lesions_false": 2.0,
        "false_ml": 2 * 6 / 1000,
    })  # fmt: skip
    assert matched_measures(error, lesion, brain, (1.0, 2.0, 3.0), 4.0)["lesions_false"] == 0
    empty = matched_measures(error, np.zeros_like(lesion), brain, (1.0, 1.0, 1.0), 1.0)
    assert np.isnan(empty["lesions_found"])


def test_gains_are_paired_and_drawn_by_subject():
    rng = np.random.default_rng(0)
    other = {(f"s{n // 3}", str(n)): float(v) for n, v in enumerate(rng.random(30))}
    mine = {key: value + 0.1 for key, value in other.items()}
    gain = paired_gain(mine | {("x", "0"): 1.0}, other, np.random.default_rng(1))
    np.testing.assert_allclose(gain, 0.1)  # however much scans differ, and what only one has does not count
    by_person = {key: value + (0.2 if key[0] < "s5" else 0.0) for key, value in other.items()}
    wide = paired_gain(by_person, other, np.random.default_rng(1))
    alone = paired_gain(
        {(key[1], "0"): value for key, value in by_person.items()},
        {(key[1], "0"): value for key, value in other.items()},
        np.random.default_rng(1),
    )
    assert wide.high - wide.low > 1.3 * (alone.high - alone.low)
    assert np.isnan(paired_gain({}, other, np.random.default_rng(1)).mean)


def test_what_cannot_be_matched_is_refused():
    for errors, shares in (([], [0.1]), ([np.ones(0)], [0.1]), ([np.array([1.0, np.nan])], [0.1])):
        with pytest.raises(ValueError, match=r"missing|NaN"):
            matched_thresholds(errors, shares)
    for shares in ([], [0.0], [1.0]):
        with pytest.raises(ValueError, match="between 0 and 1"):
            matched_thresholds([np.ones(5)], shares)
