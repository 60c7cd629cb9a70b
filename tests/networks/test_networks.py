"""The networks: the published one under its authors' parameter names, and the one on blocks."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from itermask.networks import NETWORKS, BlockUNet, ReferenceUNet3D, build_network
from itermask.networks.block_unet import from_blocks, to_blocks

blocks = pytest.importorskip("monai.networks.blocks")


def monai_convolution(inputs, outputs, stride=1, bare=False):
    return blocks.Convolution(
        3,
        inputs,
        outputs,
        strides=stride,
        kernel_size=3,
        adn_ordering="NDA",
        act="PRELU",
        norm="BATCH",
        dropout=0.2,
        conv_only=bare,
    )


class PublishedUnit(nn.Module):
    """A residual unit as published, from MONAI's blocks."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv = nn.Sequential()
        self.conv.add_module("unit0", monai_convolution(inputs, outputs, stride))
        self.conv.add_module("unit1", monai_convolution(outputs, outputs))
        self.pool = nn.AvgPool3d(3, 2, 1) if stride == 2 else nn.AvgPool3d(1, 1)

    def forward(self, x):
        out, shortcut = self.conv(x), self.pool(x)
        out = out.clone()
        out[:, : shortcut.shape[1]] += shortcut
        return out


class PublishedNetwork(nn.Module):
    """The published network, written down a second time."""

    def __init__(self):
        super().__init__()
        self.conv_1, self.conv_2 = PublishedUnit(2, 16, 2), PublishedUnit(16, 32, 2)
        self.conv_3, self.conv_4 = PublishedUnit(32, 64, 2), PublishedUnit(64, 128, 2)
        self.conv_5 = PublishedUnit(128, 256, 1)
        self.up_stage_1 = self.up(384, 64)
        self.up_stage_2 = self.up(128, 32)
        self.up_stage_3 = self.up(64, 16)
        self.up_stage_4 = self.up(32, 1, bare=True)

    @staticmethod
    def up(inputs, outputs, bare=False):
        convolutions = monai_convolution(inputs, inputs), monai_convolution(inputs, outputs, bare=bare)
        return nn.Sequential(nn.Upsample(scale_factor=2), *convolutions)

    def forward(self, x):
        one = self.conv_1(x)
        two = self.conv_2(one)
        three = self.conv_3(two)
        four = self.conv_4(three)
        x = self.up_stage_1(torch.cat([self.conv_5(four), four], 1))
        x = self.up_stage_2(torch.cat([x, three], 1))
        x = self.up_stage_3(torch.cat([x, two], 1))
        return self.up_stage_4(torch.cat([x, one], 1))


def test_reference_takes_the_published_weights_and_computes_the_same():
    torch.manual_seed(0)
    published = PublishedNetwork().eval()
    for name, buffer in published.named_buffers():
        if name.endswith("running_mean"):
            buffer.normal_(0, 0.2)
        elif name.endswith("running_var"):
            buffer.uniform_(0.5, 1.5)
    with torch.no_grad():
        for name, parameter in published.named_parameters():
            if ".adn." in name:
                parameter.uniform_(0.1, 1.2)
    network = ReferenceUNet3D().eval()
    network.load_state_dict(published.state_dict(), strict=True)
    x = torch.randn(1, 2, 32, 32, 48)
    with torch.inference_mode():
        expected, output = published(x), network(x)
    assert expected.std() > 1e-3
    torch.testing.assert_close(output, expected, atol=1e-4, rtol=1e-4)


def test_reference_has_the_published_number_of_parameters():
    assert round(sum(p.numel() for p in ReferenceUNet3D().parameters()) / 1e6, 2) == 8.90


def test_reference_drops_out_only_while_training():
    torch.manual_seed(0)
    network = ReferenceUNet3D()
    x = torch.randn(1, 2, 32, 32, 32)
    with torch.no_grad():
        assert not torch.equal(network(x), network(x))
        network.eval()
        assert torch.equal(network(x), network(x))


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 2),
    st.integers(1, 3),
    st.lists(st.integers(1, 3), min_size=2, max_size=3),
    st.integers(1, 4),
)
def test_blocks_there_and_back(batch, channels, counts, block):
    sizes = [count * block for count in counts]
    x = torch.arange(batch * channels * torch.Size(sizes).numel()).reshape(batch, channels, *sizes)
    folded = to_blocks(x, block)
    assert folded.shape == (batch, channels * block ** len(sizes), *counts)
    assert torch.equal(from_blocks(folded, block), x)
    # Every voxel of a block, and nothing else, is in the block's channels.
    corner = tuple(slice(block) for _ in sizes)
    first = folded[(slice(None), slice(None), *[0] * len(sizes))]
    assert torch.equal(first.sort(1).values, x[(slice(None), slice(None), *corner)].flatten(1).sort(1).values)


@pytest.mark.parametrize(
    ("arguments", "shape", "divisor"),
    [
        ({"dims": 3, "widths": [4, 8]}, (8, 12, 4), 4),
        ({"dims": 3, "in_channels": 3, "out_channels": 2, "widths": [8, 8, 16], "block": 1}, (4, 8, 12), 4),
        ({"dims": 2, "widths": [4, 8, 8]}, (8, 24), 8),
        ({"dims": 2, "widths": [6], "block": 3}, (3, 9), 3),
    ],
)
def test_block_unet_keeps_the_shape_of_any_size_its_divisor_divides(arguments, shape, divisor):
    network = BlockUNet(**arguments)
    assert network.divisor == divisor
    x = torch.randn(2, arguments.get("in_channels", 2), *shape)
    with torch.inference_mode():
        assert network(x).shape == (2, arguments.get("out_channels", 1), *shape)


def test_block_unet_processes_each_example_alone():
    torch.manual_seed(0)
    network = BlockUNet(widths=[4, 8]).train()
    x = torch.randn(3, 2, 8, 8, 8)
    with torch.inference_mode():
        alone = torch.cat([network(example[None]) for example in x])
        torch.testing.assert_close(network(x), alone, atol=1e-5, rtol=1e-5)


def test_every_parameter_of_the_block_unet_learns():
    network = BlockUNet(widths=[4, 8, 8])
    network(torch.randn(1, 2, 16, 16, 16)).square().mean().backward()
    without = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert without == []


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_are_built_by_name(name):
    assert type(build_network(name, {"in_channels": 3})) is NETWORKS[name]


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("u-net", {}, "unknown network 'u-net'; known are autoencoder, block-unet"),
        ("block-unet", {"dims": 4}, "dims must be 2 or 3"),
        ("block-unet", {"depth": 4}, "does not take these arguments"),
        ("reference-unet-3d", {"widths": [1]}, "does not take these arguments"),
    ],
)
def test_what_cannot_be_built_is_refused(name, arguments, message):
    with pytest.raises(ValueError, match=message):
        build_network(name, arguments)
