"""The any-scan method: its settings and what it is made of."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from itermask.methods.anyscan import detection, training, variants
from itermask.methods.anyscan.description import FEATURES
from itermask.methods.anyscan.guidance import CUTOFF
from itermask.methods.base import Method
from itermask.methods.calibration import MaskSizes, OperatingPoint, small
from itermask.types import Detection, Prepared, Progress, TrainingVolume

if TYPE_CHECKING:
    from torch import Tensor, nn

    from itermask.runtime.base import Runtime


UNSEEN = 2.0  # times the healthy scans of calibration: how large masks are on scanners that nobody has trained on


@dataclass
class AnyScan(Method[detection.Search]):
    """Restoration of partly hidden brains in any contrast.

    Attributes:
        cutoff: guidance cut-off in cycles/mm.
        mix: shares of the kinds of training examples.
        draws: how often the whole brain is hidden and restored.
        smoothing: standard deviation in mm by which the scan's difference from the restored image is smoothed.
        smallest: connected parts of the mask under this volume in mm³ are dropped.
    """

    cutoff: float = CUTOFF
    mix: training.Mix = field(default_factory=training.Mix)
    draws: int = 2
    smoothing: float = 1.6
    smallest: float = 40.0

    name = "anyscan"
    dims = 3
    family = "anyscan"
    test_time = frozenset({"draws", "smoothing", "smallest"})
    takes = ("T1w", "T2w", "FLAIR")

    def __post_init__(self) -> None:
        if isinstance(self.mix, dict):
            self.mix = training.Mix(**self.mix)
        if self.draws < 1:
            raise ValueError(f"the brain must be restored at least once, not {self.draws} times")

    def settings(self) -> dict[str, Any]:
        """Return the constructor arguments, as JSON can hold them."""
        return asdict(self)

    def network_specs(self) -> dict[str, tuple[str, dict[str, Any]]]:
        """Return the one network with a description of the scan beside its four channels."""
        arguments = {"in_channels": 3, "out_channels": training.OUTPUTS, "features": FEATURES}
        return {detection.ROLE: ("film-unet", arguments | {"widths": [32, 64, 128, 192]})}

    def example(self, volume: TrainingVolume, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """See `training.example`."""
        return training.example(volume, rng, self.mix, self.cutoff)

    def loss(self, networks: "Mapping[str, nn.Module]", batch: "Mapping[str, Tensor]") -> "Tensor":
        """See `training.loss`."""
        return training.loss(networks[detection.ROLE](batch["input"], batch["description"]), dict(batch))

    def explore(
        self, prepared: Prepared, runtime: "Runtime", rng: np.random.Generator, progress: Progress | None = None
    ) -> detection.Search:
        """See `detection.explore`."""
        return detection.explore(self, prepared, runtime, rng, progress)

    def finalize(self, search: detection.Search, point: OperatingPoint, progress: Progress | None = None) -> Detection:
        """See `detection.finalize`."""
        return detection.finalize(self, search, point)

    def published_point(self) -> OperatingPoint:
        """See `detection.published_point`."""
        return detection.published_point()

    def calibrate(self, searches: Sequence[detection.Search], sizes: MaskSizes) -> OperatingPoint:
        """See `detection.calibrate`."""
        return detection.calibrate(list(searches), lambda point: small(UNSEEN * sizes(point)))

    def variants(self, prepared: Prepared, rng: np.random.Generator) -> list[Prepared]:
        """See `variants.other_contrasts`."""
        return variants.other_contrasts(prepared, rng)
