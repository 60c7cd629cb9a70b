"""Stop rules: where the error threshold comes from at which an iterative method stops.

A method with several rules holds one as an object and asks it three things: the threshold of a scan, the operating
point without calibration, and that which healthy scans choose. `CurveThreshold` reads each scan's own threshold curve,
`FixedThreshold` takes one number for all scans.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import numpy as np

from itermask.core.stop_rules import StopThreshold, bulk_level, stop_threshold
from itermask.methods import fixed_threshold
from itermask.methods.calibration import MaskSizes, OperatingPoint, threshold_point

PUBLISHED_GAMMA = 0.01  # of the published network; a trained model brings its own in its calibration


class HasCurve(Protocol):
    """What a rule that reads the threshold curve asks of a search: the curve, and the network passes that it took."""

    @property
    def curve(self) -> np.ndarray: ...  # noqa: D102

    @property
    def curve_passes(self) -> int: ...  # noqa: D102


State = TypeVar("State", contravariant=True)
Curved = TypeVar("Curved", bound=HasCurve, contravariant=True)


class StopRule(ABC, Generic[State]):
    """Where the stop threshold comes from; `State` is what the method knows of a scan, as of `Method`.

    Attributes:
        reads_curve: whether it needs the scan's threshold curve.
    """

    reads_curve: bool = False

    @abstractmethod
    def threshold(self, search: State, point: OperatingPoint) -> tuple[float, dict[str, Any]]:
        """Return a scan's stop threshold at an operating point, and how it was found, for the trace."""

    @abstractmethod
    def published_point(self) -> OperatingPoint:
        """Return the operating point of a model without calibration."""

    @abstractmethod
    def calibrate(self, searches: Sequence[State], sizes: MaskSizes) -> OperatingPoint:
        """Choose the operating point on healthy scans, as `Method.calibrate` does."""


class FixedThreshold(StopRule[State]):
    """One threshold for all scans: the smallest with which healthy masks are small.

    >>> FixedThreshold().threshold(None, {"threshold": 4.0})
    (4.0, {'threshold': 4.0})
    """

    def threshold(self, search: State, point: OperatingPoint) -> tuple[float, dict[str, Any]]:
        """Return the point's `threshold`."""
        return point["threshold"], {"threshold": point["threshold"]}

    def published_point(self) -> OperatingPoint:
        """Return that of `FixedThresholdMethod`."""
        return dict(fixed_threshold.PUBLISHED_POINT)

    def calibrate(self, searches: Sequence[State], sizes: MaskSizes) -> OperatingPoint:
        """See `threshold_point`."""
        return threshold_point(sizes)


@dataclass(frozen=True)
class CurveThreshold(StopRule[Curved]):
    """Each scan's own threshold, where its curve leaves the normal tissue; a subclass says how gamma is chosen.

    Attributes:
        fit_limit, window, tangent_alone: see `itermask.core.stop_rules.stop_threshold`.
    """

    fit_limit: float = 10.0
    window: float = 1.25
    tangent_alone: bool = False

    reads_curve = True

    def stop_at(self, curve: np.ndarray, gamma: float) -> StopThreshold:
        """Return where a threshold curve stops."""
        return stop_threshold(curve, gamma, self.fit_limit, window=self.window, tangent_alone=self.tangent_alone)

    def threshold(self, search: Curved, point: OperatingPoint) -> tuple[float, dict[str, Any]]:
        """Return the threshold for the point's `gamma`, at most `threshold_limit` times the bulk level."""
        stop = self.stop_at(search.curve, point["gamma"])
        limit = point.get("threshold_limit", np.inf) * bulk_level(search.curve)
        threshold = min(stop.value, limit)
        return threshold, {
            "curve": [float(value) for value in search.curve],
            "slope": [float(value) for value in stop.slope],
            "curve_passes": search.curve_passes,
            "step": stop.step,
            "gamma": point["gamma"],
            "own_threshold": stop.value,
            "threshold_limit": limit if np.isfinite(limit) else None,
            "threshold": threshold,
            "fitted": stop.fitted,
            "r_squared": stop.r_squared if np.isfinite(stop.r_squared) else None,
            "crossed": stop.crossed,
        }

    def published_point(self) -> OperatingPoint:
        """Return the paper's gamma, and no limit."""
        return {"gamma": PUBLISHED_GAMMA}
