"""A model's card: what must stand in it, and the check."""

from pathlib import Path
from typing import Any

from itermask.errors import InputError

FORMAT_VERSION = 2
REQUIRED = {
    "format_version": int,
    "version": str,
    "method": str,
    "method_settings": dict,
    "networks": dict,
    "sequence": str,
    "spacing": list,
    "box": list,
    "divisor": int,
    "intensity_scale": dict,
    "calibration": dict,
    "training": dict,
    "data": dict,
    "license": str,
    "metrics": dict,
}


def check_card(card: Any, path: Path) -> None:
    """Refuse a card that lacks something or is of another format version.

    Raises:
        InputError: says which file and which key.
    """
    if not isinstance(card, dict):
        raise InputError(f"{path}: a model card is a JSON object")
    version = card.get("format_version")
    if version != FORMAT_VERSION:
        raise InputError(
            f"{path}: model format version {version}, this program reads version {FORMAT_VERSION}; "
            "use a matching itermask or train the model again"
        )
    for key, kind in REQUIRED.items():
        if not isinstance(card.get(key), kind):
            raise InputError(f"{path}: incomplete, {key!r} is missing or not a {kind.__name__}")
    for key in ("spacing", "box"):
        if len(card[key]) != 3 or not all(isinstance(size, int | float) and size > 0 for size in card[key]):
            raise InputError(f"{path}: {key!r} must be three positive numbers, not {card[key]}")
    if card["divisor"] < 1 or any(size % card["divisor"] for size in card["box"]):
        raise InputError(f"{path}: the sizes of 'box' {card['box']} must be multiples of 'divisor' {card['divisor']}")
