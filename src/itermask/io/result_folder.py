"""Folders that results are written to: what may be replaced there, and by one run at a time.

A folder of results carries a mark, `.itermask.json`, that lists the files written there with a digest of each. Only a
file that is listed and unchanged may be replaced; whatever else lies in the folder is somebody's, and stays.
"""

import hashlib
import json
import os
import stat
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from itermask.errors import InputError
from itermask.io.stream import reason

MARK = ".itermask.json"
KEPT = 2  # digests of a file: that which is there, and that which is about to take its place
LONGEST = 240  # bytes of a file's name; most file systems take 255, and temporary names are longer
_held: dict[tuple[int, int], int] = {}  # folders that this process has locked, by the thread that did


def check_folder(out: Path, names: Iterable[str], inputs: Iterable[Path | None] = ()) -> None:
    """Refuse a results folder before any work is done; nothing is made.

    Args:
        out: the folder; may not exist yet.
        names: files and folders that will be written below it.
        inputs: files and folders that are read.

    Raises:
        InputError: `out` cannot be a folder or cannot be written to; or what is there under one of the names is an
            input, a folder where a file is to be written, or was not written by this program or was changed since.

    Example:
        >>> check_folder(folder / "results", ["finding.json"])
    """
    check_writable(out)
    names, mark = list(names), read_mark(out)
    check_inputs([out / name for name in names], inputs)
    if mark is None and os.path.lexists(out / MARK):
        raise InputError(f"{out / MARK}: cannot be read as the mark of a results folder; remove it or choose another")
    older = mark is None and _is_older(out)
    for name in names:
        path = out / name
        if not os.path.lexists(path) or older:
            continue
        below = [each for each in path.rglob("*") if not each.is_dir()] if path.is_dir() else [path]
        if path.is_dir() and not any(key.startswith(f"{name}/") for key in mark or ()):
            raise InputError(f"{path}: is a folder where a result would be written; move it away")
        for each in below:
            if not _is_listed(each, (mark or {}).get(each.relative_to(out).as_posix(), ())):
                what = "was changed after it had been written" if mark else "was not written by itermask"
                raise InputError(f"{each}: {what}, and would be replaced; move it away or choose another folder")


def check_inputs(outputs: Iterable[Path], inputs: Iterable[Path | None]) -> None:
    """Refuse outputs that are inputs, under whatever name: links and hard links are followed.

    Raises:
        InputError: says which would replace which.

    Example:
        >>> check_inputs([folder / "out.nii.gz"], [folder / "in.nii.gz"])
    """
    given = [path for path in inputs if path is not None]
    known = {key: path for path in given if (key := _key(path)) is not None}
    given_by_path = {_resolved(path): path for path in given}
    for output in outputs:
        same = known.get(_key(output) or (-1, -1)) or given_by_path.get(_resolved(output))
        if same is None and output.is_dir():
            whole = _resolved(output)
            same = next((path for resolved, path in given_by_path.items() if resolved.is_relative_to(whole)), None)
        if same is not None:
            raise InputError(f"{output}: would replace the input {same}; choose another folder or name")


def check_writable(out: Path) -> None:
    """Refuse what cannot be a folder, or not be written to, as far as can be told without making it.

    Raises:
        InputError: too long, a file, below a file, a broken link, or without permission.

    Example:
        >>> check_writable(folder / "results")
    """
    try:
        there = next(path for path in (out, *out.absolute().parents) if os.path.lexists(path))
        mode = there.stat().st_mode
        if there != out and any(len(os.fsencode(part)) > LONGEST for part in out.absolute().relative_to(there).parts):
            raise InputError(f"{out}: a name in it has more than {LONGEST} bytes; choose a shorter one")
        if len(os.fsencode(out.absolute())) > 3500:
            raise InputError(f"{out}: the path is too long; choose a shorter one")
        (out.parent if there != out else out).stat()
    except FileNotFoundError as error:
        if os.path.lexists(out) or there.is_symlink():
            raise InputError(f"{there}: is a link to a folder that is not there; choose another") from error
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        if isinstance(error, NotADirectoryError):
            file = next(path for path in out.absolute().parents if os.path.lexists(path))
            raise InputError(f"{file}: is a file, so it cannot be used as output folder; choose another") from error
        raise InputError(f"{out}: cannot be used as output folder ({reason(error)}); choose another") from error
    if not stat.S_ISDIR(mode):
        raise InputError(f"{there}: is a file, so it cannot be used as output folder; choose another")
    if not os.access(there, os.W_OK | os.X_OK):
        raise InputError(f"{there}: cannot be written to (no permission); choose another output folder")


@contextmanager
def locked(out: Path, wait: float = 0.0) -> Iterator[None]:
    """Make a results folder and keep every other run out of it; within one thread this may be nested.

    The lock is the process's own and is free again when that is killed. Folders that were made and stay empty are
    removed again.

    Args:
        out: the folder; made if needed.
        wait: seconds to wait for another run.

    Raises:
        InputError: it cannot be made or written to, or another run has it.

    Example:
        >>> with locked(folder / "results"):
        ...     pass
        ...
    """
    out = Path(out)
    made = _make(out)
    try:
        handle = os.open(out, os.O_RDONLY) if os.name == "posix" else -1
    except OSError as error:
        raise InputError(f"{out}: cannot be used as output folder ({reason(error)})") from error
    about = out.stat()
    key, thread = (about.st_dev, about.st_ino), threading.get_ident()
    mine = _held.get(key) == thread
    try:
        if not mine and not _lock(handle, wait):
            raise InputError(f"{out}: another run is writing into it; wait for that, or choose another folder")
        _held[key] = thread
        yield
    finally:
        if not mine:
            if _held.get(key) == thread:
                del _held[key]
            for folder in made:
                with suppress(OSError):
                    folder.rmdir()
        if handle >= 0:
            os.close(handle)


def _make(out: Path) -> list[Path]:
    """Make a folder that can be written to; gives those made, the deepest first."""
    try:
        made = [path for path in (out, *out.absolute().parents) if not path.exists()]
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            return made
    except OSError as error:
        raise InputError(f"{out}: cannot be used as output folder ({reason(error)}); choose another") from error


def _lock(handle: int, wait: float) -> bool:
    """Return whether a folder could be locked; True where the system knows no locks."""
    try:
        import fcntl
    except ImportError:  # Windows
        return True
    until = time.monotonic() + wait
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                return False
            time.sleep(0.05)
        except OSError:
            return True
        else:
            return True


def read_mark(out: Path) -> dict[str, list[str]] | None:
    """Return digests by the name of a file that was written into a folder; None where there is no mark.

    Example:
        >>> read_mark(folder) is None
        True
    """
    try:
        files = json.loads((out / MARK).read_text(encoding="utf-8"))["files"]
        return {str(name): [str(digest) for digest in digests] for name, digests in files.items()}
    except (AttributeError, KeyError, OSError, RecursionError, TypeError, ValueError):
        return None


def expect(out: Path, part: Path, below: str = "") -> None:
    """Enter files into a folder's mark just before they are moved there.

    Args:
        out: the folder.
        part: where the files lie now.
        below: the folder in `out` that they will lie in; "" for `out` itself.

    Raises:
        OSError: the mark cannot be written.
    """
    mark = read_mark(out) or {}
    for path in sorted(path for path in part.rglob("*") if path.is_file()):
        name = (Path(below) / path.relative_to(part)).as_posix()
        mark[name] = [*dict.fromkeys([*mark.get(name, ()), digest_of(path)])][-KEPT:]
    mark = {name: digests for name, digests in mark.items() if (out / name).exists() or _waits(part, below, name)}
    text = json.dumps({"made_by": "itermask", "files": mark}, indent=1, sort_keys=True) + "\n"
    handle, partial = tempfile.mkstemp(prefix=".part-", dir=out)
    try:
        with open(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(partial).chmod(0o666 & ~_umask())
        os.replace(partial, out / MARK)
    except BaseException:
        with suppress(OSError):
            Path(partial).unlink()
        raise


def _waits(part: Path, below: str, name: str) -> bool:
    """Return whether a name is of a file that is about to be moved."""
    path = Path(name)
    return path.is_relative_to(below) and (part / path.relative_to(below)).exists() if below else (part / name).exists()


def _umask() -> int:
    """Return the process's mask of permissions; there is no way to ask but to set it."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def digest_of(path: Path) -> str:
    """Return what tells a file's content from any other.

    Example:
        >>> for name in ("a", "b"):
        ...     _ = (folder / name).write_text("the same text")
        ...
        >>> digest_of(folder / "a") == digest_of(folder / "b")
        True
    """
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def _is_listed(path: Path, digests: Iterable[str]) -> bool:
    """Return whether a file is what was written."""
    digests = tuple(digests)
    try:
        return bool(digests) and not path.is_symlink() and path.is_file() and digest_of(path) in digests
    except OSError:
        return False


def _is_older(out: Path) -> bool:
    """Return whether a folder without a mark holds a finding, as versions without marks wrote it."""
    try:
        found = json.loads((out / "finding.json").read_text(encoding="utf-8"))
        return "verdict" in found and "itermask" in found["versions"] and "notice" in found
    except (KeyError, OSError, RecursionError, TypeError, ValueError):
        return False


def _key(path: Path) -> tuple[int, int] | None:
    """Return what is the same for all names of a file; None where there is none."""
    try:
        about = path.stat()
    except (OSError, ValueError):
        return None
    return about.st_dev, about.st_ino


def _resolved(path: Path) -> Path:
    """Return a path without links."""
    try:
        return path.resolve()
    except (OSError, RuntimeError, ValueError):
        return path.absolute()
