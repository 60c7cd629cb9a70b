"""The Cyclic UNet as a method: its settings, what it trains, and where its error map comes from."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from itermask.core.error_maps import error_map
from itermask.core.masks import erode_slices
from itermask.core.profile import error_profile
from itermask.methods.cyclic_unet.detection import BACKWARD, FORWARD, cycle_reconstruct
from itermask.methods.fixed_threshold import ErrorMap, FixedThresholdMethod
from itermask.methods.losses import squared_error
from itermask.methods.slices import random_slices
from itermask.types import Prepared, Progress, TrainingVolume

if TYPE_CHECKING:
    from torch import Tensor, nn

    from itermask.runtime.base import Runtime

WIDTHS = [32, 64, 96, 128]


@dataclass
class CyclicUNet(FixedThresholdMethod):
    """Translation a → b → a of axial slices; what does not come back as it was is the anomaly.

    Trains on registered pairs: sequence a, the one that is processed, and sequence b.

    Attributes:
        slices: slices of a subject in one training example.
        background: loss weight of pixels outside the brain; those of the brain weigh 1, and so does everything in
            the paper.
        erode: width in mm of the brain's border that is not scored; 4 pixels of the paper's 1.875 mm.
    """

    slices: int = 8
    background: float = 1.0
    erode: float = 7.5

    name = "cyclic-unet"
    dims = 2
    sequences = 2
    test_time = frozenset({"erode"})

    def __post_init__(self) -> None:
        if self.slices < 1:
            raise ValueError(f"a training example needs at least one slice, not {self.slices}")
        for setting in ("background", "erode"):
            if not (np.isfinite(value := getattr(self, setting)) and value >= 0):
                raise ValueError(f"{setting} must not be negative, but is {value}")

    def settings(self) -> dict[str, Any]:
        """Return constructor arguments, as JSON can hold them."""
        return asdict(self)

    def network_specs(self) -> dict[str, tuple[str, dict[str, Any]]]:
        """Return two U-Nets on slices, one for each direction."""
        arguments = {"dims": 2, "in_channels": 1, "widths": list(WIDTHS)}
        return {FORWARD: ("block-unet", dict(arguments)), BACKWARD: ("block-unet", dict(arguments))}

    def example(self, volume: TrainingVolume, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Return random slices of one subject.

        Returns:
            what `pair` gives for each, stacked: (slices, …).

        Raises:
            ValueError: the volume has not two sequences.
        """
        if len(volume.images) != self.sequences:
            raise ValueError(f"{self.name} trains on two registered sequences, but is given {len(volume.images)}")
        pairs = [self.pair(part, rng) for part in random_slices(volume, rng, self.slices)]
        return {key: np.stack([pair[key] for pair in pairs]) for key in pairs[0]}

    def pair(self, part: TrainingVolume, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Return one slice in both sequences.

        Args:
            part: images (2, X, Y) and brain (X, Y).
            rng: random generator.

        Returns:
            `a`, `b` and `weight` of the loss, float32 (1, X, Y).
        """
        weight = np.where(part.brain, 1.0, self.background)
        found = {"a": part.images[0], "b": part.images[1], "weight": weight}
        return {key: value[None].astype(np.float32) for key, value in found.items()}

    def loss(self, networks: "Mapping[str, nn.Module]", batch: "Mapping[str, Tensor]") -> "Tensor":
        """Return the squared error of both translations, each from the true image of the other sequence."""
        batch = {key: value.flatten(0, 1) for key, value in batch.items()}
        there = squared_error(networks[FORWARD](batch["a"]), batch["b"], batch["weight"])
        return there + squared_error(networks[BACKWARD](batch["b"]), batch["a"], batch["weight"])

    def explore(
        self, prepared: Prepared, runtime: "Runtime", rng: np.random.Generator, progress: Progress | None = None
    ) -> ErrorMap:
        """Return the error map of one scan, 0 in the border that is not scored; the profile is of what is scored.

        Raises:
            ValueError: an empty brain or one without an inside, NaN, or a constant image.
        """
        found = super().explore(prepared, runtime, rng, progress)
        return replace(found, profile=error_profile(found.error[self.scored(prepared)]))

    def scored(self, prepared: Prepared) -> np.ndarray:
        """Return the brain without its border, see `core.masks.erode_slices`."""
        return erode_slices(prepared.brain, prepared.spacing, self.erode)

    def error_and_reconstruction(
        self, prepared: Prepared, runtime: "Runtime", rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the squared difference of the scan from what comes back of it."""
        back = cycle_reconstruct(prepared, runtime)
        return error_map(prepared.image, back, self.scored(prepared)), back
