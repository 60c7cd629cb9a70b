"""What every data set is turned into: a list of cases."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Case:
    """One visit of one subject to a scanner: where its images lie, and what is known about it.

    Only names are read, so a file named here may still turn out to be unreadable, or on another grid than the
    lesion map. Each adapter says which sequence the lesion map was drawn on.

    Attributes:
        subject: who was scanned; unique in its data set, and the same in all sessions of that person.
        session: which visit, and which run where one visit holds the same sequence twice; "" where there is one.
        paths: image by sequence (`T1w`, `T2w`, `FLAIR`, `PDw`, `T1ce`, `T2starw`, `DWI`, `ADC`); at least one.
        lesion: label map, above 0 in lesions; None if the data set has none for this case.
        brain_mask: mask, above 0 in the brain; None if the data set has none for this case.
        group: what results may be broken down by: `site`, `scanner`, `sex`, `age` and so on, as written in the
            data set; a value that is not available is left out.
        healthy: True for a control, False for a patient, None where nothing says it.
        split: `train`, `val` or `test`, or "" where none is given.
    """

    subject: str
    session: str = ""
    paths: Mapping[str, Path] = field(default_factory=dict)
    lesion: Path | None = None
    brain_mask: Path | None = None
    group: Mapping[str, str] = field(default_factory=dict)
    healthy: bool | None = None
    split: str = ""
