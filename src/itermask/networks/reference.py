"""The network of the IterMask3D paper, with the parameter names of the authors' published weights."""

import torch
from torch import Tensor, nn


def _unit(inputs: int, outputs: int, stride: int, dropout: float) -> nn.Sequential:
    """Build 3×3×3 convolution → batch norm → dropout → PReLU."""
    convolution = nn.Conv3d(inputs, outputs, 3, stride=stride, padding=1)
    block = nn.Sequential()
    block.add_module("conv", convolution)
    adn = nn.Sequential()
    adn.add_module("N", nn.BatchNorm3d(outputs))
    adn.add_module("D", nn.Dropout(dropout))
    adn.add_module("A", nn.PReLU())
    block.add_module("adn", adn)
    return block


class _ResidualUnit(nn.Module):
    """Two units; the average-pooled input is added onto the first channels of their output."""

    def __init__(self, inputs: int, outputs: int, stride: int, dropout: float) -> None:
        super().__init__()
        self.conv = nn.Sequential()
        self.conv.add_module("unit0", _unit(inputs, outputs, stride, dropout))
        self.conv.add_module("unit1", _unit(outputs, outputs, 1, dropout))
        # With stride 1 the published network pools with a kernel of one voxel: the identity.
        self.residual = nn.AvgPool3d(3, stride, padding=1) if stride > 1 else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        shortcut = self.residual(x)
        out = self.conv(x)
        channels = shortcut.shape[1]
        return torch.cat((out[:, :channels] + shortcut, out[:, channels:]), dim=1)


class ReferenceUNet3D(nn.Module):
    """The published 3D U-Net: 8.90 M parameters, no skip connection at full resolution.

    Encoder of five residual units (widths 16-32-64-128-256, strides 2-2-2-2-1), decoder of four stages of
    nearest ×2 upsampling and two convolutions. Source: `itermask3d.md`, "Network".

    Args:
        in_channels: 2, the noise-filled image and its high-frequency guidance.
        out_channels: 1, the reconstruction.
        dropout: dropout probability while training.

    Shapes: (batch, in_channels, X, Y, Z) → (batch, out_channels, X, Y, Z), X, Y, Z divisible by 16, at least 32.
    """

    divisor = 16

    def __init__(self, in_channels: int = 2, out_channels: int = 1, dropout: float = 0.2) -> None:
        super().__init__()
        widths = (in_channels, 16, 32, 64, 128, 256)
        for stage in range(5):
            stride = 2 if stage < 4 else 1
            unit = _ResidualUnit(widths[stage], widths[stage + 1], stride, dropout)
            self.add_module(f"conv_{stage + 1}", unit)
        for stage, (inputs, outputs) in enumerate(((384, 64), (128, 32), (64, 16), (32, out_channels))):
            second = _unit(inputs, outputs, 1, dropout)
            if stage == 3:
                del second.adn  # the last convolution is bare
            up = nn.Sequential(nn.Upsample(scale_factor=2), _unit(inputs, inputs, 1, dropout), second)
            self.add_module(f"up_stage_{stage + 1}", up)

    def forward(self, x: Tensor) -> Tensor:
        """Return (batch, in_channels, X, Y, Z) → (batch, out_channels, X, Y, Z)."""
        features = []
        for stage in range(1, 6):
            x = self.get_submodule(f"conv_{stage}")(x)
            features.append(x)
        x = features.pop()
        for stage in range(1, 5):
            x = self.get_submodule(f"up_stage_{stage}")(torch.cat((x, features.pop()), dim=1))
        return x
