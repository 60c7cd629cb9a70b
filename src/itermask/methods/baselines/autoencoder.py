"""The autoencoder as a method: which network, and what it learns."""

from dataclasses import dataclass
from typing import Any

from itermask.methods.baselines.reconstruction import ROLE, Reconstructing

WIDTHS = {3: [16, 32, 64, 128], 2: [32, 64, 128, 128]}
LATENT = {3: 64, 2: 16}  # numbers for 16³ voxels or 16² pixels


@dataclass
class Autoencoder(Reconstructing):
    """Reconstruction through a narrow bottleneck; the settings are those of `Reconstructing`."""

    name = "autoencoder"

    def network_specs(self) -> dict[str, tuple[str, dict[str, Any]]]:
        """Return one autoencoder on volumes or slices."""
        arguments = {"dims": self.dims, "widths": list(WIDTHS[self.dims]), "latent": LATENT[self.dims]}
        return {ROLE: ("autoencoder", arguments)}
