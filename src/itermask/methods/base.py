"""What a method is: how it learns from normal scans, and how it analyses one scan.

A method is trained on normal data only. It may hold several networks (IterMask2 has two), train on several
registered sequences (MMCCD), work on volumes or on slices; it always gets whole prepared volumes.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np

from itermask.methods.calibration import MaskSizes, OperatingPoint
from itermask.types import Detection, Prepared, Progress, TrainingVolume

if TYPE_CHECKING:
    from torch import Tensor, nn

    from itermask.runtime.base import Runtime

State = TypeVar("State")


class Method(ABC, Generic[State]):
    """One anomaly-detection system; settings are constructor arguments, kept in the model's card.

    `State` is what the method knows of a scan before the operating point is chosen: `explore` makes it, `finalize` and
    `calibrate` take it, and nothing else looks into it. A method names its own: `class Mine(Method[MyState])`.

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
        """Return constructor arguments, as JSON can hold them."""

    @abstractmethod
    def network_specs(self) -> dict[str, tuple[str, dict[str, Any]]]:
        """Return the default network (name, arguments) for each role this method trains; empty if it has none."""

    def fit(self, volumes: Iterable[TrainingVolume]) -> None:
        """Learn what needs no gradient from normal scans, before the first training step; nothing by default.

        What is learned must be in `settings` afterwards, for the model's card.

        Args:
            volumes: the training scans, one after the other, without augmentation.
        """

    @abstractmethod
    def example(self, volume: TrainingVolume, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Return one training example from one normal subject: arrays to be stacked into a batch."""

    @abstractmethod
    def loss(self, networks: "Mapping[str, nn.Module]", batch: "Mapping[str, Tensor]") -> "Tensor":
        """Return a scalar loss of a batch of examples."""

    @abstractmethod
    def explore(
        self, prepared: Prepared, runtime: "Runtime", rng: np.random.Generator, progress: Progress | None = None
    ) -> State:
        """Analyse one prepared scan, as far as that does not depend on the operating point.

        Args:
            prepared: the scan on the model's grid.
            runtime: executes the method's networks.
            rng: the only source of randomness.
            progress: called now and then.

        Returns:
            what `finalize` needs; calibration finalizes one search at many operating points.
        """

    @abstractmethod
    def finalize(self, search: State, point: OperatingPoint, progress: Progress | None = None) -> Detection:
        """Turn a search into a detection; the same for a given search and point however often it is called.

        Args:
            search: from `explore`.
            point: how much to flag, see `itermask.methods.calibration`.
            progress: called now and then.
        """

    @abstractmethod
    def published_point(self) -> OperatingPoint:
        """Return the operating point of the publication, for a model without calibration."""

    @abstractmethod
    def calibrate(self, searches: Sequence[State], sizes: MaskSizes) -> OperatingPoint:
        """Choose the operating point on healthy scans.

        Args:
            searches: what `explore` found in each.
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
        """Finalize what `explore` found, at the published operating point if none is given."""
        search = self.explore(prepared, runtime, rng, progress)
        return self.finalize(search, self.published_point() if point is None else point, progress)
