"""What a node is told in its TOML file, checked before anything starts; `example.toml` has every setting."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib.resources import files
from ipaddress import ip_address, ip_network
from pathlib import Path

from itermask.apps.node.rules import Rule
from itermask.apps.web.access import Access, check_open, read_password
from itermask.config.settings_file import check_ranges, checked, read_toml
from itermask.errors import InputError

DEVICES = ("auto", "cpu", "cuda", "mps", "openvino")
PATIENT = ("off", "id", "both")  # what is noted and shown of a patient
USUAL = (
    "segmentation",
    "report",
    "overlay",
    "summary page",
)  # parts of the results that a destination gets if it names none
PARTS = (*USUAL, "key images", "summary pdf")  # as `[[destination]] send` names them


def _check_title(text: str) -> None:
    plain = text.isascii() and text.isprintable() and "\\" not in text and text == text.strip()
    if not (0 < len(text) <= 16 and plain):
        raise ValueError(f"title must be an AE title: 1 to 16 plain characters, not {text!r}")


def _check_address(text: str) -> None:
    if "/" in text or not _is_network(text):
        raise ValueError(f"address must be an IP address of this machine, not {text!r}")


def _check_port(number: int) -> None:
    if not 0 <= number < 65536:
        raise ValueError(f"port must be a port below 65536, not {number}")


def _is_network(text: str) -> bool:
    try:
        ip_network(text, strict=False)
    except ValueError:
        return False
    return True


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

    def __post_init__(self) -> None:
        _check_title(self.title)
        _check_port(self.port)
        if not self.addresses or not all(map(_is_network, self.addresses)):
            raise ValueError(f"addresses must be IP addresses or networks, not {list(self.addresses)}")

    def calls_from(self, address: str) -> bool:
        """Return whether an IP address is one of its own."""
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
    send: tuple[str, ...] = USUAL
    tls: bool = False

    def __post_init__(self) -> None:
        _check_title(self.title)
        _check_port(self.port)
        if not self.send or not set(self.send) <= set(PARTS):
            raise ValueError(f"send must be some of {', '.join(PARTS)}, not {list(self.send)}")


@dataclass(frozen=True)
class Complete:
    """Seconds to wait after the last image of a series, see `itermask.apps.node.complete`.

    Attributes:
        quiet: while the sender keeps the connection open.
        released: once the sender has ended the connection properly.
        patience: for images that are announced but missing, or after a connection was cut.
        study: after the last image of a study, until it counts as ended; not if the scanner itself says so (MPPS).
    """

    quiet: float = 10.0
    released: float = 3.0
    patience: float = 60.0
    study: float = 600.0

    def __post_init__(self) -> None:
        check_ranges(self, not_negative="quiet released patience study")


@dataclass(frozen=True)
class Look:
    """How scans are processed, as by `itermask run`.

    Attributes:
        device: one of `DEVICES`.
        threads: to compute with on a processor; 0 for as many as it has cores.
        sensitivity: divides the model's operating point; 0 leaves it.
        gamma: stop slope in place of the model's; 0 leaves it.
        seed: of the noise fill.
        n4: whether slow brightness changes are taken out first.
        align: whether the model processes along MNI axes.
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

    def __post_init__(self) -> None:
        check_ranges(self, positive="minutes", not_negative="threads sensitivity gamma seed")
        if self.device not in DEVICES:
            raise ValueError(f"device must be one of {', '.join(DEVICES)}, not {self.device!r}")
        if self.gamma and self.sensitivity:
            raise ValueError("has gamma and sensitivity; give one of them")


@dataclass(frozen=True)
class Deliver:
    """Seconds before a result is sent again, doubled each time up to the longest; hours until it is given up."""

    first_wait: float = 5.0
    longest_wait: float = 600.0
    give_up_hours: float = 72.0

    def __post_init__(self) -> None:
        check_ranges(self, positive="first_wait longest_wait give_up_hours")


@dataclass(frozen=True)
class Page:
    """Where the live page is served, what it tells of patients, and who may look.

    Attributes:
        address: that is listened at.
        port: 0 takes a free one.
        patient: what the page shows of a patient: one of `PATIENT`.
        password: file with the password in its first line; None for none.
        certificate: for HTTPS; None for plain HTTP.
        key: of the certificate.
        names: further host names under which the page answers.
        unprotected: whether other machines may look without password or HTTPS all the same.
    """

    address: str = "127.0.0.1"
    port: int = 8114
    patient: str = "off"
    password: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    names: tuple[str, ...] = ()
    unprotected: bool = False

    def __post_init__(self) -> None:
        _check_address(self.address)
        _check_port(self.port)
        if self.patient not in PATIENT:
            raise ValueError(f"patient must be one of {', '.join(PATIENT)}, not {self.patient!r}")

    def access(self) -> Access:
        """Return how the page is protected.

        Raises:
            InputError: the password cannot be read, or other machines could look without password and HTTPS.
        """
        self.check()
        password = "" if self.password is None else read_password(self.password)
        return Access(password, self.certificate, self.key, self.names, self.unprotected)

    def check(self) -> None:
        """Refuse a page that other machines could read without password and HTTPS.

        Raises:
            InputError: this is one.
        """
        password = "" if self.password is None else "that is read later"
        found = Access(password, self.certificate, self.key, self.names, self.unprotected)
        check_open(self.address, found, "[page] address", "unprotected = true")


@dataclass(frozen=True)
class Keep:
    """How much and how long data are kept: GiB in all, GiB of the disk left free, days after the last result."""

    quota_gb: float = 50.0
    free_gb: float = 2.0
    days: float = 7.0

    def __post_init__(self) -> None:
        check_ranges(self, positive="quota_gb", not_negative="free_gb days")


@dataclass(frozen=True)
class Watch:
    """A folder whose scans are processed too; seconds between searches, which is also how long a file must rest."""

    folder: Path
    seconds: float = 2.0

    def __post_init__(self) -> None:
        check_ranges(self, positive="seconds")


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
        rules: which series are processed; the first that fits decides.
        look: how scans are processed.
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
    rules: tuple[Rule, ...] = ()
    look: Look = field(default_factory=Look)
    deliver: Deliver = Deliver()
    page: Page = Page()
    keep: Keep = Keep()
    watch: Watch | None = None
    tls: Tls | None = None

    def __post_init__(self) -> None:
        _check_title(self.title)
        _check_address(self.address)
        _check_port(self.port)


LISTS = {"sender": "senders", "destination": "destinations", "rule": "rules"}  # name in the file → name here


def example() -> str:
    """Return a file with every setting, most of them at their defaults.

    Example:
        >>> example().splitlines()[0]
        '# A DICOM node: itermask listen node.toml'
    """
    return files("itermask.apps.node").joinpath("example.toml").read_text(encoding="utf-8")


def read_config(path: Path | str) -> NodeConfig:
    """Read a node's TOML file; relative paths in it start at its folder.

    Raises:
        InputError: it cannot be read, a name in it is unknown, or a value cannot be used; one line says which.
    """
    path = Path(path)
    table = {"folder": "node"} | read_toml(path, "; 'itermask listen --example' prints one")
    for name, own in LISTS.items():
        if own in table:
            raise InputError(f"{path}: unknown setting {own}; write each as [[{name}]]")
        if name in table:
            table[own] = table.pop(name)
            if not isinstance(table[own], list):
                raise InputError(f"{path}: {name} must be written [[{name}]]; correct it")
    try:
        config = checked(NodeConfig, table, str(path), path.parent)
    except InputError as error:
        text = str(error)
        for name, own in LISTS.items():
            text = text.replace(f"[[{own}]]", f"[[{name}]]")
        raise InputError(text) from error
    models = {key: _model(name, path.parent) for key, name in config.look.models.items()}
    return _checked(replace(config, look=replace(config.look, models=models)), path)


def _model(name: str, base: Path) -> str:
    """Return a model's folder, where there is one of this name, else the name."""
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
    elif config.watch is not None and _within(config.watch.folder, config.folder):
        problem = "the folder to [watch] lies in the node's own folder; choose another"
    if problem:
        raise InputError(f"{path}: {problem}")
    try:
        config.page.check()
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    return config


def _within(inner: Path, outer: Path) -> bool:
    return inner.resolve().is_relative_to(outer.resolve()) or outer.resolve().is_relative_to(inner.resolve())
