"""The intensity scales: two percentiles of the brain go to −3 and `top`, or robust standard deviations."""

from dataclasses import dataclass

import numpy as np

KNEE = 6.0  # scaled value beyond which the robust scale is compressed
ROUNDING = 1e-5  # resampling leaves so much, relative to the values, of an image that is constant


@dataclass(frozen=True)
class IntensityScale:
    """A named linear scale, kept with every model so that none is run on an image scaled otherwise.

    Attributes:
        low: percentile of the brain's intensities that maps to −3.
        high: percentile of the brain's intensities that maps to `top`. Where lesions are bright and large it must lie
            low enough to stay in normal tissue, or a lesion darkens all the rest.
        top: scaled value of that percentile.
        kind: `percentiles`, or `robust`: twice the distance from the median in robust standard deviations (1.4826
            times the median absolute deviation), compressed beyond ±6, so that no lesion of a tenth of the brain moves
            it much. The percentiles and `top` do not count there.
        background: scaled value of every voxel outside the brain.
    """

    low: float = 2.0
    high: float = 90.0
    background: float = -3.0
    top: float = 3.0
    kind: str = "percentiles"

    def __post_init__(self) -> None:
        if not 0 <= self.low < self.high <= 100:
            raise ValueError(f"the scale's percentiles must rise within 0 to 100, not {self.low}, {self.high}")
        if self.kind not in ("percentiles", "robust"):
            raise ValueError(f"the scale's kind is percentiles or robust, not {self.kind!r}")
        if not self.top > -3:
            raise ValueError(f"the scale's top must be above −3, not {self.top}")

    def limits(self, image: np.ndarray, brain: np.ndarray) -> tuple[float, float]:
        """Return intensities `l` and `u` at the two percentiles of the voxels in `brain`.

        Raises:
            ValueError: the brain is empty, holds NaN or infinity, or is constant between the percentiles.
        """
        values = image[brain]
        if values.size == 0:
            raise ValueError("the brain mask is empty")
        if not np.isfinite(values).all():
            raise ValueError("the brain holds NaN or infinite voxels")
        if self.kind == "robust":
            middle = float(np.median(values))
            spread = 1.4826 * float(np.median(np.abs(values - middle)))
            low, high = middle - 1.5 * spread, middle + 1.5 * spread
        else:
            low, high = np.percentile(values, [self.low, self.high])
        if not high - low > ROUNDING * max(abs(low), abs(high)):
            raise ValueError(f"the brain's intensities are constant ({low:g}) between the scale's percentiles")
        return float(low), float(high)

    def apply(self, image: np.ndarray, brain: np.ndarray, limits: tuple[float, float]) -> np.ndarray:
        """Scale linearly, `l → −3` and `u → top`, without clipping; outside the brain the background value.

        Source: the method notes, "Intensity scale" (the stated intention, not the authors' centre).
        """
        low, high = limits
        if self.kind == "robust":
            scaled = compress(6 * (image - low) / (high - low) - 3)
        else:
            scaled = (self.top + 3) * (image - low) / (high - low) - 3
        return np.where(brain, scaled, self.background).astype(np.float32)

    def undo(self, scaled: np.ndarray, limits: tuple[float, float]) -> np.ndarray:
        """Return scaled values → the scan's own intensities."""
        low, high = limits
        if self.kind == "robust":
            return ((expand(scaled) + 3) / 6 * (high - low) + low).astype(np.float32)
        return ((scaled + 3) / (self.top + 3) * (high - low) + low).astype(np.float32)


ROBUST = IntensityScale(kind="robust", background=0.0)  # the scale of the any-scan method


def compress(z: np.ndarray) -> np.ndarray:
    """Leave values within ±`KNEE` as they are and let larger ones grow with the logarithm only.

    Example:
        >>> compress(np.array([1.0, -6.0, 14.0])).round(2).tolist()
        [1.0, -6.0, 9.22]
    """
    beyond = np.maximum(np.abs(z) - KNEE, 0)
    return np.where(beyond > 0, np.sign(z) * (KNEE + 2 * np.log1p(beyond / 2)), z)


def expand(z: np.ndarray) -> np.ndarray:
    """Undo `compress`.

    Example:
        >>> float(np.round(expand(compress(np.array([3.0])))[0], 6))
        3.0
    """
    beyond = np.maximum(np.abs(z) - KNEE, 0)
    return np.where(beyond > 0, np.sign(z) * (KNEE + 2 * np.expm1(np.minimum(beyond, 30) / 2)), z)
