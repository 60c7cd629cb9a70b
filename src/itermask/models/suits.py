"""Whether a model takes a scan: its sequence, its thickness, its slices.

What the card tells is asked with the card, so that a scan is refused before a network is loaded.
"""

from collections.abc import Mapping
from typing import Any

from itermask.errors import InputError
from itermask.models.choice import taken_sequences, takes_slices
from itermask.models.folder import Model
from itermask.prepare.placement import thin_axis
from itermask.prepare.plausibility import Population
from itermask.types import Scan


def known_sequence(scan: Scan) -> str:
    """Return the scan's sequence; an `InputError` asks for it if nothing tells.

    Example:
        >>> known_sequence(scan)
        'T1w'
    """
    if scan.sequence is None:
        raise InputError(f"{scan.name}: the sequence is unknown; give it with --sequence, for example --sequence T1w")
    return scan.sequence


def check_sequence(scan: Scan, name: str, card: Mapping[str, Any]) -> None:
    """Refuse a scan whose sequence a model has not learned.

    Args:
        scan: as it was read.
        name: of the model, for messages.
        card: the model's.

    Raises:
        InputError: another sequence, or an unknown one.

    Example:
        >>> check_sequence(scan, model.name, model.card)
    """
    sequence, taken = known_sequence(scan), taken_sequences(card)
    if sequence not in taken:
        raise InputError(
            f"{scan.name}: is {sequence}, but the model {name} takes {', '.join(taken)}; "
            f"use a {sequence} model, or correct --sequence"
        )


def check_alignment(scan: Scan, model: Model, wanted: bool) -> None:
    """Refuse to align a scan whose own slices the model takes.

    Example:
        >>> check_alignment(scan, model, wanted=True)
    """
    if wanted and model.grid.slices:
        raise InputError(
            f"{scan.name}: cannot be aligned, as the model {model.name} takes the scan's own slices; "
            "leave --align out, or give a model for volumes"
        )


def check_thickness(scan: Scan, name: str, card: Mapping[str, Any]) -> None:
    """Refuse a few slices for a model of volumes, before a brain is looked for in them.

    Args:
        scan: as it was read.
        name: of the model, for messages.
        card: the model's.

    Raises:
        InputError: the scan is thinner than `itermask.prepare.placement.THINNEST`.

    Example:
        >>> check_thickness(scan, model.name, model.card)
    """
    axis = thin_axis(scan.spacing, scan.image.shape)
    adult = Population.of(card).name == "adult"
    if axis is not None and (adult or scan.brain_mask is None) and not takes_slices(card):
        count = scan.image.shape[axis]
        thickness = count * scan.spacing[axis]
        raise InputError(
            f"{scan.name}: {'a single slice' if count == 1 else f'only {count} slices'}, {thickness:.3g} mm thick, "
            f"but the model {name} needs a whole brain; give the whole scan, or a model for slices"
        )
