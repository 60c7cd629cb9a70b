"""Which slices of a series are of one volume, and series that hold what does not belong together."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from itermask.io.dicom.frames import Frame
from itermask.io.dicom.geometry import stack_slices

SAME_DIRECTION, SAME_SIZE = 1e-3, 1e-3  # differences of cosines, and of pixel sizes in mm, that part no series
SAME_ECHO, SAME_B = 0.05, 25.0  # ms; s/mm²
SAME_POSITION = 0.01  # mm
PLANES = ("sagittal", "coronal", "axial")


def parted(frames: Sequence[Frame]) -> list[list[Frame]]:
    """Return the slices of a series by the volume they belong to.

    A slice whose echo time, b value or image type cannot be read joins the volume that it is like otherwise; where
    there are several, the first that has no slice at its position.
    """
    groups: list[list[Frame]] = []
    for frame in sorted(frames, key=lambda frame: bool(frame.unknown)):  # those that are sure come first
        fitting = [group for group in groups if _alike(group[0], frame)]
        if frame.unknown and len(fitting) > 1:
            fitting = [group for group in fitting if not _taken(group, frame)] or fitting
        if fitting:
            fitting[0].append(frame)
        else:
            groups.append([frame])
    return groups


def _taken(group: Sequence[Frame], frame: Frame) -> bool:
    """Return whether a volume has a slice at the position of another."""
    return any(_near(other.position, frame.position, SAME_POSITION) for other in group)


def _alike(a: Frame, b: Frame) -> bool:
    """Return whether two slices of a series can be of one volume."""
    same = (a.study, a.size, a.reference, a.component, a.stack, a.colour) == (
        b.study,
        b.size,
        b.reference,
        b.component,
        b.stack,
        b.colour,
    )
    unknown = a.unknown | b.unknown
    return (
        same
        and ("ImageType" in unknown or a.header.image_type == b.header.image_type)
        and _near(a.orientation, b.orientation, SAME_DIRECTION)
        and _near(a.pixel, b.pixel, SAME_SIZE)
        and ("EchoTime" in unknown or _near(a.header.echo_time, b.header.echo_time, SAME_ECHO))
        and ("DiffusionBValue" in unknown or _near(a.header.b_value, b.header.b_value, SAME_B))
    )


def _near(a: Any, b: Any, tolerance: float) -> bool:
    """Return whether two numbers, or rows of numbers, are the same; None is only like None."""
    if a is None or b is None:
        return a is b
    return bool(np.all(np.abs(np.subtract(a, b)) <= tolerance))


def part(group: list[Frame], groups: list[list[Frame]]) -> str:
    """Return in what a volume differs from the others of its series, as text; empty for the only one."""
    if len(groups) == 1:
        return ""
    descriptions = (
        plane_of,
        lambda frame: f"{frame.size[1]}×{frame.size[0]}",
        lambda frame: "" if frame.header.echo_time is None else f"echo time {frame.header.echo_time:.4g} ms",
        lambda frame: "" if frame.header.b_value is None else f"b {frame.header.b_value:g}",
        lambda frame: frame.component.lower(),
        lambda frame: "\\".join(frame.header.image_type),
        lambda frame: f"stack {frame.stack}" if frame.stack else "",
        lambda frame: f"study {frame.study}",
    )
    said = [word(group[0]) for word in descriptions if len({word(other[0]) for other in groups}) > 1]
    return ", ".join(text for text in said if text)


def plane_of(frame: Frame) -> str:
    """Return the plane of the body that a slice is nearest to; empty without an orientation."""
    if frame.orientation is None:
        return ""
    normal = np.cross(frame.orientation[:3], frame.orientation[3:])
    return PLANES[int(np.argmax(np.abs(normal)))]


def of_several(frames: Sequence[Frame]) -> str:
    """Return why the slices of one series must not be processed as one person's; empty where they may.

    Slices of two patients are refused. Those of two studies are parted by `parted`, unless only together they make
    an even stack: then each study would be a piece of a head.
    """
    for index, what in enumerate(("ID", "name", "birth date")):
        several = {frame.patient[index] for frame in frames} - {""}
        if len(several) > 1:
            return f"a series with {len(several)} patients: the {what} is not the same in all of its images"
    studies = [frame.study for frame in frames]
    if len(set(studies)) > 1 and _stack_evenly(frames):
        counts = ", ".join(str(studies.count(study)) for study in dict.fromkeys(studies))
        return f"its images are of {len(set(studies))} studies ({counts}), which only together make a volume"
    return ""


def _stack_evenly(frames: Sequence[Frame]) -> bool:
    """Return whether slices make one volume."""
    first = frames[0]
    if first.orientation is None or first.pixel is None or any(frame.position is None for frame in frames):
        return False
    try:
        stack_slices([frame.position or () for frame in frames], first.orientation, first.pixel, first.thickness)
    except ValueError:
        return False
    return True


def repeated_uids(frames: Sequence[Frame]) -> str:
    """Return how many files share their SOP instance UID with another one that is no copy; empty for none."""
    files = {frame.dicom_file: frame.uid for frame in frames}
    again = len(files) - len(set(files.values()))
    if not again:
        return ""
    share = "shares" if again == 1 else "share"
    return f"{again} of {len(files)} files {share} the SOP instance UID of another file, but not its image"
