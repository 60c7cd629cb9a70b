"""Which series a node processes: rules of its file, of which the first that fits decides."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from itermask.io.names import canonical_sequence

if TYPE_CHECKING:
    from itermask.io.dicom.series import Series
    from itermask.types import Scan

CONDITIONS = ("body_part", "description", "sequence", "age", "matrix")


@dataclass(frozen=True)
class Facts:
    """What rules ask of a series; empty or None where its header does not say it.

    Attributes:
        body_part: as the header spells it.
        description: of the series.
        sequence: as the node takes it, see `[look.sequences]`.
        age: of the person, years.
        matrix: columns and rows of its slices.
    """

    body_part: str = ""
    description: str = ""
    sequence: str = ""
    age: float | None = None
    matrix: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class Rule:
    """One rule; it fits a series if all that it asks for fits, and what the header does not say never fits.

    Attributes:
        process: whether series that it fits are processed.
        name: what reasons call it.
        body_part: parts of the body part; one of them must be in it, in small or large letters.
        description: parts of the series' description, likewise.
        sequence: one of these.
        age: years, from the first up to but without the second.
        matrix: both columns and rows are at least the first and at most the second.

    Example:
        >>> Rule(process=False, description=("survey",)).fits(Facts(description="3-plane SURVEY"))
        True
    """

    process: bool
    name: str = ""
    body_part: tuple[str, ...] = ()
    description: tuple[str, ...] = ()
    sequence: tuple[str, ...] = ()
    age: tuple[float, ...] = ()
    matrix: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        for name in ("age", "matrix"):
            pair = getattr(self, name)
            if pair and (len(pair) != 2 or not 0 <= pair[0] <= pair[1]):
                raise ValueError(f"{name} must be two numbers, the smaller first, such as [0, 18], not {list(pair)}")
        if not any(getattr(self, name) for name in CONDITIONS):
            raise ValueError(f"a rule must ask for something: one of {', '.join(CONDITIONS)}")
        if any(not text.strip() for text in (*self.body_part, *self.description)):
            raise ValueError("a part of a text must not be empty, as it would fit every series")

    def fits(self, facts: Facts) -> bool:
        """Return whether all that the rule asks for is so."""
        checks = (
            not self.body_part or _holds(facts.body_part, self.body_part),
            not self.description or _holds(facts.description, self.description),
            not self.sequence or facts.sequence in map(canonical_sequence, self.sequence),
            not self.age or (facts.age is not None and self.age[0] <= facts.age < self.age[1]),
            not self.matrix or (self.matrix[0] <= min(facts.matrix) and max(facts.matrix) <= self.matrix[1]),
        )
        return all(checks)

    def words(self) -> str:
        """Return what it asks for."""
        parts = [
            f"{name.replace('_', ' ')} {' or '.join(map(repr, values))}"
            for name in ("body_part", "description", "sequence")
            if (values := getattr(self, name))
        ]
        parts += [f"age {self.age[0]:g} to {self.age[1]:g}"] if self.age else []
        parts += [f"matrix {self.matrix[0]} to {self.matrix[1]}"] if self.matrix else []
        return ", ".join(parts)


@dataclass(frozen=True)
class Decision:
    """Whether the rules let a series be processed, and which rule says so: its place from 1, or 0 where none fits."""

    process: bool
    rule: int = 0
    why: str = "no rule fits"


def decide(rules: Sequence[Rule], facts: Facts) -> Decision:
    """Return what the first rule that fits says; a series that none fits is processed.

    Example:
        >>> decide((Rule(process=False, age=(0, 18)),), Facts(age=7)).why
        'rule 1 (age 0 to 18)'
    """
    for place, rule in enumerate(rules, 1):
        if rule.fits(facts):
            return Decision(rule.process, place, f"rule {place} ({rule.name or rule.words()})")
    return Decision(True)


def facts_of(found: "Series", sequences: Mapping[str, str]) -> Facts:
    """Return what rules ask of a DICOM series.

    Args:
        found: the series.
        sequences: of `[look.sequences]`.
    """
    columns, rows, _ = found.shape
    sequence = said_sequence(found.description, sequences) or found.guess.sequence or ""
    return Facts(found.source.body_part, found.description, sequence, found.source.age, (columns, rows))


def facts_of_scan(scan: "Scan", name: str, sequences: Mapping[str, str]) -> Facts:
    """Return what rules ask of a NIfTI file; its first two axes are the matrix, its name the description.

    Example:
        >>> facts_of_scan(scan, "sub-01_T1w.nii.gz", {}).sequence
        'T1w'
    """
    source = scan.source
    columns, rows = scan.image.shape[:2]
    body_part, age = ("", None) if source is None else (source.body_part, source.age)
    description = f"{'' if source is None else source.series_description} {name}".strip()
    return Facts(body_part, description, said_sequence(name, sequences) or scan.sequence or "", age, (columns, rows))


def said_sequence(description: str, sequences: Mapping[str, str]) -> str:
    """Return the sequence that the node's file says for a description; empty where it says none.

    Example:
        >>> said_sequence("BRAIN sag fast", {"brain sag": "T1w"})
        'T1w'
    """
    words = description.lower()
    return next((sequence for part, sequence in sequences.items() if part.lower() in words), "")


def _holds(text: str, parts: Sequence[str]) -> bool:
    return any(part.lower() in text.lower() for part in parts)
