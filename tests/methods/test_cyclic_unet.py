"""The Cyclic UNet: what it learns from a pair, what does not come back, and the border that is not scored."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from tiny_method import bare_model, check_run, dice, healthy_scan, same_finding, with_ball
from tiny_pairs import SHAPE, other, pair_volume, train_pairs

import itermask
from itermask.core.masks import erode_slices
from itermask.core.profile import error_profile
from itermask.methods import build_method
from itermask.methods.cyclic_unet import CyclicUNet
from itermask.models.folder import WEIGHTS, load_model
from itermask.networks import build_network
from itermask.training.calibration import calibrate


class Translates:
    """A perfect translator of one normal brain: knows the slice it sees, and gives normal tissue for a lesion."""

    description = "translates"

    def __init__(self, normal, offset=0.0):
        self.known, self.offset, self.seen = np.moveaxis(normal, -1, 0), offset, {"a_to_b": [], "b_to_a": []}

    def batch(self, role, inputs):
        self.seen[role].append(inputs)
        if role == "b_to_a":
            return (1.0 - inputs) / 0.5 + self.offset
        nearest = [int(np.argmin(np.abs(self.known - one[0]).mean(axis=(1, 2)))) for one in inputs]
        return other(self.known[nearest][:, None])


def detect(method, prepared, runtime, **how):
    return method.detect(prepared, runtime, np.random.default_rng(0), **how)


# Training


def test_an_example_is_the_same_slice_in_both_sequences():
    example = CyclicUNet(slices=5, background=0.25).example(pair_volume(), np.random.default_rng(0))
    assert {key: (value.shape, value.dtype) for key, value in example.items()} == dict.fromkeys(
        ("a", "b", "weight"), ((5, 1, *SHAPE[:2]), np.dtype(np.float32))
    )
    brain = example["a"] > -3
    np.testing.assert_array_equal(example["b"], np.where(brain, other(example["a"]), -3))
    np.testing.assert_array_equal(example["weight"], np.where(brain, 1.0, 0.25))


def test_the_loss_is_the_sum_of_both_directions():
    method = CyclicUNet(slices=3)
    example = method.example(pair_volume(), np.random.default_rng(0))
    batch = {key: torch.from_numpy(value)[None] for key, value in example.items()}
    a, b = batch["a"][0], batch["b"][0]
    right = {"a_to_b": lambda x: b + 0 * x, "b_to_a": lambda x: a + 0 * x}
    assert float(method.loss(right, batch)) == 0
    assert float(method.loss(right | {"a_to_b": lambda x: b + 2}, batch)) == pytest.approx(4)
    assert float(method.loss(right | {"b_to_a": lambda x: a + 3}, batch)) == pytest.approx(9)
    asked = {}
    method.loss({"a_to_b": lambda x: asked.setdefault("a", x), "b_to_a": lambda x: asked.setdefault("b", x)}, batch)
    assert torch.equal(asked["a"], a)
    assert torch.equal(asked["b"], b)  # the true second sequence, not the translated one


def test_both_directions_are_learned():
    torch.manual_seed(0)
    method = CyclicUNet(slices=4)
    arguments = {"dims": 2, "in_channels": 1, "widths": [8, 16], "group_size": 4}
    networks = torch.nn.ModuleDict({role: build_network("block-unet", arguments) for role in ("a_to_b", "b_to_a")})
    example = method.example(pair_volume(), np.random.default_rng(0))
    batch = {key: torch.from_numpy(value)[None] for key, value in example.items()}
    optimizer = torch.optim.Adam(networks.parameters(), lr=0.01)
    losses = []
    for _ in range(40):
        optimizer.zero_grad()
        loss = method.loss(networks, batch)
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.1 * losses[0]


def test_one_sequence_is_not_enough():
    alone = replace(pair_volume(), images=pair_volume().images[:1])
    with pytest.raises(ValueError, match="cyclic-unet trains on two registered sequences, but is given 1"):
        CyclicUNet().example(alone, np.random.default_rng(0))


# Detection


@pytest.mark.parametrize("contrast", [-4.0, 4.0])
def test_normal_tissue_comes_back_and_a_lesion_does_not(contrast):
    prepared, ball, normal = with_ball(contrast)
    method = CyclicUNet(erode=24.0)
    assert detect(method, normal, Translates(normal.image)).error.max() < 1e-9
    found = detect(method, prepared, Translates(normal.image))
    scored = erode_slices(prepared.brain, prepared.spacing, 24.0)
    assert 0 < (ball & scored).sum() < ball.sum()
    np.testing.assert_allclose(found.error, np.where(ball & scored, contrast**2, 0), atol=1e-4)
    np.testing.assert_array_equal(found.mask, ball & scored)
    np.testing.assert_allclose(found.reconstruction, normal.image, atol=1e-5)


def test_the_translated_background_is_that_of_every_scan():
    _, _, normal = with_ball()
    runtime = Translates(normal.image)
    detect(CyclicUNet(erode=0.0), normal, runtime)
    held = normal.brain.any(axis=(0, 1))
    seen = np.moveaxis(np.concatenate(runtime.seen["b_to_a"])[:, 0], 0, -1)
    assert (seen[~normal.brain[..., held]] == -3).all()
    np.testing.assert_array_equal(
        seen[normal.brain[..., held]], other(normal.image[..., held])[normal.brain[..., held]]
    )


def test_the_profile_is_of_what_is_scored():
    prepared, _, normal = with_ball()
    method, runtime = CyclicUNet(erode=4.0), Translates(normal.image, offset=0.5)
    found = detect(method, prepared, runtime)
    assert found.profile == error_profile(found.error[method.scored(prepared)])
    assert found.profile["error_percentile_10"] == pytest.approx(np.log(0.25), abs=1e-3)


def quarters(low, high):
    """Lengths in mm that leave no doubt which pixels lie within them."""
    return st.integers(int(4 * low), int(4 * high)).map(lambda count: count / 4)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), quarters(0, 9), st.tuples(quarters(0.5, 3), quarters(0.5, 3)))
def test_erosion_is_by_a_disk_in_millimetres(seed, radius, spacing):
    rng = np.random.default_rng(seed)
    brain = ndimage.gaussian_filter(rng.standard_normal((14, 11, 3)), (2, 2, 0)) > -0.1
    brain[2:12, 2:9, 1] = True
    reach = [int(radius / size + 1e-9) for size in spacing]
    offsets = np.stack(np.meshgrid(*[np.arange(-r, r + 1) for r in reach], indexing="ij"), axis=-1)
    disk = np.sqrt(((offsets * spacing) ** 2).sum(axis=-1)) <= radius + 1e-6
    wanted = np.stack([ndimage.binary_erosion(brain[..., at], disk) for at in range(3)], axis=-1)
    if wanted.any():
        np.testing.assert_array_equal(erode_slices(brain, (*spacing, 99.0), radius), wanted)
    else:
        with pytest.raises(ValueError, match="nothing is left of the brain mask"):
            erode_slices(brain, (*spacing, 99.0), radius)


def test_the_papers_erosion_is_four_pixels():
    brain = np.ones((20, 20, 1), dtype=bool)
    inner = erode_slices(brain, (1.875, 1.875, 5.0), CyclicUNet().erode)
    np.testing.assert_array_equal(np.flatnonzero(inner[10, :, 0]), range(4, 16))


def test_the_operating_point_rises_with_the_errors_of_healthy_scans():
    scan = healthy_scan(2)
    scans = [replace(scan, subject=str(number)) for number in range(5)]
    levels = [
        calibrate(bare_model(CyclicUNet(erode=4.0), Translates(scan.prepared.image, offset)), scans)["operating_point"]
        for offset in (0.1, 0.5)
    ]
    np.testing.assert_allclose([level["threshold"] for level in levels], [0.01, 0.25], rtol=0.02)


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"slices": 0}, "at least one slice"),
        ({"background": -0.1}, "background must not be negative"),
        ({"erode": float("nan")}, "erode must not be negative"),
        ({"dims": 3}, "unknown setting dims"),
    ],
)
def test_settings_that_mean_nothing_are_refused(chosen, message):
    with pytest.raises(ValueError, match=message):
        build_method("cyclic-unet", chosen)


def test_a_lesion_is_found_with_a_calibrated_threshold():
    prepared, ball, normal = with_ball()
    method, runtime = CyclicUNet(erode=0.0), Translates(normal.image, 0.1)
    point = calibrate(bare_model(method, runtime), [replace(healthy_scan(n), prepared=normal) for n in range(5)])
    assert dice(detect(method, prepared, runtime, point=point["operating_point"]).mask, ball) > 0.95


# End to end


def test_trained_calibrated_and_run_on_one_sequence(tmp_path):
    network = {"name": "block-unet", "arguments": {"dims": 2, "in_channels": 1, "widths": [4, 8], "group_size": 4}}
    how = {"slices": 3, "erode": 4.0}, {"a_to_b": network, "b_to_a": network}
    folder = train_pairs(tmp_path / "one", "cyclic-unet", *how)
    model, finding = check_run(folder, tmp_path)
    assert set(model.card["networks"]) == {"a_to_b", "b_to_a"}
    assert np.isfinite(model.card["metrics"]["validation_loss"])
    again = train_pairs(tmp_path / "other", "cyclic-unet", *how)
    assert (again / WEIGHTS).read_bytes() == (folder / WEIGHTS).read_bytes()
    scan = itermask.read_scan(tmp_path / "sub-01_T1w.nii.gz", "T1w", tmp_path / "sub-01_mask.nii.gz")
    assert same_finding(finding, itermask.run(scan, load_model(again, device="cpu")))
