"""Bootstrap intervals: seeded, as wide as theory has them, and refused where there is none."""

import numpy as np
import pytest

from itermask.evaluation.intervals import AT_ONCE, auroc_interval, bootstrap_interval
from itermask.evaluation.ranking import auroc


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


def test_many_values_are_drawn_in_pieces_and_alike():
    values = np.random.default_rng(0).random(AT_ONCE // 3)
    rng = np.random.default_rng(1)
    means = [values[rng.integers(len(values), size=len(values))].mean() for _ in range(5)]
    found = bootstrap_interval(values, np.random.default_rng(1), 0.5, 5)
    assert found[1:] == pytest.approx(np.quantile(means, [0.25, 0.75]))


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
