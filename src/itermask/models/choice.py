"""Which bundled model suits a scan, and why."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from itermask.errors import InputError
from itermask.models.card import read_card
from itermask.prepare.placement import thin_axis
from itermask.types import Scan

BUNDLED = Path(__file__).parent / "bundled"
PREFERRED = ("any-2mm", "t1w-2mm", "flair-2d")  # where several models suit, these come first, then the others by name


@dataclass(frozen=True)
class Choice:
    """A model's folder, and why it was taken: a line for readers; empty where it was asked for by name."""

    folder: Path
    why: str = ""


def bundled_models() -> dict[str, Path]:
    """Return name → folder of the models inside the package.

    Example:
        >>> "any-2mm" in bundled_models()
        True
    """
    return {path.parent.name: path.parent for path in sorted(BUNDLED.glob("*/card.json"))}


def taken_sequences(card: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the sequences that a card's model takes: `sequences` where the card has them, else its own.

    Example:
        >>> taken_sequences({"sequence": "T1w", "sequences": ["T1w", "FLAIR"]})
        ('T1w', 'FLAIR')
    """
    return tuple(card.get("sequences") or (card["sequence"],))


def takes_slices(card: Mapping[str, Any]) -> bool:
    """Return whether a card is of a model that takes a scan's own slices.

    Example:
        >>> takes_slices({"spacing": [2.0, 2.0, 2.0]})
        False
    """
    return card["spacing"][2] == 0


def choose_model(
    sequence: str | None, spacing: Sequence[float] | None = None, shape: Sequence[int] | None = None
) -> Choice:
    """Return the bundled model for a scan: by sequence, then for slices if it has only a few, else for volumes.

    Args:
        sequence: of the scan.
        spacing: its voxel size in mm; None if only the sequence is known.
        shape: its shape, with `spacing`.

    Raises:
        InputError: no bundled model for the sequence.

    Example:
        >>> choose_model("FLAIR", spacing=(0.9, 0.9, 6.0), shape=(256, 256, 3)).folder.name
        'flair-2d'
    """
    cards = {name: read_card(folder) for name, folder in bundled_models().items()}
    fitting = [name for name, card in cards.items() if sequence in taken_sequences(card)]
    if not fitting:
        known = ", ".join(sorted({name for card in cards.values() for name in taken_sequences(card)})) or "none"
        raise InputError(f"no bundled model for sequence {sequence}; bundled are {known}; give one with --model")
    fitting.sort(key=lambda name: (PREFERRED.index(name) if name in PREFERRED else len(PREFERRED), name))
    axis = None if spacing is None or shape is None else thin_axis(spacing, shape)
    best = next((name for name in fitting if takes_slices(cards[name]) == (axis is not None)), fitting[0])
    wanted, taken = ("slices" if slices else "volumes" for slices in (axis is not None, takes_slices(cards[best])))
    why = f"the bundled model for {sequence} {taken}"
    if axis is not None and shape is not None:
        why = f"{'a single slice' if shape[axis] == 1 else f'{shape[axis]} slices'}: {why}"
    if taken != wanted and spacing is not None:
        why += f"; there is none for {wanted}"
    return Choice(bundled_models()[best], why)


def find(name: str | Path | None, sequence: str | None = None, scan: Scan | None = None) -> Choice:
    """Return a model given by path or bundled name; if None, the bundled one for a sequence and a scan.

    Raises:
        InputError: no such folder or name, or no bundled model for the sequence.

    Example:
        >>> find("t1w-2mm").folder.name
        't1w-2mm'
    """
    if name is None:
        return choose_model(sequence) if scan is None else choose_model(sequence, scan.spacing, scan.image.shape)
    bundled = bundled_models()
    if str(name) in bundled:
        return Choice(bundled[str(name)])
    if not Path(name).is_dir():
        raise InputError(f"{name}: no such model folder, nor a bundled model ({', '.join(bundled) or 'none'})")
    return Choice(Path(name))
