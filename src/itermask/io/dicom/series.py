"""Series: slices that belong together, what they are, and why some of them make no scan."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from itermask.io.dicom.files import Header, LeftOut, read_headers
from itermask.io.dicom.frames import Frame, frames_of
from itermask.io.dicom.geometry import stack_slices
from itermask.io.dicom.sequence import Guess, guess_sequence, is_localiser

SAME_DIRECTION, SAME_SIZE = 1e-3, 1e-3  # differences of cosines, and of pixel sizes in mm, that part no series
SAME_ECHO, SAME_B = 0.05, 25.0  # ms; s/mm²
PROJECTIONS = {"PROJECTION IMAGE", "MIP", "MNIP", "MINIP", "MAX_IP", "MIN_IP"}
PLANES = ("sagittal", "coronal", "axial")


@dataclass(frozen=True)
class Series:
    """Slices of one series that are alike: one volume, unless there is a problem.

    Attributes:
        label: short name, unlike that of any other series found: its number, with a letter where a series was parted.
        number: SeriesNumber, or None.
        uid: SeriesInstanceUID.
        study: StudyInstanceUID.
        description: as typed at the scanner.
        part: what parts it from others of the same UID, such as `echo time 4.9 ms`; empty if nothing.
        frames: its slices; along their normal unless there is a problem.
        affine: 4×4, (column, row, slice) indices → scanner millimetres (RAS+); None if there is a problem.
        guess: of its sequence.
        problem: why it cannot be read as a scan; empty if it can.
    """

    label: str
    number: int | None
    uid: str
    study: str
    description: str
    part: str
    frames: tuple[Frame, ...]
    affine: np.ndarray | None
    guess: Guess
    problem: str = ""

    @property
    def title(self) -> str:
        """What messages and reports call it."""
        return f"series {self.label}" + (f" '{self.description}'" if self.description else "")

    @property
    def shape(self) -> tuple[int, int, int]:
        """Columns, rows, slices."""
        rows, columns = self.frames[0].size
        return columns, rows, len(self.frames)

    @property
    def spacing(self) -> tuple[float, float, float] | None:
        """Voxel size in mm along columns, rows, slices; None if there is a problem."""
        if self.affine is None:
            return None
        x, y, z = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(x), float(y), float(z)

    @property
    def plane(self) -> str:
        """`sagittal`, `coronal` or `axial`, whichever is nearest; empty without an orientation."""
        return _plane(self.frames[0])

    @property
    def derived(self) -> bool:
        """Whether its images were computed from others, as far as the header says."""
        return "DERIVED" in self.frames[0].header.image_type[:1]


@dataclass(frozen=True)
class Found:
    """All series below a path, and the files that are in none, with the reasons."""

    series: tuple[Series, ...]
    left_out: tuple[LeftOut, ...]


def find_series(paths: Path | str | Sequence[Path | str]) -> Found:
    """The MR series in a folder, a zip, a file, or several of these.

    Files are one series if they share SeriesInstanceUID, frame of reference, orientation, matrix and pixel size, image
    type, echo time and b value.

    Args:
        paths: what to look through; folders with all that is below them.

    Returns:
        the series in the order of their numbers, and what was left out.

    Raises:
        InputError: a path does not exist or cannot be read.
        MissingExtraError: pydicom is not installed.
    """
    headers, left_out = read_headers(paths)
    groups: dict[str, list[list[Frame]]] = {}
    first: dict[str, Header] = {}
    for header in headers:
        try:
            frames = frames_of(header)
        except ValueError as error:
            left_out.append(LeftOut(str(header.place), str(error)))
            continue
        uid = str(header.values.SeriesInstanceUID)
        first.setdefault(uid, header)
        for frame in frames:
            _join(groups.setdefault(uid, []), frame)
    series = [
        _series(first[uid].values, group, _part(group, alike)) for uid, alike in groups.items() for group in alike
    ]
    return Found(_labelled(series), tuple(left_out))


def _join(groups: list[list[Frame]], frame: Frame) -> None:
    """Put a slice into the group that it is like, or into a new one."""
    for group in groups:
        if _alike(group[0], frame):
            group.append(frame)
            return
    groups.append([frame])


def _alike(a: Frame, b: Frame) -> bool:
    """Whether two slices of a series can be of one volume."""
    same = (a.size, a.reference, a.component, a.stack, a.colour) == (
        b.size,
        b.reference,
        b.component,
        b.stack,
        b.colour,
    )
    return (
        same
        and a.header.image_type == b.header.image_type
        and _near(a.orientation, b.orientation, SAME_DIRECTION)
        and _near(a.pixel, b.pixel, SAME_SIZE)
        and _near(a.header.echo_time, b.header.echo_time, SAME_ECHO)
        and _near(a.header.b_value, b.header.b_value, SAME_B)
    )


def _near(a: Any, b: Any, tolerance: float) -> bool:
    """Whether two numbers, or rows of numbers, are the same; None is only like None."""
    if a is None or b is None:
        return a is b
    return bool(np.all(np.abs(np.subtract(a, b)) <= tolerance))


def _part(group: list[Frame], alike: list[list[Frame]]) -> str:
    """In what a group differs from the others of its series, in words."""
    if len(alike) == 1:
        return ""
    words = (
        lambda frame: _plane(frame),
        lambda frame: f"{frame.size[1]}×{frame.size[0]}",
        lambda frame: "" if frame.header.echo_time is None else f"echo time {frame.header.echo_time:.4g} ms",
        lambda frame: "" if frame.header.b_value is None else f"b {frame.header.b_value:g}",
        lambda frame: frame.component.lower(),
        lambda frame: "\\".join(frame.header.image_type),
        lambda frame: f"stack {frame.stack}" if frame.stack else "",
    )
    said = [word(group[0]) for word in words if len({word(other[0]) for other in alike}) > 1]
    return ", ".join(text for text in said if text)


def _plane(frame: Frame) -> str:
    """The plane of the body that a slice is nearest to."""
    if frame.orientation is None:
        return ""
    normal = np.cross(frame.orientation[:3], frame.orientation[3:])
    return PLANES[int(np.argmax(np.abs(normal)))]


def _series(header: Any, frames: list[Frame], part: str) -> Series:
    """A series, its slices in order where they make a volume."""
    number = header.get("SeriesNumber")
    series = Series(
        label="",
        number=None if number is None else int(number),
        uid=str(header.SeriesInstanceUID),
        study=str(header.StudyInstanceUID),
        description=frames[0].header.description or frames[0].header.protocol,
        part=part,
        frames=tuple(frames),
        affine=None,
        guess=guess_sequence(frames[0].header),
        problem=_problem(frames),
    )
    if series.problem:
        return series
    positions = [frame.position or () for frame in frames]
    first = frames[0]
    assert first.orientation is not None  # `_problem` has seen to it
    assert first.pixel is not None
    try:
        stack = stack_slices(positions, first.orientation, first.pixel, first.thickness)
    except ValueError as error:
        return replace(series, problem=str(error))
    return replace(series, frames=tuple(frames[index] for index in stack.order), affine=stack.affine)


def _problem(frames: list[Frame]) -> str:
    """Why some slices are no scan, apart from how they lie on each other; empty if they may be one."""
    first = frames[0]
    if "MOSAIC" in first.header.image_type:
        return "a Siemens mosaic, many slices in one image; convert it with dcm2niix"
    if is_localiser(first.header):
        return "a localiser"
    if PROJECTIONS.intersection(first.header.image_type):
        return "a projection, not slices"
    if first.component != "MAGNITUDE":
        return f"{first.component.lower()} images, not magnitude"
    if first.colour:
        return "colour or inverted images"
    for name, key in (("position", "position"), ("orientation", "orientation"), ("pixel size", "pixel")):
        if any(getattr(frame, key) is None for frame in frames):
            return f"its images have no {name}"
    return ""


def _labelled(series: list[Series]) -> tuple[Series, ...]:
    """The series in the order of their numbers, each with its own label."""
    ordered = sorted(series, key=lambda each: (each.number is None, each.number or 0))
    labels = [str(each.number) if each.number is not None else "x" for each in ordered]
    named = []
    for index, each in enumerate(ordered):
        label, nth = labels[index], labels[:index].count(labels[index])
        named.append(replace(each, label=label + _letters(nth) if labels.count(label) > 1 else label))
    return tuple(named)


def _letters(count: int) -> str:
    """Letters for a number: a for 0, z for 25, aa for 26."""
    text = ""
    count += 1
    while count:
        count, rest = divmod(count - 1, 26)
        text = chr(ord("a") + rest) + text
    return text
