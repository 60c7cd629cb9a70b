"""A U-Net that works on blocks of 2×2×2 voxels: every fine detail is a channel, convolutions stay cheap."""

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn


def to_blocks(x: Tensor, block: int) -> Tensor:
    """Fold every block of `block`ᴺ voxels into channels: (B, C, X, …) → (B, C·blockᴺ, X/block, …).

    Example:
        >>> import torch
        >>> to_blocks(torch.zeros(1, 1, 8, 8, 8), block=2).shape
        torch.Size([1, 8, 4, 4, 4])
    """
    batch, channels, *sizes = x.shape
    split = [part for size in sizes for part in (size // block, block)]
    axes = range(len(sizes))
    order = [0, 1, *[3 + 2 * axis for axis in axes], *[2 + 2 * axis for axis in axes]]
    folded = x.reshape(batch, channels, *split).permute(order)
    return folded.reshape(batch, channels * block ** len(sizes), *[size // block for size in sizes])


def from_blocks(x: Tensor, block: int) -> Tensor:
    """Undo `to_blocks`: (B, C·blockᴺ, X, …) → (B, C, X·block, …).

    Example:
        >>> import torch
        >>> x = torch.arange(64.0).reshape(1, 1, 4, 4, 4)
        >>> bool((from_blocks(to_blocks(x, 2), 2) == x).all())
        True
    """
    batch, channels, *sizes = x.shape
    channels //= block ** len(sizes)
    unfolded = x.reshape(batch, channels, *[block] * len(sizes), *sizes)
    dims = len(sizes)
    order = [0, 1, *[axis for d in range(dims) for axis in (2 + dims + d, 2 + d)]]
    return unfolded.permute(order).reshape(batch, channels, *[size * block for size in sizes])


def convolutions(
    dims: int,
) -> tuple[type[nn.Conv2d] | type[nn.Conv3d], type[nn.ConvTranspose2d] | type[nn.ConvTranspose3d]]:
    """Return the convolution, and the transposed one, of 2 or 3 spatial axes.

    Raises:
        ValueError: another number of axes.

    Example:
        >>> convolutions(2)[0].__name__
        'Conv2d'
    """
    if dims not in (2, 3):
        raise ValueError(f"dims must be 2 or 3, not {dims}")
    return (nn.Conv3d, nn.ConvTranspose3d) if dims == 3 else (nn.Conv2d, nn.ConvTranspose2d)


class Stage(nn.Module):
    """Two convolutions with group norm and SiLU, and a shortcut around them.

    Args:
        inputs: channels that come in.
        outputs: channels that go out.
        dims: 2 or 3 spatial axes.
        group_size: channels that share one group-norm statistic.

    Shapes: (batch, inputs, X, …) → (batch, outputs, X, …).
    """

    def __init__(self, inputs: int, outputs: int, dims: int, group_size: int) -> None:
        super().__init__()
        convolution, _ = convolutions(dims)
        groups = max(1, outputs // group_size)
        self.first = convolution(inputs, outputs, 3, padding=1, bias=False)
        self.first_norm = nn.GroupNorm(groups, outputs)
        self.second = convolution(outputs, outputs, 3, padding=1, bias=False)
        self.second_norm = nn.GroupNorm(groups, outputs)
        self.shortcut = nn.Identity() if inputs == outputs else convolution(inputs, outputs, 1)
        self.activation = nn.SiLU()

    def forward(self, x: Tensor) -> Tensor:
        """Return (batch, inputs, X, …) → (batch, outputs, X, …)."""
        out = self.activation(self.first_norm(self.first(x)))
        out = self.second_norm(self.second(out))
        return self.activation(out + self.shortcut(x))


class BlockUNet(nn.Module):
    """Residual U-Net on 2ᴺ-voxel blocks, with a skip connection at every level, the finest included.

    Args:
        dims: 2 or 3 spatial axes.
        in_channels: 2, the noise-filled image and its high-frequency guidance.
        out_channels: 1, the reconstruction.
        widths: channels at each level, the finest first.
        block: edge of a block in voxels; 1 works on voxels.
        group_size: channels that share one group-norm statistic.

    Shapes: (batch, in_channels, X, …) → (batch, out_channels, X, …); every size divisible by
    `block · 2^(levels − 1)`, the attribute `divisor`.
    """

    def __init__(
        self,
        dims: int = 3,
        in_channels: int = 2,
        out_channels: int = 1,
        widths: Sequence[int] = (48, 96, 128, 160),
        block: int = 2,
        group_size: int = 8,
    ) -> None:
        super().__init__()
        convolution, transposed = convolutions(dims)
        self.block = block
        self.divisor = block * 2 ** (len(widths) - 1)
        first = in_channels * block**dims
        self.down_stages = nn.ModuleList(
            Stage(first if level == 0 else width, width, dims, group_size) for level, width in enumerate(widths)
        )
        steps = list(itertools.pairwise(widths))
        self.down = nn.ModuleList(convolution(fine, coarse, 2, stride=2) for fine, coarse in steps)
        self.up = nn.ModuleList(transposed(coarse, fine, 2, stride=2) for fine, coarse in steps)
        self.up_stages = nn.ModuleList(Stage(2 * fine, fine, dims, group_size) for fine, _ in steps)
        self.head = convolution(widths[0], out_channels * block**dims, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Return (batch, in_channels, X, …) → (batch, out_channels, X, …)."""
        x = to_blocks(x, self.block)
        skips = []
        for stage, down in zip(self.down_stages[:-1], self.down, strict=True):
            x = stage(x)
            skips.append(x)
            x = down(x)
        x = self.down_stages[-1](x)
        for up, stage, skip in zip(reversed(self.up), reversed(self.up_stages), reversed(skips), strict=True):
            x = stage(torch.cat((up(x), skip), dim=1))
        return from_blocks(self.head(x), self.block)
