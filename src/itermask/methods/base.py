"""What a method is: how it learns from normal scans, and how it looks at one scan.

A method is trained on normal data only. It may hold several networks (IterMask2 has two), train on several
registered sequences (MMCCD), work on volumes or on slices; it always gets whole prepared volumes.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from itermask.methods.operating import MaskSizes, OperatingPoint
from itermask.prepare.prepare import Prepared

if TYPE_CHECKING:
    from torch import Tensor, nn

    from itermask.runtime.base import Runtime

Progress = Callable[[str, float], None]  # (what is being done, share done from 0 to 1)


@dataclass(frozen=True)
class TrainingVolume:
    """A normal subject on the model's grid.

    Attributes:
        images: float32 (sequences, X, Y, Z), scaled intensities; background value outside the brain.
        brain: boolean (X, Y, Z).
        spacing: voxel size in mm.
        plane: `axial`, `coronal` or `sagittal` where the last axis counts the scan's own slices, else empty.
        groups: uint8 tissue groups, see `itermask.synth.tissues`; None where they are not known.
    """

    images: np.ndarray
    brain: np.ndarray
    spacing: tuple[float, ...]
    plane: str = ""
    groups: np.ndarray | None = None


@dataclass(frozen=True)
class Detection:
    """What a method finds in one scan, on the model's grid.

    Attributes:
        mask: boolean, True where the scan departs from normal; inside the brain.
        error: float32, squared error in scaled intensities; 0 outside the brain.
        reconstruction: float32, what the model expects, scaled intensities.
        scores: number for each of the method's scan-level scores; higher is less normal.
        profile: features of the scan that are compared with healthy scans', by name; may be empty.
        threshold: error level of the final mask.
        trace: how the threshold and the mask were found: plain numbers and lists, for the report.
        revealed: uint8, the pass that revealed each voxel of the brain for good, from 1; in `mask` one more than there
            were passes, 0 outside the brain. None where a method makes no passes.
    """

    mask: np.ndarray
    error: np.ndarray
    reconstruction: np.ndarray
    scores: dict[str, float]
    profile: dict[str, float]
    threshold: float
    trace: dict[str, Any] = field(default_factory=dict)
    revealed: np.ndarray | None = None


class Method(ABC):
    """One anomaly-detection system; settings are constructor arguments, kept in the model's card.

    Attributes:
        name: under which it is registered.
        dims: spatial axes that its networks work on: 3, or 2 for slices.
        sequences: registered sequences that it trains on.
        test_time: settings that training does not depend on.
        family: methods of one family train the same networks in the same way, so that a model of one can be
            calibrated as another; None is a family of its own.
        takes: sequences that a model takes whatever it was trained on; empty for the one it was trained on.
    """

    name: str
    dims: int
    sequences: int = 1
    test_time: frozenset[str] = frozenset()
    family: str | None = None
    takes: tuple[str, ...] = ()

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """Constructor arguments, as JSON can hold them."""

    @abstractmethod
    def network_specs(self) -> dict[str, tuple[str, dict[str, Any]]]:
        """Default network (name, arguments) for each role this method trains; empty if it has none."""

    def fit(self, volumes: Iterable[TrainingVolume]) -> None:  # noqa: B027 (most methods learn nothing here)
        """Learn what needs no gradient from normal scans, before the first training step; nothing by default.

        What is learned must be in `settings` afterwards, for the model's card.

        Args:
            volumes: the training scans, one after the other, without augmentation.
        """

    @abstractmethod
    def example(self, volume: TrainingVolume, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """One training example from one normal subject: arrays to be stacked into a batch."""

    @abstractmethod
    def loss(self, networks: "Mapping[str, nn.Module]", batch: "Mapping[str, Tensor]") -> "Tensor":
        """Scalar loss of a batch of examples."""

    @abstractmethod
    def search(
        self, prepared: Prepared, runtime: "Runtime", rng: np.random.Generator, progress: Progress | None = None
    ) -> Any:
        """Look at one prepared scan, as far as that does not depend on the operating point.

        Args:
            prepared: the scan on the model's grid.
            runtime: executes the method's networks.
            rng: the only source of randomness.
            progress: called now and then.

        Returns:
            what `conclude` needs; calibration concludes one search at many operating points.
        """

    @abstractmethod
    def conclude(self, search: Any, point: OperatingPoint, progress: Progress | None = None) -> Detection:
        """Turn a search into a detection; the same for a given search and point however often it is called.

        Args:
            search: from `search`.
            point: how much to flag, see `itermask.methods.operating`.
            progress: called now and then.
        """

    @abstractmethod
    def published_point(self) -> OperatingPoint:
        """The operating point of the publication, for a model without calibration."""

    @abstractmethod
    def calibrate(self, searches: Sequence[Any], sizes: MaskSizes) -> OperatingPoint:
        """Choose the operating point on healthy scans.

        Args:
            searches: what `search` found in each.
            sizes: operating point → the mask sizes that it gives on them; slow.
        """

    def variants(self, prepared: Prepared, rng: np.random.Generator) -> list[Prepared]:
        """Return further healthy scans made from a healthy one, which calibrate as well; none by default."""
        return []

    def detect(
        self,
        prepared: Prepared,
        runtime: "Runtime",
        rng: np.random.Generator,
        point: OperatingPoint | None = None,
        progress: Progress | None = None,
    ) -> Detection:
        """`conclude` what `search` found, at the published operating point if none is given."""
        search = self.search(prepared, runtime, rng, progress)
        return self.conclude(search, self.published_point() if point is None else point, progress)
