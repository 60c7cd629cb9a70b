"""What all kinds of damage share: what is seen of an input, and how bytes and text are damaged."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

CORNER = 0.5  # mm by which a corner of the volume may lie elsewhere and still count as right


@dataclass
class Seen:
    """What was read of an input.

    Attributes:
        scans: image, affine and brain mask (or None) of each scan, by name.
        said: sentences that a user reads: notes on the scans, and lines on what was left aside.
        checked: False where there is nothing to compare, as a table or a configuration is no scan.
    """

    scans: dict[str, tuple[np.ndarray, np.ndarray, np.ndarray | None]] = field(default_factory=dict)
    said: tuple[str, ...] = ()
    checked: bool = True


@dataclass(frozen=True)
class Kind:
    """A kind of input.

    Attributes:
        name: of the kind.
        make: writes an undamaged input into a folder.
        damage: damages the input in a folder; returns a text that says how.
        read_input: reads the input in a folder as the package does before anything is computed.
        arguments: of `itermask run` on the input, or None where that command does not take it.
    """

    name: str
    make: Callable[[Path], None]
    damage: Callable[[Path, np.random.Generator], str]
    read_input: Callable[[Path], Seen]
    arguments: Callable[[Path], list[str]] | None = None


def once(make: Callable[[Path], None]) -> Callable[[Path], None]:
    """Return what writes the same files as `make`, which is called at the first time only."""
    files: dict[Path, bytes | None] = {}

    def again(folder: Path) -> None:
        if not files:
            with tempfile.TemporaryDirectory() as name:
                first = Path(name)
                make(first)
                for path in sorted(first.rglob("*")):
                    files[path.relative_to(first)] = None if path.is_dir() else path.read_bytes()
        for path, content in files.items():
            if content is None:
                (folder / path).mkdir()
            else:
                (folder / path).write_bytes(content)

    return again


def same(found: Seen, truth: Seen) -> bool:
    """Return whether all scans that were read are those of the undamaged input."""
    if not found.scans.keys() <= truth.scans.keys():
        return False
    return all(_same_scan(scan, truth.scans[name]) for name, scan in found.scans.items())


def _same_scan(a: Any, b: Any) -> bool:
    (image, affine, mask), (true_image, true_affine, true_mask) = a, b
    if image.shape != true_image.shape or not np.array_equal(image, true_image):
        return False
    if (mask is None) != (true_mask is None) or (mask is not None and not np.array_equal(mask, true_mask)):
        return False  # a mask that was given and is not used must be said
    corners = np.array(np.meshgrid(*[(0, size - 1) for size in image.shape], [1])).reshape(4, -1)
    return bool(np.abs((affine - true_affine) @ corners).max() <= CORNER)


def damage_bytes(content: bytes, rng: np.random.Generator, low: int = 0, high: int | None = None) -> tuple[bytes, str]:
    """Return some bytes damaged between two places, and in words how."""
    high = len(content) if high is None else min(high, len(content))
    data = bytearray(content)
    at = int(rng.integers(low, max(low + 1, high)))
    length = int(rng.integers(1, max(2, min(4096, high - at))))
    way = rng.choice(["one bit", "bits", "zeros", "noise", "cut", "lost", "twice", "junk", "empty"])
    if way == "one bit":
        data[at] ^= 1 << int(rng.integers(8))
    elif way == "bits":
        for index in rng.integers(low, high, 8):
            data[index] ^= 1 << int(rng.integers(8))
    elif way == "zeros":
        data[at : at + length] = bytes(min(length, high - at))
    elif way == "noise":
        data[at : at + length] = rng.bytes(min(length, high - at))
    elif way == "cut":
        del data[at:]
    elif way == "lost":
        del data[at : at + length]
    elif way == "twice":
        data[at:at] = data[at : at + length]
    elif way == "junk":
        data += rng.bytes(length)
    else:
        data.clear()
    return bytes(data), f"{way} at byte {at} of {len(content)}"


def damage_text(text: bytes, rng: np.random.Generator) -> tuple[bytes, str]:
    """Return a text file damaged as by hand or by a program, and in words how."""
    if rng.random() < 0.4:
        return damage_bytes(text, rng)
    lines = text.split(b"\n")
    at = int(rng.integers(len(lines)))
    way = rng.choice(["line lost", "line twice", "value", "separator", "encoding", "long", "number"])
    if way == "line lost":
        del lines[at]
    elif way == "line twice":
        lines.insert(at, lines[at])
    elif way == "value":
        values = [b"", b"-1", b"nan", b"1e999", b"[]", b'"', b"true", b"{", b"\xff\xfe", b"\0", b"../..", b"9" * 400]
        head, mark, _ = lines[at].partition(b"=" if b"=" in lines[at] else b"\t")
        lines[at] = head + mark + values[int(rng.integers(len(values)))]
    elif way == "separator":
        lines[at] = lines[at].replace(b"\t", b" ").replace(b"=", b":").replace(b",", b";")
    elif way == "encoding":
        lines = [line.decode("utf-8").encode("utf-16") for line in lines]
    elif way == "long":
        lines[at] += b"x" * 200_000
    else:
        digits = [index for index, byte in enumerate(lines[at]) if 48 <= byte <= 57]
        if digits:
            line = bytearray(lines[at])
            line[digits[int(rng.integers(len(digits)))]] = int(rng.integers(33, 127))
            lines[at] = bytes(line)
    return b"\n".join(lines), f"{way} in line {at + 1}"
