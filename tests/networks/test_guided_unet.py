"""The guided-diffusion U-Net: its sizes, its time input, and what it says where MONAI is missing."""

import sys

import pytest
import torch

from itermask.errors import MissingExtraError
from itermask.networks import GuidedUNet, build_network

pytest.importorskip("monai")
SMALL = {"channels": [8, 16], "num_res_blocks": 1}


def awake(network):
    """The network with random numbers where it starts with zeros."""
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            if not parameter.any():
                parameter.normal_(0, 0.1)
    return network.eval()


@pytest.mark.parametrize(
    ("arguments", "shape", "divisor"),
    [
        ({"dims": 2}, (12, 8), 2),
        ({"dims": 3, "in_channels": 1, "out_channels": 2}, (4, 6, 8), 2),
        ({"channels": [8, 8, 24], "attention_levels": [False, False, True]}, (8, 20), 4),
    ],
)
def test_it_keeps_the_shape_of_any_size_its_divisor_divides(arguments, shape, divisor):
    network = awake(GuidedUNet(**(SMALL | arguments)))
    assert network.divisor == divisor
    x = torch.randn(3, arguments.get("in_channels", 2), *shape)
    out = network(x)
    assert out.shape == (3, arguments.get("out_channels", 1), *shape)
    assert out.std() > 0
    torch.testing.assert_close(network(x[1:2]), out[1:2], atol=1e-5, rtol=1e-4)  # an input does not see the others


def test_the_published_network_has_no_part_that_knows_of_time():
    network = build_network("guided-unet", {"dropout": 0.1})
    assert network.divisor == 16
    assert not [name for name, _ in network.named_parameters() if "time" in name]
    attending = [name for name, module in network.named_modules() if type(module).__name__ == "SpatialAttentionBlock"]
    assert {name.split(".")[2] for name in attending if "down_blocks" in name} == {"2", "3", "4"}  # 32, 16 and 8 pixels


def test_the_time_changes_what_comes_out():
    network = awake(GuidedUNet(**SMALL, with_time=True))
    x = torch.randn(1, 2, 8, 8).repeat(2, 1, 1, 1)
    early, late = network(x, torch.tensor([1.0, 500.0]))
    assert not torch.allclose(early, late, atol=1e-4)
    torch.testing.assert_close(network(x, torch.tensor([7.0, 7.0]))[0], network(x[:1], torch.tensor([7]))[0])
    with pytest.raises(ValueError, match="needs a time"):
        network(x)
    with pytest.raises(ValueError, match="takes no time"):
        GuidedUNet(**SMALL)(x, torch.ones(2))


def test_it_drops_out_only_while_training():
    network = awake(GuidedUNet(**SMALL, dropout=0.5))
    x = torch.randn(1, 2, 8, 8)
    assert torch.equal(network(x), network(x))
    network.train()
    assert not torch.equal(network(x), network(x))


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"dims": 4}, "2 or 3"),
        ({"attention_levels": [True]}, "2 levels of channels, but 1 of attention"),
        ({"dropout": 1.0}, "dropout"),
        ({"depth": 3}, "does not take these arguments"),
    ],
)
def test_arguments_that_mean_nothing_are_refused(wrong, says):
    with pytest.raises(ValueError, match=says):
        build_network("guided-unet", SMALL | wrong)


def test_without_monai_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "monai.networks.nets.diffusion_model_unet", None)
    with pytest.raises(MissingExtraError, match=r"itermask\[diffusion\]"):
        GuidedUNet(**SMALL)
