"""IterMask2's stop rules beside the fixed threshold, and the operating point of each from healthy scans."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from itermask.core.slice_refinement import hidden_errors, slice_errors
from itermask.methods.calibration import GAMMAS, MaskSizes, OperatingPoint
from itermask.methods.itermask2.detection import Search, error_level
from itermask.methods.itermask2.training import hidden_part
from itermask.methods.stop_rules import CurveThreshold, FixedThreshold, StopRule

if TYPE_CHECKING:
    from itermask.methods.itermask2.method import IterMask2

DRAWS = 4  # training masks of each slice
SEED = 0
TINY = 1e-6  # an error level below all others
MULTIPLE = 2.0  # of the error level, where a model was not calibrated
MASK_PASSES = 2000  # passes of this calibration are numbered from here on


@dataclass(frozen=True)
class OwnThreshold(CurveThreshold[Search]):
    """The scan's own threshold, from the curve of all its slices, as strict as the paper's on healthy scans.

    With IterMask3D's aim of next to nothing flagged on healthy scans, hardly a tumour of the FLAIR data is found:
    lesion-free slices of patients hold much that is unlike the rest. So the scan's own threshold is as strict as the
    paper's validation threshold, in the median over healthy scans.

    Attributes:
        method: whose training masks the validation threshold is measured with.
    """

    method: "IterMask2" = field(kw_only=True)

    def calibrate(self, searches: Sequence[Search], sizes: MaskSizes) -> OperatingPoint:
        """Return the gamma that agrees with the validation threshold."""
        return {"gamma": gamma_for(self, searches, validation_threshold(self.method, searches))}


@dataclass(frozen=True)
class ValidationThreshold(FixedThreshold[Search]):
    """One threshold for all scans, the paper's: the error that a share of hidden healthy pixels exceed.

    Attributes:
        method: whose training masks hide them.
    """

    method: "IterMask2"

    def calibrate(self, searches: Sequence[Search], sizes: MaskSizes) -> OperatingPoint:
        """See `validation_threshold`."""
        return {"threshold": validation_threshold(self.method, searches)}


@dataclass(frozen=True)
class LevelThreshold(StopRule[Search]):
    """A multiple of each scan's own error level; the validation threshold in the scan's own unit.

    Attributes:
        method: whose training masks the validation threshold is measured with.
    """

    method: "IterMask2"

    def threshold(self, search: Search, point: OperatingPoint) -> tuple[float, dict[str, Any]]:
        """Return the point's `multiple` of the error level."""
        level = error_level(search)
        return point["multiple"] * level, {"error_level": level}

    def published_point(self) -> OperatingPoint:
        """Return twice the level; the paper states none."""
        return {"multiple": MULTIPLE}

    def calibrate(self, searches: Sequence[Search], sizes: MaskSizes) -> OperatingPoint:
        """See `validation_threshold`."""
        return {"multiple": validation_threshold(self.method, searches, [error_level(one) for one in searches])}


def gamma_for(rule: OwnThreshold, searches: Sequence[Search], threshold: float) -> float:
    """Return the gamma with which healthy scans' own thresholds lie about `threshold`, in the median."""

    def own(gamma: float) -> float:
        return float(np.median([rule.stop_at(search.curve, gamma).value for search in searches]))

    return min(GAMMAS, key=lambda gamma: abs(np.log(max(own(gamma), TINY) / threshold)))


def validation_threshold(
    method: "IterMask2", searches: Sequence[Search], units: Sequence[float] | None = None
) -> float:
    """Return the error that `exceeding` of the pixels exceed that training masks hide in healthy slices.

    Without refinement there is only one pass, with everything hidden; its pixels count then.

    Args:
        method: its settings.
        searches: of healthy scans.
        units: what each scan's errors are measured in; 1 if None.

    Source: `itermask2.md`, "Stop threshold from validation".
    """
    units = units or [1.0] * len(searches)
    if not method.iterate:
        firsts = [
            slice_errors(one.images, one.first, one.brains)[one.brains] / unit
            for one, unit in zip(searches, units, strict=True)
        ]
        return float(np.quantile(np.concatenate(firsts), 1 - method.exceeding))
    found = []
    for index, search in enumerate(searches):
        for draw in range(DRAWS):
            rng = np.random.default_rng([SEED, index, draw])
            pixel = search.prepared.spacing[:2]
            masks = np.stack([hidden_part(method, brain, pixel, rng) for brain in search.brains])
            errors = hidden_errors(search.images, search.brains, search.reconstruct, masks, MASK_PASSES + draw)
            found.append(errors / units[index])
    return float(np.quantile(np.concatenate(found), 1 - method.exceeding))
