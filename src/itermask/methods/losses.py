"""Losses that several methods train with."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def squared_error(reconstruction: "Tensor", target: "Tensor", weight: "Tensor") -> "Tensor":
    """Return the weighted mean squared error; every example counts the same.

    Args:
        reconstruction: (batch, channels, X, Y[, Z]), any number format.
        target: float32, same shape.
        weight: float32, broadcastable to that shape, not negative; of every example some voxel's is above 0.

    Example:
        >>> import torch
        >>> zeros, ones = torch.zeros(1, 1, 2), torch.ones(1, 1, 2)
        >>> float(squared_error(zeros, ones, torch.tensor([[[1.0, 0.0]]])))
        1.0
    """
    axes = tuple(range(1, target.ndim))
    squared = (reconstruction.float() - target) ** 2
    return ((squared * weight).sum(axes) / weight.sum(axes)).mean()
