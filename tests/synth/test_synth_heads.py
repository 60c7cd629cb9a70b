"""Made-up heads: what is known of them stays true, and the same seed gives the same head."""

import numpy as np
import pytest

from itermask.synth.heads import BESIDE, ZONES, Kind, draw_head, head_of


@pytest.fixture(scope="module")
def head():
    x, y, z = np.meshgrid(*[np.linspace(-1, 1, 48)] * 3, indexing="ij")
    radius = np.sqrt(x**2 + y**2 + z**2)
    groups = np.where(radius < 0.55, np.where(radius < 0.3, 9, 3), 0)
    image = np.select([radius < 0.3, radius < 0.55, radius < 0.65, radius < 0.9], [100, 60, 5, 120], 0)
    return head_of(image + np.random.default_rng(0).random(image.shape), groups, (3.0, 3.0, 3.0))


def test_a_head_has_air_brain_and_what_lies_around(head):
    assert head.image.max() > 100
    assert {0, 3, 9, BESIDE} <= set(np.unique(head.regions).tolist()) <= {0, 3, 9, *range(BESIDE, BESIDE + len(ZONES))}


def test_the_same_seed_gives_the_same_example(head):
    first, second = (draw_head(head, (32, 32, 32), 5.0, np.random.default_rng(3)) for _ in range(2))
    assert np.array_equal(first.image, second.image)
    assert np.array_equal(first.brain, second.brain)


@pytest.mark.parametrize("seed", range(12))
def test_every_example_is_finite_and_empty_beyond_its_field_of_view(head, seed):
    example = draw_head(head, (32, 32, 32), 5.0, np.random.default_rng(seed))
    assert np.isfinite(example.image).all()
    assert not example.image[~example.view].any()
    assert example.brain.min() >= 0
    assert example.brain.max() <= 1


def test_a_stripped_example_holds_nothing_but_brain(head):
    kind = Kind(stripped=1.0, cut=0.0, scanner=0.0)
    example = draw_head(head, (32, 32, 32), 5.0, np.random.default_rng(0), kind)
    assert not example.image[example.brain == 0].any()
    assert set(np.unique(example.brain).tolist()) == {0.0, 1.0}


def test_a_head_without_a_brain_is_refused():
    with pytest.raises(ValueError, match="needs a brain"):
        head_of(np.ones((8, 8, 8)), np.zeros((8, 8, 8), int), (2.0, 2.0, 2.0))
