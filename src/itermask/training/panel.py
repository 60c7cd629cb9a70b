"""A picture of a validation scan during training: scan, what the model expects, error, and the anomaly mask."""

import copy
import time
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from itermask.methods.base import Method
from itermask.prepare.placement import AxisPlacement
from itermask.runtime.torch_runtime import TorchRuntime
from itermask.types import Prepared, TrainingVolume

SLICES = 3
GAP = 2  # pixels
COSTLY = 0.1  # share of training time above which no more pictures are made


class Panel:
    """Draws pictures as long as they take little of the training's time.

    Args:
        method: that is trained.
        networks: that are trained; they are copied for each picture and stay as they are.
        device: that training runs on.
        divisor: of the model's grid.
        dtype: number format that training computes in.
    """

    def __init__(
        self, method: Method, networks: nn.ModuleDict, device: torch.device, divisor: int, dtype: torch.dtype
    ) -> None:
        self.method, self.networks, self.device, self.divisor = method, networks, device, divisor
        self.dtype = dtype
        self.costly = False

    def draw(self, average: Mapping[str, Tensor], volume: TrainingVolume, interval: float) -> np.ndarray | None:
        """Return a picture, uint8 (rows, columns, 3); None where it would cost too much, or cannot be made.

        Args:
            average: weights to draw the panel with.
            volume: of a healthy validation scan.
            interval: seconds of training since the last picture.
        """
        if self.costly:
            return None
        started = time.perf_counter()
        networks = copy.deepcopy(self.networks)
        networks.load_state_dict(dict(average))
        runtime = TorchRuntime(dict(networks.items()), str(self.device), self.dtype)
        prepared = as_prepared(volume, self.divisor)
        try:
            found = self.method.detect(prepared, runtime, np.random.default_rng(0))
        except Exception:  # whatever an untrained network gives, no picture is worth the training
            return None
        self.costly = time.perf_counter() - started > COSTLY * interval
        return picture(prepared.image, found.reconstruction, found.error, found.mask, prepared.brain)


def as_prepared(volume: TrainingVolume, divisor: int) -> Prepared:
    """Return a cached training scan as a method sees it; it leads back to no file."""
    image = np.ascontiguousarray(volume.images[0])
    orientation = np.array([[0.0, 1.0], [1.0, 1.0], [2.0, 1.0]])
    axes = AxisPlacement(image.shape, orientation, (0.0,) * 3, (1.0,) * 3, image.shape)
    return Prepared(image, volume.brain, volume.spacing, axes, (0.0, 1.0), volume.plane, 0, divisor)


def picture(
    image: np.ndarray, reconstruction: np.ndarray, error: np.ndarray, mask: np.ndarray, brain: np.ndarray
) -> np.ndarray:
    """Return slices in columns; scan, expectation, error and mask in rows; uint8 (rows, columns, 3).

    Args:
        image: scaled intensities, 3D.
        reconstruction: of the same shape.
        error: of the same shape, not negative.
        mask: boolean.
        brain: boolean, not empty.

    Example:
        >>> slices = np.zeros((8, 8, 8))
        >>> picture(slices, slices, slices, slices > 0, slices == 0).dtype
        dtype('uint8')
    """
    low, high = (float(one) for one in np.percentile(image[brain], (0.5, 99.5)))
    ceiling = max(float(np.percentile(error[brain], 99)), 1e-6)
    filled = np.flatnonzero(brain.any(axis=(0, 1)))
    chosen = filled[np.linspace(0, len(filled) - 1, SLICES + 2).round().astype(int)[1:-1]]
    rows = []
    for array, bottom, top in (
        (image, low, high), (np.where(brain, reconstruction, low), low, high), (error, 0.0, ceiling), (mask, 0.0, 1.0),
    ):  # fmt: skip
        levels = np.clip((array[..., chosen].astype(np.float32) - bottom) / max(top - bottom, 1e-6), 0, 1)
        tiles = [np.pad(levels[..., number].T[::-1], GAP) for number in range(len(chosen))]
        rows.append(np.concatenate(tiles, axis=1))
    grey = (255 * np.concatenate(rows)).round().astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)
