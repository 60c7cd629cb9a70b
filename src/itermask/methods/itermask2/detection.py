"""How IterMask2 processes one scan: first pass, stop threshold, refinement of every slice, scores."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from itermask.core.error_maps import check_image
from itermask.core.guidance import high_frequency
from itermask.core.masks import network_input
from itermask.core.profile import error_profile, profile_features
from itermask.core.slice_refinement import (
    MAX_PASSES,
    Reconstruct,
    SliceRefinement,
    first_iteration,
    refine_slices,
    slice_errors,
    threshold_first_pass,
)
from itermask.core.threshold_curve import focused_percents, resample_curve, threshold_curve
from itermask.methods.calibration import OperatingPoint
from itermask.methods.slices import BATCH, full_slices, into_volume, to_stack
from itermask.types import Detection, Prepared, Progress

if TYPE_CHECKING:
    from itermask.methods.itermask2.method import IterMask2
    from itermask.runtime.base import Runtime

CURVE_PASSES = 1000  # passes of the threshold curve are numbered from here on, those of the refinement from 1
VISIBLE_PASS = 999  # the pass in which nothing is hidden


@dataclass(frozen=True)
class Search:
    """What IterMask2 knows of a scan before the operating point is chosen.

    Attributes:
        prepared: the scan.
        held: indices of the slices with brain along its third axis.
        images: these slices (slices, X, Y).
        brains: boolean, same shape.
        reconstruct: hides and reconstructs pixels of them, see `itermask.core.slice_refinement`.
        first: what the first pass expects, same shape.
        curve: the threshold curve of all slices together, at even percents; empty where nothing needs it.
        curve_passes: network passes that it took.
        profile: features for the healthy-profile distance.
    """

    prepared: Prepared
    held: np.ndarray
    images: np.ndarray
    brains: np.ndarray
    reconstruct: Reconstruct
    first: np.ndarray
    curve: np.ndarray
    curve_passes: int
    profile: dict[str, float]


def batched(runtime: "Runtime", role: str, inputs: list[np.ndarray]) -> np.ndarray:
    """Run a network over slices: a list of (channels, X, Y) → (slices, X, Y).

    Example:
        >>> from types import SimpleNamespace
        >>> double = SimpleNamespace(batch=lambda role, stack: 2 * stack)
        >>> batched(double, "reconstruction", [np.ones((1, 4, 4)), np.zeros((1, 4, 4))])[:, 0, 0].tolist()
        [2.0, 0.0]
    """
    stacks = (np.stack(inputs[at : at + BATCH]) for at in range(0, len(inputs), BATCH))
    return np.concatenate([runtime.batch(role, stack)[:, 0] for stack in stacks])


def reconstructor(
    method: "IterMask2", runtime: "Runtime", images: np.ndarray, fine: np.ndarray, seed: int
) -> Reconstruct:
    """Return the masked autoencoder on a scan's slices: noise in the masks, then the network.

    The noise follows from the seed and the number of the pass; all slices get the same, so that what comes of one does
    not depend on the others.
    """

    def reconstruct(which: np.ndarray, masks: np.ndarray, number: int) -> np.ndarray:
        noise = np.random.default_rng([seed, number]).standard_normal(images.shape[1:], dtype=np.float32)
        inputs = []
        for index, mask in zip(which, masks, strict=True):
            channels = [fine[index], mask.astype(np.float32)] if method.mask_channel else [fine[index]]
            inputs.append(network_input(images[index], mask, noise, channels))
        return batched(runtime, "reconstruction", inputs)

    return reconstruct


def explore(
    method: "IterMask2", prepared: Prepared, runtime: "Runtime", rng: np.random.Generator, progress: Progress | None
) -> Search:
    """Return the first pass over every slice, the threshold curve where the scan sets its own, and the profile.

    Raises:
        ValueError: an empty brain, NaN, or a constant image.
    """
    brain = check_image(prepared.image, prepared.brain)
    held = full_slices(brain, 0.0)
    images, brains = to_stack(prepared.image, held), to_stack(brain, held)
    fine = np.zeros_like(images)
    if method.guidance:
        fine = np.stack([high_frequency(image, prepared.spacing[:2], method.cutoff) for image in images])
    reconstruct = reconstructor(method, runtime, images, fine, int(rng.integers(2**63)))
    every = np.arange(len(held))
    if method.first == "network":
        first = batched(runtime, "first", list(fine[:, None]))
    else:
        first = reconstruct(every, brains, 0)
    hidden_error = slice_errors(images, first, brains)[brains]
    curve, passes = np.empty(0), 0
    if method.rule.reads_curve:
        curve, passes = _curve(method, images, brains, reconstruct, first, progress)
        visible = reconstruct(every, np.zeros_like(brains), VISIBLE_PASS)
        profile = profile_features(curve, hidden_error, slice_errors(images, visible, brains)[brains])
    else:
        profile = error_profile(hidden_error)
    return Search(prepared, held, images, brains, reconstruct, first, curve, passes, profile)


def _curve(
    method: "IterMask2",
    images: np.ndarray,
    brains: np.ndarray,
    reconstruct: Reconstruct,
    first: np.ndarray,
    progress: Progress | None,
) -> tuple[np.ndarray, int]:
    """Return IterMask3D's threshold curve of all slices together, read off at even percents; and the passes it took."""
    percents = focused_percents() if method.focused else 100 * np.arange(1, method.steps + 1) / method.steps
    numbers = itertools.count()

    def reconstructed(_images: np.ndarray, masks: np.ndarray) -> np.ndarray:
        number = next(numbers)
        return first if number == 0 else reconstruct(np.arange(len(images)), masks, CURVE_PASSES + number)

    def on_step(step: int, _threshold: float, _mask: np.ndarray, _error: np.ndarray) -> None:
        if progress is not None:
            progress("threshold", (step + 1) / percents.size)

    thresholds = threshold_curve(images, brains, reconstructed, percents=percents, on_step=on_step)
    return resample_curve(percents, thresholds, method.steps) if method.focused else thresholds, percents.size


def finalize(method: "IterMask2", search: Search, point: OperatingPoint, progress: Progress | None) -> Detection:
    """Find the stop threshold, refine every slice, and compute the scores.

    Scores: `mask_size` (share of the brain in the slices that were processed) and `mean_error` (of the final error map
    over it).
    """
    threshold, trace = method.rule.threshold(search, point)
    revealed = search.brains.astype(np.uint8)
    refined = refine(method, search, threshold, progress, revealed)
    revealed[refined.masks] = len(refined.trace)
    volume, held = search.prepared.image, search.held
    trace |= {
        "slices": len(held),
        "mask_voxels": refined.trace,
        "passes": int(refined.passes.max()),
        "settled": bool(refined.settled.all()),
    }
    size = int(search.brains.sum())
    return Detection(
        mask=into_volume(refined.masks, held, np.zeros(volume.shape, bool)),
        error=into_volume(refined.errors, held, np.zeros(volume.shape, np.float32)),
        reconstruction=into_volume(refined.reconstructions.astype(np.float32), held, volume),
        scores={
            "mask_size": float(refined.masks.sum() / size),
            "mean_error": float(refined.errors[search.brains].mean()),
        },
        profile=search.profile,
        threshold=threshold,
        trace=trace,
        revealed=into_volume(revealed, held, np.zeros(volume.shape, np.uint8)),
    )


def refine(
    method: "IterMask2",
    search: Search,
    threshold: float,
    progress: Progress | None,
    revealed: np.ndarray | None = None,
) -> SliceRefinement:
    """Return the slices' masks, by refinement or by the first pass alone.

    Args:
        method: its settings.
        search: of the scan.
        threshold: the stop threshold.
        progress: called now and then.
        revealed: uint8 (slices, X, Y); where a pass hides a pixel, its number is written, the first pass's being 1.
    """

    def reconstructed(which: np.ndarray, masks: np.ndarray, number: int) -> np.ndarray:
        if revealed is not None:
            revealed[which] = np.where(masks, np.uint8(number + 1), revealed[which])
        return search.reconstruct(which, masks, number)

    if not method.iterate:
        return threshold_first_pass(search.images, search.brains, search.first, threshold)
    return refine_slices(
        search.images,
        search.brains,
        reconstructed,
        threshold,
        first_iteration(search.images, search.brains, search.first, method.start_share),
        min_shrink=method.min_shrink,
        copy_visible=method.copy_visible,
        on_pass=_passes(progress),
    )


def error_level(search: Search) -> float:
    """Return the scan's own error level: the median, over the brain of all slices, of the first pass's errors.

    With everything hidden, an ordinary pixel's error grows with the contrast and the noise of the scan. Most of a brain
    is ordinary, so a lesion hardly moves the median.
    """
    return float(np.median(slice_errors(search.images, search.first, search.brains)[search.brains]))


def _passes(progress: Progress | None) -> Callable[[int, int], None] | None:
    """Return what reports how far the refinement is."""
    return None if progress is None else lambda passes, _pixels: progress("refinement", passes / MAX_PASSES)
