"""Networks: one a file, built by name so that a model's card can say which one it holds.

Other packages add theirs by an entry point in the group `itermask.networks`, programs by `register_network`.
"""

from typing import Any

from torch import nn

from itermask.networks.autoencoder import ConvAutoencoder
from itermask.networks.block_unet import BlockUNet
from itermask.networks.film_unet import FilmUNet
from itermask.networks.guided_unet import GuidedUNet
from itermask.networks.reference import ReferenceUNet3D
from itermask.networks.time_unet import TimeUNet
from itermask.registry import Group, find_registered, register, registered_names

GROUP = Group("network", "itermask.networks", nn.Module)
NETWORKS: dict[str, type[nn.Module] | str] = {
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
    "network_names",
    "register_network",
]


def register_network(name: str, kind: type[nn.Module]) -> None:
    """Make a network known under a name, for as long as this program runs.

    >>> register_network("block-unet", ConvAutoencoder)
    Traceback (most recent call last):
        ...
    ValueError: there is a network 'block-unet' already; choose another name

    Args:
        name: what settings and cards call it.
        kind: its class; keyword arguments of its constructor are the network's settings.

    Raises:
        ValueError: another network has the name, or it is no `torch.nn.Module`.
    """
    register(GROUP, NETWORKS, name, kind)


def network_names() -> list[str]:
    """Return the names of all networks: of this package, registered, and of other packages.

    >>> "block-unet" in network_names()
    True
    """
    return registered_names(GROUP, NETWORKS)


def build_network(name: str, arguments: dict[str, Any]) -> nn.Module:
    """Build the network `name` with keyword `arguments`.

    >>> network = build_network("block-unet", {"dims": 2, "in_channels": 1, "widths": [4, 8], "group_size": 4})
    >>> sum(weight.numel() for weight in network.parameters())
    2388

    Raises:
        ValueError: the name or an argument is unknown.
        PluginError: the network is of another package, which cannot be used.
    """
    kind = find_registered(GROUP, NETWORKS, name)
    try:
        return kind(**arguments)
    except TypeError as error:
        raise ValueError(f"network {name!r} does not take these arguments: {error}") from error
