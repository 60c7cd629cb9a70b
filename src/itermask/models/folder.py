"""The model folder: weights without code, and a card that says everything needed to use them."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from itermask.errors import InputError, MissingExtraError, PluginError
from itermask.methods import Method, build_method
from itermask.models.card import CARD, check_card, read_card
from itermask.models.choice import bundled_models, find, taken_sequences
from itermask.prepare.grid import Grid, grid_from
from itermask.types import Scan

if TYPE_CHECKING:
    from torch import Tensor, nn

    from itermask.runtime.base import Runtime

WEIGHTS = "model.safetensors"

__all__ = [
    "CARD",
    "WEIGHTS",
    "Model",
    "bundled_models",
    "find_model",
    "load_model",
    "load_networks",
    "read_card",
    "save_card",
    "save_model",
]


@dataclass(frozen=True)
class Model:
    """A trained method, ready to process scans.

    Attributes:
        name: folder name.
        card: contents of `card.json`.
        method: the method with the card's settings.
        runtime: executes its networks.
        grid: voxel size, box and intensity scale.
        why: why it was chosen; empty if it was asked for by name.
    """

    name: str
    card: dict[str, Any]
    method: Method
    runtime: "Runtime"
    grid: Grid
    why: str = ""

    @property
    def sequence(self) -> str:
        """The sequence the model was trained on."""
        return str(self.card["sequence"])

    @property
    def sequences(self) -> tuple[str, ...]:
        """The sequences it takes: those the card names, else the one it was trained on."""
        return taken_sequences(self.card)

    @property
    def calibration(self) -> dict[str, Any]:
        """What healthy validation scans taught; empty for a model that is being calibrated."""
        return dict(self.card.get("calibration") or {})


def find_model(name: str | Path | None, sequence: str | None = None) -> Path:
    """Return the folder of a model given by path or bundled name; by sequence if None; see `choice.find`.

    Example:
        >>> find_model("t1w-2mm").name
        't1w-2mm'
    """
    return find(name, sequence).folder


def load_model(
    name: str | Path | None = None,
    *,
    sequence: str | None = None,
    scan: Scan | None = None,
    device: str = "auto",
    threads: int | None = None,
) -> Model:
    """Load a model.

    Args:
        name: a model folder or a bundled model's name; if None, a bundled one is chosen, see `choice.choose_model`.
        sequence: sequence to choose by; T1w if that is None too.
        scan: whose slices tell which of the sequence's models suits.
        device: `auto`, `cpu`, `cuda`, `mps` or `openvino`, see `itermask.runtime.choice.open_runtime`.
        threads: on the CPU, for all of this process; as many as PyTorch uses already if None.

    Raises:
        InputError: nothing there, an incomplete or damaged folder, or one of another format version; a device that is
            not there, or less than one thread.
        MissingExtraError: the device or a network needs something that is not installed.

    Example:
        >>> load_model(sequence="T1w", device="cpu").name
        'any-2mm'
    """
    choice = find(name, sequence or "T1w", scan)
    folder = choice.folder
    card = read_card(folder)
    try:
        method = build_method(card["method"], card["method_settings"])
        grid = grid_from(card)
        check_dims(method, grid)
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(f"{folder / CARD}: {error}") from error
    networks = load_networks(folder, card)
    from itermask.runtime.choice import open_runtime

    return Model(folder.name, card, method, open_runtime(networks, device, threads), grid, choice.why)


def check_dims(method: Method, grid: Grid) -> None:
    """Refuse a method with networks for volumes on a scan's own slices, with `ValueError`.

    Example:
        >>> check_dims(model.method, model.grid)
    """
    if grid.slices and method.dims == 3 and method.network_specs():
        raise ValueError(f"the method {method.name} processes volumes, so the third voxel size must not be 0")


def load_networks(folder: Path, card: Mapping[str, Any]) -> "dict[str, nn.Module]":
    """Load the card's networks with their weights, in float32.

    Raises:
        InputError: the weights are missing, damaged or of other networks.

    Example:
        >>> sorted(load_networks(find_model("t1w-2mm"), read_card(find_model("t1w-2mm"))))
        ['reconstruction']
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from itermask.networks import build_network

    path = folder / WEIGHTS
    if not path.is_file():
        raise InputError(f"{path}: missing; a model folder holds {WEIGHTS} and {CARD}")
    try:
        tensors = load_file(path)
        networks = {}
        for role, spec in card["networks"].items():
            network = build_network(spec["name"], spec["arguments"])
            prefix = f"{role}."
            own = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
            own = {key: value.to(torch.float32) if value.is_floating_point() else value for key, value in own.items()}
            network.load_state_dict(own)
            networks[role] = network
    except (MissingExtraError, PluginError):
        raise
    except (SafetensorError, OSError, RuntimeError, ValueError, TypeError, KeyError) as error:
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        raise InputError(f"{path}: does not hold the networks of its card ({reason}); copy the model again") from error
    return networks


def save_model(folder: Path, state: "Mapping[str, Tensor]", card: dict[str, Any]) -> None:
    """Write a model folder: weights in half precision, then the card; each to a temporary name first.

    What half precision cannot hold (a batch norm's variance may be larger) stays in float32.

    Args:
        folder: made if needed.
        state: parameters and buffers under `<role>.<name>`.
        card: checked before anything is written.

    Raises:
        InputError: a weight is NaN or infinite: training went wrong.

    Example:
        >>> weights = model.runtime.networks["reconstruction"].state_dict()
        >>> state = {f"reconstruction.{key}": value for key, value in weights.items()}
        >>> save_model(folder / "small", state, model.card)
        >>> load_model(folder / "small", device="cpu").name
        'small'
    """
    import torch
    from safetensors.torch import save

    check_card(card, folder / CARD)
    folder.mkdir(parents=True, exist_ok=True)
    broken = [key for key, value in state.items() if value.is_floating_point() and not value.isfinite().all()]
    if broken:
        raise InputError(f"{folder / WEIGHTS}: {broken[0]} is NaN or infinite; train again with a lower learning_rate")
    largest = torch.finfo(torch.float16).max
    halves = {
        key: (value.to(torch.float16) if value.is_floating_point() and not (value.abs() > largest).any() else value)
        .detach()
        .cpu()
        .contiguous()
        for key, value in state.items()
    }
    partial = folder / f".{WEIGHTS}.part"
    partial.write_bytes(save(halves))
    os.replace(partial, folder / WEIGHTS)
    save_card(folder, card)


def save_card(folder: Path, card: dict[str, Any]) -> None:
    """Check and write a card, to a temporary name first.

    Example:
        >>> save_card(folder, model.card | {"license": "CC BY 4.0"})
        >>> read_card(folder)["license"]
        'CC BY 4.0'
    """
    check_card(card, folder / CARD)
    partial = folder / f".{CARD}.part"
    partial.write_text(json.dumps(card, indent=1) + "\n")
    os.replace(partial, folder / CARD)
