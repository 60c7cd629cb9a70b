"""Networks: one a file, built by name so that a model's card can say which one it holds."""

from typing import Any

from torch import nn

from itermask.networks.autoencoder import ConvAutoencoder
from itermask.networks.block_unet import BlockUNet
from itermask.networks.film_unet import FilmUNet
from itermask.networks.guided_unet import GuidedUNet
from itermask.networks.reference import ReferenceUNet3D
from itermask.networks.time_unet import TimeUNet

NETWORKS: dict[str, type[nn.Module]] = {
    "autoencoder": ConvAutoencoder,
    "block-unet": BlockUNet,
    "film-unet": FilmUNet,
    "guided-unet": GuidedUNet,
    "reference-unet-3d": ReferenceUNet3D,
    "time-unet": TimeUNet,
}

__all__ = [
    "NETWORKS",
    "BlockUNet",
    "ConvAutoencoder",
    "FilmUNet",
    "GuidedUNet",
    "ReferenceUNet3D",
    "TimeUNet",
    "build_network",
]


def build_network(name: str, arguments: dict[str, Any]) -> nn.Module:
    """Build the network `name` with keyword `arguments`; `ValueError` if the name or an argument is unknown."""
    if name not in NETWORKS:
        raise ValueError(f"unknown network {name!r}; known are {', '.join(sorted(NETWORKS))}")
    try:
        return NETWORKS[name](**arguments)
    except TypeError as error:
        raise ValueError(f"network {name!r} does not take these arguments: {error}") from error
