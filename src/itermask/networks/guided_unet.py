"""The U-Net of guided diffusion (Dhariwal and Nichol 2021), with or without a time input; MONAI's building blocks."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from itermask.errors import MissingExtraError

LARGEST_GROUPS = 32  # of a group norm, as in the publication


class _NoTime(nn.Module):
    """Replaces a residual block's projection of the time: adds nothing."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.outputs = outputs

    def forward(self, embedding: Tensor) -> Tensor:
        """Return (batch, any) → zeros (batch, outputs)."""
        return embedding.new_zeros(len(embedding), self.outputs)


class GuidedUNet(nn.Module):
    """Residual U-Net with self-attention at the coarse levels; the network of IterMask2 and of the diffusion methods.

    Needs MONAI: `pip install 'itermask[diffusion]'`.

    Args:
        dims: 2 or 3 spatial axes.
        in_channels: channels of the input.
        out_channels: channels of the output.
        channels: channels at each level, the finest first.
        attention_levels: whether each level attends; by default the last three of five, where a slice of 128 pixels
            has 32, 16 and 8 of them. One head; the level with the fewest voxels attends in the middle block too.
        num_res_blocks: residual blocks a level.
        dropout: dropout probability within the residual blocks while training.
        with_time: take a second input, the time of a diffusion process.

    Shapes: (batch, in_channels, X, …) → (batch, out_channels, X, …); every size divisible by `2^(levels − 1)`, the
    attribute `divisor`. The output is 0 before the first training step.

    Raises:
        MissingExtraError: MONAI is not installed.
        ValueError: `dims` is neither 2 nor 3, or the levels of `channels` and `attention_levels` differ in number.
    """

    def __init__(
        self,
        dims: int = 2,
        in_channels: int = 2,
        out_channels: int = 1,
        channels: Sequence[int] = (32, 32, 64, 96, 128),
        attention_levels: Sequence[bool] | None = None,
        num_res_blocks: int = 2,
        dropout: float = 0.0,
        with_time: bool = False,
    ) -> None:
        super().__init__()
        if dims not in (2, 3):
            raise ValueError(f"dims must be 2 or 3, not {dims}")
        if attention_levels is None:
            attention_levels = [level >= len(channels) - 3 for level in range(len(channels))]
        if len(attention_levels) != len(channels):
            raise ValueError(f"{len(channels)} levels of channels, but {len(attention_levels)} of attention")
        if not 0 <= dropout < 1:
            raise ValueError(f"the dropout probability must be from 0 to below 1, not {dropout}")
        self.with_time = with_time
        self.divisor = 2 ** (len(channels) - 1)
        self.net = _monai_unet(
            spatial_dims=dims,
            in_channels=in_channels,
            out_channels=out_channels,
            num_res_blocks=num_res_blocks,
            channels=list(channels),
            attention_levels=[bool(attends) for attends in attention_levels],
            norm_num_groups=math.gcd(LARGEST_GROUPS, *channels),
            resblock_updown=True,
            num_head_channels=list(channels),
        )
        blocks: list[Any] = [module for module in self.net.modules() if hasattr(module, "time_emb_proj")]
        for block in blocks:
            if not with_time:
                block.time_emb_proj = _NoTime(block.out_channels)
            if dropout:
                block.conv2 = nn.Sequential(nn.Dropout(dropout), block.conv2)
        if not with_time:
            self.net.time_embed = nn.Identity()

    def forward(self, x: Tensor, t: Tensor | None = None) -> Tensor:
        """Return one pass.

        Args:
            x: (batch, in_channels, X, …).
            t: (batch,) time of a diffusion process, any real numbers; with `with_time` only.

        Returns:
            (batch, out_channels, X, …).

        Raises:
            ValueError: a time where the network takes none, or none where it takes one.
        """
        if (t is not None) != self.with_time:
            raise ValueError("this network needs a time" if self.with_time else "this network takes no time")
        return self.net(x, torch.zeros(len(x), device=x.device) if t is None else t)


def _monai_unet(**arguments: Any) -> nn.Module:
    """Return MONAI's diffusion U-Net; imported when one is built, for MONAI is slow to import."""
    try:
        from monai.networks.nets.diffusion_model_unet import DiffusionModelUNet
    except ImportError as error:
        raise MissingExtraError(
            "the network 'guided-unet' needs MONAI; install it with pip install 'itermask[diffusion]'"
        ) from error
    return DiffusionModelUNet(**arguments)
