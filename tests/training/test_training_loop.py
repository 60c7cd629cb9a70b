"""The loop: resumed runs end with the same bits, every scan is seen once an epoch, settings cannot change midway."""

import csv
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny import tiny_config, tiny_grid, write_scan

from itermask.errors import InputError
from itermask.networks import NETWORKS
from itermask.training.augment import Augmentation
from itermask.training.cache import cached_volume, read_volume
from itermask.training.config import TrainingConfig
from itermask.training.loop import Examples, Trainer, cropped
from itermask.training.table import Entry


class InterruptedRunError(Exception):
    pass


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    """Prepared scans: five to train, two to validate."""
    folder = tmp_path_factory.mktemp("scans")
    entries = [Entry(*write_scan(folder, f"s{seed}", seed), "train", f"s{seed}") for seed in range(7)]
    paths = [cached_volume(entry, "T1w", tiny_grid(), folder / "cache") for entry in entries]
    return paths[:5], paths[5:]


def train(out, scans, config, stop_after=None):
    """Train in `out`, from its checkpoint if there is one; a process that dies after some steps."""
    out.mkdir(exist_ok=True)
    trainer = Trainer(config, tiny_grid(), out, "cpu")
    trainer.resume()

    def progress(step, steps, loss):
        if step == stop_after:
            raise InterruptedRunError

    trainer.fit(*scans, progress)
    return trainer


def rows(out):
    with open(out / "log.csv", newline="") as source:
        return list(csv.DictReader(source))


def assert_same_bits(one, other):
    for a, b in ((one.networks.state_dict(), other.networks.state_dict()), (one.average, other.average)):
        assert a.keys() == b.keys()
        assert all(torch.equal(a[key], b[key]) for key in a)


@pytest.fixture(scope="module")
def straight(tmp_path_factory, scans):
    return train(tmp_path_factory.mktemp("straight"), scans, tiny_config())


@pytest.mark.parametrize("died_after", [3, 4, 5])
def test_a_resumed_run_ends_with_the_same_bits(tmp_path, scans, straight, died_after):
    config = tiny_config(checkpoint_every=2 if died_after == 3 else 3)
    with pytest.raises(InterruptedRunError):
        train(tmp_path, scans, config, stop_after=died_after)
    fresh = Trainer(config, tiny_grid(), tmp_path, "cpu")
    assert fresh.resume()
    assert fresh.step == (2 if died_after == 3 else 3)
    resumed = train(tmp_path, scans, config)
    assert_same_bits(resumed, straight)
    assert resumed.last_validation == straight.last_validation
    if died_after != 3:  # else the mean over the steps since the last row lacks those before the checkpoint
        losses = [[(r["step"], r["loss"], r["validation_loss"]) for r in rows(t.out)] for t in (resumed, straight)]
        assert losses[0] == losses[1]


def test_a_finished_run_resumes_to_nothing_and_can_be_prolonged(tmp_path, scans, straight):
    done = train(tmp_path, scans, tiny_config())
    again = train(tmp_path, scans, tiny_config())
    assert_same_bits(again, done)
    assert len(rows(tmp_path)) == 2
    longer = train(tmp_path, scans, tiny_config(steps=7, validate_every=1, checkpoint_every=2, decay_share=0.1))
    assert longer.step == 7
    assert [row["step"] for row in rows(tmp_path)] == ["3", "6", "7"]


def test_rows_and_checkpoints_are_where_they_were_asked_for(tmp_path, scans):
    saved = []

    class Watched(Trainer):
        def save(self):
            saved.append(self.step)
            super().save()

    losses = []
    trainer = Watched(tiny_config(steps=5, validate_every=2, checkpoint_every=4), tiny_grid(), tmp_path, "cpu")
    trainer.fit(*scans, lambda step, steps, loss: losses.append(loss))
    assert saved == [4, 5]
    assert [row["step"] for row in rows(tmp_path)] == ["2", "4", "5"]
    means = [np.mean(losses[:2]), np.mean(losses[2:4]), losses[4]]
    np.testing.assert_allclose([float(row["loss"]) for row in rows(tmp_path)], means, rtol=1e-5)
    assert float(rows(tmp_path)[-1]["validation_loss"]) == pytest.approx(trainer.last_validation, rel=1e-5)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"learning_rate": 0.1}, "learning_rate"),
        ({"batch": 2}, "batch"),
        ({"seed": 1}, "seed"),
        ({"augmentation": Augmentation(shift=2)}, "augmentation"),
        ({"method_settings": {"steps": 5, "guidance": False}}, "method_settings"),
        ({"networks": {"reconstruction": {"name": "block-unet", "arguments": {"in_channels": 3, "widths": [8]}}}}, ""),
    ],
)
def test_changed_settings_are_refused(straight, change, named):
    with pytest.raises(InputError, match=f"{named}.*use another --out") as caught:
        Trainer(tiny_config(**change), tiny_grid(), straight.out, "cpu").resume()
    assert str(caught.value).startswith(str(straight.checkpoint))
    assert "\n" not in str(caught.value)


def test_settings_that_training_does_not_depend_on_may_change(straight):
    network = tiny_config().networks["reconstruction"]["arguments"]
    changed = tiny_config(
        method_settings={"steps": 50, "smoothing": 1.0},
        validate_every=1,
        workers=1,
        networks={"reconstruction": {"name": "block-unet", "arguments": network | {"widths": (4, 8)}}},
    )
    assert Trainer(changed, tiny_grid(), straight.out, "cpu").resume()


def test_without_a_checkpoint_there_is_nothing_to_resume(tmp_path):
    assert not Trainer(tiny_config(), tiny_grid(), tmp_path, "cpu").resume()


def test_worker_processes_change_nothing(tmp_path, scans, straight):
    assert_same_bits(train(tmp_path, scans, tiny_config(workers=1)), straight)


def test_another_seed_is_another_model(tmp_path, scans, straight):
    other = train(tmp_path, scans, tiny_config(seed=1, steps=1))
    key = "reconstruction.head.weight"
    assert not torch.equal(other.networks.state_dict()[key], straight.networks.state_dict()[key])


def test_every_scan_once_an_epoch_in_a_new_order(scans):
    still = Augmentation(flip=0, pose=0, shift=0, contrast=0, gamma=0, erode=0)
    config = tiny_config(augmentation=still)
    examples = Examples(Trainer(config, tiny_grid(), scans[0][0].parent, "cpu").method, scans[0], tiny_grid(), config)
    known = [read_volume(path, tiny_grid()).images[0] for path in scans[0]]
    orders = []
    for epoch in range(4):
        targets = [examples[5 * epoch + place]["target"][0] for place in range(5)]
        orders.append([next(n for n, k in enumerate(known) if np.allclose(k, t, atol=1e-4)) for t in targets])
        assert sorted(orders[-1]) == [0, 1, 2, 3, 4]
    assert len({tuple(order) for order in orders}) > 1
    again = [examples[7][key] for key in ("input", "target", "weight")]
    for one, other in zip(again, [examples[7][key] for key in ("input", "target", "weight")], strict=True):
        np.testing.assert_array_equal(one, other)


def test_training_lowers_the_loss_and_the_average_follows(tmp_path, scans):
    config = tiny_config(steps=40, learning_rate=5e-3, validate_every=40, checkpoint_every=40, ema=0.9)
    trainer = Trainer(config, tiny_grid(), tmp_path, "cpu")
    before = trainer.validate(scans[1])
    trainer.fit(*scans)
    assert trainer.last_validation < 0.7 * before


def test_validation_uses_the_average_and_leaves_the_networks(scans, straight):
    weights = {key: value.clone() for key, value in straight.networks.state_dict().items()}
    loss = straight.validate(scans[1])
    assert loss == straight.validate(scans[1]) == straight.last_validation
    assert all(torch.equal(value, weights[key]) for key, value in straight.networks.state_dict().items())
    average = dict(straight.average)
    straight.average.update({key: value.clone() for key, value in weights.items()})
    assert straight.validate(scans[1]) != loss
    straight.average.update(average)


def test_an_average_of_one_step_is_almost_the_trained_weights(tmp_path, scans):
    trainer = Trainer(tiny_config(steps=1, ema=0.0), tiny_grid(), tmp_path, "cpu")
    trainer.fit(*scans)
    for key, value in trainer.networks.state_dict().items():
        torch.testing.assert_close(trainer.average[key], value)


@pytest.mark.parametrize(("precision", "dtype"), [("bf16", torch.bfloat16), ("fp32", torch.float32)])
def test_convolutions_compute_in_the_precision_asked_for(tmp_path, scans, precision, dtype):
    trainer = Trainer(tiny_config(steps=1, precision=precision), tiny_grid(), tmp_path, "cpu")
    seen = []
    network = trainer.networks["reconstruction"]
    for convolution in (network.down_stages[0].first, network.down[0], network.head):
        convolution.register_forward_hook(lambda module, inputs, output: seen.append((module.training, output.dtype)))
    trainer.fit(*scans)
    training = [kind for in_training, kind in seen if in_training]
    validating = [kind for in_training, kind in seen if not in_training]
    assert training == [dtype] * 3
    assert set(validating) == {dtype}
    assert {p.dtype for p in trainer.networks.parameters()} == {torch.float32}  # the weights stay precise


def test_gradients_are_clipped(tmp_path, scans):
    def moved(clip):
        config = tiny_config(steps=1, clip=clip, weight_decay=0.0, warmup=0)
        trainer = Trainer(config, tiny_grid(), tmp_path / str(clip), "cpu")
        trainer.out.mkdir()
        before = [p.detach().clone() for p in trainer.networks.parameters()]
        trainer.fit(*scans)
        return max(
            float((p.detach() - b).abs().max()) for p, b in zip(trainer.networks.parameters(), before, strict=True)
        )

    assert moved(1e-9) < 0.2 * moved(1.0)  # Adam's 1e-8 takes over when gradients are that small


@pytest.mark.parametrize(
    "change",
    [
        {"method": "itermask9"},
        {"method_settings": {"stepz": 3}},
        {"networks": {"reconstruction": {"name": "u-net"}}},
        {"networks": {"discriminator": {"name": "block-unet"}}},
        {"networks": {"reconstruction": {"name": "block-unet", "arguments": {"depth": 3}}}},
    ],
)
def test_a_method_or_network_that_cannot_be_built_is_one_line(tmp_path, change):
    with pytest.raises(InputError) as caught:
        Trainer(tiny_config(**change), tiny_grid(), tmp_path, "cpu")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("change", [{"box": (16, 18, 16)}, {"divisor": 2}])
def test_a_grid_that_the_network_cannot_take_is_refused_at_the_start(tmp_path, change):
    with pytest.raises(InputError, match="multiples of 4"):
        Trainer(tiny_config(**change), replace(tiny_grid(), **change), tmp_path, "cpu")


def slices_config(**changes):
    arguments = {"dims": 2, "widths": [4, 8], "latent": 4, "group_size": 4}
    networks = {"reconstruction": {"name": "autoencoder", "arguments": arguments}}
    settings = {"dims": 2, "slices": 2}
    return tiny_config(method="autoencoder", method_settings=settings, networks=networks, **changes)


@pytest.mark.parametrize("change", [{"box": (16, 18, 16)}, {"box": (18, 16, 16)}, {"divisor": 2}])
def test_a_grid_that_a_network_on_slices_cannot_take_is_refused_at_the_start(tmp_path, change):
    with pytest.raises(InputError, match="multiples of 4"):
        Trainer(slices_config(**change), replace(tiny_grid(), **change), tmp_path, "cpu")


def test_a_network_on_slices_does_not_mind_how_many_there_are(tmp_path, scans):
    grid = replace(tiny_grid(), box=(16, 16, 14))
    trainer = Trainer(slices_config(box=grid.box, steps=2), grid, tmp_path, "cpu")
    trainer.fit(*scans)
    assert trainer.step == 2
    assert np.isfinite(trainer.last_validation)


def test_a_method_on_slices_resumes_to_the_same_bits(tmp_path, scans):
    whole = train(tmp_path / "whole", scans, slices_config())
    with pytest.raises(InterruptedRunError):
        train(tmp_path / "parts", scans, slices_config(), stop_after=4)
    assert_same_bits(train(tmp_path / "parts", scans, slices_config()), whole)


def test_a_method_without_networks_makes_no_step(tmp_path, scans):
    trainer = train(tmp_path, scans, tiny_config(method="intensity", method_settings={}, networks={}))
    assert (trainer.step, trainer.average) == (0, {})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", NETWORKS)
def test_any_network_can_be_asked_for(tmp_path, name):
    arguments = {"in_channels": 3} | ({"dims": 3} if name in ("guided-unet", "time-unet") else {})
    spec = {"reconstruction": {"name": name, "arguments": arguments}}
    grid = replace(tiny_grid(), box=(32, 32, 32), divisor=16)
    trainer = Trainer(tiny_config(networks=spec, box=grid.box, divisor=16), grid, tmp_path, "cpu")
    assert type(trainer.networks["reconstruction"]) is NETWORKS[name]
    assert trainer.specs["reconstruction"] == (name, arguments)


def test_a_network_for_slices_is_refused_for_volumes(tmp_path):
    spec = {"reconstruction": {"name": "block-unet", "arguments": {"dims": 2, "in_channels": 3}}}
    with pytest.raises(InputError, match="'reconstruction' works on 2 axes, the method on 3; set dims"):
        Trainer(tiny_config(networks=spec), tiny_grid(), tmp_path, "cpu")


def test_a_checkpoint_from_before_a_setting_was_there_is_resumed(tmp_path, scans, monkeypatch):
    config = tiny_config(method_settings={"steps": 5, "focused": False})
    known = Trainer._identity

    def identity_without_it(trainer):
        return {key: value for key, value in known(trainer).items() if key != "slice_area"}

    monkeypatch.setattr(Trainer, "_identity", identity_without_it)
    with pytest.raises(InterruptedRunError):
        train(tmp_path, scans, config, stop_after=4)
    monkeypatch.undo()
    assert Trainer(config, tiny_grid(), tmp_path, "cpu").resume()


@given(st.integers(0, 10**6), st.tuples(*[st.sampled_from([0, 4, 8, 40])] * 3))
def test_crop_cuts_all_arrays_alike_around_the_brain(seed, crop):
    brain = np.zeros((16, 12, 16), bool)
    brain[10:14, 2:5, 1:3] = True
    number = np.arange(brain.size, dtype=np.float32).reshape(brain.shape)
    example = {"input": np.stack([number, -number]), "tissue": number, "brain": brain, "description": np.ones(5)}
    made = cropped(example, brain, crop, np.random.default_rng(seed))
    sizes = tuple(min(edge or size, size) for edge, size in zip(crop, brain.shape, strict=True))
    assert made["tissue"].shape == sizes
    assert np.array_equal(made["input"], np.stack([made["tissue"], -made["tissue"]]))
    assert made["brain"].any()
    assert np.array_equal(made["description"], np.ones(5))


def test_crop_must_fit_the_divisor():
    with pytest.raises(ValueError, match="crop must be multiples of the divisor 16"):
        TrainingConfig(crop=(48, 60, 48))
