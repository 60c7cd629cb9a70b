"""`itermask models`: what is installed."""

import json
from typing import Annotated, Any, Optional

import typer
from rich.console import Console
from rich.table import Table

LONG = ("calibration", "training")  # parts of a card that are for machines


def models(
    name: Annotated[Optional[str], typer.Argument(help="Model whose card to show: a bundled name or a folder.")] = None,
) -> None:
    """List the bundled models with what they learned from and their licence; or show one model's card."""
    from itermask.models.folder import bundled_models, find_model, read_card

    if name is not None:
        card = read_card(find_model(name))
        print(json.dumps({key: value for key, value in card.items() if key not in LONG}, indent=1))
        return
    table = Table("model", "sequence", "method", "looks at", "learned from", "licence", box=None, pad_edge=False)
    for model, folder in bundled_models().items():
        card = read_card(folder)
        source = card["data"].get("name", "")
        table.add_row(model, card["sequence"], card["method"], _looks_at(card), source, card["license"])
    Console().print(table)


def _looks_at(card: dict[str, Any]) -> str:
    """Volumes or slices, and their voxels or pixels."""
    from itermask.models.choice import takes_slices

    edges = card["spacing"][:2] if takes_slices(card) else card["spacing"]
    size = "×".join(f"{edge:g}" for edge in edges) + " mm"
    return f"slices, {size}" if takes_slices(card) else f"volumes, {size}"
