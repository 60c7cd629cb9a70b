"""The block U-Net with a time input: every stage's channels are scaled and shifted by what the time says."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from itermask.networks.film_unet import FilmUNet

LONGEST = 10_000.0  # steps; the slowest sinusoid's period is 2π times this


def sinusoids(t: Tensor, features: int) -> Tensor:
    """Return cosines and sines of a time at frequencies from 1 down to 1 / `LONGEST`, evenly spread in logarithms.

    Args:
        t: (batch,) any real numbers.
        features: an even number.

    Returns:
        float32 (batch, features), −1 to 1.

    Example:
        >>> import torch
        >>> sinusoids(torch.tensor([0.0]), features=4).tolist()
        [[1.0, 1.0, 0.0, 0.0]]
    """
    half = features // 2
    rates = torch.exp(-math.log(LONGEST) * torch.arange(half, device=t.device, dtype=torch.float32) / max(1, half - 1))
    phase = t.float()[:, None] * rates
    return torch.cat((phase.cos(), phase.sin()), dim=1)


class TimeUNet(FilmUNet):
    """`FilmUNet` for diffusion: the description is the time.

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
        if features < 2 or features % 2:
            raise ValueError(f"features must be an even number of at least 2, not {features}")
        super().__init__(dims, in_channels, out_channels, widths, block, group_size, features, features)

    def describe(self, description: Tensor) -> Tensor:
        """Return the time (batch,) → what the stages are modulated with, (batch, features)."""
        return self.embed(sinusoids(description, self.features))

    def forward(self, x: Tensor, t: Tensor) -> Tensor:  # type: ignore[override]
        """Return (batch, in_channels, X, …) and the time (batch,) → (batch, out_channels, X, …)."""
        return super().forward(x, t)
