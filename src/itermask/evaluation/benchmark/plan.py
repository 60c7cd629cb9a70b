"""What a benchmark is to do, read from a TOML file and checked before anything runs."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from itermask.artifacts import ARTIFACTS
from itermask.datasets import ADAPTERS
from itermask.errors import InputError
from itermask.io.names import canonical_sequence
from itermask.lesions import KINDS

PROTOCOLS = ("healthy", "segmentation", "slices", "lesions", "matched", "detection", "severity")
Spec = TypeVar("Spec")


@dataclass(frozen=True)
class MethodSpec:
    """One column of the tables: a model and how it is used.

    Attributes:
        name: what the tables call it.
        model: model folder (relative to the settings file) or a bundled model's name.
        config: in place of a model, training settings (relative to the settings file) of a method without networks,
            which looks at scans of any sequence without having been trained or calibrated.
        settings: with `config`, method settings to change.
        data: names of the data that it looks at; all if empty.
        sensitivity: divides the model's operating point, see `itermask.pipeline.RunSettings`.
    """

    name: str
    model: str = ""
    config: str = ""
    settings: Mapping[str, Any] | None = None
    data: tuple[str, ...] = ()
    sensitivity: float = 1.0

    def looks_at(self, data: str) -> bool:
        """Whether it looks at the data of a name."""
        return not self.data or data in self.data


@dataclass(frozen=True)
class DataSpec:
    """Scans to look at.

    Attributes:
        name: what the tables call them.
        root: folder or table, see `itermask.datasets.read_dataset`; relative to the settings file.
        sequence: which of a case's images is looked at.
        kind: layout; recognised if `auto`.
        split: only cases of this split; all if empty.
        limit: only the first so many cases; all if 0.
    """

    name: str
    root: str
    sequence: str
    kind: str = "auto"
    split: str = ""
    limit: int = 0


@dataclass(frozen=True)
class ProtocolSpec:
    """One question that is put to every method.

    Attributes:
        kind: `healthy` (anomaly volume on healthy scans), `segmentation` (the data's own lesion maps),
            `slices` (the same on each scan's axial slice with the largest lesion, and what is flagged in slices
            without), `lesions` (lesions inserted into healthy scans), `matched` (lesions, where every method flags as
            much of healthy brains), `detection` (clean scans against spoiled ones), or `severity` (detection over a
            range of severities).
        data: names of the data it is put on; with `spoiled`, the clean ones.
        healthy: `matched`: names of healthy data; if empty, the lesion-free slices of each of `data` stand for them.
        shares: `matched`: how much of healthy brains is flagged, shares.
        reference: `matched`: name of the method that the others' Dice is compared with; none if empty.
        spoiled: `detection`: data with real artifacts, in place of made ones.
        artifacts: names in `itermask.artifacts`; all if empty.
        severity: of `detection`.
        severities: of `severity`.
        lesions: `lesions` and `matched`: kind of inserted lesion → contrast, see `itermask.lesions`; `matched` without
            them takes the data's own.
        shapes: `.npz` file of lesion outlines, relative to the settings file.
        fractions: smallest and largest volume of an inserted lesion, share of the brain.
        limit: only the first so many scans of each data set; all if 0.
        title: heading of its tables; made from the rest if empty.
    """

    kind: str
    data: tuple[str, ...]
    healthy: tuple[str, ...] = ()
    shares: tuple[float, ...] = (0.001, 0.003, 0.01)
    reference: str = ""
    spoiled: tuple[str, ...] = ()
    artifacts: tuple[str, ...] = ()
    severity: float = 5.0
    severities: tuple[float, ...] = (1.0, 3.0, 5.0, 7.0, 10.0)
    lesions: Mapping[str, float] | None = None
    shapes: str = ""
    fractions: tuple[float, float] = (0.01, 0.025)
    limit: int = 0
    title: str = ""


@dataclass(frozen=True)
class Plan:
    """A benchmark: every method answers every protocol.

    Attributes:
        folder: of the settings file; paths in it are relative to this.
        methods, data, protocols: what to do.
        seed: of the noise fill and of everything that is made.
    """

    folder: Path
    methods: tuple[MethodSpec, ...]
    data: tuple[DataSpec, ...]
    protocols: tuple[ProtocolSpec, ...]
    seed: int = 0

    def dataset(self, name: str) -> DataSpec:
        """The data of a name."""
        return next(spec for spec in self.data if spec.name == name)

    def path(self, name: str) -> Path:
        """A path of the settings file, as the process can open it."""
        return self.folder / name


def read_plan(path: Path | str) -> Plan:
    """Read and check a benchmark's settings.

    Raises:
        InputError: unreadable, not TOML, an unknown or missing key, a name that is nowhere, or a value out of range.
    """
    path = Path(path)
    try:
        values = tomllib.loads(path.read_text())
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not valid TOML ({error})") from error
    unknown = sorted(set(values) - {"seed", "methods", "data", "protocols"})
    if unknown:
        raise InputError(f"{path}: unknown key {', '.join(unknown)}; known are seed, methods, data, protocols")
    seed = values.get("seed", 0)
    if not isinstance(seed, int) or seed < 0:
        raise InputError(f"{path}: seed must be a whole number from 0, not {seed!r}")
    plan = Plan(
        path.parent,
        _specs(path, values, "methods", MethodSpec),
        _specs(path, values, "data", DataSpec),
        _specs(path, values, "protocols", ProtocolSpec),
        seed,
    )
    for what, names in (("methods", [m.name for m in plan.methods]), ("data", [d.name for d in plan.data])):
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise InputError(f"{path}: {what} {', '.join(twice)} stand there twice; give each its own name")
    for spec in plan.data:
        if spec.kind != "auto" and spec.kind not in ADAPTERS:
            raise InputError(f"{path}: data {spec.name}: kind {spec.kind!r}; known are auto, {', '.join(ADAPTERS)}")
    for method in plan.methods:
        _check_method(path, plan, method)
    for protocol in plan.protocols:
        _check_protocol(path, plan, protocol)
    return plan


def _specs(path: Path, values: Mapping[str, Any], key: str, kind: type[Spec]) -> tuple[Spec, ...]:
    """The tables `[[key]]` as objects."""
    rows = values.get(key)
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise InputError(f"{path}: needs at least one [[{key}]]")
    known = {entry.name: entry for entry in fields(kind)}  # type: ignore[arg-type]
    needed = [name for name, entry in known.items() if entry.default is MISSING and entry.default_factory is MISSING]
    specs = []
    for number, row in enumerate(rows, start=1):
        where = f"{path}: [[{key}]] number {number}"
        unknown, missing = sorted(set(row) - set(known)), [name for name in needed if name not in row]
        if unknown:
            raise InputError(f"{where}: unknown key {', '.join(unknown)}; known are {', '.join(known)}")
        if missing:
            raise InputError(f"{where}: {', '.join(missing)} is missing")
        for name, value in row.items():
            wanted = str(known[name].type)
            if wanted.startswith("tuple") != isinstance(value, list) or (wanted == "<class 'str'>") != (
                isinstance(value, str)
            ):
                raise InputError(f"{where}: {name} = {value!r} is of the wrong kind")
        specs.append(kind(**{name: tuple(v) if isinstance(v, list) else v for name, v in row.items()}))
    return tuple(specs)


def _check_method(path: Path, plan: Plan, method: MethodSpec) -> None:
    where = f"{path}: method {method.name}"
    if bool(method.model) == bool(method.config):
        raise InputError(f"{where}: give either model or config")
    if method.settings is not None and not (method.config and isinstance(method.settings, Mapping)):
        raise InputError(f"{where}: settings are method settings, {{ name = value }}, that go with config")
    names = {spec.name for spec in plan.data}
    lost = [name for name in method.data if name not in names]
    if lost:
        raise InputError(f"{where}: data {', '.join(lost)}; there are {', '.join(sorted(names))}")


def _check_protocol(path: Path, plan: Plan, protocol: ProtocolSpec) -> None:
    where = f"{path}: protocol {protocol.kind}"
    if protocol.kind not in PROTOCOLS:
        raise InputError(f"{path}: unknown protocol {protocol.kind!r}; known are {', '.join(PROTOCOLS)}")
    names = {spec.name for spec in plan.data}
    lost = [name for name in (*protocol.data, *protocol.healthy, *protocol.spoiled) if name not in names]
    if lost or not protocol.data:
        raise InputError(f"{where}: data {', '.join(lost) or 'is empty'}; there are {', '.join(sorted(names))}")
    lost = [name for name in protocol.artifacts if name not in ARTIFACTS]
    if lost:
        raise InputError(f"{where}: unknown artifact {', '.join(lost)}; known are {', '.join(sorted(ARTIFACTS))}")
    amounts: Sequence[float] = (protocol.severity, *protocol.severities)
    if not all(0 <= amount <= 10 for amount in amounts):
        raise InputError(f"{where}: severities lie between 0 and 10, not {amounts}")
    if protocol.kind == "matched":
        _check_matched(where, plan, protocol)
    if protocol.kind == "lesions" or protocol.lesions:
        lost = [name for name in protocol.lesions or {} if name not in KINDS]
        if lost or not protocol.lesions:
            raise InputError(f"{where}: lesions {', '.join(lost) or 'are missing'}; known kinds are {', '.join(KINDS)}")
        if not protocol.shapes:
            raise InputError(f"{where}: needs shapes, an .npz file of lesion outlines")


def _check_matched(where: str, plan: Plan, protocol: ProtocolSpec) -> None:
    if not protocol.shares or not all(0 < share < 1 for share in protocol.shares):
        raise InputError(f"{where}: shares of healthy brains lie between 0 and 1, not {protocol.shares}")
    if protocol.reference and protocol.reference not in {method.name for method in plan.methods}:
        raise InputError(f"{where}: no method is called {protocol.reference!r}, the reference")
    sequences = {name: sequence_of(plan.dataset(name)) for name in (*protocol.data, *protocol.healthy)}
    if protocol.healthy and len(set(sequences.values())) > 1:
        raise InputError(
            f"{where}: data and healthy are of several sequences ({', '.join(sorted(set(sequences.values())))}); "
            "write one protocol for each"
        )


def sequence_of(spec: DataSpec) -> str:
    """A data set's sequence under its canonical name."""
    return canonical_sequence(spec.sequence)
