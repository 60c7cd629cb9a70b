"""What an adapter is, and the parts that adapters share."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from itermask.errors import InputError
from itermask.io.datasets.about import About
from itermask.io.datasets.case import Case
from itermask.io.datasets.tree import Tree, walk

LESION = "lesion map"
BRAIN = "brain mask"
MASKS = {"lesion": LESION, "lesion_mask": LESION, "brain": BRAIN, "brain_mask": BRAIN}  # names of our own layouts


@dataclass(frozen=True)
class Adapter:
    """Reads one kind of data set; call it with the root folder.

    Attributes:
        name: key in `itermask.io.datasets.ADAPTERS`.
        expected: an example of the names it goes by, for messages.
        collect: turns the images of a folder into sorted cases; no case where it finds none of its names.
    """

    name: str
    expected: str
    collect: Callable[[Tree], list[Case]]

    def __call__(self, root: Path) -> list[Case]:
        """Return the cases below `root`, sorted by subject and session.

        Raises:
            InputError: no such folder, no case in it, or two files that claim the same role in a case.
        """
        tree = walk(root)
        cases = self.collect(tree)
        if not cases:
            count = len(tree.files)
            raise InputError(f"{root}: no {self.name} case among its {count} images; looked for {self.expected}")
        return cases


class Gathering:
    """Puts files into their cases, and refuses a second file for the same role."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._pieces: dict[tuple[str, str], dict[str, Path]] = {}

    def add(self, subject: str, session: str, what: str, path: Path) -> None:
        """Put a file into a case.

        Args:
            subject: as in `Case`.
            session: as in `Case`.
            what: a sequence, `LESION` or `BRAIN`.
            path: the file.

        Raises:
            InputError: the case has another file for `what`.
        """
        pieces = self._pieces.setdefault((subject, session), {})
        if pieces.setdefault(what, path) != path:
            whose = f"{subject}, session {session}" if session else subject
            raise InputError(f"{self.root}: two files are the {what} of {whose}: {pieces[what]} and {path}; keep one")

    def cases(self, healthy: bool | None = None, about: Mapping[str, About] | None = None) -> list[Case]:
        """Return the cases with at least one image, sorted.

        Args:
            healthy: holds for cases without a lesion map of which `about` says nothing.
            about: by subject, what a table of the data set says.
        """
        cases = []
        for (subject, session), pieces in sorted(self._pieces.items()):
            paths = {what: pieces[what] for what in sorted(pieces) if what not in (LESION, BRAIN)}
            if paths:
                case = Case(subject, session, paths, pieces.get(LESION), pieces.get(BRAIN))
                cases.append(describe(case, (about or {}).get(subject), healthy))
        return cases


def describe(case: Case, about: About | None, healthy: bool | None = None) -> Case:
    """Return the case with what is known about its subject.

    Whether it is healthy is said by `about`; else a lesion map makes it a patient; else `healthy` holds.
    """
    about = about or About()
    known = about.healthy
    if known is None:
        known = False if case.lesion is not None else healthy
    return replace(case, group={**case.group, **about.group}, healthy=known, split=about.split)


def nearest(names: Iterable[str], folders: tuple[str, ...] | list[str]) -> str:
    """Return the word that the innermost folder with any of them has in its name, in small letters; else "".

    Example:
        >>> nearest(["train", "val"], ["train", "sub-01", "anat"])
        'train'
    """
    names = tuple(names)
    return next((word for name in reversed(folders) for word in names if word in name.lower()), "")


class Found(NamedTuple):
    """One image of a visit; `run` tells it from others of the same sequence."""

    subject: str
    session: str
    sequence: str
    run: str
    path: Path


def part_runs(found: Iterable[Found]) -> list[Found]:
    """Give every repeat of a sequence within a visit its own session, named after the run.

    A visit with each sequence once keeps its session. Else a sequence that is there several times makes one
    session a run (`<session>_<run>`), runs of the same name in other sequences join it, and a sequence that is
    there once goes with the first run, so that no image stands in two cases.
    """
    visits: dict[tuple[str, str], dict[str, list[Found]]] = defaultdict(lambda: defaultdict(list))
    for image in found:
        visits[image.subject, image.session][image.sequence].append(image)
    parted = []
    for sequences in visits.values():
        runs = sorted({image.run for images in sequences.values() if len(images) > 1 for image in images})
        for images in sequences.values():
            for image in images:
                run = image.run if len(images) > 1 else (runs or [""])[0]
                session = "_".join(part for part in (image.session, run) if part)
                parted.append(image._replace(session=session))
    return parted
