"""Overlap against counting voxel by voxel, and where it is undefined."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from itermask.evaluation.metrics.overlap import dice, jaccard, precision, sensitivity

EMPTY, FULL = np.zeros((2, 3, 2), dtype=bool), np.ones((2, 3, 2), dtype=bool)
ONE, CORNER = EMPTY.copy(), EMPTY.copy()
ONE[1, 1, 0] = CORNER[0, 0, 0] = True


def naive(prediction, label):
    """Dice, Jaccard, precision and sensitivity from sets of voxels."""
    p, t = ({index for index in np.ndindex(mask.shape) if mask[index]} for mask in (prediction, label))
    both, either = len(p & t), len(p | t)
    nan = float("nan")
    return (
        2 * both / (len(p) + len(t)) if either else 1.0,
        both / either if either else 1.0,
        both / len(p) if p else nan,
        both / len(t) if t else nan,
    )


def measured(prediction, label):
    return tuple(measure(prediction, label) for measure in (dice, jaccard, precision, sensitivity))


@given(data=st.data(), shape=array_shapes(max_dims=3, max_side=4))
@settings(max_examples=60, deadline=None)
def test_any_two_masks(data, shape):
    one, other = (data.draw(arrays(bool, shape)) for _ in range(2))
    assert measured(one, other) == pytest.approx(naive(one, other), nan_ok=True)
    assert dice(one, other) == dice(other, one)
    assert jaccard(one, other) == pytest.approx(dice(one, other) / (2 - dice(one, other)))
    np.testing.assert_equal(precision(one, other), sensitivity(other, one))


@pytest.mark.parametrize(("one", "other"), itertools.product([EMPTY, FULL, ONE, CORNER], repeat=2))
def test_degenerate_masks(one, other):
    assert measured(one, other) == pytest.approx(naive(one, other), nan_ok=True)


def test_undefined_cases_are_as_documented():
    assert measured(EMPTY, EMPTY) == pytest.approx((1, 1, np.nan, np.nan), nan_ok=True)
    assert measured(EMPTY, FULL) == pytest.approx((0, 0, np.nan, 0), nan_ok=True)
    assert measured(FULL, EMPTY) == pytest.approx((0, 0, 0, np.nan), nan_ok=True)


def test_counts_by_hand():
    prediction, label = np.array([1, 1, 1, 0, 0, 0]), np.array([1, 0, 0, 1, 0, 0])
    assert measured(prediction, label) == pytest.approx((2 / 5, 1 / 4, 1 / 3, 1 / 2))


@pytest.mark.parametrize("measure", [dice, jaccard, precision, sensitivity])
def test_masks_of_different_shapes_are_refused(measure):
    with pytest.raises(ValueError, match=r"prediction \(2, 3\), label \(3, 2\)"):
        measure(np.ones((2, 3), dtype=bool), np.ones((3, 2), dtype=bool))
