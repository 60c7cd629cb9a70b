"""The images of a folder by name, from one walk through it."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from itermask.errors import InputError
from itermask.io.names import stem

ENDINGS = (".nii", ".nii.gz", ".img")


class File(NamedTuple):
    """One image file: its path, its name without ending, and the folders it lies in.

    `folders` starts with the name of the root itself, so that a root may be any level of a release.
    """

    path: Path
    stem: str
    folders: tuple[str, ...]


@dataclass(frozen=True)
class Tree:
    """A root folder and the image files below it, sorted by path."""

    root: Path
    files: tuple[File, ...]


def walk(root: Path) -> Tree:
    """List the images below a folder: `.nii`, `.nii.gz` and `.img`, without opening any.

    Names that start with a dot are passed over. Links to files count as files; a link to a folder is followed
    once, unless it leads back into the tree.

    Raises:
        InputError: no such folder, or a folder that may not be read.

    Example:
        >>> (folder / "sub-01_T1w.nii.gz").touch()
        >>> type(walk(folder)).__name__
        'Tree'
    """
    root = Path(root)
    if not root.is_dir():
        raise InputError(f"{root}: no such folder; give the folder that the data set was unpacked to")
    top = os.path.realpath(root)
    files, followed = [], {top}
    pending: list[tuple[str, tuple[str, ...]]] = [(str(root), (root.resolve().name,))]
    while pending:
        folder, folders = pending.pop()
        try:
            with os.scandir(folder) as listing:
                entries = list(listing)
        except OSError as error:
            raise InputError(f"{folder}: this folder cannot be read ({error.strerror}); allow it or move it") from error
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if _is_folder(entry):
                if entry.is_symlink():
                    target = os.path.realpath(entry.path)
                    if target in followed or os.path.commonpath((target, top)) in (target, top):
                        continue
                    followed.add(target)
                pending.append((entry.path, (*folders, entry.name)))
            elif entry.name.lower().endswith(ENDINGS):
                path = Path(entry.path)
                files.append(File(path, stem(path), folders))
    return Tree(root, tuple(sorted(files)))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Return whether an entry is a folder or a link to one; a link to itself is a file that cannot be read."""
    try:
        return entry.is_dir()
    except OSError:
        return False
