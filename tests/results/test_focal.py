"""The focal score: more mask or more error never lowers it, and one large region counts more than scattered ones."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from itermask.results.focal import focal_limits, focal_score, high_level

masks = hnp.arrays(bool, (5, 5, 4), elements=st.booleans())


@given(masks, masks)
def test_whatever_is_added_to_a_mask_raises_the_score(one, other):
    error = np.random.default_rng(0).uniform(1, 5, one.shape)
    small, large = (focal_score(mask, error, 2.0, 0.1) for mask in (one, one | other))
    assert large >= small
    assert (large > small) == bool((other & ~one).any())


def test_one_region_counts_more_than_the_same_voxels_scattered():
    together, scattered = np.zeros((9, 9, 9), bool), np.zeros((9, 9, 9), bool)
    together[:2, :2, :2] = True
    scattered[::5, ::5, ::5] = True
    assert together.sum() == scattered.sum() == 8
    error = np.ones(together.shape)
    assert focal_score(together, error, 1.0, 1.0) == pytest.approx(8)
    assert focal_score(scattered, error, 1.0, 1.0) == pytest.approx(np.sqrt(8))


def test_an_empty_mask_scores_nothing():
    assert focal_score(np.zeros((3, 3, 3), bool), np.ones((3, 3, 3)), 1.0, 1.0) == 0


@given(st.lists(st.floats(0, 100), min_size=1, max_size=60))
def test_no_healthy_scan_is_outside_and_nearly_all_are_within(healthy):
    borderline, outside = focal_limits(healthy)
    assert 0 < borderline <= outside
    assert max(healthy) <= outside
    assert sum(value > borderline for value in healthy) <= 0.05 * len(healthy) + 1


def test_the_high_level_is_the_brains_own():
    error = np.arange(1000.0).reshape(10, 10, 10)
    brain = error < 500
    assert high_level(error, brain) == pytest.approx(np.percentile(np.arange(500), 99))
