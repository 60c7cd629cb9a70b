"""The bundled models, in a line each."""

from dataclasses import dataclass, replace
from pathlib import Path

from itermask.errors import InputError
from itermask.methods import build_method
from itermask.models.card import CARD, read_card
from itermask.models.choice import bundled_models, taken_sequences, takes_slices
from itermask.models.folder import WEIGHTS, load_model


@dataclass(frozen=True)
class ModelState:
    """A model's card in short; the names are the card's where it is the same thing.

    Attributes:
        name: to give with `--model`.
        folder: where it lies.
        sequence: that it has learned.
        method: its method.
        dims: spatial axes that its networks work on, 2 or 3.
        input_form: such as `volumes, 2×2×2 mm`.
        spacing: voxel size in mm; a third of 0 means a scan's own slices.
        learned_from: name of the data.
        license: of the weights.
        version: of the model.
        weights_mb: size of its weights, in MB of 10⁶ bytes.
        problem: why it cannot be used; None if it can, or was not tried.
    """

    name: str
    folder: str
    sequence: str = ""
    method: str = ""
    dims: int | None = None
    input_form: str = ""
    spacing: tuple[float, ...] = ()
    learned_from: str = ""
    license: str = ""
    version: str = ""
    weights_mb: float = 0.0
    problem: str | None = None


def about_model(name: str, folder: Path) -> ModelState:
    """Return what a model's card says; its weights are not loaded.

    Raises:
        InputError: the card is missing, damaged or of another format, or names a method that is not there.
    """
    card = read_card(folder)
    try:
        dims = build_method(card["method"], card["method_settings"]).dims
    except ValueError as error:
        raise InputError(f"{folder / CARD}: {error}") from error
    edges = card["spacing"][:2] if takes_slices(card) else card["spacing"]
    size = "×".join(f"{edge:g}" for edge in edges) + " mm"
    weights = folder / WEIGHTS
    return ModelState(
        name=name,
        folder=str(folder),
        sequence=", ".join(taken_sequences(card)),
        method=card["method"],
        dims=dims,
        input_form=f"{'slices' if takes_slices(card) else 'volumes'}, {size}",
        spacing=tuple(card["spacing"]),
        learned_from=card["data"].get("name", ""),
        license=card["license"],
        version=card["version"],
        weights_mb=round(weights.stat().st_size / 1e6, 1) if weights.is_file() else 0.0,
    )


def find_models() -> list[ModelState]:
    """Return the bundled models, by name; each is loaded, and says what is wrong with it.

    Example:
        >>> "t1w-2mm" in [found.name for found in find_models()]
        True
    """
    return [_loaded(name, folder) for name, folder in bundled_models().items()]


def _loaded(name: str, folder: Path) -> ModelState:
    state = ModelState(name, str(folder))
    try:
        state = about_model(name, folder)
        load_model(folder, device="cpu")
    except (InputError, ImportError, OSError) as error:
        return replace(state, problem=" ".join(str(error).split()))
    return state
