"""Checkpoints: everything that exact resumption needs, in one safetensors file (never a pickle)."""

import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from itermask.errors import InputError


def save_checkpoint(
    path: Path,
    networks: nn.ModuleDict,
    average: dict[str, Tensor],
    optimizer: torch.optim.Optimizer,
    about: dict[str, Any],
) -> None:
    """Write networks, their moving average, the optimiser's moments and `about` (JSON), atomically.

    Example:
        >>> network = nn.ModuleDict({"reconstruction": nn.Linear(2, 2)})
        >>> optimizer = torch.optim.AdamW(network.parameters())
        >>> average = {name: value.detach().clone() for name, value in network.state_dict().items()}
        >>> save_checkpoint(folder / "checkpoint.safetensors", network, average, optimizer, {"step": 3})
        >>> load_checkpoint(folder / "checkpoint.safetensors", network, average, optimizer)["step"]
        3
    """
    tensors = {f"network.{key}": value for key, value in networks.state_dict().items()}
    tensors |= {f"average.{key}": value for key, value in average.items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{key}": torch.as_tensor(value) for key, value in state.items()}
    partial = path.with_name(f".{path.name}.part")
    contiguous = {key: value.detach().cpu().contiguous() for key, value in tensors.items()}
    partial.write_bytes(save(contiguous, metadata={"about": json.dumps(about)}))
    os.replace(partial, path)


def load_checkpoint(
    path: Path, networks: nn.ModuleDict, average: dict[str, Tensor], optimizer: torch.optim.Optimizer
) -> dict[str, Any]:
    """Read a checkpoint back into the objects that wrote it; returns `about`.

    Raises:
        InputError: the file is damaged or belongs to other networks.
    """
    try:
        with safe_open(path, framework="pt") as stored:
            about = json.loads(stored.metadata()["about"])
            tensors = {key: stored.get_tensor(key) for key in stored.keys()}  # noqa: SIM118
        networks.load_state_dict(_part(tensors, "network."))
    except (SafetensorError, RuntimeError, KeyError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{path}: not a checkpoint of this training ({reason}); use another --out") from error
    for key, value in _part(tensors, "average.").items():
        average[key].copy_(value)
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in _part(tensors, "optimizer.").items():
        index, _, name = key.partition(".")
        state.setdefault(int(index), {})[name] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    return about


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
