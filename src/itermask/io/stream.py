"""Every byte of a file, read to its end and checked: length for plain files, length and checksums for gzip."""

import os
import stat
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from itermask.errors import InputError

GZIP = b"\x1f\x8b"
HEAD = 544  # bytes that tell how long an image is: a NIfTI-2 header and its extension mark
PIECE = 1 << 16
PADDING = 4096  # so many zeros behind an image are padding, as tapes and some tools leave it

Measure = Callable[[bytes], int]  # the first bytes of a file → its whole length, unpacked


def check_file(path: Path) -> None:
    """Refuse a path that is no file which can be read: missing, a folder, a device, a broken link.

    Raises:
        InputError: one line says what is wrong.

    Example:
        >>> _ = (folder / "scan.nii").write_bytes(b"")
        >>> check_file(folder / "scan.nii")
    """
    try:
        kind = path.stat().st_mode
    except FileNotFoundError as error:
        what = "is a link to a file that is not there" if path.is_symlink() else "no such file"
        raise InputError(f"{path}: {what}") from error
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({reason(error)}); check the path") from error
    if not stat.S_ISREG(kind):
        what = "a folder" if stat.S_ISDIR(kind) else "a device or pipe"
        raise InputError(f"{path}: is {what}, not a NIfTI file; give the file itself")


def read_stream(path: Path, measure: Measure) -> tuple[bytes, str]:
    """Read a file to its end, unpacked where its name ends in `.gz`.

    Args:
        path: an existing file.
        measure: tells from the first `HEAD` bytes how many there must be in all; may refuse.

    Returns:
        that many bytes, and a sentence on padding behind them; "" where there is none.

    Raises:
        InputError: too short, longer than it says, not gzip, or damaged: each member's checksum and length are checked.

    Example:
        >>> _ = (folder / "scan.nii").write_bytes(b"12345678")
        >>> data, digest = read_stream(folder / "scan.nii", lambda head: 8)
        >>> data
        b'12345678'
    """
    packed = path.name.lower().endswith(".gz")
    try:
        with open(path, "rb") as file:
            pieces = _unpacked(path, file) if packed else _plain(file)
            return _collect(path, pieces, measure, None if packed else os.fstat(file.fileno()).st_size)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({reason(error)}); copy it again") from error
    except MemoryError as error:
        raise InputError(f"{path}: there is not enough memory to read it") from error


def _collect(path: Path, pieces: Iterator[bytes], measure: Measure, size: int | None) -> tuple[bytes, str]:
    """Put pieces together; refuse as soon as the length cannot be right."""
    kept: list[bytes] = []
    length, wanted = 0, -1
    for piece in pieces:
        kept.append(piece)
        length += len(piece)
        if wanted < 0 and length >= HEAD:
            kept = [b"".join(kept)]
            wanted = measure(kept[0][:HEAD])
            if size is not None:  # the file system tells at once, whatever the header says
                _check_length(path, size, wanted)
        if wanted >= 0 and length > wanted + PADDING:
            _check_length(path, length, wanted)
    whole = b"".join(kept)
    if wanted < 0:
        wanted = measure(whole)
    _check_length(path, length, wanted)
    padding = whole[wanted:]
    if padding.strip(b"\0"):
        raise InputError(
            f"{path}: {len(padding)} bytes follow the image that its header describes, so one of them is damaged; "
            "copy or export it again"
        )
    return whole[:wanted], f"{len(padding)} zero bytes behind the image were passed over." if padding else ""


def _check_length(path: Path, length: int, wanted: int) -> None:
    """Refuse a length that is not what the header says."""
    if length < wanted:
        raise InputError(f"{path}: truncated or damaged: holds {length} of {wanted} bytes; copy or export it again")
    if length > wanted + PADDING:
        raise InputError(
            f"{path}: holds more than the {wanted} bytes that its header describes, so one of them is damaged; "
            "copy or export it again"
        )


def _plain(file: BinaryIO) -> Iterator[bytes]:
    """Yield what a file holds, the first piece small, so that a wrong header is seen before the rest is read."""
    yield file.read(HEAD)
    while piece := file.read(PIECE << 6):
        yield piece


def _unpacked(path: Path, file: BinaryIO) -> Iterator[bytes]:
    """Yield what a gzip file holds, of all its members; `zlib` checks the checksum and the length of each."""
    ahead = file.read(PIECE)
    if not ahead.startswith(GZIP):
        what = "empty" if not ahead else "not packed with gzip, though its name ends in .gz"
        raise InputError(f"{path}: truncated or damaged: it is {what}; copy or export it again")
    while ahead:
        engine = zlib.decompressobj(wbits=31)
        while not engine.eof:
            if not ahead:
                raise InputError(f"{path}: truncated or damaged: its gzip stream has no end; copy or export it again")
            try:
                yield engine.decompress(ahead)
            except zlib.error as error:
                said = str(error).rpartition(": ")[2] or "unknown error"
                raise InputError(
                    f"{path}: truncated or damaged: its gzip stream is wrong ({said}); copy it again"
                ) from error
            ahead = file.read(PIECE) if not engine.eof else engine.unused_data or file.read(PIECE)
        while ahead and not ahead.strip(b"\0"):
            ahead = file.read(PIECE)
        ahead = ahead.lstrip(b"\0")
        if len(ahead) < len(GZIP):
            ahead += file.read(PIECE)
        if ahead and not ahead.startswith(GZIP):
            raise InputError(
                f"{path}: truncated or damaged: something else follows its gzip stream; copy or export it again"
            )


def reason(error: BaseException) -> str:
    """Return an error's message on one line, without the path that stands beside it anyway.

    >>> reason(OSError(28, "No space left on device"))
    'No space left on device'
    """
    text = getattr(error, "strerror", None) or str(error)
    return " ".join(str(text).split())[:160] or type(error).__name__
