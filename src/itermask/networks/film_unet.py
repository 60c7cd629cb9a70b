"""The block U-Net whose stages are scaled and shifted by a vector that describes the whole image (FiLM)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from itermask.networks.block_unet import BlockUNet, from_blocks, to_blocks


class FilmUNet(BlockUNet):
    """`BlockUNet` with a description: after each stage, every channel is scaled and shifted by numbers that it sets.

    Before the first training step the description changes nothing. Source: FiLM, Perez et al. 2018.

    Args:
        dims: 2 or 3 spatial axes.
        in_channels: channels of the image.
        out_channels: channels that come out.
        widths: channels at each level, the finest first.
        block: edge of a block in voxels; 1 works on voxels.
        group_size: channels that share one group-norm statistic.
        features: length of the description.
        embedding: width of what is learned from it.

    Shapes: (batch, in_channels, X, …) and (batch, features) → (batch, out_channels, X, …); every size divisible by the
    attribute `divisor`.

    Example:
        >>> network = FilmUNet(in_channels=1, widths=(8, 16), features=3, embedding=4)
        >>> network(torch.zeros(1, 1, 8, 8, 8), torch.zeros(1, 3)).shape
        torch.Size([1, 1, 8, 8, 8])
    """

    def __init__(
        self,
        dims: int = 3,
        in_channels: int = 3,
        out_channels: int = 1,
        widths: Sequence[int] = (32, 64, 128, 192),
        block: int = 2,
        group_size: int = 8,
        features: int = 80,
        embedding: int = 128,
    ) -> None:
        super().__init__(dims, in_channels, out_channels, widths, block, group_size)
        self.features = features
        self.embed = nn.Sequential(
            nn.Linear(features, embedding), nn.SiLU(), nn.Linear(embedding, embedding), nn.SiLU()
        )
        self.down_films = nn.ModuleList(nn.Linear(embedding, 2 * width) for width in widths)
        self.up_films = nn.ModuleList(nn.Linear(embedding, 2 * width) for width in widths[:-1])
        for film in (*self.down_films, *self.up_films):
            nn.init.zeros_(film.weight)
            nn.init.zeros_(film.bias)

    def describe(self, description: Tensor) -> Tensor:
        """Return (batch, features) → what the stages are modulated with, (batch, embedding)."""
        return self.embed(description)

    def forward(self, x: Tensor, description: Tensor) -> Tensor:  # type: ignore[override]
        """Return (batch, in_channels, X, …) and (batch, features) → (batch, out_channels, X, …)."""
        told = self.describe(description)
        x = to_blocks(x, self.block)
        skips = []
        for stage, film, down in zip(self.down_stages[:-1], self.down_films[:-1], self.down, strict=True):
            x = _modulated(stage(x), film(told))
            skips.append(x)
            x = down(x)
        x = _modulated(self.down_stages[-1](x), self.down_films[-1](told))
        ups = zip(self.up, self.up_stages, self.up_films, skips, strict=True)
        for up, stage, film, skip in reversed(list(ups)):
            x = _modulated(stage(torch.cat((up(x), skip), dim=1)), film(told))
        return from_blocks(self.head(x), self.block)


def _modulated(x: Tensor, film: Tensor) -> Tensor:
    """Return channels times 1 + the first half of `film`, plus the second half."""
    scale, shift = film.reshape(*film.shape, *[1] * (x.ndim - 2)).chunk(2, dim=1)
    return x * (1 + scale) + shift
