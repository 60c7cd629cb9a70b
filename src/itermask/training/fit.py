"""Whether a method's networks take what the method gives them: tried on noise, before any scan is prepared."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from itermask.errors import InputError
from itermask.methods import Method, TrainingVolume
from itermask.prepare.grid import Grid

SMALLEST = 32  # voxels along each axis, which the published 3D network needs at least


def check_networks(method: Method, networks: Mapping[str, nn.Module] | nn.ModuleDict, grid: Grid) -> None:
    """Compute the loss of one small example of noise with untrained networks; nothing of them changes.

    Args:
        method: with its settings.
        networks: role → network.
        grid: the model's.

    Raises:
        InputError: a network has other input or output channels than the method needs.

    Example:
        >>> check_networks(model.method, model.runtime.networks, model.grid)
    """
    if not networks:
        return
    given: dict[str, int] = {}
    hooks = [
        network.register_forward_pre_hook(
            lambda _network, inputs, role=role: given.__setitem__(role, inputs[0].shape[1])  # type: ignore[misc]
        )
        for role, network in networks.items()
    ]
    was_training = {role: network.training for role, network in networks.items()}
    device = next((parameter.device for network in networks.values() for parameter in network.parameters()), "cpu")
    try:
        for network in networks.values():
            network.eval()
        batch = {key: torch.from_numpy(value)[None].to(device) for key, value in _example(method, grid).items()}
        with torch.no_grad():
            method.loss(networks, batch)  # type: ignore[arg-type]
    except RuntimeError as error:
        role = list(given)[-1] if given else next(iter(networks))
        takes = _channels(networks[role])
        known = "" if takes is None else f"takes {takes} channels, but "
        more = "; set mask_channel under [method_settings]" if hasattr(method, "mask_channel") else ""
        raise InputError(
            f"training settings: the network {role!r} {known}is given {given.get(role, 0)} by the method {method.name} "
            f"({_first_line(error)}); set in_channels or out_channels in its arguments{more}"
        ) from error
    finally:
        for hook in hooks:
            hook.remove()
        for role, network in networks.items():
            network.train(was_training[role])


def _example(method: Method, grid: Grid) -> dict[str, np.ndarray]:
    """Return a training example of noise in a box that is as small as the networks take."""
    divisor = max(1, grid.divisor)
    edge = -(-SMALLEST // divisor) * divisor
    sizes = [min(edge, size) for size in grid.box[: method.dims]] + [1] * (3 - method.dims)
    rng = np.random.default_rng(0)
    images = rng.standard_normal((method.sequences, *sizes), dtype=np.float32)
    brain = np.ones(sizes, dtype=bool)
    spacing = tuple(size or 1.0 for size in grid.spacing)
    return method.example(TrainingVolume(images, brain, spacing, "axial" if grid.slices else ""), rng)


def _channels(network: Any) -> int | None:
    """Return the input channels that a network was built with, where its first convolution tells."""
    first = next((one for one in network.modules() if isinstance(one, nn.Conv2d | nn.Conv3d)), None)
    if first is None:
        return None
    return first.in_channels // getattr(network, "block", 1) ** (2 if isinstance(first, nn.Conv2d) else 3)


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0][:120]
