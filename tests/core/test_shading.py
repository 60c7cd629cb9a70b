"""Shading: a coil's uneven sensitivity against what is expected, whatever the contrast."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from itermask.core.shading import shading

SHAPE, SPACING = (48, 56, 48), (2.0, 2.0, 2.0)


def head(seed=0):
    """Two tissues in folds and a ball-shaped brain."""
    rng = np.random.default_rng(seed)
    folds = ndimage.gaussian_filter(rng.standard_normal(SHAPE), 2)
    grid = np.stack(np.meshgrid(*[np.linspace(-1, 1, n) for n in SHAPE], indexing="ij"))
    return np.where(folds > 0, 100.0, 60.0), (grid**2).sum(0) < 0.9, grid


def test_a_scan_as_expected_is_even_and_its_unit_does_not_count():
    image, brain, grid = head()
    lit = image * np.exp(0.3 * grid[0])
    assert shading(image, image, brain, SPACING) == 0
    assert shading(7 * lit, 7 * image, brain, SPACING) == pytest.approx(shading(lit, image, brain, SPACING))


@settings(max_examples=15, deadline=None)
@given(slope=st.floats(0.05, 0.5), axis=st.integers(0, 2))
def test_it_rises_with_the_slope_of_the_coil(slope, axis):
    image, brain, grid = head()
    weak, strong = (shading(image * np.exp(s * grid[axis]), image, brain, SPACING) for s in (slope, 1.5 * slope))
    assert 0.5 * slope < weak < 2 * slope
    assert strong > weak


def test_voxels_of_another_size_measure_the_same():
    image, brain, grid = head()
    lit = image * np.exp(0.3 * grid[1])
    fine = [np.repeat(np.repeat(np.repeat(one, 2, 0), 2, 1), 2, 2) for one in (lit, image, brain)]
    assert shading(*fine, (1.0, 1.0, 1.0)) == pytest.approx(shading(lit, image, brain, SPACING), rel=0.02)


def test_what_is_left_out_does_not_count():
    image, brain, grid = head()
    lesion = ((grid - 0.2) ** 2).sum(0) < 0.08
    sick = np.where(lesion, 0.3 * image, image)
    assert shading(sick, image, brain & ~lesion, SPACING) < 0.01
    assert shading(sick, image, brain, SPACING) > 0.02


def test_what_cannot_be_measured_is_nan():
    image, brain, _ = head()
    few = np.zeros(SHAPE, bool)
    few[20:24, 20:24, 20:24] = True
    for where, level in ((np.zeros(SHAPE, bool), 1.0), (few, 1.0), (brain, 0.0)):
        assert np.isnan(shading(level * image, level * image, where, SPACING))
