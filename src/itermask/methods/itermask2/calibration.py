"""IterMask2's operating point, for each of its stop rules."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from itermask.methods.itermask2.detection import Search
from itermask.methods.itermask2.training import hidden_part
from itermask.methods.itermask3d import calibration
from itermask.methods.operating import MaskSizes, OperatingPoint
from itermask.slice_refinement import hidden_errors

if TYPE_CHECKING:
    from itermask.methods.itermask2.method import IterMask2

EXCEEDING = 0.2  # share of hidden healthy pixels whose error exceeds the threshold
DRAWS = 4  # training masks of each slice
SEED = 0
MASK_PASSES = 2000  # passes of this calibration are numbered from here on


def operating_point(method: "IterMask2", searches: Sequence[Search], sizes: MaskSizes) -> OperatingPoint:
    """The validation threshold; or gamma and the limit of the scan's own; or the fixed threshold.

    The last two are chosen as IterMask3D chooses them, see there.
    """
    if method.stop == "validation":
        return {"threshold": validation_threshold(method, searches)}
    same_method: Any = method  # IterMask3D's rule asks of a method only `stop` and `fit_limit`
    same_searches: Any = searches
    return calibration.operating_point(same_method, same_searches, sizes)


def validation_threshold(method: "IterMask2", searches: Sequence[Search]) -> float:
    """The error that 20 % of the pixels exceed that training masks hide in healthy slices.

    Source: `itermask2.md`, "Stop threshold from validation".
    """
    found = []
    for place, search in enumerate(searches):
        for draw in range(DRAWS):
            rng = np.random.default_rng([SEED, place, draw])
            pixel = search.prepared.spacing[:2]
            masks = np.stack([hidden_part(method, brain, pixel, rng) for brain in search.brains])
            found.append(hidden_errors(search.images, search.brains, search.reconstruct, masks, MASK_PASSES + draw))
    return float(np.quantile(np.concatenate(found), 1 - EXCEEDING))
