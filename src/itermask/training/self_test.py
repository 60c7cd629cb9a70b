"""What a freshly calibrated model still finds: artifacts and lesions, put on healthy scans, and processed again.

A calibration can blind a model, as a range that is too wide lets everything through; so its card says what was found.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from itermask.errors import InputError
from itermask.models.folder import Model
from itermask.pipeline import analyze
from itermask.prepare.brain import with_brain
from itermask.synth.artifacts import corrupt
from itermask.synth.lesions import insert_lesion
from itermask.types import VERDICTS, Scan, top_axis

ARTIFACTS = ("motion", "ghosting", "noise")
SEVERITY = 5
KINDS = ("dark", "bright")
LESION_ML = 18.0
SCANS = 3  # that are used at most, from the given ones, evenly
OVERLAP = 0.1  # Dice with the mask from which a lesion counts as found by it


@dataclass(frozen=True)
class Tried:
    """One thing that was put on healthy scans.

    Attributes:
        what: such as `motion, severity 5` or `dark lesion, 18 mL`; or `healthy`.
        scans: how many scans it was put on.
        outside: how many of them are outside the healthy range.
        noticed: how many are not within it.
        marked: in how many the mask holds the lesion; None for what is no lesion.
    """

    what: str
    scans: int
    outside: int
    noticed: int
    marked: int | None = None

    def sentence(self) -> str:
        """Return the result as text.

        >>> Tried("dark lesion, 18 mL", 3, 2, 3, 3).sentence()
        'dark lesion, 18 mL: 3 of 3 not within the healthy range (2 outside), 3 of 3 marked by the mask'
        """
        text = f"{self.what}: {self.noticed} of {self.scans} not within the healthy range ({self.outside} outside)"
        return text if self.marked is None else f"{text}, {self.marked} of {self.scans} marked by the mask"


def self_test(model: Model, scans: Sequence[Scan], progress: Callable[[str, float], None] | None = None) -> list[Tried]:
    """Put artifacts and lesions on healthy scans, and say what is still found.

    Args:
        model: calibrated.
        scans: healthy.
        progress: called with (what, share done).

    Returns:
        one entry for the scans as they are, and one for each thing put on them. What cannot be put on a scan is left
        out for that scan.
    """
    chosen = [
        with_brain(scans[index])[0] for index in np.linspace(0, len(scans) - 1, min(SCANS, len(scans))).astype(int)
    ]
    names = ["healthy", *ARTIFACTS, *KINDS]
    tried, done = [], 0
    for name in names:
        results = []
        for number, scan in enumerate(chosen):
            made = _made(scan, name, number)
            done += 1
            if made is not None:
                try:
                    finding = analyze(made[0], model)
                except InputError:
                    continue
                results.append((finding.verdict, made[1] is not None and _dice(finding.anomaly, made[1]) >= OVERLAP))
            if progress:
                progress("self-test", done / (len(names) * len(chosen)))
        what = name if name == "healthy" else (
            f"{name}, severity {SEVERITY}" if name in ARTIFACTS else f"{name} lesion, {LESION_ML:.0f} mL"
        )  # fmt: skip
        outside = sum(verdict == VERDICTS[2] for verdict, _ in results)
        noticed = sum(verdict in VERDICTS[1:] for verdict, _ in results)
        tried.append(Tried(what, len(results), outside, noticed, sum(m for _, m in results) if name in KINDS else None))
    return tried


def as_card(tried: Sequence[Tried]) -> list[dict[str, Any]]:
    """Return a self-test as a card holds it.

    Example:
        >>> as_card([])
        []
    """
    return [{key: value for key, value in vars(one).items() if value is not None} for one in tried]


def _made(scan: Scan, name: str, number: int) -> tuple[Scan, np.ndarray | None] | None:
    """Return a scan with something put on it, and the lesion's voxels; None where it cannot be put on it."""
    assert scan.brain_mask is not None
    if name == "healthy":
        return scan, None
    try:
        if name in ARTIFACTS:
            axis, direction = top_axis(scan)
            brain, spacing = scan.brain_mask, scan.spacing
            corrupted = corrupt(
                scan.image, name, SEVERITY, number, brain=brain, spacing=spacing, direction=direction, up=axis
            )
            return replace(scan, image=corrupted.image), None
        volume = float(scan.brain_mask.sum() * np.prod(scan.spacing)) / 1000
        image, lesion = insert_lesion(
            scan.image, scan.brain_mask, _ball(), name, np.random.default_rng(number), contrast=1.0,
            spacing=scan.spacing, fraction=min(0.5, LESION_ML / volume),
        )  # fmt: skip
        return replace(scan, image=image), lesion
    except ValueError:
        return None


def _ball() -> np.ndarray:
    """Return a round outline, a little longer than wide."""
    x, y, z = np.meshgrid(*[np.linspace(-1, 1, 21)] * 3, indexing="ij")
    return np.asarray(x**2 + y**2 / 0.8 + z**2 / 0.9 < 0.8)


def _dice(one: np.ndarray, other: np.ndarray) -> float:
    """Return the overlap of two masks, 0 to 1."""
    return float(2 * (one & other).sum() / max(one.sum() + other.sum(), 1))
