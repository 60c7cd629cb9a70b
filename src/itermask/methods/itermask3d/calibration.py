"""IterMask3D's own rule: gamma, and the highest stop threshold that makes sense, from healthy scans."""

from collections.abc import Sequence

import numpy as np

from itermask.methods.calibration import (
    GAMMAS,
    LIMITS,
    MaskSizes,
    OperatingPoint,
    first_that,
    next_to_nothing,
    small,
)
from itermask.methods.itermask3d.detection import Search
from itermask.methods.stop_rules import CurveThreshold


class OwnThreshold(CurveThreshold[Search]):
    """Each scan's own threshold, with a gamma from the middle of the range that suits healthy scans."""

    def calibrate(self, searches: Sequence[Search], sizes: MaskSizes) -> OperatingPoint:
        """See `operating_point`."""
        return operating_point(self, searches, sizes)


def operating_point(rule: OwnThreshold, searches: Sequence[Search], sizes: MaskSizes) -> OperatingPoint:
    """Return gamma and the limit of the stop threshold, from healthy scans.

    Gamma lies in the middle (of logarithms) of the range that suits them: from the smallest with which their masks
    are small to the largest that at least half of their threshold curves still reach. Below it masks grow past the
    lesion, above it lesions are lost.

    The limit is a multiple of the curve's level at 80 %, the smallest with which next to nothing of the healthy scans
    is flagged. A lesion steepens its scan's curve late, and can so push the scan's own threshold above its own error;
    a threshold above the limit spares healthy tissue nothing more, it only loses lesions. So a scan's own threshold is
    cut off there. Being relative, it rises with the errors of a scan that is unlike the training scans throughout.
    """
    smallest = first_that(GAMMAS, lambda gamma: small(sizes({"gamma": gamma})))
    gamma = GAMMAS[(smallest + largest_reached(rule, searches)) // 2]
    own = {"gamma": np.inf}  # never reached: the limit is the threshold
    limit = LIMITS[first_that(LIMITS, lambda limit: next_to_nothing(sizes(own | {"threshold_limit": limit})))]
    return {"gamma": gamma, "threshold_limit": limit}


def largest_reached(rule: OwnThreshold, searches: Sequence[Search]) -> int:
    """Return the index in `GAMMAS` of the largest that at least half of the curves exceed before their last point."""
    for index in range(len(GAMMAS) - 1, 0, -1):
        steps = [rule.stop_at(search.curve, GAMMAS[index]).step for search in searches]
        if np.mean([step < len(search.curve) - 1 for step, search in zip(steps, searches, strict=True)]) >= 0.5:
            return index
    return 0
