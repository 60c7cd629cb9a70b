"""The model folder: weights without code, and a card that says everything needed to use them."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from itermask.errors import InputError
from itermask.methods import Method, build_method
from itermask.models.card import check_card
from itermask.prepare.prepare import Grid, grid_from

if TYPE_CHECKING:
    from torch import Tensor, nn

    from itermask.runtime.base import Runtime

WEIGHTS, CARD = "model.safetensors", "card.json"
BUNDLED = Path(__file__).parent / "bundled"
DEFAULT_MODELS = {"T1w": "t1w-2mm"}


@dataclass(frozen=True)
class Model:
    """A trained method, ready to look at scans.

    Attributes:
        name: folder name.
        card: contents of `card.json`.
        method: the method with the card's settings.
        runtime: executes its networks.
        grid: voxel size, box and intensity scale.
    """

    name: str
    card: dict[str, Any]
    method: Method
    runtime: "Runtime"
    grid: Grid

    @property
    def sequence(self) -> str:
        """The sequence the model was trained on."""
        return str(self.card["sequence"])

    @property
    def calibration(self) -> dict[str, Any]:
        """What healthy validation scans taught; empty for a model that is being calibrated."""
        return dict(self.card.get("calibration") or {})


def bundled_models() -> dict[str, Path]:
    """Name → folder of the models inside the package."""
    return {path.parent.name: path.parent for path in sorted(BUNDLED.glob(f"*/{CARD}"))}


def find_model(name: str | Path | None, sequence: str | None) -> Path:
    """The folder of a model given by path or bundled name; by sequence if None.

    Raises:
        InputError: no such folder or name, or no bundled model for the sequence.
    """
    bundled = bundled_models()
    if name is None:
        chosen = DEFAULT_MODELS.get(sequence or "")
        if chosen not in bundled:
            known = ", ".join(DEFAULT_MODELS)
            raise InputError(f"no bundled model for sequence {sequence}; bundled are {known}; give one with --model")
        return bundled[chosen]
    if str(name) in bundled:
        return bundled[str(name)]
    if not Path(name).is_dir():
        raise InputError(f"{name}: no such model folder, nor a bundled model ({', '.join(bundled) or 'none'})")
    return Path(name)


def read_card(folder: Path) -> dict[str, Any]:
    """Read and check a model's card.

    Raises:
        InputError: missing, not JSON, incomplete, or of another format version.
    """
    path = folder / CARD
    if not path.is_file():
        raise InputError(f"{path}: missing; a model folder holds {WEIGHTS} and {CARD}")
    try:
        card = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not readable JSON ({error}); copy the model again") from error
    check_card(card, path)
    return card


def load_model(name: str | Path | None = None, *, sequence: str | None = None, device: str = "auto") -> Model:
    """Load a model.

    Args:
        name: a model folder or a bundled model's name; the bundled model for `sequence` if None.
        sequence: sequence to choose by when `name` is None; T1w if that is None too.
        device: `auto`, `cpu`, `cuda` or `mps`.

    Raises:
        InputError: nothing there, an incomplete or damaged folder, or one of another format version.
    """
    folder = find_model(name, sequence or "T1w")
    card = read_card(folder)
    try:
        method = build_method(card["method"], card["method_settings"])
        grid = grid_from(card)
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(f"{folder / CARD}: {error}") from error
    networks = load_networks(folder, card)
    from itermask.runtime.torch_runtime import TorchRuntime

    return Model(folder.name, card, method, TorchRuntime(networks, device), grid)


def load_networks(folder: Path, card: Mapping[str, Any]) -> "dict[str, nn.Module]":
    """The card's networks with their weights, in float32.

    Raises:
        InputError: the weights are missing, damaged or of other networks.
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
    except (SafetensorError, OSError, RuntimeError, ValueError, TypeError, KeyError) as error:
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        raise InputError(f"{path}: does not hold the networks of its card ({reason}); copy the model again") from error
    return networks


def save_model(folder: Path, state: "Mapping[str, Tensor]", card: dict[str, Any]) -> None:
    """Write a model folder: weights in half precision, then the card; each to a temporary name first.

    Args:
        folder: made if needed.
        state: parameters and buffers under `<role>.<name>`.
        card: checked before anything is written.
    """
    import torch
    from safetensors.torch import save

    check_card(card, folder / CARD)
    folder.mkdir(parents=True, exist_ok=True)
    halves = {
        key: (value.to(torch.float16) if value.is_floating_point() else value).detach().cpu().contiguous()
        for key, value in state.items()
    }
    partial = folder / f".{WEIGHTS}.part"
    partial.write_bytes(save(halves))
    os.replace(partial, folder / WEIGHTS)
    save_card(folder, card)


def save_card(folder: Path, card: dict[str, Any]) -> None:
    """Check and write a card, to a temporary name first."""
    check_card(card, folder / CARD)
    partial = folder / f".{CARD}.part"
    partial.write_text(json.dumps(card, indent=1) + "\n")
    os.replace(partial, folder / CARD)
