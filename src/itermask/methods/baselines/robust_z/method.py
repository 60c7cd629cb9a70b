"""Robust z as a method: no network and nothing to learn, so that nothing but the threshold needs healthy scans."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from itermask.methods.baselines.robust_z.prior import prior_for
from itermask.methods.baselines.robust_z.standardise import middle_and_spread, smoothed, trimmed_mean_and_spread
from itermask.methods.calibration import OperatingPoint
from itermask.methods.fixed_threshold import FixedThresholdMethod
from itermask.types import Prepared, TrainingVolume

if TYPE_CHECKING:
    from torch import Tensor, nn

    from itermask.runtime.base import Runtime

SIDES = ("bright", "dark", "either")
CERTAIN = 0.7  # share of white matter from which on a voxel is taken for it
USUAL = {False: 1.6, True: 2.5}  # thresholds without calibration: over the brain, and within white matter


@dataclass
class RobustZ(FixedThresholdMethod):
    """Whatever is much brighter (or darker) than the rest of the same brain is the anomaly.

    The smoothed intensity's distance from the brain's median, in robust standard deviations; or, with the prior, from
    the scan's own white matter in that tissue's standard deviations, times the share of white matter expected there.
    Works on volumes and on a scan's own slices, whatever the contrast. Baseline of the method notes.

    Attributes:
        smoothing: standard deviation in mm of the Gaussian that comes first; of a scan's own slices within each.
        side: `bright`, `dark` or `either`.
        white_matter: whether the white-matter prior is used.
    """

    smoothing: float = 1.5
    side: str = "bright"
    white_matter: bool = False

    name = "robust-z"
    dims = 3
    test_time = frozenset({"smoothing", "side", "white_matter"})

    def __post_init__(self) -> None:
        if self.side not in SIDES:
            raise ValueError(f"side is bright, dark or either, not {self.side!r}")
        if not (np.isfinite(self.smoothing) and self.smoothing >= 0):
            raise ValueError(f"smoothing is a standard deviation in mm, not {self.smoothing}")
        if not isinstance(self.white_matter, bool):
            raise ValueError(f"white_matter is true or false, not {self.white_matter!r}")

    def settings(self) -> dict[str, Any]:
        """Return constructor arguments, as JSON can hold them."""
        return asdict(self)

    def network_specs(self) -> dict[str, tuple[str, dict[str, Any]]]:
        """Return no network."""
        return {}

    def example(self, volume: TrainingVolume, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Raise `ValueError`: there is no training."""
        raise ValueError("robust z has no network to train")

    def loss(self, networks: "Mapping[str, nn.Module]", batch: "Mapping[str, Tensor]") -> "Tensor":
        """Raise `ValueError`: there is no training."""
        raise ValueError("robust z has no network to train")

    def error_and_reconstruction(
        self, prepared: Prepared, runtime: "Runtime", rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return how far the scan is to the chosen side, in standard deviations, and what it is compared with.

        Raises:
            ValueError: a brain that is half constant, or too little of it where white matter is expected.
        """
        image, brain = prepared.image, prepared.brain
        even = smoothed(image, brain, prepared.spacing, self.smoothing, bool(prepared.plane))
        share: np.ndarray | float = 1.0
        if self.white_matter:
            share = prior_for(prepared)
            middle, spread = trimmed_mean_and_spread(even[brain & (share > CERTAIN)])
        else:
            middle, spread = middle_and_spread(even[brain])
        z = (even - middle) / spread
        error = np.abs(z) if self.side == "either" else np.maximum(z if self.side == "bright" else -z, 0)
        return error * share, np.where(brain, middle, image)

    def published_point(self) -> OperatingPoint:
        """Return the usual threshold, for a model without calibration: `USUAL`."""
        return {"threshold": USUAL[self.white_matter]}
