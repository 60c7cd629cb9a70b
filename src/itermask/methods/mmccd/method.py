"""MMCCD as a method: its settings, what it trains, and where its error map comes from."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from itermask.methods.cyclic_unet import CyclicUNet
from itermask.methods.cyclic_unet.detection import BACKWARD, FORWARD
from itermask.methods.losses import squared_error
from itermask.methods.mmccd import detection, diffusion, training
from itermask.types import Prepared, TrainingVolume

if TYPE_CHECKING:
    from torch import Tensor, nn

    from itermask.runtime.base import Runtime

PUBLISHED = {"strips": 64, "ddim_steps": 100, "share": 0, "skip": False, "erode": 7.5}  # how the paper processes a scan


@dataclass
class MMCCD(CyclicUNet):
    """The Cyclic UNet with a masked conditional diffusion instead of its forward network.

    Attributes:
        width: of a strip, pixels.
        combs: share of the training slices in which several strips are hidden, so that strips can share a sample at
            test time; 0 as in the paper.
        strips: strips of each direction that are hidden one after the other; the paper's 64 lie 2 of 128 pixels apart.
        ddim_steps: passes of the forward network for a sample; a divisor of 1000.
        share: pixels that at least stay visible between two strips of one direction that are hidden in one sample; 0
            gives every strip a sample of its own, as in the paper.
        skip: leave out strips that hide no scored pixel; nothing changes but the time it takes.
        batch: samples that are drawn at once.
    """

    width: int = 16
    combs: float = 0.0
    strips: int = 64
    ddim_steps: int = 100
    share: int = 0
    skip: bool = True
    batch: int = 32

    name = "mmccd"
    test_time = frozenset({"erode", "strips", "ddim_steps", "share", "skip", "batch"})

    def __post_init__(self) -> None:
        super().__post_init__()
        for setting in ("width", "strips", "batch"):
            if getattr(self, setting) < 1:
                raise ValueError(f"{setting} must be at least 1, not {getattr(self, setting)}")
        if not 0 <= self.combs <= 1:
            raise ValueError(f"combs is a share from 0 to 1, not {self.combs}")
        if self.share < 0:
            raise ValueError(f"share must not be negative, but is {self.share}")
        if not isinstance(self.skip, bool):
            raise ValueError(f"skip is true or false, not {self.skip!r}")
        diffusion.sampling_times(self.ddim_steps)

    def network_specs(self) -> dict[str, tuple[str, dict[str, Any]]]:
        """Return a U-Net that is told the time, (noisy b, condition) → b, and the Cyclic UNet's backward network."""
        specs = super().network_specs()
        forward = {"dims": 2, "in_channels": 2, "widths": specs[BACKWARD][1]["widths"]}
        return specs | {FORWARD: ("time-unet", forward)}

    def pair(self, part: TrainingVolume, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Return one slice in both sequences, and what `training.noise_and_condition` adds."""
        found = super().pair(part, rng)
        return found | training.noise_and_condition(found["a"][0], rng, self.width, self.combs)

    def loss(self, networks: "Mapping[str, nn.Module]", batch: "Mapping[str, Tensor]") -> "Tensor":
        """Return the squared error of the clean b that the forward network sees in noise, and of a from the true b.

        Raises:
            MissingExtraError: MONAI is not installed.
        """
        import torch

        batch = {key: value.flatten(0, 1) for key, value in batch.items()}
        noisy = diffusion.noised(batch["b"], batch["noise"], batch["time"])
        clean = networks[FORWARD](torch.cat((noisy, batch["condition"]), dim=1), batch["time"])
        there = squared_error(clean, batch["b"], batch["weight"])
        return there + squared_error(networks[BACKWARD](batch["b"]), batch["a"], batch["weight"])

    def error_and_reconstruction(
        self, prepared: Prepared, runtime: "Runtime", rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """See `detection.error_and_reconstruction`."""
        return detection.error_and_reconstruction(self, prepared, self.scored(prepared), runtime, rng)
