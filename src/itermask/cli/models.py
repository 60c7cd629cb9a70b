"""`itermask models`: what is installed."""

from rich.console import Console
from rich.table import Table


def models() -> None:
    """List the bundled models with what they learned from and their licence."""
    from itermask.models.folder import bundled_models, read_card

    table = Table("model", "sequence", "method", "voxel size", "learned from", "licence", box=None, pad_edge=False)
    for name, folder in bundled_models().items():
        card = read_card(folder)
        size = "×".join(f"{edge:g}" for edge in card["spacing"]) + " mm"
        table.add_row(name, card["sequence"], card["method"], size, card["data"].get("name", ""), card["license"])
    Console().print(table)
