"""`itermask models`: what is installed."""

from dataclasses import asdict
from typing import Annotated, Optional

import typer
from rich.table import Table

from itermask.cli import complete
from itermask.cli.console import console, print_json, refusals_as_json
from itermask.cli.options import JSONOption

LONG = ("calibration", "training")  # parts of a card that are for machines


def models(
    name: Annotated[
        Optional[str],
        typer.Argument(help="Model whose card to show: a bundled name or a folder.", autocompletion=complete.models),
    ] = None,
    as_json: JSONOption = False,
) -> None:
    """List the bundled models with what they learned from and their licence; or show one model's card, as JSON."""
    from itermask.apps.doctor.models import about_model
    from itermask.models.folder import bundled_models, find_model, read_card

    with refusals_as_json(as_json):
        if name is not None:
            card = read_card(find_model(name))
            print_json({key: value for key, value in card.items() if key not in LONG})
            return
        found = [about_model(model, folder) for model, folder in bundled_models().items()]
    if as_json:
        print_json({"models": [asdict(each) for each in found]})
        return
    table = Table("model", "sequence", "method", "processes", "learned from", "licence", box=None, pad_edge=False)
    for each in found:
        table.add_row(each.name, each.sequence, each.method, each.input_form, each.learned_from, each.license)
    console().print(table, soft_wrap=False)
