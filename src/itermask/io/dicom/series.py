"""Series: slices that belong together, what they are, and why some of them make no scan."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from itermask.io.body import doubts, not_a_head
from itermask.io.dicom.about import source_of
from itermask.io.dicom.files import Header, LeftOut, read_headers
from itermask.io.dicom.frames import Frame, frames_of
from itermask.io.dicom.gaps import missing_between, notes_on
from itermask.io.dicom.geometry import Stack, stack_slices
from itermask.io.dicom.groups import of_several, part, parted, plane_of, repeated_uids
from itermask.io.dicom.sequence import Guess, guess_sequence, is_localiser
from itermask.io.dicom.values import whole
from itermask.io.names import shown
from itermask.types import Source

PROJECTIONS = {"PROJECTION IMAGE", "MIP", "MNIP", "MINIP", "MAX_IP", "MIN_IP"}
LARGEST = 700.0  # mm; no scanner's field of view is larger


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
        notes: sentences that a reader of the results must know.
        source: what its first image says of person, scanner and study.
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
    notes: tuple[str, ...] = ()
    source: Source = field(default_factory=Source)

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
        return plane_of(self.frames[0])

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
    """Find the MR series in a folder, a zip, a file, or several of these.

    Files are one series if they share SeriesInstanceUID, frame of reference, orientation, matrix and pixel size, image
    type, echo time and b value.

    Args:
        paths: files, zips, and folders with all that is below them.

    Returns:
        the series in the order of their numbers, and what was left out.

    Raises:
        InputError: a path does not exist or cannot be read.
        MissingExtraError: pydicom is not installed.

    Example:
        >>> (folder / "notes.txt").write_text("no image")
        8
        >>> found = find_series(folder)
        >>> found.series, found.left_out[0].reason
        ((), 'not a DICOM file')
    """
    headers, left_out = read_headers(paths)
    frames: dict[str, list[Frame]] = {}
    first: dict[str, Header] = {}
    for header in headers:
        try:
            held = frames_of(header)
        except ValueError as error:
            left_out.append(LeftOut(shown(str(header.dicom_file)), str(error), lost=True))
            continue
        uid = str(header.values.SeriesInstanceUID)
        first.setdefault(uid, header)
        frames.setdefault(uid, []).extend(held)
    series = []
    for uid, held in frames.items():
        groups, mixed = parted(held), of_several(held)
        series += [_series(first[uid].values, group, part(group, groups), mixed) for group in groups]
    lost = _lost(left_out)
    return Found(tuple(replace(each, notes=(*each.notes, *lost)) for each in _labelled(series)), tuple(left_out))


def _lost(left_out: Sequence[LeftOut]) -> tuple[str, ...]:
    """Return a sentence on the files that may belong to a series and cannot be used; else nothing."""
    lost = [left for left in left_out if left.lost]
    if not lost:
        return ()
    what = "1 file or folder" if len(lost) == 1 else f"{len(lost)} files or folders"
    return (f"{what} beside its images cannot be used ({lost[0].reason}), so slices may be missing at an end.",)


def _series(header: Any, frames: list[Frame], part: str, mixed: str) -> Series:
    """Return a series, its slices in order where they make a volume."""
    number = whole(header.get("SeriesNumber"))
    source = source_of(header)
    series = Series(
        label="",
        number=number,
        uid=str(header.SeriesInstanceUID),
        study=frames[0].study,
        description=frames[0].header.description or frames[0].header.protocol,
        part=part,
        frames=tuple(frames),
        affine=None,
        guess=guess_sequence(frames[0].header),
        problem=_problem(frames, source) or mixed,
        source=replace(source, study_uid=frames[0].study),
    )
    if series.problem:
        return series
    try:
        stack = _stack(frames)
    except ValueError as error:
        again = repeated_uids(frames)
        return replace(series, problem=f"{error}; {again}" if again else str(error))
    ordered = tuple(frames[index] for index in stack.order)
    if problem := missing_between(ordered) or _too_large(ordered, stack):
        return replace(series, problem=problem)
    again = repeated_uids(frames)
    notes = (*((f"{again[0].upper()}{again[1:]}.",) if again else ()), *doubts(source), *notes_on(ordered, not part))
    source = replace(series.source, instances=_instances(ordered))
    return replace(series, frames=ordered, affine=stack.affine, notes=notes, source=source)


def _instances(frames: Sequence[Frame]) -> tuple[int, ...]:
    """Return the instance number of each slice, or its frame's number from 1; empty where one of them has none."""
    numbers = [frame.number + 1 if frame.multiframe else frame.instance for frame in frames]
    known = [number for number in numbers if number is not None]
    return tuple(known) if len(known) == len(numbers) else ()


def _stack(frames: list[Frame]) -> Stack:
    """Return how slices that all have a place lie on each other; a `ValueError` says why they make no volume."""
    first = frames[0]
    assert first.orientation is not None  # `_problem` has seen to it
    assert first.pixel is not None
    return stack_slices([frame.position or () for frame in frames], first.orientation, first.pixel, first.thickness)


def _too_large(frames: Sequence[Frame], stack: Stack) -> str:
    """Return why a volume is larger than any field of view; empty where it is not."""
    rows, columns = frames[0].size
    edges = np.linalg.norm(stack.affine[:3, :3], axis=0) * (columns, rows, len(frames))
    if edges.max() <= LARGEST:
        return ""
    size = "×".join(f"{edge:.4g}" for edge in edges)
    why = "its pixel size is wrong" if len(frames) > 1 else "many slices are in one image (a mosaic; use dcm2niix)"
    return f"it spans {size} mm, more than any head: {why}"


def _problem(frames: list[Frame], source: Source) -> str:
    """Return why slices are no scan, apart from how they lie on each other; empty if they may be one."""
    first = frames[0]
    if "MOSAIC" in first.header.image_type or first.tiles > 1:
        return "a Siemens mosaic, many slices in one image; convert it with dcm2niix"
    if is_localiser(first.header):
        return "a localiser"
    if PROJECTIONS.intersection(first.header.image_type):
        return "a projection, not slices"
    if first.component != "MAGNITUDE":
        return f"{first.component.lower()} images, not magnitude"
    if first.colour:
        return "colour or inverted images"
    if elsewhere := not_a_head(source):
        return elsewhere
    for name, key in (("position", "position"), ("orientation", "orientation"), ("pixel size", "pixel")):
        if any(getattr(frame, key) is None for frame in frames):
            return f"its images have no {name}"
    return ""


def _labelled(series: list[Series]) -> tuple[Series, ...]:
    """Return the series in the order of their numbers, each with its own label."""
    ordered = sorted(series, key=lambda each: (each.number is None, each.number or 0))
    labels = [str(each.number) if each.number is not None else "x" for each in ordered]
    named = []
    for index, each in enumerate(ordered):
        label, nth = labels[index], labels[:index].count(labels[index])
        named.append(replace(each, label=label + _letters(nth) if labels.count(label) > 1 else label))
    return tuple(named)


def _letters(count: int) -> str:
    """Return the letters for a number: a for 0, z for 25, aa for 26."""
    text = ""
    count += 1
    while count:
        count, rest = divmod(count - 1, 26)
        text = chr(ord("a") + rest) + text
    return text
