"""The block U-Net with a time input: every stage's channels are scaled and shifted by what the time says."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from itermask.networks.block_unet import BlockUNet, from_blocks, to_blocks

LONGEST = 10_000.0  # steps; the slowest sinusoid's period is 2π times this


def sinusoids(t: Tensor, features: int) -> Tensor:
    """Cosines and sines of a time at frequencies from 1 down to 1 / `LONGEST`, evenly spread in logarithms.

    Args:
        t: (batch,) any real numbers.
        features: an even number.

    Returns:
        float32 (batch, features), −1 to 1.
    """
    half = features // 2
    rates = torch.exp(-math.log(LONGEST) * torch.arange(half, device=t.device, dtype=torch.float32) / max(1, half - 1))
    phase = t.float()[:, None] * rates
    return torch.cat((phase.cos(), phase.sin()), dim=1)


class TimeUNet(BlockUNet):
    """`BlockUNet` for diffusion: after each stage, every channel is scaled and shifted by numbers that the time sets.

    Before the first training step the time changes nothing. Source of the modulation: FiLM, Perez et al. 2018.

    Args:
        dims: 2 or 3 spatial axes.
        in_channels: 2, the noisy image and its condition.
        out_channels: 1, the clean image.
        widths: channels at each level, the finest first.
        block: edge of a block in voxels; 1 works on voxels.
        group_size: channels that share one group-norm statistic.
        features: even number of the time's sinusoids, and width of what is learned from them.

    Shapes: (batch, in_channels, X, …) and time (batch,) → (batch, out_channels, X, …); every size divisible by the
    attribute `divisor`.
    """

    def __init__(
        self,
        dims: int = 2,
        in_channels: int = 2,
        out_channels: int = 1,
        widths: Sequence[int] = (32, 64, 96, 128),
        block: int = 2,
        group_size: int = 8,
        features: int = 128,
    ) -> None:
        super().__init__(dims, in_channels, out_channels, widths, block, group_size)
        if features < 2 or features % 2:
            raise ValueError(f"features must be an even number of at least 2, not {features}")
        self.features = features
        self.embed = nn.Sequential(nn.Linear(features, features), nn.SiLU(), nn.Linear(features, features), nn.SiLU())
        self.down_films = nn.ModuleList(nn.Linear(features, 2 * width) for width in widths)
        self.up_films = nn.ModuleList(nn.Linear(features, 2 * width) for width in widths[:-1])
        for film in (*self.down_films, *self.up_films):
            nn.init.zeros_(film.weight)
            nn.init.zeros_(film.bias)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:  # type: ignore[override]
        """(batch, in_channels, X, …) and the time (batch,) → (batch, out_channels, X, …)."""
        told = self.embed(sinusoids(t, self.features))
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
    """Channels times 1 + the first half of `film`, plus the second half."""
    scale, shift = film.reshape(*film.shape, *[1] * (x.ndim - 2)).chunk(2, dim=1)
    return x * (1 + scale) + shift
