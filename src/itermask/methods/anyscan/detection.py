"""How the any-scan method looks for anomalies in one scan."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from itermask.core.error_maps import check_image
from itermask.core.masks import remove_small_parts
from itermask.methods.anyscan.description import describe_contrast
from itermask.methods.anyscan.guidance import fine_structure
from itermask.methods.anyscan.maps import (
    CERTAIN,
    evidence,
    in_own_spread,
    probabilities,
    smooth_within,
    tissue_deviation,
)
from itermask.methods.anyscan.masks import block_parts
from itermask.methods.anyscan.training import ANOMALY_LOGITS, TISSUE_LOGITS, network_input
from itermask.methods.calibration import OperatingPoint
from itermask.types import Detection, Prepared, Progress

if TYPE_CHECKING:
    from itermask.methods.anyscan.method import AnyScan
    from itermask.runtime.base import Runtime

ROLE = "restoration"
PARTS = 3  # sets of blocks: each pass hides all but one
SIGNS = {"bright": 1.0, "dark": -1.0}


@dataclass(frozen=True)
class Expectation:
    """What the network expects of one scan.

    Attributes:
        image: float32, the restored image: mean of the pass that hides the whole brain and of the mean over the passes
            with blocks in which the voxel was hidden.
        tissues: (tissues, X, Y, Z) probabilities of the tissue expected in each place, from the passes with blocks.
        seen: the same with nothing hidden.
        anomaly: (2, X, Y, Z) logits of a bright and a dark anomaly, with nothing hidden.
    """

    image: np.ndarray
    tissues: np.ndarray
    seen: np.ndarray
    anomaly: np.ndarray


@dataclass(frozen=True)
class Search:
    """What is known of a scan before the operating point is chosen.

    Attributes:
        prepared: the scan.
        expected: the restored image, scaled intensities.
        maps: name → signed map, see `signed_maps`; 0 outside the brain.
    """

    prepared: Prepared
    expected: np.ndarray
    maps: dict[str, np.ndarray]


def expect(
    prepared: Prepared,
    runtime: "Runtime",
    rng: np.random.Generator,
    draws: int,
    cutoff: float,
    progress: Progress | None,
) -> Expectation:
    """Restore a scan from its parts: blocks of 12 to 20 mm are hidden, two thirds of the brain in each pass.

    Two more passes hide the whole brain, which no lesion can lead astray by what is seen of it, and nothing.

    Args:
        prepared: the scan.
        runtime: executes the network.
        rng: the only source of randomness.
        draws: how often the brain is parted into blocks; each draw takes three passes.
        cutoff: of the guidance, cycles/mm.
        progress: called after each pass.
    """
    image, brain = prepared.image, prepared.brain
    description = describe_contrast(image, brain)[None]
    fine = fine_structure(image, brain, prepared.spacing, cutoff)
    passes = 0

    def restore(hidden: np.ndarray) -> np.ndarray:
        nonlocal passes
        inputs = network_input(image, fine, hidden, brain, rng)[None]
        output = runtime.batch(ROLE, inputs, description=description)[0]
        passes += 1
        if progress is not None:
            progress("restoration", passes / (PARTS * draws + 2))
        return output

    total, times = np.zeros_like(image), np.zeros_like(image)
    logits: Any = 0.0
    for _ in range(draws):
        parts = block_parts(image.shape, prepared.spacing, rng, PARTS)
        for part in range(PARTS):
            hidden = (parts != part) & brain
            output = restore(hidden)
            total += np.where(hidden, output[0], 0)
            times += hidden
            logits = logits + output[TISSUE_LOGITS]
    whole, seen = restore(brain), restore(np.zeros_like(brain))
    expected = np.where(brain, (total / np.maximum(times, 1) + whole[0]) / 2, image).astype(np.float32)
    return Expectation(
        expected,
        probabilities(logits / (PARTS * draws)),
        probabilities(seen[TISSUE_LOGITS]),
        np.asarray(seen[ANOMALY_LOGITS], np.float32),
    )


def explore(
    method: "AnyScan", prepared: Prepared, runtime: "Runtime", rng: np.random.Generator, progress: Progress | None
) -> Search:
    """Restore one prepared scan, and measure how far it departs from that.

    Raises:
        ValueError: an empty brain, NaN, or a constant image.
    """
    check_image(prepared.image, prepared.brain)
    expectation = expect(prepared, runtime, rng, method.draws, method.cutoff, progress)
    return Search(prepared, expectation.image, signed_maps(prepared, expectation, method.smoothing))


def signed_maps(prepared: Prepared, expectation: Expectation, smoothing: float) -> dict[str, np.ndarray]:
    """The signed departures of a scan from what is expected, smoothed.

    Args:
        prepared: the scan.
        expectation: see `expect`.
        smoothing: standard deviation in mm.

    Returns:
        `restoration`: scan minus restored image, in units of the map's own spread; `tissue`: departure from the
        expected tissue's level, see `maps.tissue_deviation`; `classified`: what the network itself calls anomalous,
        see `maps.evidence`. All are float32 and 0 outside the brain.
    """
    image, brain = prepared.image, prepared.brain
    sigma = [smoothing / size for size in prepared.spacing]
    tissue = tissue_deviation(image, brain, expectation.tissues, expectation.seen)
    return {
        "restoration": in_own_spread(smooth_within(image - expectation.image, brain, sigma), brain),
        "tissue": smooth_within(tissue, brain, sigma),
        "classified": evidence(expectation.anomaly, brain),
    }


def finalize(method: "AnyScan", search: Search, point: OperatingPoint) -> Detection:
    """Flag what exceeds the threshold of its map and sign.

    The error map is the largest ratio of a map to its threshold, times the first threshold: so it does not change with
    the sensitivity, which divides all thresholds.

    Scores: `mask_size` (share of the brain) and `mean_error` (over the brain).
    """
    brain, reference = search.prepared.brain, point["restoration_bright"]
    ratio = np.zeros(brain.shape, np.float32)
    for name, values in search.maps.items():
        for sign, factor in SIGNS.items():
            np.maximum(ratio, factor / point[f"{name}_{sign}"] * values, out=ratio)
    error = np.where(brain, ratio * np.float32(reference), 0).astype(np.float32)
    mask = remove_small_parts((error > reference) & brain, method.smallest / float(np.prod(search.prepared.spacing)))
    flagged = search.maps["restoration"][mask]
    return Detection(
        mask=mask,
        error=error,
        reconstruction=search.expected,
        scores={"mask_size": float(mask.sum() / brain.sum()), "mean_error": float(error[brain].mean())},
        profile={},
        threshold=reference,
        trace={
            "threshold": reference,
            "thresholds": dict(point),
            "bright_share": float((flagged > 0).mean()) if flagged.size else None,
        },
    )


def published_point() -> OperatingPoint:
    """Return the thresholds without calibration: 5 spreads of the map, 4 of the tissue, and a probability of a half."""
    levels = {"restoration": 5.0, "tissue": 4.0, "classified": CERTAIN}
    return {f"{name}_{sign}": level for name, level in levels.items() for sign in SIGNS}


def thresholds_at(searches: "list[Search]", share: float) -> OperatingPoint:
    """The thresholds that each map and sign exceeds in `share` of healthy brains' voxels, all scans counting the same.

    Args:
        searches: of healthy scans.
        share: 0 to 1.
    """
    point = {}
    for name in searches[0].maps:
        for sign, factor in SIGNS.items():
            levels = [factor * search.maps[name][search.prepared.brain] for search in searches]
            counted = np.concatenate([np.quantile(one, np.linspace(0.9, 1, 2001)) for one in levels])
            point[f"{name}_{sign}"] = max(float(np.quantile(counted, 1 - 10 * share)), 1e-3)
    return point


def calibrate(searches: "list[Search]", small: Callable[[OperatingPoint], bool]) -> OperatingPoint:
    """The lowest thresholds with which healthy masks are small; every map and sign has the same budget.

    Args:
        searches: of healthy scans.
        small: operating point → whether the healthy masks are small enough.
    """
    shares = np.geomspace(0.00002, 0.004, 32)
    low, high = 0, len(shares)
    while high - low > 1:  # the share at `low` suits, or is the smallest that is tried
        middle = (low + high) // 2
        low, high = (middle, high) if small(thresholds_at(searches, float(shares[middle]))) else (low, middle)
    return thresholds_at(searches, float(shares[low]))
