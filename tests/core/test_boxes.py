"""Boxes about masks, and counts around voxels."""

import numpy as np
import pytest
from scipy import ndimage

from itermask.core.boxes import box_of, count_around


@pytest.mark.parametrize("seed", range(5))
def test_the_box_holds_the_mask_and_nothing_less_does(seed):
    rng = np.random.default_rng(seed)
    mask = np.zeros((9, 12, 7), bool)
    mask[tuple(rng.integers(0, mask.shape, (3, 3)).T)] = True
    box = box_of(mask)
    assert mask[box].sum() == mask.sum()
    assert box == ndimage.find_objects(mask.view(np.uint8))[0]
    for axis in range(3):
        assert mask[box].take(0, axis).any()
        assert mask[box].take(-1, axis).any()


def test_an_empty_mask_has_no_box():
    with pytest.raises(ValueError, match="empty"):
        box_of(np.zeros((3, 3, 3), bool))


@pytest.mark.parametrize("widths", [(1, 1, 1), (3, 5, 7), (13, 13, 13), (5, 1, 31)])
@pytest.mark.parametrize("shape", [(20, 17, 9), (4, 30, 6)])
def test_counts_are_those_of_a_mean_filter(widths, shape):
    mask = np.random.default_rng(1).random(shape) > 0.6
    counts = count_around(mask, widths)
    mean = ndimage.uniform_filter(mask.astype(np.float64), widths)
    assert np.array_equal(counts, np.rint(mean * np.prod(widths)))
    assert counts.shape == shape


def test_counts_of_a_large_box_do_not_overflow():
    assert count_around(np.ones((60, 60, 60), bool), (51, 51, 51)).max() == 51**3
