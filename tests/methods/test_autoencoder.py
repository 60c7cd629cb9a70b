"""The autoencoder: what it learns from, what it finds, and the whole way from training to a report."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny import tiny_brain
from tiny_method import (
    RemembersNormal,
    bare_model,
    check_run,
    dice,
    healthy_scan,
    same_finding,
    train_tiny,
    with_ball,
)

import itermask
from itermask.methods import TrainingVolume
from itermask.methods.baselines.autoencoder import Autoencoder
from itermask.models.folder import WEIGHTS, load_model
from itermask.networks import build_network
from itermask.networks.autoencoder import ConvAutoencoder
from itermask.training.calibration import calibrate

SHAPE = (16, 20, 12)


def volume(seed=0):
    image, brain = tiny_brain(SHAPE, seed)
    return TrainingVolume(image[None], brain, (4.0, 4.0, 4.0))


def tiny_network(dims):
    arguments = {"dims": dims, "widths": [4, 8], "latent": 4, "group_size": 4}
    return {"reconstruction": {"name": "autoencoder", "arguments": arguments}}


# Network


@pytest.mark.parametrize("dims", [2, 3])
def test_the_bottleneck_is_all_that_is_passed_on(dims):
    torch.manual_seed(0)
    network = ConvAutoencoder(dims, widths=[4, 8, 8], latent=3, group_size=4).eval()
    x = torch.randn(2, 1, *[16, 24, 8][:dims])
    assert network.divisor == 8
    with torch.inference_mode():
        code, out = network.encode(x), network(x)
    assert code.shape == (2, 3, *[2, 3, 1][:dims])
    assert out.shape == x.shape
    reached = []
    network.encoder.register_forward_hook(lambda module, inputs, output: torch.zeros_like(output))
    with torch.inference_mode():
        reached = [network(torch.randn_like(x)) for _ in range(2)]
    torch.testing.assert_close(reached[0], reached[1], atol=0, rtol=0)  # nothing goes around it


@pytest.mark.parametrize("dims", [2, 3])
def test_it_can_learn_a_brain_by_heart(dims):
    torch.manual_seed(0)
    network = ConvAutoencoder(dims, widths=[8, 16], latent=16, group_size=4)
    method = Autoencoder(dims)
    example = method.example(volume(), np.random.default_rng(0))
    batch = {key: torch.from_numpy(value)[None] for key, value in example.items()}
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    losses = []
    for _ in range(40):
        optimizer.zero_grad()
        loss = method.loss({"reconstruction": network}, batch)
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.3 * losses[0]


@pytest.mark.parametrize("arguments", [{"dims": 1}, {"latent": 0}])
def test_networks_that_cannot_be_are_refused(arguments):
    with pytest.raises(ValueError, match=r"dims must be|at least one channel"):
        build_network("autoencoder", arguments)


# Training


@pytest.mark.parametrize("dims", [2, 3])
def test_an_example_is_the_brain_itself(dims):
    example = Autoencoder(dims, slices=5, background=0.25).example(volume(), np.random.default_rng(0))
    shape = (1, *SHAPE) if dims == 3 else (5, 1, *SHAPE[:2])
    assert {key: (value.shape, value.dtype) for key, value in example.items()} == dict.fromkeys(
        ("input", "target", "weight"), (shape, np.dtype(np.float32))
    )
    np.testing.assert_array_equal(example["input"], example["target"])
    brain = example["target"] > -3
    np.testing.assert_array_equal(example["weight"], np.where(brain, 1.0, 0.25))


def test_the_loss_is_over_the_brain_and_every_slice_counts_the_same():
    method = Autoencoder(2, slices=6, background=0.0)
    example = method.example(volume(), np.random.default_rng(0))
    batch = {key: torch.from_numpy(value)[None] for key, value in example.items()}
    wrong = {"reconstruction": lambda x: torch.where(x > -3, x + 2, x + 50)}
    assert float(method.loss(wrong, batch)) == pytest.approx(4, rel=1e-4)
    areas = example["weight"].sum(axis=(1, 2, 3))
    assert areas.min() < areas.max()

    def one_slice_wrong(x):
        out = x.clone()
        out[int(areas.argmin())] += 2
        return out

    assert float(method.loss({"reconstruction": one_slice_wrong}, batch)) == pytest.approx(4 / 6, rel=1e-4)


# Detection


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("contrast", [-4.0, 4.0])
def test_a_lesion_that_is_not_given_back_is_found(dims, contrast):
    prepared, ball, normal = with_ball(contrast)
    runtime = RemembersNormal(normal.image)
    found = Autoencoder(dims).detect(prepared, runtime, np.random.default_rng(0))
    assert dice(found.mask, ball) > 0.95
    inside = prepared.brain
    np.testing.assert_allclose(found.error[inside], (prepared.image - found.reconstruction)[inside] ** 2, rtol=1e-5)
    assert bool(runtime.batches) == (dims == 2)


def test_the_operating_point_rises_with_the_errors_of_healthy_scans():
    scan = healthy_scan(2)
    scans = [replace(scan, subject=str(number)) for number in range(5)]
    points = [
        calibrate(bare_model(Autoencoder(), RemembersNormal(scan.prepared.image, offset)), scans)["operating_point"]
        for offset in (0.1, 0.5, 2.0)
    ]
    levels = [point["threshold"] for point in points]
    np.testing.assert_allclose(levels, [0.01, 0.25, 4.0], rtol=0.02)


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"dims": 4}, "dims must be 2 or 3"),
        ({"dims": 2, "slices": 0}, "at least one slice"),
        ({"background": -0.1}, "must not be negative"),
        ({"background": float("nan")}, "must not be negative"),
    ],
)
def test_settings_that_mean_nothing_are_refused(chosen, message):
    with pytest.raises(ValueError, match=message):
        Autoencoder(**chosen)


@pytest.mark.parametrize("dims", [2, 3])
def test_the_networks_own_size_fits_the_usual_box(dims):
    name, arguments = Autoencoder(dims).network_specs()["reconstruction"]
    network = build_network(name, arguments)
    assert 16 % network.divisor == 0
    box = (80, 96, 80)[:dims]
    numbers = arguments["latent"] * np.prod([size // network.divisor for size in box])
    assert numbers < 0.1 * np.prod(box)  # narrow


# End to end


@pytest.mark.parametrize("dims", [2, 3])
def test_trained_calibrated_and_run(dims, tmp_path):
    how = {"settings": {"dims": dims, "slices": 3}, "networks": tiny_network(dims)}
    folder = train_tiny(tmp_path / "one", "autoencoder", **how)
    model, finding = check_run(folder, tmp_path)
    assert model.method.settings()["dims"] == dims
    assert np.isfinite(model.card["metrics"]["validation_loss"])
    again = train_tiny(tmp_path / "other", "autoencoder", **how)
    assert (again / WEIGHTS).read_bytes() == (folder / WEIGHTS).read_bytes()
    scan = itermask.read_scan(tmp_path / "sub-01_T1w.nii.gz", "T1w", tmp_path / "sub-01_mask.nii.gz")
    assert same_finding(finding, itermask.run(scan, load_model(again, device="cpu")))
