"""Slices that are missing although those that are there lie evenly: what thickness and numbering tell."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from itermask.io.dicom.frames import Frame

APART = 1.5  # slices this many thicknesses apart have room for another
TWICE = 1.9


def missing_between(frames: Sequence[Frame]) -> str:
    """Return why slices must be missing between those of an even stack; empty where nothing says so.

    Slices more than one and a half thicknesses apart lack what lies between, if besides their numbers count in steps
    (1, 3, 5, …), the header states a smaller distance, or the whole volume was excited at once.

    Args:
        frames: at least one, in their order along the stack.
    """
    distance, thick = _distance(frames), frames[0].thick
    if len(frames) < 3 or not thick or distance < APART * thick:
        return ""
    apart = f"slices are missing: they are {distance:.3g} mm apart and {thick:.3g} mm thick"
    step = _step(frames)
    if step > 1 and abs(distance / step) < APART * thick:
        numbers = ", ".join(str(frame.instance) for frame in frames[:3])
        return f"{apart}, and their numbers are {numbers}, …"
    stated = frames[0].stated
    times = distance / stated if stated else 1.0
    if round(times) > 1 and abs(times - round(times)) < 0.05 and stated >= 0.95 * thick:
        return f"{apart}, and the header states a distance of {stated:.3g} mm"
    if frames[0].volume and distance > TWICE * thick and "DERIVED" not in frames[0].header.image_type:
        return f"{apart}, although the whole volume was acquired at once (3D)"
    return ""


def notes_on(frames: Sequence[Frame], whole: bool) -> tuple[str, ...]:
    """Return sentences on a series that a reader must know.

    Args:
        frames: in their order along the stack.
        whole: whether it is all of its series, so that its numbers should start at 1.
    """
    notes = []
    distance, thick = _distance(frames), frames[0].thick
    if len(frames) > 1 and thick and distance > TWICE * thick:
        notes.append(
            f"Slices are {distance:.3g} mm apart and {thick:.3g} mm thick: what lies between was not imaged, "
            "or slices are missing."
        )
    numbers = [frame.instance for frame in frames if frame.instance is not None]
    if whole and len(numbers) == len(frames) == len(set(numbers)):
        low, high = min(numbers), max(numbers)
        if high - low + 1 == len(numbers) and low > 1:
            notes.append(f"Its images are numbered {low} to {high}: the first {low - 1} may be missing.")
    slopes = [(frame.slope, frame.intercept) for frame in frames]
    usual = max(set(slopes), key=slopes.count)
    odd = len(slopes) - slopes.count(usual)
    if 0 < odd <= max(1, len(slopes) // 10) and len(slopes) > 2:
        notes.append(
            f"{odd} of {len(frames)} slices {'has' if odd == 1 else 'have'} another rescale slope or intercept."
        )
    padded = sum(frame.padded for frame in frames)
    if 0 < padded < len(frames):
        notes.append(
            f"{padded} of {len(frames)} images {'has' if padded == 1 else 'have'} more bytes than pixels: they were "
            "added at the end, or before, which moves the image."
        )
    nameless = sum(not any(frame.patient) for frame in frames)
    if 0 < nameless < len(frames):
        notes.append(f"{nameless} of {len(frames)} images {'names' if nameless == 1 else 'name'} no patient.")
    return tuple(notes)


def _distance(frames: Sequence[Frame]) -> float:
    """Return the mean distance of neighbouring slices in mm; 0 of a single one."""
    if len(frames) < 2 or frames[0].position is None or frames[-1].position is None:
        return 0.0
    return float(np.linalg.norm(np.subtract(frames[-1].position, frames[0].position))) / (len(frames) - 1)


def _step(frames: Sequence[Frame]) -> int:
    """Return the step in which the slices are numbered along the stack; 0 where there is no single one."""
    numbers = [frame.instance for frame in frames]
    if any(each is None for each in numbers):
        return 0
    steps = {abs(after - before) for before, after in pairwise(each for each in numbers if each is not None)}
    return steps.pop() if len(steps) == 1 else 0
