"""IterMask3D as a method: its settings, what it trains, and which functions it is made of."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from itermask.core.guidance import CUTOFF_3D
from itermask.core.masks import MaskMix
from itermask.methods.base import Method
from itermask.methods.calibration import MaskSizes, OperatingPoint
from itermask.methods.itermask3d import calibration, detection, training
from itermask.methods.losses import squared_error
from itermask.methods.stop_rules import FixedThreshold, StopRule
from itermask.types import Detection, Prepared, Progress, TrainingVolume

if TYPE_CHECKING:
    from torch import Tensor, nn

    from itermask.runtime.base import Runtime


@dataclass
class IterMask3D(Method[detection.Search]):
    """Iterative mask refinement on volumes, with the scan's own stop threshold.

    Attributes:
        cutoff: guidance cut-off in cycles/mm.
        guidance: give the network the high-frequency image; False is an ablation.
        mask_channel: tell the network which voxels are hidden (not in the paper).
        masks: shares of the training mask kinds.
        weights: loss weights of hidden brain, visible brain and background.
        crop: run the network on the brain's part of the box only, with the guidance of the whole box. For networks that
            do not normalise over the volume, such as the published one; others see less background than they learned.
        focused: place the threshold curve's passes where it is steep (`threshold_curve.focused_percents`, 17 passes);
            False spreads them evenly, as in the paper.
        steps: points of the threshold curve on the percent axis; as many passes if it is not focused.
        fit_limit: error above which the curve's points are left out of the tangent fit.
        window: percent of the brain over which the curve's own slope is averaged; 5 in the paper.
        tangent_alone: where the tangent fits, its slope alone decides, as in the paper; else the curve's own counts
            too.
        start: what the refinement begins with: the whole `brain`, or the mask that the `curve` had where it stopped
            (with a focused curve, that of the last pass before).
        smoothing: standard deviation in mm of the error map's smoothing; 0 as in the paper.
        smallest: connected parts of the final mask under this volume in mm³ are dropped; 0 as in the paper.
        min_shrink: refinement stops when a pass reveals a smaller share of the mask than this; 0.01 in the paper, with
            which a lesion that can be guessed from its border erodes pass by pass until nothing is left.
        iterate: refine; False takes the error of one pass with the whole brain hidden for everything: the threshold
            curve is read off it, and it decides the mask.
        stop: `own` finds every scan's own threshold on its curve; `fixed` takes the operating point's `threshold`.
    """

    cutoff: float = CUTOFF_3D
    guidance: bool = True
    mask_channel: bool = True
    masks: MaskMix = field(default_factory=MaskMix)
    weights: tuple[float, float, float] = (1.0, 0.1, 0.02)
    crop: bool = False
    focused: bool = True
    steps: int = 400
    fit_limit: float = 10.0
    window: float = 1.25
    tangent_alone: bool = False
    start: str = "brain"
    smoothing: float = 0.0
    smallest: float = 0.0
    min_shrink: float = 0.2
    iterate: bool = True
    stop: str = "own"

    name = "itermask3d"
    dims = 3
    family = "itermask3d"
    test_time = frozenset(
        {
            "crop",
            "focused",
            "steps",
            "fit_limit",
            "window",
            "tangent_alone",
            "start",
            "smoothing",
            "smallest",
            "min_shrink",
            "iterate",
            "stop",
        }
    )

    def __post_init__(self) -> None:
        if isinstance(self.masks, dict):
            self.masks = MaskMix(**self.masks)
        self.weights = tuple(self.weights)  # type: ignore[assignment]
        if not isinstance(self.iterate, bool):
            raise ValueError(f"iterate is true or false, not {self.iterate!r}")
        if self.stop not in STOPS:
            raise ValueError(f"stop is {' or '.join(STOPS)}, not {self.stop!r}")
        if self.start not in ("brain", "curve"):
            raise ValueError(f"start is brain or curve, not {self.start!r}")
        if not self.window > 0:
            raise ValueError(f"the window must be a positive number of percent, not {self.window}")

    def settings(self) -> dict[str, Any]:
        """Return constructor arguments, as JSON can hold them."""
        return asdict(self) | {"weights": list(self.weights)}

    def network_specs(self) -> dict[str, tuple[str, dict[str, Any]]]:
        """Return one network; the input is the noise-filled image, its guidance, and the mask if it is told."""
        channels = 3 if self.mask_channel else 2
        return {"reconstruction": ("block-unet", {"dims": 3, "in_channels": channels, "widths": [32, 64, 128, 192]})}

    def example(self, volume: TrainingVolume, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """See `training.example`."""
        return training.example(volume, rng, self.masks, self.cutoff, self.guidance, self.mask_channel, self.weights)

    def loss(self, networks: "Mapping[str, nn.Module]", batch: "Mapping[str, Tensor]") -> "Tensor":
        """Return the squared error, mostly over what was hidden; see `weights`."""
        return squared_error(networks["reconstruction"](batch["input"]), batch["target"], batch["weight"])

    @property
    def rule(self) -> StopRule[detection.Search]:
        """The stop rule of the setting `stop`."""
        return STOPS[self.stop](self)

    def explore(
        self, prepared: Prepared, runtime: "Runtime", rng: np.random.Generator, progress: Progress | None = None
    ) -> detection.Search:
        """See `detection.explore`."""
        return detection.explore(self, prepared, runtime, rng, progress)

    def finalize(self, search: detection.Search, point: OperatingPoint, progress: Progress | None = None) -> Detection:
        """See `detection.finalize`."""
        return detection.finalize(self, search, point, progress)

    def published_point(self) -> OperatingPoint:
        """Return that of the stop rule."""
        return self.rule.published_point()

    def calibrate(self, searches: Sequence[detection.Search], sizes: MaskSizes) -> OperatingPoint:
        """See the stop rules: `calibration.OwnThreshold` and `itermask.methods.stop_rules.FixedThreshold`."""
        return self.rule.calibrate(searches, sizes)


STOPS: dict[str, Callable[[IterMask3D], StopRule[detection.Search]]] = {
    "own": lambda method: calibration.OwnThreshold(method.fit_limit, method.window, method.tangent_alone),
    "fixed": lambda method: FixedThreshold(),
}
