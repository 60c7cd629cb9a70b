"""IterMask2's operating point, for each of its stop rules."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from itermask.core.slice_refinement import hidden_errors, slice_errors
from itermask.methods.calibration import GAMMAS, MaskSizes, OperatingPoint, threshold_point
from itermask.methods.itermask2.detection import Search, error_level
from itermask.methods.itermask2.training import hidden_part

if TYPE_CHECKING:
    from itermask.methods.itermask2.method import IterMask2

DRAWS = 4  # training masks of each slice
SEED = 0
TINY = 1e-6  # an error level below all others
MASK_PASSES = 2000  # passes of this calibration are numbered from here on


def operating_point(method: "IterMask2", searches: Sequence[Search], sizes: MaskSizes) -> OperatingPoint:
    """The validation threshold, or that in each scan's own unit; or the gamma that agrees with it; or the fixed one.

    With IterMask3D's aim of next to nothing flagged on healthy scans, hardly a tumour of the FLAIR data is found:
    lesion-free slices of patients hold much that is unlike the rest. So the scan's own threshold is as strict as the
    paper's validation threshold, in the median over healthy scans.
    """
    if method.stop == "fixed":
        return threshold_point(sizes)
    if method.stop == "level":
        return {"multiple": validation_threshold(method, searches, [error_level(one) for one in searches])}
    threshold = validation_threshold(method, searches)
    return (
        {"threshold": threshold} if method.stop == "validation" else {"gamma": gamma_for(method, searches, threshold)}
    )


def gamma_for(method: "IterMask2", searches: Sequence[Search], threshold: float) -> float:
    """The gamma with which healthy scans' own thresholds lie about `threshold`, in the median."""

    def own(gamma: float) -> float:
        return float(np.median([method.stop_at(search.curve, gamma).value for search in searches]))

    return min(GAMMAS, key=lambda gamma: abs(np.log(max(own(gamma), TINY) / threshold)))


def validation_threshold(
    method: "IterMask2", searches: Sequence[Search], units: Sequence[float] | None = None
) -> float:
    """The error that `exceeding` of the pixels exceed that training masks hide in healthy slices.

    Without refinement there is but one look, with everything hidden; its pixels count then.

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
