"""Which files lie below a path: folders, links and zips; what cannot be opened is named."""

import io
import os
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

from itermask.errors import InputError
from itermask.io.names import shown


@dataclass(frozen=True)
class DicomFile:
    """A DICOM file: on its own, or a member of a zip."""

    path: Path
    member: str = ""

    def __str__(self) -> str:
        return f"{self.path}/{self.member}" if self.member else str(self.path)

    @property
    def name(self) -> str:
        """File name without folders."""
        return Path(self.member or self.path).name

    def open(self) -> BinaryIO:
        """Open the file's content, from its start.

        Raises:
            OSError, zipfile.BadZipFile, RuntimeError: it cannot be read (any more).
        """
        if not self.member:
            return self.path.open("rb")
        return io.BytesIO(_archive(self.path, self.path.stat().st_mtime_ns).read(self.member))


@lru_cache(maxsize=1)
def _archive(path: Path, changed: int) -> zipfile.ZipFile:
    """Return an open zip, kept for the next member, since going through its list of members takes long."""
    return zipfile.ZipFile(path)


@dataclass(frozen=True)
class LeftOut:
    """A file or folder that takes part in no series.

    Attributes:
        name: where it lies, see `shown`.
        reason: why it is left out.
        lost: True where it may hold images that a series now lacks, as a damaged file or a folder that cannot be
            opened may; False for what is no MR image or is there twice.
    """

    name: str
    reason: str
    lost: bool = False


def find_dicom_files(paths: Iterable[Path]) -> tuple[list[DicomFile], list[LeftOut]]:
    """Return all files below some paths.

    Links are followed; a folder that several links lead to is read once.

    Args:
        paths: folders (with all that is below them), files and zips.

    Returns:
        the files, sorted by name within each path, zips by their members; and what cannot be opened.

    Raises:
        InputError: one of `paths` does not exist or cannot be opened.

    Example:
        >>> (folder / "0001.dcm").write_text("")
        0
        >>> [file.name for file in find_dicom_files([folder])[0]]
        ['0001.dcm']
    """
    dicom_files: list[DicomFile] = []
    left_out: list[LeftOut] = []
    for path in paths:
        try:
            status = path.stat()
            inside = os.scandir(path) if path.is_dir() else None
        except FileNotFoundError as error:
            raise InputError(f"{shown(path)}: no such file") from error
        except (OSError, ValueError) as error:
            raise InputError(f"{shown(path)}: cannot be opened ({_why(error)})") from error
        if inside is None:
            if not os.path.isfile(path):  # noqa: PTH113
                raise InputError(f"{shown(path)}: is neither a file nor a folder (mode {status.st_mode:o})")
            dicom_files += _members(path)
            continue
        inside.close()
        files = _below(path, left_out)
        for file in sorted(files):
            try:
                dicom_files += _members(file) if file.suffix.lower() == ".zip" else [DicomFile(file)]
            except InputError as error:
                reason = str(error).removeprefix(f"{shown(file)}: ")
                left_out.append(LeftOut(shown(file), reason, lost=True))
    return dicom_files, left_out


def _below(top: Path, left_out: list[LeftOut]) -> list[Path]:
    """Return all files below a folder, own folders before linked ones; what cannot be opened is added to `left_out`."""
    files: list[Path] = []
    seen: set[str] = set()
    folders, links = [top], list[Path]()
    while folders or links:
        linked = not folders
        folder = folders.pop() if folders else links.pop(0)
        real = os.path.realpath(folder)
        if real in seen:
            if linked:
                left_out.append(LeftOut(shown(folder), "a link to a folder that is read already"))
            continue
        seen.add(real)
        try:
            with os.scandir(folder) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError as error:
            left_out.append(LeftOut(shown(folder), f"a folder that cannot be opened ({_why(error)})", lost=True))
            continue
        for entry in entries:
            path = Path(entry.path)
            try:
                entry.stat()  # follows links
                if entry.is_dir():
                    (links if entry.is_symlink() else folders).append(path)
                elif entry.is_file():
                    files.append(path)
                else:
                    left_out.append(LeftOut(shown(path), "neither a file nor a folder"))
            except OSError as error:
                link = os.path.islink(path)  # noqa: PTH114
                why = "a broken link" if link else f"cannot be opened ({_why(error)})"
                left_out.append(LeftOut(shown(path), why, lost=True))
    return files


def _members(path: Path) -> list[DicomFile]:
    """Return a file's members if it is a zip, else the file.

    Raises:
        InputError: it cannot be read, or is encrypted.
    """
    try:
        if not zipfile.is_zipfile(path):
            return [DicomFile(path)]
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError, RuntimeError) as error:
        raise InputError(f"{shown(path)}: cannot be read ({_why(error)}); copy it again") from error
    if any(member.flag_bits & 1 for member in members):
        raise InputError(f"{shown(path)}: the zip is encrypted; unpack it first")
    names = sorted(member.filename for member in members if not member.is_dir())
    return [DicomFile(path, name) for name in names]


def _why(error: Exception) -> str:
    """Return an error's message without the file's name."""
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).splitlines()[0]
