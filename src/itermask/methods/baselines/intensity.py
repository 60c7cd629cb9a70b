"""Intensity thresholding as a method: no network, only the histogram of normal scans."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from itermask.methods.baselines.histogram import PERCENTS, landmarks, match, rising
from itermask.methods.fixed_threshold import FixedThresholdMethod
from itermask.types import Prepared, TrainingVolume

if TYPE_CHECKING:
    from torch import Tensor, nn

    from itermask.runtime.base import Runtime

DIRECTIONS = ("bright", "dark")
LOW, HIGH = -3.0, 3.0  # ends of the scale: an error of 0 when bright, and when dark


@dataclass
class IntensityThreshold(FixedThresholdMethod):
    """Everything brighter (or darker) than normal tissue is the anomaly.

    Attributes:
        direction: `bright` or `dark`.
        landmarks: mean histogram landmarks of the normal scans in scaled intensities, see `histogram.PERCENTS`;
            training learns them. Empty: the model's intensity scale is taken as it is.
    """

    direction: str = "bright"
    landmarks: tuple[float, ...] = ()

    name = "intensity"
    dims = 3
    test_time = frozenset({"direction"})

    def __post_init__(self) -> None:
        self.landmarks = tuple(float(value) for value in self.landmarks)
        if self.direction not in DIRECTIONS:
            raise ValueError(f"direction is bright or dark, not {self.direction!r}")
        if self.landmarks and not (len(self.landmarks) == len(PERCENTS) and rising(self.landmarks)):
            raise ValueError(f"landmarks must be {len(PERCENTS)} rising numbers, not {self.landmarks}")

    def settings(self) -> dict[str, Any]:
        """Return constructor arguments, as JSON can hold them."""
        return asdict(self) | {"landmarks": list(self.landmarks)}

    def network_specs(self) -> dict[str, tuple[str, dict[str, Any]]]:
        """Return no network."""
        return {}

    def fit(self, volumes: Iterable[TrainingVolume]) -> None:
        """Learn the mean landmarks of normal scans, unless they were given.

        Raises:
            ValueError: no volume.
        """
        if self.landmarks:
            return
        found = [landmarks(volume.images[0][volume.brain]) for volume in volumes]
        if not found:
            raise ValueError("histogram landmarks are learned from at least one normal scan")
        self.landmarks = tuple(float(f"{value:.6g}") for value in np.mean(found, axis=0))

    def example(self, volume: TrainingVolume, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Raise `ValueError`: there is no training."""
        raise ValueError("intensity thresholding has no network to train")

    def loss(self, networks: "Mapping[str, nn.Module]", batch: "Mapping[str, Tensor]") -> "Tensor":
        """Raise `ValueError`: there is no training."""
        raise ValueError("intensity thresholding has no network to train")

    def error_and_reconstruction(
        self, prepared: Prepared, runtime: "Runtime", rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return how far matched intensity is above −3 (bright) or below +3 (dark), and a brain of the median.

        Raises:
            ValueError: a brain that is constant between the landmarks.
        """
        image, brain = prepared.image, prepared.brain
        matched = match(image, landmarks(image[brain]), self.landmarks) if self.landmarks else image
        error = np.maximum(matched - LOW if self.direction == "bright" else HIGH - matched, 0)
        return error, np.where(brain, np.median(image[brain]), image)
