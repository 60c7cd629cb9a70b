"""The any-scan method's detection: anomalies in one scan."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from itermask.core.distortion import DISTORTION, distortion
from itermask.core.error_maps import check_image
from itermask.core.masks import remove_small_parts
from itermask.core.shading import SHADING, shading
from itermask.methods.anyscan.description import describe_contrast
from itermask.methods.anyscan.guidance import fine_structure
from itermask.methods.anyscan.maps import (
    above_share_of_region,
    evidence,
    in_own_spread,
    smooth_within,
    weight_of_sign,
)
from itermask.methods.anyscan.training import ANOMALY_LOGITS, network_input
from itermask.methods.calibration import OperatingPoint
from itermask.prepare.intensity import ROBUST
from itermask.types import Detection, Prepared, Progress

if TYPE_CHECKING:
    from itermask.methods.anyscan.method import AnyScan
    from itermask.runtime.base import Runtime

ROLE = "restoration"
MARGIN = 2  # voxels around the mask that do not count for the shading
POINT = "evidence"  # the operating point's only number


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
        evidence: of an anomaly of either sign, see `maps.evidence`; 0 outside the brain.
        bright: boolean, where the evidence is of a bright anomaly.
    """

    prepared: Prepared
    expected: np.ndarray
    evidence: np.ndarray
    bright: np.ndarray


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
    nothing = np.zeros_like(brain)
    passes = 0

    def restore(image: np.ndarray, fine: np.ndarray, hidden: np.ndarray, brain: np.ndarray) -> np.ndarray:
        nonlocal passes
        output = runtime.batch(ROLE, network_input(image, fine, hidden, brain, rng)[None], description=description)[0]
        passes += 1
        if progress is not None:
            progress("restoration", passes / (draws + 2))
        return output

    restored = sum(restore(image, fine, brain, brain)[0] for _ in range(draws)) / draws
    anomaly = restore(image, fine, nothing, brain)[ANOMALY_LOGITS]
    mirror = [np.ascontiguousarray(array[::-1]) for array in (image, fine, nothing, brain)]
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
    found = [
        evidence(logits, sign * departure, brain) * np.float32(weight_of_sign(sign, prepared.sequence))
        for logits, sign in zip(expectation.anomaly, (1, -1), strict=True)
    ]
    return Search(prepared, expectation.image, np.maximum(*found), found[0] > found[1])


def finalize(method: "AnyScan", search: Search, point: OperatingPoint) -> Detection:
    """Flag where the evidence exceeds its threshold and a quarter of its own region's top.

    Scores: `mask_size` (share of the brain), `mean_error` (over the brain), `shading` and `distortion` (see the modules
    of `itermask.core` by these names; left out where they cannot be measured).
    """
    brain, error, threshold = search.prepared.brain, search.evidence, point[POINT]
    mask = above_share_of_region(error, threshold) & brain
    mask = remove_small_parts(mask, method.smallest / float(np.prod(search.prepared.spacing)))
    scores = {"mask_size": float(mask.sum() / brain.sum()), "mean_error": float(error[brain].mean())}
    return Detection(
        mask=mask,
        error=error,
        reconstruction=search.expected,
        scores=scores | faults(search, mask),
        profile={},
        threshold=threshold,
        trace={"threshold": threshold, "bright_share": float(search.bright[mask].mean()) if mask.any() else None},
    )


def faults(search: Search, mask: np.ndarray) -> dict[str, float]:
    """Return the scores that tell faults of the image from anatomy by what is expected; without what is not measurable.

    Args:
        search: of the scan.
        mask: boolean, what is flagged.
    """
    prepared = search.prepared
    image, expected = (ROBUST.undo(one, prepared.limits) for one in (prepared.image, search.expected))
    calm = prepared.brain & ~ndimage.binary_dilation(mask, iterations=MARGIN)
    found = {
        SHADING: shading(image, expected, calm, prepared.spacing),
        DISTORTION: distortion(image, expected, prepared.brain, prepared.spacing),
    }
    return {name: value for name, value in found.items() if not np.isnan(value)}


def published_point() -> OperatingPoint:
    """Return the threshold without calibration.

    Example:
        >>> published_point()[POINT]
        3.0
    """
    return {POINT: 3.0}


def threshold_at(searches: "list[Search]", share: float) -> OperatingPoint:
    """Return the threshold that a share of healthy brains exceeds; all scans count the same.

    Args:
        searches: of healthy scans.
        share: 0 to 0.1, of the brain's voxels.

    Example:
        >>> from types import SimpleNamespace
        >>> brain = np.ones((10, 10, 10), bool)
        >>> evidence = np.linspace(0, 10, brain.size).reshape(brain.shape)
        >>> search = SimpleNamespace(evidence=evidence, prepared=SimpleNamespace(brain=brain))
        >>> round(threshold_at([search], 0.01)[POINT], 2)
        9.9
    """
    levels = [search.evidence[search.prepared.brain] for search in searches]
    counted = np.concatenate([np.quantile(one, np.linspace(0.9, 1, 2001)) for one in levels])
    return {POINT: max(float(np.quantile(counted, 1 - 10 * share)), 1e-3)}


def calibrate(searches: "list[Search]", small: Callable[[OperatingPoint], bool]) -> OperatingPoint:
    """Return the lowest threshold with which healthy masks are small.

    Args:
        searches: of healthy scans.
        small: operating point → whether the healthy masks are small enough.
    """
    shares = np.geomspace(0.00002, 0.004, 32)
    low, high = 0, len(shares)
    while high - low > 1:  # the share at `low` suits, or is the smallest that is tried
        middle = (low + high) // 2
        low, high = (middle, high) if small(threshold_at(searches, float(shares[middle]))) else (low, middle)
    return threshold_at(searches, float(shares[low]))
