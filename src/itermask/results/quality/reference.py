"""What clean and corrupted scans look like: the fitted reference, and a scan's score against it.

`reference.json` lies beside this file. It was fitted by `benchmarks/quality.py` on clean scans of several scanners,
real and virtual, and on the same scans with artifacts put on them; its `origin` says which.
"""

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np

BEND = 4.0  # robust standard deviations from which on a feature counts as its logarithm


@dataclass(frozen=True)
class Reference:
    """A fitted reference.

    Attributes:
        names: features, in the order of the arrays, each with the side that counts: `jag_max+` is what lies above the
            centre, `noise-` what lies below it.
        centre: medians over clean scans.
        spread: robust standard deviations over clean scans, within and between scanners.
        faults: names of the kinds of fault.
        weights: one row a fault, of the standardised features; none is negative, so that a scan never seems cleaner
            for what is unusual about it.
        offsets: one a fault.
        limits: the scores from which a scan is borderline, and outside.
        origin: what it was fitted on, and under which licence that is.
    """

    names: tuple[str, ...]
    centre: np.ndarray
    spread: np.ndarray
    faults: tuple[str, ...]
    weights: np.ndarray
    offsets: np.ndarray
    limits: tuple[float, float]
    origin: dict[str, Any]

    def standardise(self, found: dict[str, float]) -> np.ndarray:
        """Return how far features lie on the side that counts, in clean scans' standard deviations.

        Args:
            found: features by name.

        Returns:
            one value for each of `names`, not negative: `BEND · log(1 + z / BEND)`; 0 for a feature that lies on the
            other side, or is not known.
        """
        values = np.array([found.get(name[:-1], np.nan) for name in self.names])
        sides = np.array([1.0 if name.endswith("+") else -1.0 for name in self.names])
        z = sides * (values - self.centre) / self.spread
        return BEND * np.log1p(np.where(z > 0, z, 0.0) / BEND)

    def score(self, found: dict[str, float]) -> tuple[float, dict[str, float]]:
        """Return the score, and each fault's share in it as the logarithm of its odds against a clean scan.

        Args:
            found: features by name.
        """
        odds = self.weights @ self.standardise(found) + self.offsets
        highest = odds.max()
        score = float(highest + np.log(np.exp(odds - highest).sum()))
        return score, dict(zip(self.faults, map(float, odds), strict=True))

    def to_json(self) -> dict[str, Any]:
        """Return plain lists and numbers."""
        return {
            "names": list(self.names),
            "centre": np.round(self.centre, 5).tolist(),
            "spread": np.round(self.spread, 5).tolist(),
            "faults": list(self.faults),
            "weights": np.round(self.weights, 5).tolist(),
            "offsets": np.round(self.offsets, 5).tolist(),
            "limits": list(self.limits),
            "origin": self.origin,
        }

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> "Reference":
        """Return the inverse of `to_json`; `ValueError` if the arrays do not fit each other."""
        centre, spread, weights, offsets = (
            np.asarray(stored[key], dtype=float) for key in ("centre", "spread", "weights", "offsets")
        )
        names, faults = tuple(stored["names"]), tuple(stored["faults"])
        if not (centre.shape == spread.shape == (len(names),) and weights.shape == (len(faults), len(names))):
            raise ValueError("the reference's arrays do not fit its names")
        borderline, outside = stored["limits"]
        return cls(names, centre, spread, faults, weights, offsets, (borderline, outside), stored["origin"])


@cache
def bundled() -> Reference:
    """Return the reference that comes with the package.

    Example:
        >>> type(bundled()).__name__
        'Reference'
    """
    text = files("itermask.results.quality").joinpath("reference.json").read_text(encoding="utf-8")
    return Reference.from_json(json.loads(text))
