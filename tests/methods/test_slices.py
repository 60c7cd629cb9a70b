"""Slices: training slices hold enough brain, and a network over slices gives back a whole volume."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import tiny_brain

from itermask.methods import TrainingVolume
from itermask.methods.slices import full_slices, into_volume, over_slices, random_slices, to_stack
from itermask.networks import BlockUNet
from itermask.runtime.torch_runtime import TorchRuntime

SHAPE = (16, 20, 13)


def volume(seed=0):
    image, brain = tiny_brain(SHAPE, seed)
    return TrainingVolume(np.stack([image, 2 * image]), brain, (1.0, 2.0, 3.0))


class Doubles:
    """A runtime whose network doubles the first channel; it remembers the batches' sizes."""

    description = "doubles"

    def __init__(self):
        self.sizes = []

    def batch(self, role, inputs):
        assert role == "any"
        assert inputs.dtype == np.float32
        self.sizes.append(len(inputs))
        return 2 * inputs[:, :1]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 20), st.floats(0.05, 1.0))
def test_training_slices_hold_enough_brain(seed, count, enough):
    whole = volume()
    parts = random_slices(whole, np.random.default_rng(seed), count, enough)
    assert len(parts) == count
    areas = whole.brain.sum(axis=(0, 1))
    for part in parts:
        assert part.images.shape == (2, *SHAPE[:2])
        assert part.brain.sum() >= enough * areas.max()
        assert part.spacing == (1.0, 2.0)
        indices = [at for at in range(SHAPE[2]) if np.array_equal(part.images, whole.images[..., at])]
        assert len(indices) == 1
        np.testing.assert_array_equal(part.brain, whole.brain[..., indices[0]])
    if count <= len(full_slices(whole.brain, enough)):
        assert len({part.images.tobytes() for part in parts}) == count  # none twice


def test_every_full_slice_is_drawn_in_time():
    whole = volume()
    rng = np.random.default_rng(0)
    drawn = {part.images.tobytes() for _ in range(60) for part in random_slices(whole, rng, 2)}
    assert len(drawn) == len(full_slices(whole.brain)) > 5


def test_the_same_seed_draws_the_same_slices():
    one, other = (random_slices(volume(), np.random.default_rng(3), 4) for _ in range(2))
    assert [part.images.tobytes() for part in one] == [part.images.tobytes() for part in other]


def test_slices_go_to_a_stack_and_back():
    rng = np.random.default_rng(0)
    values, held = rng.normal(size=(4, 5, 6)), np.array([1, 2, 5])
    stack = to_stack(values, held)
    assert stack.shape == (3, 4, 5)
    back = into_volume(stack + 1, held, values)
    np.testing.assert_array_equal(back[..., held], values[..., held] + 1)
    np.testing.assert_array_equal(back[..., [0, 3, 4]], values[..., [0, 3, 4]])


@pytest.mark.parametrize("batch", [1, 4, 100])
def test_a_volume_is_put_together_from_slices(batch):
    whole, runtime = volume(), Doubles()
    found = over_slices(runtime, "any", whole.images, whole.brain, batch)
    held = whole.brain.any(axis=(0, 1))
    assert 0 < held.sum() < SHAPE[2]
    np.testing.assert_array_equal(found[0][..., held], 2 * whole.images[0][..., held])
    assert found.shape == (1, *SHAPE)
    assert not found[..., ~held].any()
    assert sum(runtime.sizes) == held.sum()
    assert max(runtime.sizes) <= batch


def test_a_network_sees_every_slice_as_if_it_were_alone():
    torch.manual_seed(0)
    runtime = TorchRuntime({"any": BlockUNet(dims=2, in_channels=2, widths=[4, 8])}, "cpu", torch.float32)
    whole = volume()
    found = over_slices(runtime, "any", whole.images, whole.brain, 5)
    for at in full_slices(whole.brain):
        alone = runtime("any", np.ascontiguousarray(whole.images[..., at]))
        np.testing.assert_allclose(found[..., at], alone, atol=1e-5)


def test_a_brain_in_one_slice_is_enough():
    brain = np.zeros(SHAPE, dtype=bool)
    brain[3, 4, 5] = True
    assert full_slices(brain).tolist() == [5]
    images = np.ones((1, *SHAPE), dtype=np.float32)
    assert len(random_slices(TrainingVolume(images, brain, (1, 1, 1)), np.random.default_rng(0), 3)) == 3
    assert over_slices(Doubles(), "any", images, brain)[..., 5].all()


def test_an_empty_brain_is_refused():
    whole, nothing = volume(), np.zeros(SHAPE, dtype=bool)
    with pytest.raises(ValueError, match="the brain mask is empty"):
        random_slices(TrainingVolume(whole.images, nothing, whole.spacing), np.random.default_rng(0))
    with pytest.raises(ValueError, match="the brain mask is empty"):
        over_slices(Doubles(), "any", whole.images, nothing)
