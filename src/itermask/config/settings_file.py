"""Every file of settings (training, benchmark, node, preset) is read and checked here, against a dataclass.

The dataclass says which settings there are and of what type; what else must hold it checks itself when it is made, in
`__post_init__`, with `check_ranges` for plain ranges. A mistake is one line: which file, which setting, what it must
be, what it is. The conversion is msgspec's.
"""

import difflib
import math
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec

from itermask.errors import InputError

Kind = TypeVar("Kind")
TYPE_NAMES = {
    "int": "a whole number",
    "float": "a number",
    "str": "a text in quotes",
    "bool": "true or false",
    "array": "a list",
    "object": "a table of settings",
    "null": "nothing",
}


def read_toml(path: Path, otherwise: str = "") -> dict[str, Any]:
    """Return the contents of a TOML file.

    Args:
        path: the file.
        otherwise: what to say beside a file that cannot be read.

    Raises:
        InputError: it cannot be read, or is no TOML.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "settings.toml"
        ...     _ = path.write_text("steps = 100")
        ...     read_toml(path)
        ...
        {'steps': 100}
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}){otherwise}") from error
    except (ValueError, RecursionError) as error:  # no TOML or UTF-8, a number of thousands of digits, deep lists
        raise InputError(f"{path}: not valid TOML ({' '.join(str(error).split())}); correct it") from error


def checked(kind: type[Kind], values: Mapping[str, Any], where: str, base: Path | None = None) -> Kind:
    """Return settings as an object of a dataclass.

    >>> from itermask.training.augment import Augmentation
    >>> checked(Augmentation, {"flip": 0.25}, "mine.toml").flip
    0.25
    >>> checked(Augmentation, {"flip": "often"}, "mine.toml")
    Traceback (most recent call last):
        ...
    itermask.errors.InputError: mine.toml: flip must be a number, not 'often'

    Args:
        kind: the dataclass; its fields may be dataclasses, or tuples of them, too.
        values: what a TOML file or a command line says.
        where: the file's name or another word for where `values` come from.
        base: folder at which relative paths start, where fields are paths.

    Raises:
        InputError: an unknown or missing setting, one of another type, or a value that the dataclass refuses.
    """
    for key, problem in _unknown(kind, values):
        raise InputError(f"{where}: {key}{problem}")

    def decode(wanted: Any, value: Any) -> Any:
        if wanted is Path and isinstance(value, str) and value:
            return (base or Path()) / Path(value).expanduser()
        raise ValueError(f"must be a path, not {value!r}")

    try:
        return msgspec.convert(values, kind, dec_hook=decode)
    except msgspec.ValidationError as error:
        raise InputError(f"{where}: {_explained(error, values)}") from error


def check_ranges(
    owner: Any,
    *,
    positive: str = "",
    not_negative: str = "",
    shares: str = "",
    counts: str = "",
) -> None:
    """Refuse numbers out of range; for `__post_init__`.

    Args:
        owner: the object.
        positive: names, with blanks between, of numbers above 0.
        not_negative: of numbers from 0.
        shares: of numbers from 0 to 1.
        counts: of whole numbers from 1.

    Raises:
        ValueError: names the first that is out of range, NaN or infinite.

    Example:
        >>> from dataclasses import dataclass
        >>> class Settings:
        ...     steps: int = 100
        ...
        >>> check_ranges(Settings(), positive="steps")
    """
    rules = (
        (positive, lambda number: number > 0, "above 0"),
        (not_negative, lambda number: number >= 0, "0 or more"),
        (shares, lambda number: 0 <= number <= 1, "a share from 0 to 1"),
        (counts, lambda number: number >= 1 and number == int(number), "a whole number, at least 1"),
    )
    for names, holds, wanted_text in rules:
        for name in names.split():
            value = getattr(owner, name)
            if not (_finite(value) and holds(value)):
                raise ValueError(f"{name} must be {wanted_text}, not {_shown(value)}")


def _finite(number: float) -> bool:
    """Return whether a number is finite, and small enough to be computed with."""
    try:
        return math.isfinite(number)
    except OverflowError:  # a whole number of hundreds of digits
        return False


def _shown(number: float) -> str:
    """Return a number for a message, a very long one by its first digits."""
    text = str(number)
    return text if len(text) <= 40 else f"{text[:20]}… ({len(text)} digits)"


def merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings with others over them, table by table.

    >>> merged({"steps": 5, "augmentation": {"flip": 0.0, "shift": 1}}, {"augmentation": {"flip": 0.5}})
    {'steps': 5, 'augmentation': {'flip': 0.5, 'shift': 1}}
    """
    both = dict(under)
    for name, value in over.items():
        old = both.get(name)
        both[name] = merged(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return both


def _unknown(kind: Any, values: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Yield settings that a dataclass does not know, and such that it needs and lacks, in it and in all below."""
    if not is_dataclass(kind) or not isinstance(values, Mapping):
        return
    hints = get_type_hints(kind)
    known = {entry.name: entry for entry in fields(kind) if entry.init}
    for name in sorted(set(values) - set(known)):
        close = difflib.get_close_matches(str(name), known, 1)
        meant = f", did you mean {close[0]}?" if close else ";"
        yield key, f"unknown setting {name}{meant} known are {', '.join(sorted(known))}"
    for name, entry in known.items():
        if name not in values and entry.default is MISSING and entry.default_factory is MISSING:
            yield key, f"{name} is missing"
    for name, value in values.items():
        for inner, listed in _dataclasses_in(hints.get(name)):
            if not listed:
                yield from _unknown(inner, value, f"[{name}] ")
            elif isinstance(value, list):
                for number, one in enumerate(value, start=1):
                    yield from _unknown(inner, one, f"[[{name}]] number {number}: ")


def _dataclasses_in(hint: Any) -> Iterator[tuple[Any, bool]]:
    """Yield the dataclasses that a type may hold, and whether they stand in a list."""
    if is_dataclass(hint):
        yield hint, False
    elif get_origin(hint) in (Union, UnionType):
        for part in get_args(hint):
            yield from _dataclasses_in(part)
    elif get_origin(hint) is tuple:
        for part in get_args(hint):
            yield from ((inner, True) for inner, _ in _dataclasses_in(part))


def _explained(error: msgspec.ValidationError, values: Any) -> str:
    """Return what is wrong, in plain words."""
    text, _, path = str(error).partition(" - at `$")
    steps = [name or int(number) for name, number in re.findall(r"\.([^.\[\]`]+)|\[(\d+)\]", path)]
    key = _key(steps)
    if error.__cause__ is not None:  # the dataclass itself refused it
        problem = " ".join(str(error.__cause__).split())
        if steps and isinstance(steps[-1], int):
            return f"[[{_key(steps[:-1])}]] number {steps[-1] + 1}: {problem}"
        return f"[{key}] {problem}" if key else problem
    for step in steps:
        values = values[step] if isinstance(values, Mapping) or isinstance(step, int) else None
    wanted, _, _ = text.removeprefix("Expected ").partition(", got")
    length = re.search(r"of length (\d+)", wanted)
    kinds = [TYPE_NAMES.get(one, one) for one in re.findall(r"\w+", wanted.split("`")[1] if "`" in wanted else wanted)]
    wanted_text = f"a list of {length[1]} values" if length else " or ".join(one for one in kinds if one != "nothing")
    return f"{key or 'it'} must be {wanted_text}, not {values!r}"


def _key(steps: list[str | int]) -> str:
    """Return a setting's path: `augmentation.flip`, `box[2]`, `methods[0].name`, counted as people do."""
    text = ""
    for step in steps:
        text += f"[{step + 1}]" if isinstance(step, int) else f".{step}" if text else str(step)
    return text
