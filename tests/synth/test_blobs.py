"""Blobs: smooth, in the brain only, of either sign, and the same for the same seed."""

import numpy as np
import pytest

from itermask.synth.blobs import CONTRAST, add_blob

BRAIN = np.hypot(*np.meshgrid(np.arange(-32, 32), np.arange(-32, 32))) < 26
IMAGE = np.where(BRAIN, np.random.default_rng(9).normal(1, 0.05, BRAIN.shape), 0).astype(np.float32)


@pytest.mark.parametrize("seed", range(20))
def test_only_the_brain_changes_and_something_does(seed):
    with_ball = add_blob(IMAGE, BRAIN, np.random.default_rng(seed))
    assert (with_ball.shape, with_ball.dtype) == (IMAGE.shape, np.float32)
    np.testing.assert_array_equal(with_ball[~BRAIN], IMAGE[~BRAIN])
    assert np.abs(with_ball - IMAGE).max() > 0.05
    assert np.abs(with_ball - IMAGE).max() < 4 * CONTRAST[1]  # texture included


def test_the_seed_says_all():
    once, again, other = (add_blob(IMAGE, BRAIN, np.random.default_rng(seed)) for seed in (3, 3, 4))
    np.testing.assert_array_equal(once, again)
    assert (once != other).any()


def test_most_are_bright_and_some_are_dark():
    changes = [(add_blob(IMAGE, BRAIN, np.random.default_rng(seed)) - IMAGE).sum() for seed in range(60)]
    assert 0.5 < np.mean(np.array(changes) > 0) < 0.9


def test_volumes_too():
    brain = np.zeros((16, 18, 14), bool)
    brain[2:14, 2:16, 2:12] = True
    image = brain.astype(np.float32)
    with_ball = add_blob(image, brain, np.random.default_rng(0))
    assert (with_ball != image).any()
    np.testing.assert_array_equal(with_ball[~brain], 0)
