"""The denoising autoencoder as a method: what is corrupted while it learns, and which network restores it."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from itermask.methods.baselines.coarse_noise import coarse_noise
from itermask.methods.baselines.reconstruction import ROLE, Reconstructing
from itermask.types import TrainingVolume

WIDTHS = {3: [16, 32, 64, 96], 2: [32, 64, 96, 128]}


@dataclass
class Denoising(Reconstructing):
    """Removal of coarse noise; a scan as it is goes in, and what the network takes for noise is the error.

    Attributes:
        cell: distance in mm of the values that the noise is interpolated from.
        strength: largest standard deviation of these values in scaled intensities; each example draws its own,
            uniformly from 0.
    """

    cell: float = 16.0
    strength: float = 3.0

    name = "denoising"

    def __post_init__(self) -> None:
        super().__post_init__()
        for setting in ("cell", "strength"):
            if not getattr(self, setting) > 0:
                raise ValueError(f"{setting} must be positive, not {getattr(self, setting)}")

    def network_specs(self) -> dict[str, tuple[str, dict[str, Any]]]:
        """Return one U-Net on volumes or slices."""
        arguments = {"dims": self.dims, "in_channels": 1, "widths": list(WIDTHS[self.dims])}
        return {ROLE: ("block-unet", arguments)}

    def seen(self, part: TrainingVolume, rng: np.random.Generator) -> np.ndarray:
        """Return the image with coarse noise of random strength in the brain."""
        image = part.images[0]
        noise = coarse_noise(image.shape, part.spacing, self.cell, rng)
        return np.where(part.brain, image + rng.uniform(0, self.strength) * noise, image)
