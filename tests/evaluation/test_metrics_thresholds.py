"""Thresholds chosen with the labels in sight, against trying all of them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from itermask.evaluation.metrics import thresholds
from itermask.evaluation.metrics.overlap import dice
from itermask.evaluation.metrics.thresholds import (
    best_shared_threshold,
    best_threshold_dice,
    rank_errors,
    shared_threshold,
)

SEEDS = st.integers(0, 2**32 - 1)


def case(seed, shape=(5, 6, 4), levels=None, dtype=np.float32):
    """Random errors (with ties if `levels` is given), a label that goes with them, and a brain."""
    rng = np.random.default_rng(seed)
    error = rng.random(shape) if levels is None else rng.integers(levels, size=shape) / levels
    label = error + rng.normal(0, 0.3, shape) > 0.8
    brain = rng.random(shape) < 0.8
    brain.flat[0] = True
    return error.astype(dtype), label, brain


def flagged(error, threshold, brain):
    return (error > threshold) & brain


@given(seed=SEEDS, levels=st.sampled_from([None, 3, 10]), dtype=st.sampled_from([np.float32, np.float64]))
@settings(max_examples=40, deadline=None)
def test_best_threshold_is_the_best_of_all_and_reproduces_its_dice(seed, levels, dtype):
    error, label, brain = case(seed, levels=levels, dtype=dtype)
    best = best_threshold_dice(error, label, brain)
    assert dice(flagged(error, best.threshold, brain), label) == pytest.approx(best.dice)
    every = [-1.0, *np.unique(error[brain])]
    assert best.dice == pytest.approx(max(dice(flagged(error, t, brain), label) for t in every))


def test_best_threshold_at_its_ends():
    error = np.array([[[0.1, 0.2, 0.3]]], dtype=np.float32)
    brain = np.ones(error.shape, dtype=bool)
    all_label = best_threshold_dice(error, brain, brain)
    assert all_label.dice == 1.0
    assert all_label.threshold < error.min()
    no_label = best_threshold_dice(error, ~brain, brain)
    assert no_label.dice == 1.0
    assert no_label.threshold == error.max()


def test_label_outside_the_brain_counts_as_missed_and_error_there_is_ignored():
    error = np.array([9.0, 1.0, 0.0, np.nan])
    brain = np.array([False, True, True, False])
    label = np.array([True, True, False, False])
    assert best_threshold_dice(error, label, brain).dice == pytest.approx(2 / 3)


@given(seed=SEEDS, count=st.integers(1, 4), levels=st.sampled_from([None, 4]))
@settings(max_examples=25, deadline=None)
def test_shared_threshold_is_exact_on_small_sets(seed, count, levels):
    cases = [case(seed + i, levels=levels) for i in range(count)]
    errors, labels, brains = zip(*cases, strict=True)
    shared = best_shared_threshold(errors, labels, brains)
    again = [dice(flagged(e, shared.threshold, b), label) for e, label, b in cases]
    np.testing.assert_allclose(shared.dice, again)
    every = np.unique(np.concatenate([e[b] for e, _, b in cases]))
    means = [np.mean([dice(flagged(e, t, b), label) for e, label, b in cases]) for t in [-1.0, *every]]
    assert shared.dice.mean() == pytest.approx(max(means))
    single = [best_threshold_dice(*one).dice for one in cases]
    assert (shared.dice <= np.array(single) + 1e-12).all()


def test_shared_threshold_finds_a_small_lesion_in_large_scans():
    errors, labels, brains = [], [], []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        error = rng.exponential(1, (30, 40, 30)).astype(np.float32)
        label = np.zeros(error.shape, dtype=bool)
        label[10:13, 10:14, 10:13] = True
        error[label] += 100
        errors.append(error), labels.append(label), brains.append(np.ones(error.shape, dtype=bool))
    shared = best_shared_threshold(errors, labels, brains)
    assert shared.dice.tolist() == [1.0, 1.0, 1.0]
    assert 5 < shared.threshold < 100


def test_shared_threshold_is_one_for_all_scans():
    brain = np.ones((4,), dtype=bool)
    label = np.array([False, False, True, True])
    shared = best_shared_threshold(
        [np.array([0, 1, 2, 3.0]), np.array([10, 11, 12, 13.0])], [label, label], [brain] * 2
    )
    assert shared.dice.tolist() == pytest.approx([1.0, 2 / 3])
    assert shared.threshold == 1.0


def test_scans_that_do_not_fit_are_refused():
    error, label, brain = case(0)
    with pytest.raises(ValueError, match="do not fit"):
        best_shared_threshold([error], [label, label], [brain])
    with pytest.raises(ValueError, match="do not fit"):
        best_shared_threshold([], [], [])
    with pytest.raises(ValueError, match="no scans"):
        shared_threshold([])
    with pytest.raises(ValueError, match="shapes"):
        best_threshold_dice(error, label[:-1], brain)
    with pytest.raises(ValueError, match="empty"):
        best_threshold_dice(error, label, np.zeros_like(brain))
    with pytest.raises(ValueError, match="NaN"):
        best_threshold_dice(np.where(brain, np.nan, error), label, brain)


@given(seed=SEEDS, levels=st.sampled_from([None, 1, 2, 6]))
@settings(max_examples=40, deadline=None)
def test_sorted_errors_give_the_dice_of_every_threshold(seed, levels):
    error, label, brain = case(seed, levels=levels)
    tried = np.array([-1.0, *np.unique(error), *np.random.default_rng(seed).random(5), 2.0])
    expected = [dice(flagged(error, threshold, brain), label) for threshold in tried]
    np.testing.assert_allclose(rank_errors(error, label, brain).dice(tried), expected)


def test_a_background_of_one_value_takes_no_room():
    error = np.zeros((20, 20, 20), dtype=np.float32)
    error[5:8, 5:8, 5:8] = np.arange(27).reshape(3, 3, 3) + 1
    scan = rank_errors(error, error > 9, np.ones(error.shape, dtype=bool))
    assert len(scan.errors) == 28
    assert scan.more_lowest == error.size - 28
    assert shared_threshold([scan]).dice.tolist() == [1.0]


def test_with_too_many_errors_to_pool_the_threshold_is_still_close(monkeypatch):
    cases = [case(seed, shape=(20, 20, 20)) for seed in range(3)]
    exact = best_shared_threshold(*zip(*cases, strict=True))
    monkeypatch.setattr(thresholds, "POOLED", 900)
    close = best_shared_threshold(*zip(*cases, strict=True))
    assert close.dice.mean() <= exact.dice.mean()
    assert close.dice.mean() == pytest.approx(exact.dice.mean(), abs=0.005)
