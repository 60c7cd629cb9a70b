"""What methods with one error map a scan share: a fixed error threshold, chosen on healthy scans."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from itermask.core.error_maps import check_image
from itermask.core.profile import error_profile
from itermask.methods.base import Method
from itermask.methods.calibration import MaskSizes, OperatingPoint, threshold_point
from itermask.types import Detection, Prepared, Progress

if TYPE_CHECKING:
    from itermask.runtime.base import Runtime

PUBLISHED_POINT = {"threshold": 1.0}  # publications state none; a trained model brings its own in its calibration


@dataclass(frozen=True)
class ErrorMap:
    """What a one-map method knows of a scan before the operating point is chosen.

    Attributes:
        prepared: the scan.
        error: float32, not negative; 0 outside the brain.
        reconstruction: float32, what the method expects, scaled intensities.
        profile: features for the healthy-profile distance.
    """

    prepared: Prepared
    error: np.ndarray
    reconstruction: np.ndarray
    profile: dict[str, float]


class FixedThresholdMethod(Method[ErrorMap]):
    """A method that gives each scan one error map, and flags what is above a fixed threshold.

    A subclass says what the error map is, and how it learns.
    """

    @abstractmethod
    def error_and_reconstruction(
        self, prepared: Prepared, runtime: "Runtime", rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the error map and reconstruction of one prepared scan.

        Args:
            prepared: the scan on the model's grid.
            runtime: executes the method's networks.
            rng: the only source of randomness.

        Returns:
            the error (not negative; what it holds outside the brain does not count) and what the method expects
            (scaled intensities), both of the box's shape.
        """

    def explore(
        self, prepared: Prepared, runtime: "Runtime", rng: np.random.Generator, progress: Progress | None = None
    ) -> ErrorMap:
        """Return the error map of one scan, and its profile.

        Raises:
            ValueError: an empty brain, NaN, or a constant image.
        """
        brain = check_image(prepared.image, prepared.brain)
        error, reconstruction = self.error_and_reconstruction(prepared, runtime, rng)
        error = np.where(brain, error, 0).astype(np.float32)
        if not np.isfinite(error).all():
            raise ValueError("the error map holds NaN or infinite voxels")
        if progress is not None:
            progress("error map", 1.0)
        return ErrorMap(prepared, error, reconstruction.astype(np.float32), error_profile(error[brain]))

    def finalize(self, search: ErrorMap, point: OperatingPoint, progress: Progress | None = None) -> Detection:
        """Flag the brain's voxels whose error is above the point's `threshold`.

        Scores: `mask_size` (share of the brain) and `mean_error` (over the brain).
        """
        brain, threshold = search.prepared.brain, point["threshold"]
        mask = (search.error > threshold) & brain
        return Detection(
            mask=mask,
            error=search.error,
            reconstruction=search.reconstruction,
            scores={"mask_size": float(mask.sum() / brain.sum()), "mean_error": float(search.error[brain].mean())},
            profile=search.profile,
            threshold=threshold,
            trace={"threshold": threshold},
        )

    def published_point(self) -> OperatingPoint:
        """Return a threshold of 1, which no publication states."""
        return dict(PUBLISHED_POINT)

    def calibrate(self, searches: Sequence[ErrorMap], sizes: MaskSizes) -> OperatingPoint:
        """See `threshold_point`."""
        return threshold_point(sizes)
