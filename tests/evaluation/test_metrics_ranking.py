"""Ranking measures against counting pairs and trying every threshold."""

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from itermask.errors import MissingExtraError
from itermask.evaluation.metrics.ranking import (
    auprc,
    auprc_voxels,
    auroc,
    auroc_voxels,
    fpr_at_tpr,
    scan_detection,
    youden,
)

SCORES = st.lists(st.integers(-4, 4).map(float), min_size=1, max_size=12)


def naive_auroc(healthy, anomalous):
    pairs = [(h, a) for h in healthy for a in anomalous]
    return sum((a > h) + 0.5 * (a == h) for h, a in pairs) / len(pairs)


def naive_auprc(healthy, anomalous):
    """Precision at each threshold, weighted by the recall it adds."""
    area, before = 0.0, 0.0
    for threshold in sorted({*healthy, *anomalous}, reverse=True):
        true, false = (sum(score >= threshold for score in scores) for scores in (anomalous, healthy))
        recall = true / len(anomalous)
        area += (recall - before) * true / (true + false)
        before = recall
    return area


def naive_rates(healthy, anomalous):
    """False and true positive rates of every threshold, highest first."""
    return [
        tuple(float(np.mean([score >= threshold for score in scores])) for scores in (healthy, anomalous))
        for threshold in (np.inf, *sorted({*healthy, *anomalous}, reverse=True))
    ]


@given(healthy=SCORES, anomalous=SCORES, tpr=st.sampled_from([0.1, 0.5, 0.8, 0.9, 1.0]))
@settings(max_examples=80, deadline=None)
def test_scores_of_scans(healthy, anomalous, tpr):
    rates = naive_rates(healthy, anomalous)
    assert auroc(healthy, anomalous) == pytest.approx(naive_auroc(healthy, anomalous))
    assert auprc(healthy, anomalous) == pytest.approx(naive_auprc(healthy, anomalous))
    assert fpr_at_tpr(healthy, anomalous, tpr) == pytest.approx(min(false for false, true in rates if true >= tpr))
    best = youden(healthy, anomalous)
    assert best.value == pytest.approx(max(true - false for false, true in rates))
    flagged = [np.mean(np.array(scores) >= best.threshold) for scores in (healthy, anomalous)]
    assert flagged[1] - flagged[0] == pytest.approx(best.value)


@given(seed=st.integers(0, 2**32 - 1), levels=st.sampled_from([2, 5, 1000]), dtype=st.sampled_from(["f4", "f8", "i2"]))
@settings(max_examples=40, deadline=None)
def test_voxels_of_a_scan_are_ranked_like_scans(seed, levels, dtype):
    rng = np.random.default_rng(seed)
    error = rng.integers(levels, size=(4, 3, 5)).astype(dtype)
    label, brain = rng.random((2, 4, 3, 5)) < [[[[0.3]]], [[[0.7]]]]
    brain.flat[:2], label.flat[:2] = True, [True, False]
    missed = np.full((label & ~brain).sum(), -1, dtype)  # below all of the brain
    healthy, anomalous = error[brain & ~label], np.concatenate([error[brain & label], missed])
    assert auroc_voxels(error, label, brain) == pytest.approx(naive_auroc(healthy, anomalous))
    assert auprc_voxels(error, label, brain) == pytest.approx(naive_auprc(healthy, anomalous))


def test_where_the_label_fills_or_misses_the_brain():
    error, brain = np.arange(6.0), np.array([1, 1, 1, 1, 0, 0], dtype=bool)
    nothing, outside = np.zeros(6, dtype=bool), ~brain
    assert np.isnan(auroc_voxels(error, nothing, brain))
    assert np.isnan(auprc_voxels(error, nothing, brain))
    assert auroc_voxels(error, outside, brain) == 0.0
    assert auprc_voxels(error, outside, brain) == pytest.approx(2 / 6)
    assert np.isnan(auroc_voxels(error, brain, brain))
    assert auprc_voxels(error, brain, brain) == 1.0


def test_a_map_that_says_nothing():
    label, brain = np.arange(8) < 2, np.ones(8, dtype=bool)
    assert auroc_voxels(np.zeros(8), label, brain) == 0.5
    assert auprc_voxels(np.zeros(8), label, brain) == 0.25


def test_a_label_voxel_outside_the_brain_is_missed_whatever_its_error():
    error, label = np.array([0.9, 0.8, 0.7, 0.1, np.nan]), np.array([1, 0, 1, 0, 1], dtype=bool)
    brain = np.array([1, 1, 1, 1, 0], dtype=bool)
    assert auprc_voxels(error, label, brain) == pytest.approx((1 + 2 / 3 + 3 / 5) / 3)
    assert auroc_voxels(error, label, brain) == pytest.approx(3 / 6)
    assert auroc_voxels(error, label & brain, brain) == pytest.approx(3 / 4)


@pytest.mark.parametrize("measure", [auroc_voxels, auprc_voxels])
def test_maps_that_do_not_fit_are_refused(measure):
    error, label, brain = np.arange(4.0), np.arange(4) < 2, np.ones(4, dtype=bool)
    with pytest.raises(ValueError, match="shapes"):
        measure(error, label[:-1], brain)
    with pytest.raises(ValueError, match="empty"):
        measure(error, label, ~brain)
    with pytest.raises(ValueError, match="NaN"):
        measure(np.where(label, np.nan, error), label, brain)


def test_one_kind_of_scan_alone_is_undefined():
    for healthy, anomalous in (([], [1.0]), ([1.0], []), ([], [])):
        assert all(np.isnan(value) for value in scan_detection(healthy, anomalous).values())
    for measure in (auroc, auprc, youden, scan_detection):
        with pytest.raises(ValueError, match="NaN"):
            measure([1.0, float("nan")], [2.0])
    for tpr in (0, 1.1, float("nan")):
        with pytest.raises(ValueError, match="tpr"):
            fpr_at_tpr([1.0], [2.0], tpr)


def test_all_measures_of_scans_by_hand():
    found = scan_detection([0, 1, 2, 3, 9], [4, 5, 6, 7, 2.5])
    assert found == pytest.approx(
        {"auroc": 19 / 25, "auprc": found["auprc"], "fpr_at_80": 0.2, "fpr_at_90": 0.4, "youden": 0.6,
         "youden_threshold": 4.0}
    )  # fmt: skip
    assert found["auprc"] == pytest.approx(naive_auprc([0, 1, 2, 3, 9], [4, 5, 6, 7, 2.5]))
    assert youden([5.0, 6.0], [1.0, 2.0]) == (0.0, float("inf"))


def test_without_scikit_learn_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    for measure in (auroc, auprc, youden):
        with pytest.raises(MissingExtraError, match=r"itermask\[evaluation\]"):
            measure([0.0], [1.0])
    for measure in (auroc_voxels, auprc_voxels):
        with pytest.raises(MissingExtraError, match=r"itermask\[evaluation\]"):
            measure(np.arange(2.0), np.array([False, True]), np.ones(2, dtype=bool))


def test_label_voxels_outside_the_brain_count_as_missed():
    """As they do for the best threshold and for Dice: a label that lies half outside cannot be ranked perfectly."""
    brain = np.ones((4, 10), bool)
    brain[:, :2] = False
    label = np.zeros_like(brain)
    label[0, :4] = True  # two voxels outside, two inside
    error = np.where(label, 5.0, np.linspace(0, 1, 40).reshape(4, 10))
    assert auroc_voxels(error, label, brain) == pytest.approx(0.5)  # two of four above all, two below all
    inside = label & brain
    assert auroc_voxels(error, inside, brain) == 1
    assert auprc_voxels(error, inside, brain) == 1
    assert auprc_voxels(error, label, brain) == pytest.approx(0.5 + 0.5 * 4 / 34)
    outside = label & ~brain
    assert auroc_voxels(error, outside, brain) == 0
