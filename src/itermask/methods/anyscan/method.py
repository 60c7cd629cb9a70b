"""The any-scan method: its settings and what it is made of."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from itermask.methods.anyscan import training
from itermask.methods.anyscan.description import FEATURES
from itermask.methods.anyscan.guidance import CUTOFF
from itermask.methods.base import Method, TrainingVolume

if TYPE_CHECKING:
    from torch import Tensor, nn

ROLE = "restoration"


@dataclass
class AnyScan(Method):
    """Restoration of partly hidden brains in any contrast.

    Attributes:
        cutoff: guidance cut-off in cycles/mm.
        mix: shares of the kinds of training examples.
    """

    cutoff: float = CUTOFF
    mix: training.Mix = field(default_factory=training.Mix)

    name = "anyscan"
    dims = 3
    family = "anyscan"

    def __post_init__(self) -> None:
        if isinstance(self.mix, dict):
            self.mix = training.Mix(**self.mix)

    def settings(self) -> dict[str, Any]:
        """Constructor arguments, as JSON can hold them."""
        return asdict(self)

    def network_specs(self) -> dict[str, tuple[str, dict[str, Any]]]:
        """One network with a description of the scan beside its four channels."""
        arguments = {"in_channels": 4, "out_channels": training.OUTPUTS, "features": FEATURES}
        return {ROLE: ("film-unet", arguments | {"widths": [32, 64, 128, 192]})}

    def example(self, volume: TrainingVolume, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """See `training.example`."""
        return training.example(volume, rng, self.mix, self.cutoff)

    def loss(self, networks: "Mapping[str, nn.Module]", batch: "Mapping[str, Tensor]") -> "Tensor":
        """See `training.loss`."""
        return training.loss(networks[ROLE](batch["input"], batch["description"]), dict(batch))

    def search(self, prepared, runtime, rng, progress=None):  # noqa
        raise NotImplementedError

    def conclude(self, search, point, progress=None):  # noqa
        raise NotImplementedError

    def published_point(self):  # noqa
        return {"threshold": 1.0}

    def calibrate(self, searches, sizes):  # noqa
        raise NotImplementedError
