"""A convolutional autoencoder: everything it passes on goes through a narrow bottleneck."""

import itertools
from collections.abc import Sequence

from torch import Tensor, nn

from itermask.networks.block_unet import Stage, convolutions, from_blocks, to_blocks


class ConvAutoencoder(nn.Module):
    """Residual encoder and decoder on 2ᴺ-voxel blocks, without any skip connection between them.

    What is passed on is a coarse grid of `latent` numbers a cell, one cell for every `divisor`ᴺ voxels: at the
    defaults 64 numbers for 16³ voxels in 3D. What normal brains do not have in common is lost there.

    Args:
        dims: 2 or 3 spatial axes.
        in_channels: channels of the image.
        out_channels: channels of the reconstruction.
        widths: channels at each level, the finest first.
        latent: channels of the bottleneck.
        block: edge of a block in voxels; 1 works on voxels.
        group_size: channels that share one group-norm statistic.

    Shapes: (batch, in_channels, X, …) → (batch, out_channels, X, …); every size divisible by
    `block · 2^(levels − 1)`, the attribute `divisor`.
    """

    def __init__(
        self,
        dims: int = 3,
        in_channels: int = 1,
        out_channels: int = 1,
        widths: Sequence[int] = (16, 32, 64, 128),
        latent: int = 64,
        block: int = 2,
        group_size: int = 8,
    ) -> None:
        super().__init__()
        convolution, transposed = convolutions(dims)
        if latent < 1:
            raise ValueError(f"the bottleneck needs at least one channel, not {latent}")
        self.block = block
        self.divisor = block * 2 ** (len(widths) - 1)
        first = in_channels * block**dims
        steps = list(itertools.pairwise(widths))
        down: list[nn.Module] = [Stage(first, widths[0], dims, group_size)]
        up: list[nn.Module] = []
        for fine, coarse in steps:
            down += [convolution(fine, coarse, 2, stride=2), Stage(coarse, coarse, dims, group_size)]
            up = [transposed(coarse, fine, 2, stride=2), Stage(fine, fine, dims, group_size), *up]
        self.encoder = nn.Sequential(*down, convolution(widths[-1], latent, 1))
        self.decoder = nn.Sequential(Stage(latent, widths[-1], dims, group_size), *up)
        self.head = convolution(widths[0], out_channels * block**dims, 3, padding=1)

    def encode(self, x: Tensor) -> Tensor:
        """Return (batch, in_channels, X, …) → (batch, latent, X/divisor, …): all that the decoder gets."""
        return self.encoder(to_blocks(x, self.block))

    def forward(self, x: Tensor) -> Tensor:
        """Return (batch, in_channels, X, …) → (batch, out_channels, X, …)."""
        return from_blocks(self.head(self.decoder(self.encode(x))), self.block)
