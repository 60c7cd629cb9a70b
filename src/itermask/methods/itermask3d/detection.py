"""How IterMask3D processes one scan: threshold curve, stop threshold, refinement, scores."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from itermask.core.error_maps import Measure, Reconstruct, check_image, smoothed_error
from itermask.core.guidance import high_frequency
from itermask.core.masks import brain_crop, network_input, remove_small_parts
from itermask.core.profile import error_profile, profile_features
from itermask.core.refinement import MAX_PASSES, Refinement, record_passes, refine
from itermask.core.threshold_curve import CurveMasks, focused_percents, resample_curve, threshold_curve
from itermask.methods.calibration import OperatingPoint
from itermask.types import Detection, Prepared, Progress

if TYPE_CHECKING:
    from itermask.methods.itermask3d.method import IterMask3D
    from itermask.runtime.base import Runtime


def reconstructor(
    method: "IterMask3D", prepared: Prepared, runtime: "Runtime", rng: np.random.Generator
) -> Reconstruct:
    """Return `(image, mask) → reconstruction` for one scan: fresh noise in the mask, then the network.

    With `method.crop` the network sees the brain's part of the box only, and beyond it the reconstruction is the image.
    The guidance is that of the whole box, and so is the noise, so that both are the same with and without.

    Example:
        >>> from itermask.prepare.prepare import prepare
        >>> prepared = prepare(scan, model.grid)
        >>> reconstruct = reconstructor(model.method, prepared, model.runtime, np.random.default_rng(0))
        >>> reconstruct(prepared.image, prepared.brain).shape == prepared.image.shape
        True
    """
    fine = high_frequency(prepared.image, prepared.spacing, method.cutoff)
    fine = fine if method.guidance else np.zeros_like(fine)
    crop = brain_crop(prepared.brain, prepared.divisor) if method.crop else (slice(None),) * prepared.brain.ndim
    fine = fine[crop]

    def reconstruct(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
        noise = rng.standard_normal(image.shape, dtype=np.float32)[crop]
        inside = mask[crop]
        channels = [fine, inside.astype(np.float32)] if method.mask_channel else [fine]
        found = runtime("reconstruction", network_input(image[crop], inside, noise, channels))[0]
        if found.shape == image.shape:
            return found
        whole = image.copy()
        whole[crop] = found
        return whole

    return reconstruct


@dataclass(frozen=True)
class Search:
    """What IterMask3D knows of a scan before the operating point is chosen.

    Attributes:
        prepared: the scan.
        reconstruct: hides and reconstructs voxels of this scan.
        measure: the error measure.
        curve: the threshold curve, at even percents; empty where nothing needs it.
        curve_passes: network passes that it took.
        profile: features for the healthy-profile distance.
        rng: the generator behind `reconstruct`.
        state: its state when the curve was done, so that every call of `finalize` draws the same noise.
        hidden: reconstruction and error with the whole brain hidden, for a method that does not iterate.
        masks: the curve's masks, for a method whose refinement starts from one of them.
    """

    prepared: Prepared
    reconstruct: Reconstruct
    measure: Measure
    curve: np.ndarray
    curve_passes: int
    profile: dict[str, float]
    rng: np.random.Generator
    state: Mapping[str, Any]
    hidden: tuple[np.ndarray, np.ndarray] | None = None
    masks: "CurveMasks | None" = None


def explore(
    method: "IterMask3D", prepared: Prepared, runtime: "Runtime", rng: np.random.Generator, progress: Progress | None
) -> Search:
    """Run phase 1 on one prepared scan, and measure the profile.

    The profile takes the errors of the curve's first pass, where the whole brain is hidden, and of one more
    pass with nothing hidden. Without iteration there is the first pass alone, see `single_pass`.

    Raises:
        ValueError: an empty brain, NaN, or a constant image.

    Example:
        >>> from itermask.prepare.prepare import prepare
        >>> prepared = prepare(scan, model.grid)
        >>> search = explore(model.method, prepared, model.runtime, np.random.default_rng(0), None)
        >>> search.curve.ndim
        1
    """
    image, brain = prepared.image, prepared.brain
    reconstruct = reconstructor(method, prepared, runtime, rng)
    measure = smoothed_error(tuple(method.smoothing / size for size in prepared.spacing))
    if not method.iterate:
        return single_pass(method, prepared, reconstruct, measure, rng, progress)
    hidden_error = np.empty(0)
    percents = focused_percents() if method.focused else 100 * np.arange(1, method.steps + 1) / method.steps
    masks = CurveMasks(brain, percents) if method.start == "curve" else None

    def on_step(step: int, _threshold: float, mask: np.ndarray, error: np.ndarray) -> None:
        nonlocal hidden_error
        if step == 0:
            hidden_error = error[brain]
        if masks is not None:
            masks.add(mask)
        if progress is not None:
            progress("threshold", (step + 1) / percents.size)

    thresholds = threshold_curve(image, brain, reconstruct, percents=percents, on_step=on_step, measure=measure)
    curve = resample_curve(percents, thresholds, method.steps) if method.focused else thresholds
    visible_error = measure(image, reconstruct(image, np.zeros_like(brain)), brain)[brain]
    profile = profile_features(curve, hidden_error, visible_error)
    state = rng.bit_generator.state
    return Search(prepared, reconstruct, measure, curve, percents.size, profile, rng, state, None, masks)


def single_pass(
    method: "IterMask3D",
    prepared: Prepared,
    reconstruct: Reconstruct,
    measure: Measure,
    rng: np.random.Generator,
    progress: Progress | None,
) -> Search:
    """Return one pass with the whole brain hidden. The curve and the profile are of this pass's errors.

    Raises:
        ValueError: an empty brain, NaN, or a constant image.
    """
    image, brain = prepared.image, check_image(prepared.image, prepared.brain)
    reconstruction = reconstruct(image, brain)
    error = measure(image, reconstruction, brain)
    percents = 100 * np.arange(1, method.steps + 1) / method.steps
    curve = np.empty(0)
    if method.rule.reads_curve:
        curve = np.percentile(error[brain], percents, method="inverted_cdf").astype(float)
    if progress is not None:
        progress("error map", 1.0)
    profile, state = error_profile(error[brain]), rng.bit_generator.state
    return Search(prepared, reconstruct, measure, curve, 1, profile, rng, state, (reconstruction, error))


def finalize(method: "IterMask3D", search: Search, point: OperatingPoint, progress: Progress | None) -> Detection:
    """Find the stop threshold, run phase 2, and compute the scores.

    Scores: `mask_size` (share of the brain) and `mean_error` (of the final error map over the brain).

    Example:
        >>> from itermask.prepare.prepare import prepare
        >>> prepared = prepare(scan, model.grid)
        >>> search = explore(model.method, prepared, model.runtime, np.random.default_rng(0), None)
        >>> finalize(model.method, search, {"gamma": 0.05}, None).mask.shape == prepared.brain.shape
        True
    """
    image, brain = search.prepared.image, search.prepared.brain

    def on_pass(passes: int, _size: int) -> None:
        if progress is not None:
            progress("refinement", passes / MAX_PASSES)

    threshold, trace = method.rule.threshold(search, point)
    revealed = brain.astype(np.uint8)
    if search.hidden is None:
        search.rng.bit_generator.state = search.state
        start = None
        if search.masks is not None and "step" in trace:
            start = search.masks.at(100 * (trace["step"] + 1) / len(search.curve))
            revealed[brain & ~start] = 1
        refined = refine(
            image,
            brain,
            record_passes(search.reconstruct, revealed),
            threshold,
            start,
            min_shrink=method.min_shrink,
            on_pass=on_pass,
            measure=search.measure,
        )
    else:
        reconstruction, error = search.hidden
        flagged = (error > threshold) & brain
        refined = Refinement(flagged, reconstruction, error, 1, [int(brain.sum()), int(flagged.sum())])
    mask = remove_small_parts(refined.mask, method.smallest / float(np.prod(search.prepared.spacing)))
    revealed[mask] = refined.passes + 1
    trace |= {"mask_voxels": refined.trace, "passes": refined.passes, "settled": refined.settled}
    return Detection(
        mask=mask,
        error=refined.error,
        reconstruction=refined.reconstruction,
        scores={"mask_size": float(mask.sum() / brain.sum()), "mean_error": float(refined.error[brain].mean())},
        profile=search.profile,
        threshold=threshold,
        trace=trace,
        revealed=revealed,
    )
