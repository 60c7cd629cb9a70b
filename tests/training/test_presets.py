"""Presets: the published configurations build, say what the papers say, and are told by the command."""

import pytest
import torch

from itermask.core.masks import MaskMix
from itermask.errors import InputError
from itermask.methods import build_method
from itermask.networks import build_network
from itermask.presets import preset_path, presets
from itermask.training.config import read_config
from itermask.training.fit import check_networks
from itermask.training.loop import Trainer

PARAMETERS = {"itermask3d-published": {"reconstruction": 8.90e6}}  # as the papers' pages state them


def built(name):
    """A preset's settings, method and networks."""
    config = read_config(None, preset=name)
    method = build_method(config.method, config.method_settings)
    specs = method.network_specs() | {
        role: (spec["name"], spec.get("arguments", {})) for role, spec in config.networks.items()
    }
    return config, method, {role: build_network(*spec) for role, spec in specs.items()}


@pytest.mark.parametrize("name", presets())
def test_every_preset_builds_and_its_networks_take_what_the_method_gives(name):
    config, method, networks = built(name)
    assert set(networks) == set(method.network_specs())
    check_networks(method, networks, config.grid())
    for role, count in PARAMETERS.get(name, {}).items():
        assert sum(p.numel() for p in networks[role].parameters()) == pytest.approx(count, rel=0.001)


def test_itermask3d_is_as_published():
    config, method, networks = built("itermask3d-published")
    assert (config.spacing, config.box) == ((1.0, 1.0, 1.0), (192, 192, 192))
    assert type(networks["reconstruction"]).__name__ == "ReferenceUNet3D"
    assert method.masks == MaskMix(1.0, 0.0, 0.0, "mm")
    assert (method.mask_channel, method.weights) == (False, (1.0, 1.0, 1.0))
    assert (method.focused, method.steps, method.window, method.tangent_alone) == (False, 100, 5.0, True)
    assert (method.min_shrink, method.smoothing, method.smallest) == (0.01, 0.0, 0.0)
    assert (config.batch, config.epochs, config.precision, config.ema, config.clip) == (2, 500, "fp32", 0.0, 0.0)
    assert config.weight_decay == 0  # Adam
    varied = {k: v for k, v in vars(config.augmentation).items() if v and k not in ("tilt", "zoom", "background")}
    assert varied == {"quarter_turns": 0.1}
    assert method.published_point() == {"gamma": 0.01}


@pytest.mark.parametrize("name", ["mmccd-published", "cyclic-unet-published", "itermask2-published"])
def test_networks_that_are_trained_in_one_run_are_not_clipped_together(name):
    config, _, networks = built(name)
    assert len(networks) == 2
    assert config.clip == 0


def test_presets_say_what_they_are_in_one_line():
    for name, what in presets().items():
        assert 20 < len(what) < 125, name
        assert what.endswith((".", "MONAI."))


def test_the_command_lists_them(command):
    code, out, _ = command("train", "--list")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == list(presets())


def test_a_preset_that_is_none_is_one_line(command, tmp_path):
    code, _, errors = command("train", str(tmp_path), "--out", str(tmp_path), "--sequence", "T1w", "--preset", "best")
    assert code == 2
    assert "--preset best: unknown; there are any-2mm, cyclic-unet-published" in errors
    with pytest.raises(InputError, match="unknown"):
        preset_path("../t1w-2mm")


def test_wrong_channels_are_refused_before_anything_is_prepared():
    config = read_config(None, networks={"reconstruction": {"name": "reference-unet-3d", "arguments": {}}})
    method = build_method(config.method, config.method_settings)
    networks = {"reconstruction": build_network("reference-unet-3d", {})}
    before = {key: value.clone() for key, value in networks["reconstruction"].state_dict().items()}
    with pytest.raises(
        InputError, match=r"'reconstruction' takes 2 channels, but is given 3.*set mask_channel"
    ) as told:
        check_networks(method, networks, config.grid())
    assert "\n" not in str(told.value)
    assert networks["reconstruction"].training
    check_networks(build_method("itermask3d", {"mask_channel": False}), networks, config.grid())
    for key, value in networks["reconstruction"].state_dict().items():
        assert torch.equal(value, before[key]), key  # no batch norm has learned from noise


def test_training_in_half_precision_is_for_cuda(tmp_path):
    config = read_config(None, precision="fp16", networks={"reconstruction": {"name": "block-unet", "arguments": {
        "in_channels": 3, "widths": [8, 8]}}})  # fmt: skip
    with pytest.raises(InputError, match="fp16 is for CUDA"):
        Trainer(config, config.grid(), tmp_path, "cpu")
