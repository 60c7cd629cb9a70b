"""How the any-scan method looks for anomalies in one scan."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from itermask.core.error_maps import check_image
from itermask.core.masks import remove_small_parts
from itermask.methods.anyscan.description import describe_contrast
from itermask.methods.anyscan.guidance import fine_structure
from itermask.methods.anyscan.maps import above_share_of_region, evidence, in_own_spread, smooth_within
from itermask.methods.anyscan.training import ANOMALY_LOGITS, network_input
from itermask.methods.calibration import OperatingPoint
from itermask.types import Detection, Prepared, Progress

if TYPE_CHECKING:
    from itermask.methods.anyscan.method import AnyScan
    from itermask.runtime.base import Runtime

ROLE = "restoration"
SIGNS = ("bright", "dark")
SHARES = {"bright": 0.25, "dark": 1.0}  # of the budget of false alarms; dark lesions of T1w scans are faint


@dataclass(frozen=True)
class Expectation:
    """What the network makes of one scan.

    Attributes:
        image: float32, the restored image: the mean of the passes that hide the whole brain.
        anomaly: float32 (2, X, Y, Z), logits of a bright and a dark anomaly: the mean of a pass over the scan and one
            over its mirror image, with nothing hidden.
    """

    image: np.ndarray
    anomaly: np.ndarray


@dataclass(frozen=True)
class Search:
    """What is known of a scan before the operating point is chosen.

    Attributes:
        prepared: the scan.
        expected: the restored image, scaled intensities.
        maps: sign → evidence of an anomaly of that sign, see `maps.evidence`; 0 outside the brain.
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
    """Restore a scan from its fine structure alone, and classify what it shows.

    Args:
        prepared: the scan.
        runtime: executes the network.
        rng: the only source of randomness.
        draws: how often the whole brain is hidden, with new noise each time; two more passes hide nothing.
        cutoff: of the guidance, cycles/mm.
        progress: called after each pass.
    """
    image, brain = prepared.image, prepared.brain
    description = describe_contrast(image, brain)[None]
    fine = fine_structure(image, brain, prepared.spacing, cutoff)
    seen, mirrored = (np.zeros_like(brain) for _ in range(2))
    passes = 0

    def restore(image: np.ndarray, fine: np.ndarray, hidden: np.ndarray, brain: np.ndarray) -> np.ndarray:
        nonlocal passes
        output = runtime.batch(ROLE, network_input(image, fine, hidden, brain, rng)[None], description=description)[0]
        passes += 1
        if progress is not None:
            progress("restoration", passes / (draws + 2))
        return output

    restored = sum(restore(image, fine, brain, brain)[0] for _ in range(draws)) / draws
    anomaly = restore(image, fine, seen, brain)[ANOMALY_LOGITS]
    mirror = [np.ascontiguousarray(array[::-1]) for array in (image, fine, mirrored, brain)]
    anomaly = (anomaly + restore(*mirror)[ANOMALY_LOGITS][:, ::-1]) / 2
    return Expectation(np.where(brain, restored, image).astype(np.float32), anomaly.astype(np.float32))


def explore(
    method: "AnyScan", prepared: Prepared, runtime: "Runtime", rng: np.random.Generator, progress: Progress | None
) -> Search:
    """Restore one prepared scan, and measure how far it departs from that.

    Raises:
        ValueError: an empty brain, NaN, or a constant image.
    """
    check_image(prepared.image, prepared.brain)
    expectation = expect(prepared, runtime, rng, method.draws, method.cutoff, progress)
    image, brain = prepared.image, prepared.brain
    sigma = [method.smoothing / size for size in prepared.spacing]
    departure = in_own_spread(smooth_within(image - expectation.image, brain, sigma), brain)
    maps = {
        sign: evidence(logits, factor * departure, brain)
        for sign, logits, factor in zip(SIGNS, expectation.anomaly, (1.0, -1.0), strict=True)
    }
    return Search(prepared, expectation.image, maps)


def finalize(method: "AnyScan", search: Search, point: OperatingPoint) -> Detection:
    """Flag where the evidence of either sign exceeds its threshold and a quarter of its own region's top.

    The error map is the larger ratio of evidence to threshold, times the first threshold: so it does not change with
    the sensitivity, which divides both thresholds.

    Scores: `mask_size` (share of the brain) and `mean_error` (over the brain).
    """
    brain, reference = search.prepared.brain, point[SIGNS[0]]
    ratio, masks = np.zeros(brain.shape, np.float32), {}
    for sign in SIGNS:
        values = search.maps[sign]
        np.maximum(ratio, values / point[sign], out=ratio)
        masks[sign] = above_share_of_region(values, point[sign])
    error = np.where(brain, ratio * np.float32(reference), 0).astype(np.float32)
    flagged = (masks["bright"] | masks["dark"]) & brain
    mask = remove_small_parts(flagged, method.smallest / float(np.prod(search.prepared.spacing)))
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
            "bright_share": float(masks["bright"][mask].mean()) if mask.any() else None,
        },
    )


def published_point() -> OperatingPoint:
    """Return the thresholds without calibration."""
    return {"bright": 2.0, "dark": 3.0}


def thresholds_at(searches: "list[Search]", share: float) -> OperatingPoint:
    """Return the thresholds that each sign exceeds in its part of a share of healthy brains; all scans count the same.

    Args:
        searches: of healthy scans.
        share: 0 to 1, of the brain's voxels; see `SHARES`.
    """
    point = {}
    for sign in SIGNS:
        levels = [search.maps[sign][search.prepared.brain] for search in searches]
        counted = np.concatenate([np.quantile(one, np.linspace(0.9, 1, 2001)) for one in levels])
        point[sign] = max(float(np.quantile(counted, 1 - 10 * share * SHARES[sign])), 1e-3)
    return point


def calibrate(searches: "list[Search]", small: Callable[[OperatingPoint], bool]) -> OperatingPoint:
    """The lowest thresholds with which healthy masks are small; each sign has its part of the budget.

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
