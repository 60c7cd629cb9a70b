"""What is done to a scan before it is processed: nothing, an artifact, or an inserted lesion."""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from itermask.evaluation.benchmark.plan import ProtocolSpec
from itermask.synth.artifacts import ARTIFACTS, corrupt
from itermask.synth.lesions import insert_lesion
from itermask.types import Scan, top_axis


@dataclass(frozen=True)
class Condition:
    """One thing done to a scan.

    Attributes:
        kind: `as is`, `artifact` or `lesion`.
        name: the artifact or kind of lesion; empty for `as is`.
        amount: severity, or contrast of the lesion.
        fractions: smallest and largest volume of a lesion, share of the brain.
    """

    kind: str = "as is"
    name: str = ""
    amount: float = 0.0
    fractions: tuple[float, float] = (0.0, 0.0)

    @property
    def label(self) -> str:
        """Its name in tables and file names."""
        if self.kind == "as is":
            return self.kind
        size = "" if self.kind == "artifact" else " {:g}-{:g}".format(*self.fractions)
        return f"{self.kind} {self.name} {self.amount:g}{size}"


AS_IS = Condition()


def conditions_of(protocol: ProtocolSpec) -> list[Condition]:
    """Return the conditions whose results a protocol needs; with the scan as it is where that is compared.

    Example:
        >>> protocol = ProtocolSpec("detection", ("ixi",), artifacts=("ghosting", "noise"), severity=3)
        >>> [condition.label for condition in conditions_of(protocol)]
        ['as is', 'artifact ghosting 3', 'artifact noise 3']
    """
    if protocol.kind in ("healthy", "segmentation", "slices") or protocol.corrupted:
        return [AS_IS]
    if protocol.kind == "matched" and not protocol.lesions:
        return [AS_IS]
    if protocol.kind in ("lesions", "matched"):
        return [Condition("lesion", kind, amount, protocol.fractions) for kind, amount in lesions_of(protocol).items()]
    severities = (protocol.severity,) if protocol.kind == "detection" else protocol.severities
    return [AS_IS, *(Condition("artifact", name, s) for name in artifacts_of(protocol) for s in severities)]


def conditions_for(protocol: ProtocolSpec, data: str) -> list[Condition]:
    """Return the conditions in which a protocol needs one of its data sets; healthy data as they are.

    Example:
        >>> protocol = ProtocolSpec("healthy", ("ixi",))
        >>> [condition.label for condition in conditions_for(protocol, "ixi")]
        ['as is']
    """
    wanted = conditions_of(protocol) if data in (*protocol.data, *protocol.corrupted) else []
    return list(dict.fromkeys([*([AS_IS] if data in protocol.healthy else []), *wanted]))


def artifacts_of(protocol: ProtocolSpec) -> tuple[str, ...]:
    """Return a protocol's artifacts: the named ones, or all there are.

    Example:
        >>> artifacts_of(ProtocolSpec("detection", ("ixi",), artifacts=("ghosting",)))
        ('ghosting',)
    """
    return protocol.artifacts or tuple(sorted(ARTIFACTS))


def lesions_of(protocol: ProtocolSpec) -> Mapping[str, float]:
    """Return the kind of inserted lesion → contrast.

    Example:
        >>> lesions_of(ProtocolSpec("lesions", ("ixi",), lesions={"dark": 0.5}, shapes="shapes.npz"))
        {'dark': 0.5}
    """
    return protocol.lesions or {}


def seed_for(seed: int, *parts: str) -> int:
    """Return the same seed for the same words, on every machine.

    Example:
        >>> seed_for(0, "ixi-001", "ghosting") == seed_for(0, "ixi-001", "ghosting")
        True
    """
    return zlib.crc32("/".join((*parts, str(seed))).encode())


def corrupt_scan(
    scan: Scan, condition: Condition, subject: str, shapes: Mapping[str, np.ndarray], seed: int = 0
) -> tuple[Scan, np.ndarray | None]:
    """Do to a scan what a condition says.

    One artifact of one subject is the same at every severity, only stronger, whoever asks and whatever else runs.

    Args:
        scan: with its brain mask, non-negative.
        condition: what to do.
        subject: whose scan it is; decides where a lesion lies and what is drawn for an artifact.
        shapes: lesion outlines by name.
        seed: changes all that is drawn.

    Returns:
        the scan, and the voxels that are not normal (boolean); None if nothing is known of them.

    Raises:
        ValueError: the artifact or lesion cannot be put on this scan.

    Example:
        >>> corrupted, lesion = corrupt_scan(scan, Condition("artifact", "ghosting", 5.0), "sub-01", {})
        >>> corrupted.image.shape == scan.image.shape, lesion
        (True, None)
    """
    assert scan.brain_mask is not None
    if condition.kind == "artifact":
        axis, direction = top_axis(scan)
        made = corrupt(
            scan.image,
            condition.name,
            condition.amount,
            seed_for(seed, subject, condition.name),
            brain=scan.brain_mask,
            spacing=scan.spacing,
            direction=direction,
            up=axis,
        )
        return replace(scan, image=made.image), None
    if condition.kind == "lesion":
        rng = np.random.default_rng(seed_for(seed, subject, condition.name))
        shape = shapes[sorted(shapes)[rng.integers(len(shapes))]]
        image, lesion = insert_lesion(
            scan.image,
            scan.brain_mask,
            shape,
            condition.name,
            rng,
            contrast=condition.amount,
            spacing=scan.spacing,
            fraction=float(rng.uniform(*condition.fractions)),
        )
        return replace(scan, image=image), lesion
    return scan, None
