"""Whether a model takes a scan: its sequence, its thickness, its slices; asked before anything is computed."""

from itermask.errors import InputError
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


def check_sequence(scan: Scan, model: Model) -> None:
    """Refuse a scan whose sequence the model has not learned.

    Example:
        >>> check_sequence(scan, model)
    """
    sequence = known_sequence(scan)
    if sequence not in model.sequences:
        raise InputError(
            f"{scan.name}: is {sequence}, but the model {model.name} takes {', '.join(model.sequences)}; "
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


def check_thickness(scan: Scan, model: Model) -> None:
    """Refuse a few slices for a model of volumes, before a brain is looked for in them.

    Example:
        >>> check_thickness(scan, model)
    """
    axis = thin_axis(scan.spacing, scan.image.shape)
    adult = Population.of(model.card).name == "adult"
    if axis is not None and (adult or scan.brain_mask is None) and not model.grid.slices:
        count = scan.image.shape[axis]
        thickness = count * scan.spacing[axis]
        raise InputError(
            f"{scan.name}: {'a single slice' if count == 1 else f'only {count} slices'}, {thickness:.3g} mm thick, "
            f"but the model {model.name} needs a whole brain; give the whole scan, or a model for slices"
        )
