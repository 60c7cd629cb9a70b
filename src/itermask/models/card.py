"""A model's card: what must stand in it, the check, and how it is read."""

import json
from pathlib import Path
from typing import Any

from itermask.errors import InputError

CARD = "card.json"
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

    Example:
        >>> check_card({"format_version": 1}, Path("card.json"))
        Traceback (most recent call last):
        itermask.errors.InputError: card.json: model format version 1, this program reads version 2; ...
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
    spacing, box = card["spacing"], card["box"]
    for key, values in (("spacing", spacing), ("box", box)):
        if len(values) != 3 or not all(isinstance(size, int | float) and size >= 0 for size in values):
            raise InputError(f"{path}: {key!r} must be three positive numbers, not {values}")
    if not (min(spacing[:2]) > 0 and min(box) > 0):
        raise InputError(
            f"{path}: 'spacing' {spacing} and 'box' {box} must be positive, but for a third spacing of 0 (own slices)"
        )
    divided = box[:2] if spacing[2] == 0 else box
    if card["divisor"] < 1 or any(size % card["divisor"] for size in divided):
        raise InputError(f"{path}: the sizes of 'box' {divided} must be multiples of 'divisor' {card['divisor']}")


def read_card(folder: Path) -> dict[str, Any]:
    """Read and check a model's card.

    Raises:
        InputError: missing, not JSON, incomplete, or of another format version.

    Example:
        >>> from itermask.models.choice import bundled_models
        >>> read_card(bundled_models()["t1w-2mm"])["sequence"]
        'T1w'
    """
    path = folder / CARD
    if not path.is_file():
        raise InputError(f"{path}: missing; a model folder holds model.safetensors and {CARD}")
    try:
        card = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not readable JSON ({error}); copy the model again") from error
    check_card(card, path)
    return card
