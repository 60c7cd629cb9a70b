"""Surface distance against all pairs of surface voxels."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from itermask.evaluation.metrics.surface import assd, surface

SHAPE = (5, 4, 6)
EMPTY, FULL = np.zeros(SHAPE, dtype=bool), np.ones(SHAPE, dtype=bool)
ONE, BORDER, BALL = EMPTY.copy(), EMPTY.copy(), EMPTY.copy()
ONE[2, 2, 3] = True
BORDER[:, 0, :2] = True
BALL[1:4, 1:3, 1:5] = True
CASES = {"full": FULL, "one": ONE, "border": BORDER, "box": BALL}


def naive_surface(mask):
    """Voxel centres whose neighbour through some face is off the mask or off the array."""
    found = []
    for index in zip(*np.nonzero(mask), strict=True):
        for axis, step in itertools.product(range(mask.ndim), (-1, 1)):
            beside = list(index)
            beside[axis] += step
            if not 0 <= beside[axis] < mask.shape[axis] or not mask[tuple(beside)]:
                found.append(index)
                break
    return np.array(found, dtype=float).reshape(-1, mask.ndim)


def naive_assd(one, other, spacing):
    first, second = (naive_surface(mask) * spacing for mask in (one, other))
    apart = np.linalg.norm(first[:, None] - second[None], axis=-1)
    return np.concatenate([apart.min(axis=1), apart.min(axis=0)]).mean()


@given(data=st.data(), shape=array_shapes(min_dims=2, max_dims=3, max_side=5), seed=st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_any_two_masks_on_any_grid(data, shape, seed):
    one, other = (data.draw(arrays(bool, shape)) for _ in range(2))
    one.flat[0] = other.flat[-1] = True
    spacing = np.random.default_rng(seed).uniform(0.3, 4, len(shape))
    assert assd(one, other, spacing) == pytest.approx(naive_assd(one, other, spacing))
    assert assd(one, other, spacing) == pytest.approx(assd(other, one, spacing))
    assert assd(one, one, spacing) == 0
    assert assd(one, other, 3 * spacing) == pytest.approx(3 * assd(one, other, spacing))


@pytest.mark.parametrize(("one", "other"), itertools.product(CASES, repeat=2))
def test_degenerate_masks(one, other):
    spacing = (1.0, 2.5, 0.5)
    assert assd(CASES[one], CASES[other], spacing) == pytest.approx(naive_assd(CASES[one], CASES[other], spacing))


def test_two_voxels_are_as_far_apart_as_their_centres_in_mm():
    one, other = EMPTY.copy(), EMPTY.copy()
    one[0, 0, 0] = other[1, 2, 3] = True
    assert assd(one, other, (3.0, 2.0, 1.0)) == pytest.approx(np.sqrt(3**2 + 4**2 + 3**2))


def test_it_does_not_matter_how_much_empty_space_there_is():
    wide = [np.pad(mask, 3) for mask in (ONE, BALL)]
    assert assd(*wide, (1, 2, 3)) == pytest.approx(assd(ONE, BALL, (1, 2, 3)))


def test_an_empty_mask_has_no_surface():
    for one, other in ((EMPTY, EMPTY), (EMPTY, FULL), (FULL, EMPTY)):
        assert np.isnan(assd(one, other, (1, 1, 1)))
    assert not surface(EMPTY).any()
    assert surface(FULL).sum() == FULL.size - 3 * 2 * 4


@pytest.mark.parametrize("spacing", [(1, 1), (1, 1, 0), (1, 1, -1), (1, 1, float("nan")), (1, 1, float("inf"))])
def test_a_grid_without_size_is_refused(spacing):
    with pytest.raises(ValueError, match="spacing"):
        assd(ONE, BALL, spacing)


def test_masks_of_different_shapes_are_refused():
    with pytest.raises(ValueError, match="shapes"):
        assd(ONE, BALL[1:], (1, 1, 1))
