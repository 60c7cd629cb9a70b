"""IterMask2 as a method: its settings, what it trains, and which functions it is made of."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from itermask.core.guidance import CUTOFF_2D
from itermask.core.masks import MaskMix
from itermask.core.slice_refinement import MIN_SHRINK, START_SHARE
from itermask.methods.base import Method
from itermask.methods.calibration import MaskSizes, OperatingPoint
from itermask.methods.itermask2 import calibration, detection, training
from itermask.methods.losses import squared_error
from itermask.methods.stop_rules import FixedThreshold, StopRule
from itermask.types import Detection, Prepared, Progress, TrainingVolume

if TYPE_CHECKING:
    from torch import Tensor, nn

    from itermask.runtime.base import Runtime

ROLE, FIRST = "reconstruction", "first"
WIDTHS = [64, 96, 160, 192]
EXCEEDING = 0.2  # the paper's


@dataclass
class IterMask2(Method[detection.Search]):
    """Iterative mask refinement on slices: a first pass over everything, then a mask that shrinks slice by slice.

    Attributes:
        cutoff: guidance cut-off in cycles/mm.
        guidance: give the networks the high-frequency image; False is an ablation.
        first: which network makes the first pass. `network` is its own, which sees the guidance alone, as in the paper;
            `hidden` is the masked autoencoder with the whole brain hidden.
        mask_channel: tell the masked autoencoder which pixels are hidden (not in the paper).
        squares: share of training masks that are the paper's squares; the others are drawn from `masks`.
        masks: shares of the other training mask kinds.
        blobs: share of training slices that get a blob of another brightness, of which the target knows nothing: the
            network learns to distrust the edges that a lesion leaves in the guidance (not in the paper).
        weights: loss weights of hidden brain, visible brain and background.
        slices: slices of a volume in one training example.
        iterate: refine; False takes the first pass for everything: its error, above the threshold, is the mask.
        start_share: share of a slice's brain that is hidden after the first pass.
        copy_visible: take visible pixels for what they are, so that a mask can only shrink.
        min_shrink: a slice has settled when a pass reveals a smaller share of its mask than this.
        stop: where the threshold comes from: `own`, from the curve of the scan's slices together, as IterMask3D finds
            it; `validation`, the error that 20 % of hidden healthy pixels exceed, as in the paper; `level`, the same in
            units of each scan's own error level, the median of its first pass; `fixed`, the smallest with which healthy
            masks are small. The operating point has a `gamma`, a `multiple` of the level, or the `threshold` itself.
        exceeding: the share of hidden healthy pixels, for `level` and `validation`.
        focused: place the curve's passes where it is steep, see IterMask3D.
        steps: points of the threshold curve on the percent axis; as many passes if it is not focused.
        fit_limit: error above which the curve's points are left out of the tangent fit.
        window: percent of the brain over which the curve's own slope is averaged.
    """

    cutoff: float = CUTOFF_2D
    guidance: bool = True
    first: str = "hidden"
    mask_channel: bool = True
    squares: float = 0.0
    masks: MaskMix = field(default_factory=MaskMix)
    blobs: float = 0.0
    weights: tuple[float, float, float] = (1.0, 0.1, 0.02)
    slices: int = 4
    iterate: bool = True
    start_share: float = START_SHARE
    copy_visible: bool = True
    min_shrink: float = MIN_SHRINK
    stop: str = "own"
    exceeding: float = EXCEEDING
    focused: bool = True
    steps: int = 400
    fit_limit: float = 10.0
    window: float = 1.25

    name = "itermask2"
    dims = 2
    test_time = frozenset(
        {
            "iterate",
            "start_share",
            "copy_visible",
            "min_shrink",
            "stop",
            "exceeding",
            "focused",
            "steps",
            "fit_limit",
            "window",
        }
    )

    def __post_init__(self) -> None:
        if isinstance(self.masks, dict):
            self.masks = MaskMix(**self.masks)
        self.weights = tuple(self.weights)  # type: ignore[assignment]
        if self.first not in ("network", "hidden"):
            raise ValueError(f"first is network or hidden, not {self.first!r}")
        if not isinstance(self.iterate, bool):
            raise ValueError(f"iterate is true or false, not {self.iterate!r}")
        if self.first == "network" and not self.guidance:
            raise ValueError("the network of the first pass sees only the guidance; take first = hidden without it")
        if self.stop not in STOPS:
            raise ValueError(f"stop is one of {', '.join(STOPS)}, not {self.stop!r}")
        if self.slices < 1:
            raise ValueError(f"a training example needs at least one slice, not {self.slices}")
        for share in ("squares", "blobs", "start_share", "exceeding"):
            if not 0 <= getattr(self, share) <= 1:
                raise ValueError(f"{share} is a share from 0 to 1, not {getattr(self, share)}")
        if not self.window > 0:
            raise ValueError(f"the window must be a positive number of percent, not {self.window}")

    def settings(self) -> dict[str, Any]:
        """Return constructor arguments, as JSON can hold them."""
        return asdict(self) | {"weights": list(self.weights)}

    def network_specs(self) -> dict[str, tuple[str, dict[str, Any]]]:
        """Return the masked autoencoder (noise-filled slice, guidance, perhaps the mask), and the first network."""
        channels = {ROLE: 3 if self.mask_channel else 2} | ({FIRST: 1} if self.first == "network" else {})
        return {
            role: ("block-unet", {"dims": 2, "in_channels": count, "widths": list(WIDTHS)})
            for role, count in channels.items()
        }

    def example(self, volume: TrainingVolume, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """See `training.example`."""
        return training.example(self, volume, rng)

    def loss(self, networks: "Mapping[str, nn.Module]", batch: "Mapping[str, Tensor]") -> "Tensor":
        """Return the squared error, mostly of what was hidden, see `weights`; the first network has all hidden."""
        batch = {key: value.flatten(0, 1) for key, value in batch.items()}
        loss = squared_error(networks[ROLE](batch["input"]), batch["target"], batch["weight"])
        if self.first == "hidden":
            return loss
        first = networks[FIRST](batch["input"][:, 1:2])
        return loss + squared_error(first, batch["target"], batch["weight_first"])

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
        """Return that of the stop rule: IterMask3D's gamma for `own`; the paper states none for the others."""
        return self.rule.published_point()

    def calibrate(self, searches: Sequence[detection.Search], sizes: MaskSizes) -> OperatingPoint:
        """See the stop rules in `calibration` and `itermask.methods.stop_rules`."""
        return self.rule.calibrate(searches, sizes)


STOPS: dict[str, Callable[[IterMask2], StopRule[detection.Search]]] = {
    "own": lambda method: calibration.OwnThreshold(method.fit_limit, method.window, method=method),
    "level": calibration.LevelThreshold,
    "validation": calibration.ValidationThreshold,
    "fixed": lambda method: FixedThreshold(),
}
