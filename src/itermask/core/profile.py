"""The healthy-profile distance: how far a scan's errors, as a whole, are from those of healthy scans.

A stop threshold of the scan's own adapts to whatever corrupts the whole scan, so the size of the final mask
cannot see a global artifact. The profile can: it describes how large the errors are at every stage of the
search, and is compared with the same features of healthy validation scans. Source: `itermask3d.md`, last section.
"""

from dataclasses import dataclass

import numpy as np

CURVE_PERCENTS = (10, 20, 30, 40, 50, 60, 70, 80, 90)
ERROR_PERCENTS = (*CURVE_PERCENTS, 95, 99)
REGULARISATION = 0.1  # share of the identity in the correlation matrix that is inverted
FLOOR = 1e-6  # errors below this are not told apart


@dataclass(frozen=True)
class HealthyProfiles:
    """What healthy scans' profiles look like.

    Attributes:
        names: features, in the order of the arrays.
        centre: their medians over healthy scans.
        spread: their robust standard deviations, at least a hundredth (features are logarithms).
        precision: inverse of the regularised correlation matrix of the standardised features.
    """

    names: tuple[str, ...]
    centre: np.ndarray
    spread: np.ndarray
    precision: np.ndarray

    def standardise(self, profile: dict[str, float]) -> dict[str, float]:
        """Return each feature's distance from the healthy centre, in healthy standard deviations."""
        return {
            name: float((profile[name] - centre) / spread)
            for name, centre, spread in zip(self.names, self.centre, self.spread, strict=True)
        }

    def distance(self, profile: dict[str, float]) -> float:
        """Return the Mahalanobis distance per root of the number of features: about 1 for a healthy scan."""
        z = np.array(list(self.standardise(profile).values()))
        return float(np.sqrt(max(0.0, z @ self.precision @ z) / len(z)))

    def to_json(self) -> dict[str, list]:
        """Return plain lists, for the model card."""
        return {
            "names": list(self.names),
            "centre": self.centre.tolist(),
            "spread": self.spread.tolist(),
            "precision": self.precision.tolist(),
        }

    @classmethod
    def from_json(cls, stored: dict[str, list]) -> "HealthyProfiles":
        """Return the inverse of `to_json`."""
        arrays = (np.asarray(stored[key], dtype=float) for key in ("centre", "spread", "precision"))
        return cls(tuple(stored["names"]), *arrays)


def profile_features(curve: np.ndarray, hidden_error: np.ndarray, visible_error: np.ndarray) -> dict[str, float]:
    """Return logarithms of a scan's error levels.

    Args:
        curve: threshold curve of any length.
        hidden_error: errors of the brain's voxels with the whole brain hidden (1D).
        visible_error: errors of the brain's voxels with nothing hidden (1D).

    Returns:
        feature name → natural logarithm.

    Example:
        >>> curve = np.linspace(0.0, 1.0, 100)
        >>> features = profile_features(curve, np.array([0.5, 1.0]), np.array([0.1, 0.2]))
        >>> all(np.isfinite(value) for value in features.values())
        True
    """
    percent = 100 * np.arange(1, len(curve) + 1) / len(curve)
    levels = {f"curve_{at}": float(np.interp(at, percent, curve)) for at in CURVE_PERCENTS}
    levels |= {
        "hidden_mean": float(np.mean(hidden_error)),
        "hidden_median": float(np.median(hidden_error)),
        "hidden_p99": float(np.percentile(hidden_error, 99)),
        "visible_mean": float(np.mean(visible_error)),
    }
    return {name: float(np.log(max(level, FLOOR))) for name, level in levels.items()}


def error_profile(errors: np.ndarray) -> dict[str, float]:
    """Return logarithms of the error levels of a scan with one error map.

    Args:
        errors: errors of the brain's voxels (1D), not negative.

    Returns:
        feature name → natural logarithm: percentiles of the errors, and their mean.

    Example:
        >>> profile = error_profile(np.linspace(0.01, 1.0, 100))
        >>> all(np.isfinite(value) for value in profile.values())
        True
    """
    levels = dict(zip(ERROR_PERCENTS, np.percentile(errors, ERROR_PERCENTS), strict=True))
    features = {f"error_percentile_{at}": level for at, level in levels.items()} | {"mean_error": np.mean(errors)}
    return {name: float(np.log(max(level, FLOOR))) for name, level in features.items()}


def fit_profiles(profiles: list[dict[str, float]]) -> HealthyProfiles:
    """Learn the healthy range of profiles.

    Args:
        profiles: one per healthy scan, all with the same features.

    Raises:
        ValueError: fewer than three scans.

    Example:
        >>> scans = [{"level": value} for value in (1.0, 2.0, 3.0)]
        >>> fitted = fit_profiles(scans)
        >>> fitted.names, float(fitted.centre[0])
        (('level',), 2.0)
    """
    if len(profiles) < 3:
        raise ValueError(f"the healthy range needs at least 3 scans, not {len(profiles)}")
    names = tuple(profiles[0])
    values = np.array([[profile[name] for name in names] for profile in profiles])
    centre = np.median(values, axis=0)
    spread = np.maximum(1.4826 * np.median(np.abs(values - centre), axis=0), 0.01)
    tails = np.diff(np.percentile(values, [10, 90], axis=0), axis=0)[0] / 2.56  # a middle that happens to be tight
    spread = np.maximum(spread, 0.5 * tails)
    z = (values - centre) / spread
    z = np.clip(z, -4, 4)  # one odd scan among the healthy must not widen the range for all
    moments = z.T @ z / len(z)
    scale = np.sqrt(np.maximum(np.diag(moments), 1e-6))
    correlation = moments / np.outer(scale, scale)
    regularised = (1 - REGULARISATION) * correlation + REGULARISATION * np.eye(len(names))
    return HealthyProfiles(names, centre, spread, np.linalg.inv(regularised))
