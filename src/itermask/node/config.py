"""What a node is told in its TOML file, checked before anything starts; `example.toml` has every setting."""

import math
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from importlib.resources import files
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

from itermask.errors import InputError

DEVICES = ("auto", "cpu", "cuda", "mps", "openvino")
PARTS = ("segmentation", "report", "overlay")  # of the results, as `[[destination]] send` names them


@dataclass(frozen=True)
class Sender:
    """Who may send images.

    Attributes:
        title: its AE title.
        addresses: IP addresses or networks (`10.0.0.0/24`) it may call from.
        port: where it takes reports of storage commitment; 0 if it asks for none.
    """

    title: str
    addresses: tuple[str, ...]
    port: int = 0

    def calls_from(self, address: str) -> bool:
        """Whether an IP address is one of its own."""
        try:
            called = ip_address(address.removeprefix("::ffff:").partition("%")[0])
        except ValueError:
            return False
        return any(called in ip_network(own, strict=False) for own in self.addresses)


@dataclass(frozen=True)
class Destination:
    """Who gets the results: AE title, host, port, which of `PARTS`, and whether the connection is encrypted."""

    title: str
    host: str
    port: int
    send: tuple[str, ...] = PARTS
    tls: bool = False


@dataclass(frozen=True)
class Complete:
    """Seconds to wait after the last image of a series, see `itermask.node.complete`.

    Attributes:
        quiet: while the sender keeps the connection open.
        released: once the sender has ended the connection properly.
        patience: for images that are announced but missing, or after a connection was cut.
    """

    quiet: float = 10.0
    released: float = 3.0
    patience: float = 60.0


@dataclass(frozen=True)
class Look:
    """How scans are looked at, as by `itermask run`.

    Attributes:
        device: one of `DEVICES`.
        threads: to compute with on a processor; 0 for as many as it has cores.
        sensitivity: divides the model's operating point; 0 leaves it.
        gamma: stop slope in place of the model's; 0 leaves it.
        seed: of the noise fill.
        n4: whether slow brightness changes are taken out first.
        align: whether the model looks along MNI axes.
        minutes: after which a scan is given up.
        models: sequence → model folder or bundled name; for others the bundled model.
        sequences: part of a series description → sequence, where the header is not to be believed.
    """

    device: str = "cpu"
    threads: int = 0
    sensitivity: float = 0.0
    gamma: float = 0.0
    seed: int = 0
    n4: bool = False
    align: bool = False
    minutes: float = 30.0
    models: Mapping[str, str] = field(default_factory=dict)
    sequences: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Deliver:
    """Seconds before a result is sent again, doubled each time up to the longest; hours until it is given up."""

    first_wait: float = 5.0
    longest_wait: float = 600.0
    give_up_hours: float = 72.0


@dataclass(frozen=True)
class Page:
    """Where the live page is served; port 0 takes a free one."""

    address: str = "127.0.0.1"
    port: int = 8114


@dataclass(frozen=True)
class Keep:
    """How much and how long data are kept: GiB in all, GiB of the disk left free, days after the last result."""

    quota_gb: float = 50.0
    free_gb: float = 2.0
    days: float = 7.0


@dataclass(frozen=True)
class Watch:
    """A folder whose scans are looked at too; seconds between searches, which is also how long a file must rest."""

    folder: Path
    seconds: float = 2.0


@dataclass(frozen=True)
class Tls:
    """Certificate and key of this node, and who must have signed a peer's certificate."""

    certificate: Path
    key: Path
    ca: Path


@dataclass(frozen=True)
class NodeConfig:
    """Everything a node is told.

    Attributes:
        folder: of queue, images and results.
        title: AE title of this node.
        address: of the network card that takes connections.
        port: of DICOM; 0 takes a free one.
        senders: who may send.
        destinations: who gets results.
        complete: when a series is complete.
        look: how scans are looked at.
        deliver: how results are sent again.
        page: the live page.
        keep: quota and retention.
        watch: a folder to watch, or None.
        tls: of incoming connections and of destinations that want it, or None.
    """

    folder: Path
    title: str = "ITERMASK"
    address: str = "127.0.0.1"
    port: int = 11112
    senders: tuple[Sender, ...] = ()
    destinations: tuple[Destination, ...] = ()
    complete: Complete = Complete()
    look: Look = field(default_factory=Look)
    deliver: Deliver = Deliver()
    page: Page = Page()
    keep: Keep = Keep()
    watch: Watch | None = None
    tls: Tls | None = None


# Name in the file → name here and what holds it.
SECTIONS = {
    "complete": Complete,
    "look": Look,
    "deliver": Deliver,
    "page": Page,
    "keep": Keep,
    "watch": Watch,
    "tls": Tls,
}
LISTS = {"sender": ("senders", Sender), "destination": ("destinations", Destination)}
CHECKS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "title": (lambda text: 0 < len(text) <= 16 and text.isascii() and text.isprintable() and "\\" not in text
              and text == text.strip(), "an AE title: 1 to 16 plain characters"),
    "port": (lambda number: 0 <= number < 65536, "a port below 65536"),
    "addresses": (lambda listed: len(listed) > 0 and all(map(_is_network, listed)), "IP addresses or networks"),
    "address": (lambda text: _is_network(text) and "/" not in text, "an IP address of this machine"),
    "send": (lambda listed: len(listed) > 0 and set(listed) <= set(PARTS), f"some of {', '.join(PARTS)}"),
    "device": (lambda text: text in DEVICES, f"one of {', '.join(DEVICES)}"),
}  # fmt: skip
POSITIVE = {"quota_gb", "seconds", "minutes", "first_wait", "longest_wait", "give_up_hours"}


def example() -> str:
    """A file with every setting, most of them at their defaults."""
    return files("itermask.node").joinpath("example.toml").read_text(encoding="utf-8")


def read_config(path: Path | str) -> NodeConfig:
    """Read a node's TOML file; relative paths in it start at its folder.

    Raises:
        InputError: it cannot be read, a name in it is unknown, or a value cannot be used; one line says which.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            table = tomllib.load(file)
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror}); 'itermask listen --example' prints one"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: is no TOML ({error}); correct it") from error
    values: dict[str, Any] = {}
    for name, section in SECTIONS.items():
        if name in table:
            values[name] = _fill(section, table.pop(name), f"{path}: [{name}]", path.parent)
    for name, (own, entry) in LISTS.items():
        listed = table.pop(name, [])
        if not isinstance(listed, list):
            raise InputError(f"{path}: {name} must be written [[{name}]]; correct it")
        values[own] = tuple(_fill(entry, each, f"{path}: [[{name}]]", path.parent) for each in listed)
    table.setdefault("folder", "node")
    plain = {key: kind for key, kind in _kinds(NodeConfig).items() if key in ("folder", "title", "address", "port")}
    values |= _values(plain, table, str(path), path.parent)
    config = NodeConfig(**values)
    models = {key: _model(name, path.parent) for key, name in config.look.models.items()}
    return _checked(replace(config, look=replace(config.look, models=models)), path)


def _model(name: str, base: Path) -> str:
    """A model's folder, where there is one of this name, else the name."""
    folder = base / Path(name).expanduser()
    return str(folder) if folder.is_dir() else name


def _checked(config: NodeConfig, path: Path) -> NodeConfig:
    """Refuse settings that do not go together."""
    titles = [each.title for each in config.destinations]
    problem = ""
    if not config.senders and config.watch is None:
        problem = "there is nobody to receive from; add a [[sender]], or a folder to [watch]"
    elif len(set(titles)) < len(titles):
        problem = "two destinations have the same title; give each its own"
    elif any(each.tls for each in config.destinations) and config.tls is None:
        problem = "a destination wants TLS; say certificate, key and ca under [tls]"
    elif config.look.gamma and config.look.sensitivity:
        problem = "[look] has gamma and sensitivity; give one of them"
    elif config.watch is not None and _within(config.watch.folder, config.folder):
        problem = "the folder to [watch] lies in the node's own folder; choose another"
    if problem:
        raise InputError(f"{path}: {problem}")
    return config


def _within(inner: Path, outer: Path) -> bool:
    return inner.resolve().is_relative_to(outer.resolve()) or outer.resolve().is_relative_to(inner.resolve())


def _kinds(section: Any) -> dict[str, Any]:
    return {each.name: each.type for each in fields(section)}


def _fill(section: Any, table: Any, where: str, base: Path) -> Any:
    """A section from its table."""
    if not isinstance(table, dict):
        raise InputError(f"{where}: must be a section; correct it")
    given = _values(_kinds(section), table, where, base)
    needed = [each.name for each in fields(section) if each.default is MISSING and each.default_factory is MISSING]
    missing = [name for name in needed if name not in given]
    if missing:
        raise InputError(f"{where}: {' and '.join(missing)} must be said")
    return section(**given)


def _values(kinds: Mapping[str, Any], table: Mapping[str, Any], where: str, base: Path) -> dict[str, Any]:
    """A table's values, each of the kind it must be."""
    unknown = sorted(set(table) - set(kinds))
    if unknown:
        raise InputError(f"{where}: {unknown[0]} is unknown; there are {', '.join(kinds)}")
    return {name: _value(kinds[name], name, value, where, base) for name, value in table.items()}


def _value(kind: Any, name: str, value: Any, where: str, base: Path) -> Any:
    """One value of its kind, or an `InputError`."""
    words = CHECKS.get(name, (None, ""))[1]
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    elif kind == tuple[str, ...] and isinstance(value, list) and all(isinstance(each, str) for each in value):
        value = tuple(value)
    elif kind is Path and isinstance(value, str) and value:
        return base / Path(value).expanduser()
    right = isinstance(value, {tuple[str, ...]: tuple, Mapping[str, str]: dict}.get(kind, kind)) and (
        kind is bool or not isinstance(value, bool)
    )
    if right and isinstance(value, dict):
        right, words = all(isinstance(each, str) for each in value.values()), "names and texts"
    if right and isinstance(value, (int, float)) and kind is not bool and name != "port":
        least = "more than 0" if name in POSITIVE else "0 or more"
        right, words = math.isfinite(value) and (value > 0 if name in POSITIVE else value >= 0), f"a number, {least}"
    if right and name in CHECKS:
        right = CHECKS[name][0](value)
    if not right:
        named = {str: "a text", int: "a whole number", float: "a number", bool: "true or false", Path: "a path"}
        raise InputError(f"{where}: {name} must be {words or named.get(kind, 'a list of texts')}, not {value!r}")
    return value


def _is_network(text: str) -> bool:
    try:
        ip_network(text, strict=False)
    except ValueError:
        return False
    return True
