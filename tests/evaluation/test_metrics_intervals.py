"""Bootstrap intervals: seeded, as wide as theory has them, and refused where there is none."""

import numpy as np
import pytest

from itermask.evaluation.metrics import intervals
from itermask.evaluation.metrics.intervals import Comparison, auroc_interval, bootstrap_interval, mean_auroc_interval
from itermask.evaluation.metrics.ranking import auroc


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


def test_many_values_are_drawn_in_pieces(monkeypatch):
    values = np.random.default_rng(0).random(500)
    whole = bootstrap_interval(values, np.random.default_rng(1), 0.9, 400)
    monkeypatch.setattr(intervals, "AT_ONCE", 1500)
    pieces = bootstrap_interval(values, np.random.default_rng(1), 0.9, 400)
    assert pieces == pytest.approx(whole, abs=0.005)


@pytest.mark.parametrize(
    ("values", "level", "repeats"), [([], 0.9, 9), ([float("nan")], 0.9, 9), ([1], 1, 9), ([1], 0.9, 0)]
)
def test_bootstrap_refuses_what_has_no_interval(values, level, repeats):
    with pytest.raises(ValueError, match=r"must be|missing"):
        bootstrap_interval(values, np.random.default_rng(0), level, repeats)
    with pytest.raises(ValueError, match=r"must be|missing"):
        auroc_interval([0.0, 1.0], values, np.random.default_rng(0), level, repeats)


def test_auroc_interval_is_that_of_resampling_each_kind_by_itself():
    rng = np.random.default_rng(0)
    healthy, anomalous = rng.normal(0, 1, 40).round(1), rng.normal(1, 1, 25).round(1)
    found = auroc_interval(healthy, anomalous, np.random.default_rng(1), 0.9, 1500)
    assert found == auroc_interval(healthy, anomalous, np.random.default_rng(1), 0.9, 1500)
    assert found.mean == pytest.approx(auroc(healthy, anomalous))
    areas = [auroc(rng.choice(healthy, 40), rng.choice(anomalous, 25)) for _ in range(400)]
    assert found[1:] == pytest.approx(np.quantile(areas, [0.05, 0.95]), abs=0.02)
    assert found.low < found.mean < found.high


def test_scans_in_perfect_order_have_no_spread():
    assert auroc_interval([0, 1], [2, 3], np.random.default_rng(0)) == (1.0, 1.0, 1.0)
    assert auroc_interval([1], [1], np.random.default_rng(0)) == (0.5, 0.5, 0.5)


def test_subjects_are_drawn_with_all_their_values():
    rng = np.random.default_rng(0)
    subjects = np.repeat(np.arange(15), 3)
    values = np.repeat(rng.normal(0, 1, 15), 3) + rng.normal(0, 0.1, 45)
    apart = bootstrap_interval(values, np.random.default_rng(1))
    together = bootstrap_interval(values, np.random.default_rng(1), subjects=subjects)
    assert together.mean == apart.mean == pytest.approx(values.mean())
    assert (together.high - together.low) == pytest.approx(np.sqrt(3) * (apart.high - apart.low), rel=0.2)
    of_means = bootstrap_interval(values.reshape(15, 3).mean(axis=1), np.random.default_rng(1))
    assert together == pytest.approx(of_means, abs=1e-12)
    assert bootstrap_interval([0.2, 0.6], np.random.default_rng(0), subjects=["a", "a"]) == (0.4, 0.4, 0.4)
    with pytest.raises(ValueError, match="do not fit"):
        bootstrap_interval([0.2, 0.6], np.random.default_rng(0), subjects=["a"])


def test_intervals_by_subject_cover_what_they_say():
    """45 scans of 15 subjects, most of whose spread is between subjects; drawn by scan 95 % covers about 0.75."""
    covered = {"scan": 0, "subject": 0}
    for seed in range(200):
        rng = np.random.default_rng(seed)
        values = np.repeat(rng.normal(0.7, 0.1, 15), 3) + rng.normal(0, 0.05, 45)
        for how, subjects in (("scan", None), ("subject", np.repeat(np.arange(15), 3))):
            _, low, high = bootstrap_interval(values, rng, repeats=300, subjects=subjects)
            covered[how] += low <= 0.7 <= high
    assert covered["scan"] / 200 < 0.85
    assert 0.87 < covered["subject"] / 200 <= 0.99


def test_few_healthy_scans_make_an_auroc_uncertain():
    """Five healthy scans against many: the spread comes from the five, which must be drawn too."""
    rng = np.random.default_rng(0)
    healthy, anomalous = [0.1, 0.9, 0.4, 0.6, 0.5], rng.uniform(0, 1, 400)
    found = auroc_interval(healthy, anomalous, np.random.default_rng(1))
    wins = (anomalous[:, None] > np.array(healthy)).mean(axis=0)
    spread = 1.96 * wins.std() / np.sqrt(5)
    assert found.high - found.low == pytest.approx(2 * spread, rel=0.15)
    other = auroc_interval(-anomalous, [-score for score in healthy], np.random.default_rng(1))
    assert other.high - other.low == pytest.approx(2 * spread, rel=0.15)


def test_a_subject_is_drawn_with_its_clean_and_its_corrupted_scan():
    """Scores that move with the subject: drawn together both sides shift alike, so the interval is narrower."""
    rng = np.random.default_rng(0)
    own = rng.normal(0, 1, 30)
    clean, corrupted, names = own, own + 0.7, list(range(30))
    paired = auroc_interval(
        clean, corrupted, np.random.default_rng(1), healthy_subjects=names, anomalous_subjects=names
    )
    apart = auroc_interval(clean, corrupted, np.random.default_rng(1))
    assert paired.mean == apart.mean
    assert paired.high - paired.low < 0.6 * (apart.high - apart.low)


def test_the_mean_of_several_areas_is_drawn_at_once():
    rng = np.random.default_rng(0)
    clean, names = rng.normal(0, 1, 20), list(range(20))
    comparisons = [Comparison(clean, clean + shift + rng.normal(0, 1, 20), names, names) for shift in (0.3, 0.6, 2.0)]
    mean, low, high = mean_auroc_interval(comparisons, np.random.default_rng(1))
    assert mean == pytest.approx(np.mean([auroc(one.healthy, one.anomalous) for one in comparisons]))
    alone = [mean_auroc_interval([one], np.random.default_rng(1)) for one in comparisons]
    assert low < mean < high
    assert high - low < max(one.high - one.low for one in alone)
    with pytest.raises(ValueError, match="nothing to compare"):
        mean_auroc_interval([], rng)
