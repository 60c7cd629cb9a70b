"""Distortion: a bright lobe beside a dark one, and nothing else."""

import numpy as np
import pytest
from scipy import ndimage

from itermask.core.distortion import distortion
from itermask.synth.artifacts import corrupt

SHAPE, SPACING = (56, 64, 56), (2.0, 2.0, 2.0)


@pytest.fixture(scope="module")
def head():
    """Two tissues in folds in a ball-shaped brain, and the same with noise."""
    rng = np.random.default_rng(0)
    folds = ndimage.gaussian_filter(rng.standard_normal(SHAPE), 2)
    grid = np.stack(np.meshgrid(*[np.linspace(-1, 1, n) for n in SHAPE], indexing="ij"))
    brain = (grid**2).sum(0) < 0.9
    expected = np.where(brain, np.where(folds > 0, 100.0, 60.0), 0)
    return expected * np.exp(0.15 * rng.standard_normal(SHAPE)), expected, brain


def ball(centre, radius=10):
    return sum((np.arange(n).reshape([-1 if a == b else 1 for b in range(3)]) - c) ** 2
               for a, (n, c) in enumerate(zip(SHAPE, centre, strict=True))) < (radius / 2) ** 2  # fmt: skip


def test_two_lobes_near_each_other_count_and_one_does_not(head):
    image, expected, brain = head
    clean = distortion(image, expected, brain, SPACING)
    bright, dark, far = ball((24, 16, 28)), ball((33, 16, 28)), ball((28, 54, 28))
    assert distortion(image * np.where(bright, 1.5, 1), expected, brain, SPACING) < 1.3 * clean
    assert distortion(image * np.where(dark, 0.6, 1), expected, brain, SPACING) < 1.3 * clean
    apart = distortion(image * np.where(bright, 1.5, 1) * np.where(far, 0.6, 1), expected, brain, SPACING)
    beside = distortion(image * np.where(bright, 1.5, 1) * np.where(dark, 0.6, 1), expected, brain, SPACING)
    assert beside > max(2 * clean, 2 * apart)


def test_the_simulated_artifact_raises_it_more_the_stronger_it_is(head):
    image, expected, brain = head
    values = [
        distortion(corrupt(image, "susceptibility", severity, 3, 1, brain, SPACING).image, expected, brain, SPACING)
        for severity in (1.0, 5.0, 8.0)
    ]
    assert values == sorted(values)
    assert values[-1] > 1.3 * values[0]


def test_what_cannot_be_measured_is_nan_and_what_is_expected_is_0(head):
    _, expected, brain = head
    assert np.isnan(distortion(expected, expected, np.zeros(SHAPE, bool), SPACING))
    assert np.isnan(distortion(0 * expected, expected, brain, SPACING))
    assert distortion(expected, expected, brain, SPACING) == 0
