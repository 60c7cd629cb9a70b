"""The reference, fitted: clean scans' centre and spread, the faults' weights, and the limits of the score."""

import warnings
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
from quality_parts.samples import LESION
from scipy import optimize

from itermask.results.quality.reference import Reference

# What stands out, and so counts only where there is much of it; everything else counts on either side.
ONE_SIDED = (
    *("wave", "weave", "peak", "notch", "jag", "echo", "cliff", "jump", "jump2", "noisy", "quiet", "gain", "stray"),
    *("face", "face_two", "empty", "field", "patch_bright", "patch_dark", "patch_peak"),
    "lopsided_peak",
)
LEFT_OUT = ("voxel", "flat_voxel", "cliff_mm", "lopsided", "lopsided_mean")  # a scanner's choice; a tumour
ENDINGS = ("_max", "_min", "_odd", "_low")
FLOOR = 0.01  # least spread; most features are natural logarithms
PENALTY = 3e-3
FOLDS = 3
BORDERLINE, OUTSIDE = 0.90, 0.97  # shares of clean scans below the limits


def columns(features: list[str]) -> tuple[str, ...]:
    """Features with the sides that count, see `Reference.names`."""
    found = []
    for name in features:
        ending = next((e for e in ENDINGS if name.endswith(e)), "")
        base = name.removesuffix(ending)
        if base in LEFT_OUT:
            continue
        if base in ONE_SIDED:
            found += [f"{name}+"] if ending not in ("_min", "_low") else []
        elif ending in ("_odd", "_low"):
            found += [f"{name}+"]
        else:
            found += [f"{name}+", f"{name}-"]
    return tuple(found)


def fit(rows: list[dict[str, Any]], faults: tuple[str, ...], penalty: float, origin: dict[str, Any]) -> Reference:
    """A reference whose limits are conformal quantiles of clean scans, each scored by references that lack its scanner.

    One lacks its scanner only; the other, where there are several, its whole data set with all that was made of it.

    Args:
        rows: `features`, `artifact` (empty if clean), `severity`, `source`, `subject`, `variant`.
        faults: the kinds of artifact.
        penalty: of the squared weights.
        origin: what is stored about it.
    """
    scored = unseen(rows, faults, penalty, scanner_of)
    if len({row["source"] for row in rows}) > 1:
        scored += unseen(rows, faults, penalty, lambda row: row["source"])
    clean = [score for row, score, _ in scored if not row["artifact"]]
    return with_limits(weigh(rows, faults, penalty, origin), np.array(clean))


def unseen(
    rows: list[dict[str, Any]], faults: tuple[str, ...], penalty: float, group: Callable[[dict[str, Any]], str]
) -> list[tuple[dict[str, Any], float, dict[str, float]]]:
    """Every sample with its score and its faults' odds, by a reference fitted without its group."""
    found = []
    scanners = [group(row) for row in rows]
    for left_out in sorted(set(scanners)):
        rest = [row for row, scanner in zip(rows, scanners, strict=True) if scanner != left_out]
        reference = weigh(rest, faults, penalty, {})
        for row, scanner in zip(rows, scanners, strict=True):
            if scanner == left_out:
                found.append((row, *reference.score(row["features"])))
    return found


def scanner_of(row: dict[str, Any]) -> str:
    """Which samples are left out together.

    The scans as they are of one data set are one scanner; virtual scanners, of which every subject has its own, are
    left out a third at a time.
    """
    if row["variant"] in (0, LESION):
        return row["source"]
    return f"virtual {zlib.crc32(row['subject'].encode()) % FOLDS}"


def weigh(rows: list[dict[str, Any]], faults: tuple[str, ...], penalty: float, origin: dict[str, Any]) -> Reference:
    """Fit a multinomial logistic regression of the faults against clean, on standardised features.

    Args:
        rows: see `fit`.
        faults: the kinds of artifact.
        penalty: of the squared weights.
        origin: what is stored about it.

    Returns:
        the reference, without limits that mean anything.
    """
    names = columns(sorted({n for row in rows for n in row["features"]}))
    table = np.array([[row["features"].get(n[:-1], np.nan) for n in names] for row in rows])
    kind = np.array([0 if not row["artifact"] else 1 + faults.index(row["artifact"]) for row in rows])
    source = np.array([row["source"] for row in rows])
    clean = kind == 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a feature that no clean scan has
        centres = [np.nanmedian(table[clean & (source == one)], 0) for one in sorted(set(source[clean]))]
        centre = np.nanmean(centres, 0)
        off = np.abs(table[clean] - centre)
        spread = np.maximum(1.4826 * np.nanmedian(off, 0), 0.6 * np.nanpercentile(off, 90, axis=0))
    known = np.isfinite(spread)
    names, centre = tuple(n for n, k in zip(names, known, strict=True) if k), centre[known]
    spread = np.maximum(spread[known], FLOOR)
    empty = np.zeros((len(faults), len(names)))
    blank = Reference(names, centre, spread, faults, empty, empty[:, 0], (0.0, 0.0), {})
    z = np.stack([blank.standardise(row["features"]) for row in rows])
    weight = _sample_weights(kind, np.array([row["severity"] for row in rows]), source)
    weights, offsets = _multinomial(z, kind, weight, len(faults), penalty)
    return Reference(names, centre, spread, faults, weights, offsets, (0.0, 1.0), origin)


def with_limits(reference: Reference, clean: np.ndarray) -> Reference:
    """The reference with limits at conformal quantiles of clean scans' scores."""
    ordered = np.sort(clean)
    ranks = [min(len(ordered) - 1, int(np.ceil((len(ordered) + 1) * share)) - 1) for share in (BORDERLINE, OUTSIDE)]
    limits = (round(float(ordered[ranks[0]]), 3), round(float(ordered[ranks[1]]), 3))
    stored = reference.to_json() | {"limits": limits}
    return Reference.from_json(stored)


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

    bounds = [(0, None)] * (n * count) + [(None, None)] * count
    start = np.zeros(n * count + count)
    found = optimize.minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 150})
    return found.x[: n * count].reshape(count, n), found.x[n * count :]
