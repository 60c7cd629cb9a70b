"""What a benchmark is to do, read from a TOML file and checked before anything runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from itermask.config.settings_file import check_ranges, checked, read_toml
from itermask.errors import InputError
from itermask.evaluation.metrics.sizes import size_groups
from itermask.io.datasets import ADAPTERS
from itermask.io.names import canonical_sequence
from itermask.synth.artifacts import ARTIFACTS
from itermask.synth.lesions import KINDS

PROTOCOLS = ("healthy", "segmentation", "slices", "lesions", "matched", "detection", "severity")


@dataclass(frozen=True)
class MethodSpec:
    """One column of the tables: a model and how it is used.

    Attributes:
        name: what the tables call it.
        model: model folder (relative to the settings file) or a bundled model's name.
        config: in place of a model, training settings (relative to the settings file) of a method without networks,
            which processes scans of any sequence without having been trained or calibrated.
        settings: with `config`, method settings to change.
        data: names of the data that it processes; all if empty.
        sensitivity: divides the model's operating point, see `itermask.pipeline.RunSettings`.
    """

    name: str
    model: str = ""
    config: str = ""
    settings: Mapping[str, Any] | None = None
    data: tuple[str, ...] = ()
    sensitivity: float = 1.0

    def __post_init__(self) -> None:
        check_ranges(self, positive="sensitivity")
        if not self.model and not self.config:
            raise ValueError("model is missing; give one, or the config of a method without networks")
        if self.model and self.config:
            raise ValueError("has a model and a config; give one of them")
        if self.settings is not None and not self.config:
            raise ValueError("has settings, which only go with a config")

    def processes(self, data: str) -> bool:
        """Return whether it processes the data of a name.

        Example:
            >>> MethodSpec("tumours only", "flair-2d", data=("tumours",)).processes("healthy heads")
            False
        """
        return not self.data or data in self.data


@dataclass(frozen=True)
class DataSpec:
    """Scans to process.

    Attributes:
        name: what the tables call them.
        root: folder or table, see `itermask.io.datasets.read_dataset`; relative to the settings file.
        sequence: which of a case's images is processed.
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

    def __post_init__(self) -> None:
        check_ranges(self, not_negative="limit")
        if self.kind != "auto" and self.kind not in ADAPTERS:
            raise ValueError(f"kind must be auto, {' or '.join(ADAPTERS)}, not {self.kind!r}")


@dataclass(frozen=True)
class ProtocolSpec:
    """One question that is put to every method.

    Attributes:
        kind: `healthy` (anomaly volume on healthy scans), `segmentation` (the data's own lesion maps),
            `slices` (the same on each scan's axial slice with the largest lesion, and what is flagged in slices
            without), `lesions` (lesions inserted into healthy scans), `matched` (lesions, where every method flags as
            much of healthy brains), `detection` (clean scans against corrupted ones), or `severity` (detection over a
            range of severities).
        data: names of the data it is put on; with `corrupted`, the clean ones.
        healthy: `matched`: names of healthy data; if empty, the lesion-free slices of each of `data` stand for them.
        shares: `matched`: how much of healthy brains is flagged, shares.
        reference: `matched`: name of the method that the others' Dice is compared with; none if empty.
        corrupted: `detection`: data with real artifacts, in place of made ones.
        artifacts: names in `itermask.synth.artifacts`; all if empty.
        severity: of `detection`.
        severities: of `severity`.
        lesions: `lesions` and `matched`: kind of inserted lesion → contrast, see `itermask.synth.lesions`; without them
            `matched` takes the data's own.
        shapes: `.npz` file of lesion outlines, relative to the settings file.
        fractions: smallest and largest volume of an inserted lesion, share of the brain.
        sizes: `slices`: rising limits between groups by the size of the slice's lesion, in cm²; in pixels with `pixel`.
        pixel: edge in mm of the pixels that `sizes` count; 0 for cm². IterMask2's groups are 200 and 800 pixels of
            1.875 mm.
        limit: only the first so many scans of each data set; all if 0.
        title: heading of its tables; made from the rest if empty.
    """

    kind: str
    data: tuple[str, ...]
    healthy: tuple[str, ...] = ()
    shares: tuple[float, ...] = (0.001, 0.003, 0.01)
    reference: str = ""
    corrupted: tuple[str, ...] = ()
    artifacts: tuple[str, ...] = ()
    severity: float = 5.0
    severities: tuple[float, ...] = (1.0, 3.0, 5.0, 7.0, 10.0)
    lesions: Mapping[str, float] | None = None
    shapes: str = ""
    fractions: tuple[float, float] = (0.01, 0.025)
    sizes: tuple[float, ...] = (5.0, 15.0)
    pixel: float = 0.0
    limit: int = 0
    title: str = ""

    def __post_init__(self) -> None:
        check_ranges(self, not_negative="limit pixel")
        if self.kind not in PROTOCOLS:
            raise ValueError(f"unknown protocol {self.kind!r}; known are {', '.join(PROTOCOLS)}")
        lost = [name for name in self.artifacts if name not in ARTIFACTS]
        if lost:
            raise ValueError(f"unknown artifact {', '.join(lost)}; known are {', '.join(sorted(ARTIFACTS))}")
        amounts: Sequence[float] = (self.severity, *self.severities)
        if not all(0 <= amount <= 10 for amount in amounts):
            raise ValueError(f"severities lie between 0 and 10, not {', '.join(map(str, amounts))}")
        if not 0 < self.fractions[0] <= self.fractions[1] < 1:
            raise ValueError(f"fractions must be two rising shares of the brain, not {self.fractions}")
        size_groups(self.sizes)  # refuses what are no limits
        if not self.shares or not all(0 < share < 1 for share in self.shares):
            raise ValueError(f"shares of healthy brains lie between 0 and 1, not {', '.join(map(str, self.shares))}")
        if self.kind == "lesions" or self.lesions:
            lost = [name for name in self.lesions or {} if name not in KINDS]
            if lost or not self.lesions:
                raise ValueError(f"lesions {', '.join(lost) or 'are missing'}; known kinds are {', '.join(KINDS)}")
            if not self.shapes:
                raise ValueError("needs shapes, an .npz file of lesion outlines")


@dataclass(frozen=True)
class Plan:
    """A benchmark: every method answers every protocol.

    Attributes:
        methods, data, protocols: what to do.
        seed: of the noise fill and of everything that is made.
        folder: of the settings file; paths in it are relative to this.
    """

    methods: tuple[MethodSpec, ...]
    data: tuple[DataSpec, ...]
    protocols: tuple[ProtocolSpec, ...]
    seed: int = 0
    folder: Path = Path()

    def __post_init__(self) -> None:
        check_ranges(self, not_negative="seed")
        for what in ("methods", "data", "protocols"):
            if not getattr(self, what):
                raise ValueError(f"needs at least one [[{what}]]")
        for what, names in (("methods", [m.name for m in self.methods]), ("data", [d.name for d in self.data])):
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise ValueError(f"duplicate names of {what}: {', '.join(twice)}; give each its own name")
        known = {spec.name for spec in self.data}
        for method in self.methods:
            lost = [name for name in method.data if name not in known]
            if lost:
                raise ValueError(f"method {method.name}: data {', '.join(lost)}; there are {', '.join(sorted(known))}")
        for protocol in self.protocols:
            lost = [name for name in (*protocol.data, *protocol.healthy, *protocol.corrupted) if name not in known]
            if lost or not protocol.data:
                named = ", ".join(lost) or "is empty"
                raise ValueError(f"protocol {protocol.kind}: data {named}; there are {', '.join(sorted(known))}")

            self._check_matched(protocol)

    def _check_matched(self, protocol: ProtocolSpec) -> None:
        """Refuse a reference that is nowhere, and healthy scans of another sequence."""
        if protocol.reference and protocol.reference not in {method.name for method in self.methods}:
            raise ValueError(f"protocol {protocol.kind}: no method is called {protocol.reference!r}, the reference")
        found = {sequence_of(self.dataset(name)) for name in (*protocol.data, *protocol.healthy)}
        if protocol.healthy and len(found) > 1:
            raise ValueError(
                f"protocol {protocol.kind}: data and healthy are of several sequences ({', '.join(sorted(found))}); "
                "write one protocol for each"
            )

    def dataset(self, name: str) -> DataSpec:
        """Return the data of a name."""
        return next(spec for spec in self.data if spec.name == name)

    def path(self, name: str) -> Path:
        """Return a path of the settings file, as the process can open it."""
        return self.folder / name


def read_plan(path: Path | str) -> Plan:
    r"""Read and check a benchmark's settings.

    Raises:
        InputError: unreadable, not TOML, an unknown or missing key, a name that is nowhere, or a value out of range.

    Example:
        >>> path = folder / "plan.toml"
        >>> _ = path.write_text(
        ...     "methods = [{name = 'IterMask3D', model = 't1w-2mm'}]\n"
        ...     "data = [{name = 'scans', root = 'table.tsv', sequence = 'T1w'}]\n"
        ...     "protocols = [{kind = 'healthy', data = ['scans']}]\n"
        ... )
        >>> read_plan(path).protocols[0].kind
        'healthy'
    """
    path = Path(path)
    values = read_toml(path)
    _rename_former(values)
    if "folder" in values:
        raise InputError(f"{path}: unknown setting folder; paths are relative to the file")
    return replace(checked(Plan, values, str(path)), folder=path.parent)


def _rename_former(values: dict[str, Any]) -> None:
    """Rename `spoiled`, the name of a protocol's `corrupted` before version 0.2, in the settings of a file."""
    protocols = values.get("protocols")
    for protocol in protocols if isinstance(protocols, list) else ():
        if isinstance(protocol, dict) and "spoiled" in protocol and "corrupted" not in protocol:
            protocol["corrupted"] = protocol.pop("spoiled")


def only_methods(plan: Plan, names: Sequence[str], path: Path | str) -> Plan:
    """Return a plan with some of its methods; all if no name is given.

    A protocol's reference that is not among them is left out.

    Raises:
        InputError: a name that is nowhere in the plan, which was read from `path`.

    Example:
        >>> data = (DataSpec("scans", "table.tsv", "T1w"),)
        >>> methods = (MethodSpec("one", "t1w-2mm"), MethodSpec("two", "any-2mm"))
        >>> plan = Plan(methods, data, (ProtocolSpec("healthy", ("scans",)),))
        >>> [method.name for method in only_methods(plan, ["two"], "plan.toml").methods]
        ['two']
    """
    if not names:
        return plan
    known = [method.name for method in plan.methods]
    lost = [name for name in names if name not in known]
    if lost:
        raise InputError(f"{path}: no method is called {', '.join(lost)}; there are {', '.join(known)}")
    protocols = [one if one.reference in names else replace(one, reference="") for one in plan.protocols]
    kept = tuple(method for method in plan.methods if method.name in names)
    return replace(plan, methods=kept, protocols=tuple(protocols))


def sequence_of(spec: DataSpec) -> str:
    """Return a data set's sequence under its canonical name.

    Example:
        >>> sequence_of(DataSpec("ixi", "data/ixi", "t1w"))
        'T1w'
    """
    return canonical_sequence(spec.sequence)
