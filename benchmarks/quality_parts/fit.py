"""The reference, fitted: clean scans' centre and spread, the faults' weights, and the limits of the score."""

from typing import Any

import numpy as np
from scipy import optimize

from itermask.quality.reference import CLIP, Reference

LEFT_OUT = {"voxel", "flat_voxel"}
BORDERLINE, OUTSIDE = 0.90, 0.97  # shares of clean scans below the limits


def usable(name: str) -> bool:
    """Whether a feature takes part in the score."""
    return name not in LEFT_OUT


def fit(
    rows: list[dict[str, Any]], faults: tuple[str, ...], penalty: float, origin: dict[str, Any]
) -> Reference:
    """Fit a multinomial logistic regression of the faults against clean, on standardised features.

    Args:
        rows: `features`, `artifact` (empty if clean), `severity`, `source`.
        faults: the kinds.
        penalty: of the squared weights.
        origin: what is stored about it.
    """
    names = tuple(sorted({n for row in rows for n in row["features"] if usable(n)}))
    table = np.array([[_number(row["features"].get(n)) for n in names] for row in rows])
    kind = np.array([0 if not row["artifact"] else 1 + faults.index(row["artifact"]) for row in rows])
    source = np.array([row["source"] for row in rows])
    clean = kind == 0
    centre = np.nanmedian(np.stack([np.nanmedian(table[clean & (source == s)], 0) for s in set(source[clean])]), 0)
    off = np.abs(table[clean] - centre)
    spread = np.maximum(np.maximum(1.4826 * np.nanmedian(off, 0), 0.6 * np.nanpercentile(off, 90, axis=0)), 1e-3)
    centre, spread = np.nan_to_num(centre), np.nan_to_num(spread, nan=1.0)
    blank = Reference(names, centre, spread, faults, np.zeros((len(faults), len(names))), np.zeros(len(faults)), (0, 0), {})
    z = np.stack([blank.standardise(row["features"]) for row in rows])
    weight = _sample_weights(kind, np.array([row["severity"] for row in rows]), source)
    weights, offsets = _multinomial(z, kind, weight, len(faults), penalty)
    fitted = Reference(names, centre, spread, faults, weights, offsets, (0.0, 1.0), origin)
    scores = np.array([fitted.score(row["features"])[0] for row in rows])
    return with_limits(fitted, scores[clean])


def with_limits(reference: Reference, clean: np.ndarray) -> Reference:
    """The reference with limits at conformal quantiles of clean scans' scores."""
    ordered = np.sort(clean)
    ranks = [min(len(ordered) - 1, int(np.ceil((len(ordered) + 1) * share)) - 1) for share in (BORDERLINE, OUTSIDE)]
    limits = (round(float(ordered[ranks[0]]), 3), round(float(ordered[ranks[1]]), 3))
    stored = reference.to_json() | {"limits": limits}
    return Reference.from_json(stored)


def _number(value: float | None) -> float:
    return np.nan if value is None else value


def _sample_weights(kind: np.ndarray, severity: np.ndarray, source: np.ndarray) -> np.ndarray:
    """Half of the weight on clean scans, each source alike; subtle artifacts count less."""
    weight = np.where(kind == 0, 1.0, np.clip(severity / 3, 0.2, 1.0))
    for clean in (True, False):
        for one in set(source):
            part = ((kind == 0) == clean) & (source == one)
            if part.any():
                weight[part] *= 1 / weight[part].sum()
    return weight / weight.sum()


def _multinomial(
    z: np.ndarray, kind: np.ndarray, weight: np.ndarray, count: int, penalty: float
) -> tuple[np.ndarray, np.ndarray]:
    """Weights and offsets, clean being the class whose are 0."""
    n = z.shape[1]
    target = np.eye(count + 1)[kind]

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        w, b = flat[: n * count].reshape(count, n), flat[n * count :]
        logits = np.concatenate([np.zeros((len(z), 1)), z @ w.T + b], 1)
        top = logits.max(1, keepdims=True)
        log_sum = top + np.log(np.exp(logits - top).sum(1, keepdims=True))
        value = (weight * (log_sum[:, 0] - logits[np.arange(len(z)), kind])).sum() + penalty * (w**2).sum() / 2
        error = weight[:, None] * (np.exp(logits - log_sum) - target)[:, 1:]
        return value, np.concatenate([(error.T @ z + penalty * w).ravel(), error.sum(0)])

    found = optimize.minimize(loss, np.zeros(n * count + count), jac=True, method="L-BFGS-B", options={"maxiter": 500})
    return found.x[: n * count].reshape(count, n), found.x[n * count :]


__all__ = ["CLIP", "fit", "usable", "with_limits"]
