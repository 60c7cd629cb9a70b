"""The published procedure, written a second time: it and the default path must find the same."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import tiny_brain

from itermask.core.guidance import high_frequency
from itermask.core.masks import brain_crop
from itermask.core.stop_rules import stop_threshold
from itermask.methods import build_method
from itermask.methods.itermask3d import IterMask3D
from itermask.methods.itermask3d.detection import reconstructor
from itermask.methods.reference.itermask3d import (
    PUBLISHED_GRID,
    reference_curve,
    reference_detection,
    reference_guidance,
    reference_reconstruct,
    reference_refine,
    reference_step,
)
from itermask.networks import build_network
from itermask.runtime.torch_runtime import TorchRuntime
from itermask.training.config import read_config
from itermask.types import Prepared

SPACING = (2.0, 2.0, 2.0)
SIZES = st.tuples(*[st.integers(3, 9)] * 3)


def prepared(shape=(20, 24, 20), box=(32, 32, 32), divisor=8, seed=0):
    """A made head with a bright ball, off the middle of a box, as a model would get it."""
    image, brain = tiny_brain(shape, seed)
    x, y, z = np.meshgrid(*[np.arange(size) for size in shape], indexing="ij")
    ball = ((x - 8) ** 2 + (y - 10) ** 2 + (z - 12) ** 2 < 9) & brain
    margins = [(edge - size - 2, 2) for edge, size in zip(box, shape, strict=True)]
    image = np.pad(np.where(ball, 6.0, image), margins, constant_values=-3).astype(np.float32)
    return Prepared(image, np.pad(brain, margins), SPACING, None, (0.0, 1.0), divisor=divisor)


def network(mask_channel=True):
    """A small U-Net of random weights that processes all its inputs."""
    torch.manual_seed(0)
    channels = 3 if mask_channel else 2
    return build_network("block-unet", {"in_channels": channels, "widths": [4, 8], "group_size": 4}).eval()


# The whole procedure


@pytest.mark.parametrize(("mask_channel", "gamma"), [(True, 0.05), (False, 0.2)])
def test_the_default_path_at_the_published_settings_finds_what_the_reference_finds(mask_channel, gamma):
    published = read_config(None, preset="itermask3d-published").method_settings
    method = build_method("itermask3d", published | {"mask_channel": mask_channel})
    scan, net = prepared(), network(mask_channel)
    runtime = TorchRuntime({"reconstruction": network(mask_channel)}, "cpu", torch.float32)
    search = method.explore(scan, runtime, np.random.default_rng(3))
    found = method.finalize(search, {"gamma": gamma})

    rng = np.random.default_rng(3)
    reconstruct = reference_reconstruct(net, reference_guidance(scan.image, SPACING), rng, mask_channel)
    curve = reference_curve(scan.image, scan.brain, reconstruct)
    np.testing.assert_allclose(search.curve, curve, rtol=1e-3)
    step = reference_step(curve, gamma)
    assert step == found.trace["step"] < 99  # something stands out
    reconstruct(scan.image, scan.brain)  # the default path's one pass with nothing hidden, for the profile
    threshold = curve[: step + 1].max()  # ours never lies below an earlier point of a curve that falls
    mask, error, reconstruction, passes = reference_refine(scan.image, scan.brain, reconstruct, threshold)
    assert found.threshold == pytest.approx(threshold, rel=1e-3)
    assert passes == found.trace["passes"]
    assert mask.any()
    assert np.count_nonzero(mask != found.mask) <= 0.002 * scan.brain.sum()  # rounding, at the threshold
    np.testing.assert_allclose(found.reconstruction, reconstruction, atol=5e-2)
    assert np.median(np.abs(found.error - error)[scan.brain]) < 1e-4


def test_both_phases_together_and_the_limit():
    scan = prepared()
    guidance = reference_guidance(scan.image, SPACING)

    def reconstruct():
        return reference_reconstruct(network(), guidance, np.random.default_rng(0), True)

    free = reference_detection(scan.image, scan.brain, reconstruct(), 0.05, steps=20)
    again = reference_detection(scan.image, scan.brain, reconstruct(), 0.05, steps=20)
    assert np.array_equal(free.mask, again.mask)
    assert free.threshold == free.curve[free.step]
    assert free.passes > 20
    bulk = free.curve[15]
    limited = reference_detection(scan.image, scan.brain, reconstruct(), 1e9, steps=20, threshold_limit=2.0)
    assert limited.step == 19
    assert limited.threshold == pytest.approx(2 * bulk)


def test_where_nothing_can_be_reconstructed_better_nothing_stands_out():
    """The authors' code flags everything where the slope never exceeds gamma; here nothing is."""
    scan = prepared()
    found = reference_detection(scan.image, scan.brain, lambda image, mask: image + 0.5, 0.01, steps=10)
    assert found.step == 9
    assert not found.mask.any()
    np.testing.assert_allclose(found.curve, 0.25, rtol=1e-5)


def test_the_published_box_and_network():
    assert PUBLISHED_GRID.spacing == (1, 1, 1)
    assert PUBLISHED_GRID.box == (192, 192, 192)
    torch.manual_seed(0)
    net = build_network("reference-unet-3d", {}).eval()
    scan = prepared()
    plain = reference_reconstruct(net, reference_guidance(scan.image, SPACING), np.random.default_rng(0))
    runtime = TorchRuntime({"reconstruction": net}, "cpu", torch.float32)
    method = IterMask3D(mask_channel=False)
    default = reconstructor(method, scan, runtime, np.random.default_rng(0))
    np.testing.assert_allclose(plain(scan.image, scan.brain), default(scan.image, scan.brain), atol=1e-3)


# Its parts


@settings(deadline=None)
@given(SIZES, st.tuples(*[st.floats(0.5, 4)] * 3), st.integers(0, 99))
def test_the_guidance_is_the_same_by_half_and_by_full_transform(shape, spacing, seed):
    image = np.random.default_rng(seed).uniform(-3, 3, shape).astype(np.float32)
    np.testing.assert_allclose(reference_guidance(image, spacing), high_frequency(image, spacing), atol=1e-4)


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 9999), st.sampled_from([20, 100]), st.floats(0.003, 3))
def test_the_step_is_the_same_on_rising_curves(seed, points, gamma):
    rng = np.random.default_rng(seed)
    percent = 100 * np.arange(1, points + 1) / points
    curve = rng.uniform(0.01, 0.5) * np.tan(percent * rng.uniform(0.001, 0.0155))
    curve = np.sort(curve + rng.choice([0, 0.02, 0.2]) * rng.random(points) * curve.max())
    published = stop_threshold(curve, gamma, window=500 / points, tangent_alone=True)
    assert reference_step(curve, gamma) == published.step
    assert stop_threshold(curve, gamma, window=500 / points).step <= published.step  # the earlier of both slopes


@pytest.mark.parametrize("curve", [[20.0, 21.0, 22.0, 40.0], [11.0] * 50])
def test_a_curve_that_begins_above_the_limit_takes_its_differences(curve):
    curve = np.array(curve)
    published = stop_threshold(curve, 0.3, window=500 / curve.size, tangent_alone=True)
    assert reference_step(curve, 0.3) == published.step


# The brain's part of the box


@settings(deadline=None)
@given(SIZES, st.integers(1, 4), st.integers(0, 999))
def test_the_crop_holds_the_brain_and_suits_the_network(parts, divisor, seed):
    rng = np.random.default_rng(seed)
    shape = tuple(part * divisor for part in parts)
    brain = rng.random(shape) < 0.02
    brain[tuple(rng.integers(size) for size in shape)] = True
    crop = brain_crop(brain, divisor)
    assert brain[crop].sum() == brain.sum()
    for part, size in zip(crop, shape, strict=True):
        assert 0 <= part.start < part.stop <= size
        assert (part.stop - part.start) % divisor == 0
        assert part.stop - part.start >= 2 * divisor


def test_no_crop_where_the_divisor_is_not_known_or_there_is_no_brain():
    whole = (slice(None),) * 3
    assert brain_crop(np.ones((4, 4, 4), bool), 0) == whole
    assert brain_crop(np.zeros((4, 4, 4), bool), 2) == whole


class Local:
    """A runtime whose network sees a voxel's channels only, so that a crop must change nothing."""

    description = "local"

    def __init__(self):
        self.shapes = []

    def __call__(self, role, inputs):
        self.shapes.append(inputs.shape)
        return (inputs * np.float32([[[[1.0]]], [[[0.5]]], [[[0.25]]]])).sum(axis=0, keepdims=True)


def test_a_crop_saves_work_and_keeps_noise_and_guidance():
    scan, masks, found = prepared(box=(48, 40, 40)), [], []
    for crop in (False, True):
        runtime = Local()
        method = IterMask3D(crop=crop, focused=False, steps=20)
        detection = method.detect(scan, runtime, np.random.default_rng(0), {"gamma": 0.2})
        masks.append(detection.mask)
        found.append((set(runtime.shapes), detection))
    (whole, first), (cropped, second) = found
    assert whole == {(3, *scan.image.shape)}
    ((_, *edges),) = cropped
    assert np.prod(edges) < 0.5 * scan.image.size
    np.testing.assert_array_equal(masks[0], masks[1])
    np.testing.assert_array_equal(first.error, second.error)
    assert second.reconstruction.shape == scan.image.shape
    assert first.threshold == second.threshold


def test_a_batch_normalised_network_hardly_sees_the_crop():
    """The published network normalises by what it learned, so only its padding moves with the crop."""
    torch.manual_seed(0)
    net = build_network("reference-unet-3d", {}).eval()
    scan = prepared(box=(48, 48, 48), divisor=16)
    made = []
    for crop in (False, True):
        runtime = TorchRuntime({"reconstruction": net}, "cpu", torch.float32)
        method = IterMask3D(crop=crop, mask_channel=False)
        made.append(reconstructor(method, scan, runtime, np.random.default_rng(0))(scan.image, scan.brain))
    difference = np.abs(made[0] - made[1])[scan.brain]
    assert 0 < difference.mean() < 0.2 * made[0][scan.brain].std()
