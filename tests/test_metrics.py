"""Metrics against their definitions, counted by hand or by brute force."""

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from itermask.errors import MissingExtraError
from itermask.evaluation.metrics import (
    auprc_voxels,
    auroc,
    best_shared_threshold,
    best_threshold_dice,
    bootstrap_interval,
    dice,
    precision,
    sensitivity,
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


def test_counts_by_hand():
    prediction = np.array([1, 1, 1, 0, 0, 0], dtype=bool)
    label = np.array([1, 0, 0, 1, 0, 0], dtype=bool)
    assert dice(prediction, label) == pytest.approx(2 / 5)
    assert precision(prediction, label) == pytest.approx(1 / 3)
    assert sensitivity(prediction, label) == pytest.approx(1 / 2)


def test_undefined_cases_are_as_documented():
    empty, some = np.zeros((2, 3), dtype=bool), np.eye(2, 3, dtype=bool)
    assert dice(empty, empty) == 1.0
    assert dice(some, empty) == 0.0
    assert dice(empty, some) == 0.0
    assert np.isnan(precision(empty, some))
    assert precision(some, empty) == 0.0
    assert np.isnan(sensitivity(some, empty))
    assert sensitivity(empty, some) == 0.0


@given(seed=SEEDS)
@settings(max_examples=30, deadline=None)
def test_dice_is_symmetric_and_the_harmonic_mean_of_the_other_two(seed):
    one, other = np.random.default_rng(seed).random((2, 40)) < 0.4
    one[0] = other[0] = True
    p, s = precision(one, other), sensitivity(one, other)
    assert dice(one, other) == dice(other, one) == pytest.approx(2 * p * s / (p + s))
    assert dice(one, one) == 1.0
    assert precision(one, other) == sensitivity(other, one)


@pytest.mark.parametrize("measure", [dice, precision, sensitivity])
def test_masks_of_different_shapes_are_refused(measure):
    with pytest.raises(ValueError, match="shapes"):
        measure(np.ones((2, 3), dtype=bool), np.ones((3, 2), dtype=bool))


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
    for measure in (best_threshold_dice, auprc_voxels):
        with pytest.raises(ValueError, match="shapes"):
            measure(error, label[:-1], brain)
        with pytest.raises(ValueError, match="empty"):
            measure(error, label, np.zeros_like(brain))
        with pytest.raises(ValueError, match="NaN"):
            measure(np.where(brain, np.nan, error), label, brain)


@given(seed=SEEDS)
@settings(max_examples=20, deadline=None)
def test_auroc_is_the_share_of_pairs_in_order(seed):
    pytest.importorskip("sklearn")
    rng = np.random.default_rng(seed)
    healthy, anomalous = rng.integers(6, size=7).astype(float), rng.integers(2, 8, size=5).astype(float)
    difference = anomalous[:, None] - healthy
    expected = np.mean((difference > 0) + 0.5 * (difference == 0))
    assert auroc(healthy, anomalous) == pytest.approx(expected)
    assert auroc(anomalous, healthy) == pytest.approx(1 - expected)


def test_auroc_of_one_class_is_nan_and_of_nan_is_refused():
    assert np.isnan(auroc([], [1.0]))
    assert np.isnan(auroc([1.0], []))
    with pytest.raises(ValueError, match="NaN"):
        auroc([1.0, float("nan")], [2.0])


def test_auprc_by_hand():
    pytest.importorskip("sklearn")
    error = np.array([0.9, 0.8, 0.7, 0.1, 5.0])
    label = np.array([True, False, True, False, False])
    brain = np.array([True, True, True, True, False])
    assert auprc_voxels(error, label, brain) == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)
    assert auprc_voxels(np.zeros(5), label, brain) == pytest.approx(0.5)
    assert np.isnan(auprc_voxels(error, np.zeros(5, dtype=bool), brain))
    assert auprc_voxels(error, np.ones(5, dtype=bool), brain) == 1.0


def test_without_scikit_learn_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(MissingExtraError, match=r"itermask\[evaluation\]"):
        auroc([0.0], [1.0])
    with pytest.raises(MissingExtraError, match=r"itermask\[evaluation\]"):
        auprc_voxels(np.arange(2.0), np.array([False, True]), np.ones(2, dtype=bool))


def test_bootstrap_interval_is_close_to_the_normal_one_and_seeded():
    values = np.random.default_rng(0).normal(5, 2, 100)
    first, again = (bootstrap_interval(values, np.random.default_rng(1)) for _ in range(2))
    assert first == again
    half = 1.96 * values.std() / np.sqrt(len(values))
    assert first.mean == pytest.approx(values.mean())
    assert first.low == pytest.approx(values.mean() - half, abs=0.15 * half)
    assert first.high == pytest.approx(values.mean() + half, abs=0.15 * half)


def test_bootstrap_interval_widens_with_its_level():
    values = np.random.default_rng(0).random(20)
    narrow, wide = (bootstrap_interval(values, np.random.default_rng(1), level, 500) for level in (0.5, 0.99))
    assert wide.low < narrow.low < narrow.mean < narrow.high < wide.high
    assert bootstrap_interval([0.4], np.random.default_rng(0), repeats=10) == (0.4, 0.4, 0.4)


@pytest.mark.parametrize(
    ("values", "level", "repeats"), [([], 0.9, 9), ([float("nan")], 0.9, 9), ([1], 1, 9), ([1], 0.9, 0)]
)
def test_bootstrap_refuses_what_has_no_interval(values, level, repeats):
    with pytest.raises(ValueError, match=r"must be|missing"):
        bootstrap_interval(values, np.random.default_rng(0), level, repeats)
