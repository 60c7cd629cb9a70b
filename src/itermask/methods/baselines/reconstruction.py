"""What reconstructing methods share: one network, volumes or slices, error = squared difference from the scan."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from itermask.core.error_maps import error_map
from itermask.methods.fixed_threshold import FixedThresholdMethod
from itermask.methods.losses import squared_error
from itermask.methods.slices import over_slices, random_slices
from itermask.types import Prepared, TrainingVolume

if TYPE_CHECKING:
    from torch import Tensor, nn

    from itermask.runtime.base import Runtime

ROLE = "reconstruction"


@dataclass
class Reconstructing(FixedThresholdMethod):
    """A network that learns to give normal brains back, and is asked to give a scan back.

    Attributes:
        dims: 3 works on volumes, 2 on axial slices.
        slices: slices of a volume in one training example, where `dims` is 2.
        background: loss weight of voxels outside the brain; those of the brain weigh 1.
    """

    dims: int = 3
    slices: int = 8
    background: float = 0.02

    def __post_init__(self) -> None:
        if self.dims not in (2, 3):
            raise ValueError(f"dims must be 2 or 3, not {self.dims}")
        if self.slices < 1:
            raise ValueError(f"a training example needs at least one slice, not {self.slices}")
        if not self.background >= 0:
            raise ValueError(f"the background's loss weight must not be negative, but is {self.background}")

    def settings(self) -> dict[str, Any]:
        """Return constructor arguments, as JSON can hold them."""
        return asdict(self)

    def seen(self, part: TrainingVolume, rng: np.random.Generator) -> np.ndarray:
        """Return what the network sees of a normal brain (or slice) while it learns: here the image itself.

        Args:
            part: a normal brain or slice; its first sequence counts.
            rng: random generator.

        Returns:
            an array of the image's shape.
        """
        return part.images[0]

    def example(self, volume: TrainingVolume, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Return one training example.

        Returns:
            `input`, `target` and `weight`, float32: (1, X, Y, Z), or (slices, 1, X, Y) where `dims` is 2.
        """
        if self.dims == 3:
            return self._example(volume, rng)
        examples = [self._example(part, rng) for part in random_slices(volume, rng, self.slices)]
        return {key: np.stack([example[key] for example in examples]) for key in examples[0]}

    def _example(self, part: TrainingVolume, rng: np.random.Generator) -> dict[str, np.ndarray]:
        weight = np.where(part.brain, 1.0, self.background)
        found = {"input": self.seen(part, rng), "target": part.images[0], "weight": weight}
        return {key: value[None].astype(np.float32) for key, value in found.items()}

    def loss(self, networks: "Mapping[str, nn.Module]", batch: "Mapping[str, Tensor]") -> "Tensor":
        """Return the squared error over the brain; every volume or slice counts the same."""
        if self.dims == 2:
            batch = {key: value.flatten(0, 1) for key, value in batch.items()}
        return squared_error(networks[ROLE](batch["input"]), batch["target"], batch["weight"])

    def error_and_reconstruction(
        self, prepared: Prepared, runtime: "Runtime", rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the scan as it is goes in; the squared difference from what comes out is the error."""
        inputs = prepared.image[None]
        outputs = runtime(ROLE, inputs) if self.dims == 3 else over_slices(runtime, ROLE, inputs, prepared.brain)
        return error_map(prepared.image, outputs[0], prepared.brain), outputs[0]
