"""The test-time procedure of IterMask2: a stack of slices at once, each of which settles on its own.

As in `itermask.core.refinement` everything is arithmetic on arrays and a callable. Here that is
`reconstruct(which, masks, number)`: it hides the pixels of `masks` in the slices `which` (noise fill; fresh for each
`number`, which counts the passes), asks a model, and returns what it expects in those slices. A slice's result depends
on nothing but that slice and its threshold. Source: `itermask2.md`, "Test-time refinement (one slice)".
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

Reconstruct = Callable[[np.ndarray, np.ndarray, int], np.ndarray]

START_SHARE = 0.6  # of a slice's brain that is hidden after the first iteration
MIN_SHRINK = 0.01  # refinement stops when a pass reveals a smaller share of the mask
MAX_PASSES = 100  # a slice that has not settled by then is stopped
STARTS = (0.9, 0.8, 0.7, 0.6, 0.5, 0.4)  # start shares of the best-threshold bound
RISE, HIGHEST = 0.001, 0.3  # its thresholds


@dataclass(frozen=True)
class SliceRefinement:
    """The end of a refinement.

    Attributes:
        masks: boolean (slices, X, Y).
        reconstructions: (slices, X, Y) of the passes that gave the masks.
        errors: (slices, X, Y) of the same passes; 0 outside the brain. Where visible pixels are copied, a pixel has
            the error of the last pass that hid it, so that what was revealed keeps its rank.
        passes: number of passes of each slice.
        trace: pixels in all masks at the start, and after each pass.
        settled: for each slice, False if it was stopped after `MAX_PASSES`.
    """

    masks: np.ndarray
    reconstructions: np.ndarray
    errors: np.ndarray
    passes: np.ndarray
    trace: list[int]
    settled: np.ndarray


def slice_errors(images: np.ndarray, reconstructions: np.ndarray, brains: np.ndarray) -> np.ndarray:
    """Return E = (x − x̂)²·B of every slice, float32.

    Raises:
        ValueError: the shapes differ, or a reconstruction is not finite in the brain.

    Example:
        >>> slice_errors(np.array([[[1.0, 3.0]]]), np.zeros((1, 1, 2)), np.array([[[True, False]]])).tolist()
        [[[1.0, 0.0]]]
    """
    shapes = (images.shape, reconstructions.shape, brains.shape)
    if len(set(shapes)) > 1:
        raise ValueError(f"images, reconstructions and brains differ in shape: {shapes}")
    errors = np.where(brains, (images - reconstructions) ** 2, 0).astype(np.float32)
    if not np.isfinite(errors).all():
        raise ValueError("the reconstruction holds NaN or infinite voxels")
    return errors


def largest_errors(errors: np.ndarray, brains: np.ndarray, share: float = START_SHARE) -> np.ndarray:
    """Return the pixels of each slice's brain with the largest errors.

    Args:
        errors: (slices, X, Y).
        brains: boolean, same shape.
        share: of each slice's brain, 0 to 1; its pixels are rounded up, and equal errors taken in the array's order.

    Returns:
        boolean masks of that shape.

    Raises:
        ValueError: a share outside 0 to 1.

    Example:
        >>> largest_errors(np.array([[[0.1, 0.9, 0.5]]]), np.ones((1, 1, 3), bool), share=0.6).tolist()
        [[[False, True, True]]]
    """
    if not 0 <= share <= 1:
        raise ValueError(f"the share to hide is from 0 to 1, not {share}")
    masks = np.zeros(brains.shape, dtype=bool)
    for error, brain, mask in zip(errors, brains, masks, strict=True):
        count = int(np.ceil(round(share * int(brain.sum()), 6)))
        inside = np.flatnonzero(brain)
        mask.flat[inside[np.argsort(-error.flat[inside], kind="stable")[:count]]] = True
    return masks


def refine_slices(
    images: np.ndarray,
    brains: np.ndarray,
    reconstruct: Reconstruct,
    thresholds: float | np.ndarray,
    start: SliceRefinement,
    *,
    min_shrink: float = MIN_SHRINK,
    copy_visible: bool = True,
    on_pass: Callable[[int, int], None] | None = None,
) -> SliceRefinement:
    """Shrink each slice's mask with its threshold until it settles.

    Repeat for every slice that has not settled: one pass with M; M' = {E > τ}; r = (|M| − |M'|)/|M|; where r is under
    `min_shrink` the slice has settled and keeps M and the reconstruction that gave M, those of before this last shrink;
    else M ← M'. An empty mask has settled.

    Args:
        images: scaled intensities (slices, X, Y).
        brains: boolean, same shape.
        reconstruct: see the module.
        thresholds: the stop threshold τ of all slices, or of each.
        start: where to begin, see `first_iteration`.
        min_shrink: smallest share of the mask that a pass must reveal for another pass.
        copy_visible: take visible pixels for what they are, so that a mask can only shrink.
        on_pass: called after each pass with (passes so far, pixels in all masks).

    Returns:
        the refined masks, with their reconstructions and errors.

    Raises:
        ValueError: a threshold that is NaN.

    Example:
        >>> image, brain = np.array([[[0.0, 0.0, 3.0]]]), np.ones((1, 1, 3), bool)
        >>> def reconstruct(which, masks, number):
        ...     return np.zeros_like(image[which])
        ...
        >>> start = first_iteration(image, brain, np.zeros((1, 1, 3)), share=1.0)
        >>> found = refine_slices(image, brain, reconstruct, 1.0, start)
        >>> found.masks.tolist(), found.passes.tolist()
        ([[[False, False, True]]], [3])
    """
    limits = np.broadcast_to(np.asarray(thresholds, dtype=float), len(images))
    if np.isnan(limits).any():
        raise ValueError("the stop threshold is NaN")
    masks, reconstructions, errors = start.masks.copy(), start.reconstructions.copy(), start.errors.copy()
    passes, settled = start.passes.copy(), np.asarray(~masks.any(axis=(1, 2)))
    trace = [*start.trace]
    for number in range(1, MAX_PASSES + 1):
        active = np.flatnonzero(~settled)
        if not active.size:
            break
        expected = _reconstruct(images, reconstruct, active, masks[active], number, copy_visible)
        error = slice_errors(images[active], expected, brains[active])
        smaller = (error > limits[active, None, None]) & brains[active]
        if copy_visible:
            error = np.where(masks[active], error, errors[active])
        before, after = masks[active].sum(axis=(1, 2)), smaller.sum(axis=(1, 2))
        goes_on = before - after >= np.maximum(1, min_shrink * before)
        moved = active[goes_on]
        masks[moved], reconstructions[moved], errors[moved] = smaller[goes_on], expected[goes_on], error[goes_on]
        passes[active] += 1
        settled[active[~goes_on | (after == 0)]] = True
        trace.append(int(masks.sum()))
        if on_pass is not None:
            on_pass(number, trace[-1])
    return SliceRefinement(masks, reconstructions, errors, passes, trace, settled)


def _reconstruct(
    images: np.ndarray, reconstruct: Reconstruct, which: np.ndarray, masks: np.ndarray, number: int, copy_visible: bool
) -> np.ndarray:
    """Return one pass over some slices; what is visible is copied from the image."""
    expected = reconstruct(which, masks, number)
    return np.where(masks, expected, images[which]) if copy_visible else expected


def first_iteration(
    images: np.ndarray, brains: np.ndarray, reconstructions: np.ndarray, share: float = START_SHARE
) -> SliceRefinement:
    """Return what refinement begins with: the largest errors of a pass in which nothing of the brain was visible.

    Args:
        images: scaled intensities (slices, X, Y).
        brains: boolean, same shape.
        reconstructions: of that pass.
        share: of each slice's brain that is hidden next.

    Example:
        >>> image, brain = np.array([[[0.0, 0.0, 3.0]]]), np.ones((1, 1, 3), bool)
        >>> start = first_iteration(image, brain, np.zeros((1, 1, 3)), share=0.3)
        >>> start.masks.tolist(), start.trace
        ([[[False, False, True]]], [3, 1])
    """
    errors = slice_errors(images, reconstructions, brains)
    masks = largest_errors(errors, brains, share)
    count = len(images)
    trace = [int(brains.sum()), int(masks.sum())]
    return SliceRefinement(masks, reconstructions, errors, np.ones(count, int), trace, np.zeros(count, bool))


def threshold_first_pass(
    images: np.ndarray, brains: np.ndarray, reconstructions: np.ndarray, threshold: float
) -> SliceRefinement:
    """Return without refinement what exceeds the threshold in a pass in which nothing of the brain was visible.

    Args:
        images: scaled intensities (slices, X, Y).
        brains: boolean, same shape.
        reconstructions: of that pass.
        threshold: on the squared error.

    Raises:
        ValueError: a threshold that is NaN.

    Example:
        >>> image, brain = np.array([[[0.0, 0.0, 3.0]]]), np.ones((1, 1, 3), bool)
        >>> threshold_first_pass(image, brain, np.zeros((1, 1, 3)), threshold=1.0).masks.tolist()
        [[[False, False, True]]]
    """
    if np.isnan(threshold):
        raise ValueError("the stop threshold is NaN")
    errors = slice_errors(images, reconstructions, brains)
    masks = (errors > threshold) & brains
    count = len(images)
    trace = [int(brains.sum()), int(masks.sum())]
    return SliceRefinement(masks, reconstructions, errors, np.ones(count, int), trace, np.ones(count, bool))


def hidden_errors(
    images: np.ndarray, brains: np.ndarray, reconstruct: Reconstruct, masks: np.ndarray, number: int = 0
) -> np.ndarray:
    """Return errors (1D) of the pixels that `masks` hide, from one pass.

    Example:
        >>> image, brain = np.array([[[1.0, 3.0]]]), np.ones((1, 1, 2), bool)
        >>> def reconstruct(which, masks, number):
        ...     return np.zeros_like(image[which])
        ...
        >>> hidden_errors(image, brain, reconstruct, np.array([[[False, True]]])).tolist()
        [9.0]
    """
    expected = reconstruct(np.arange(len(images)), masks, number)
    return slice_errors(images, expected, brains)[masks]


def best_thresholds(
    images: np.ndarray,
    brains: np.ndarray,
    labels: np.ndarray,
    reconstruct: Reconstruct,
    first: np.ndarray,
    *,
    starts: Sequence[float] = STARTS,
    rise: float = RISE,
    highest: float = HIGHEST,
) -> np.ndarray:
    """Return each slice's best Dice over start shares and thresholds: an upper bound, as it sees the labels.

    From each start share a slice is refined, first with the threshold `rise`; whenever its mask has settled the
    threshold rises by `rise`, up to `highest`.

    Args:
        images: scaled intensities (slices, X, Y).
        brains: boolean, same shape.
        labels: boolean, same shape; the true anomaly.
        reconstruct: see the module.
        first: reconstructions of the first iteration, same shape.
        starts: shares of the brain that are hidden after it.
        rise: step of the threshold, in squared scaled intensities.
        highest: last threshold.

    Returns:
        Dice (slices,), 0 to 1; 1 where there is neither a label nor, at some threshold, a mask.

    Example:
        >>> image, brain = np.array([[[0.0, 0.0, 0.0, 0.5]]]), np.ones((1, 1, 4), bool)
        >>> def reconstruct(which, masks, number):
        ...     return np.zeros_like(image[which])
        ...
        >>> best_thresholds(image, brain, image > 0, reconstruct, np.zeros_like(image)).tolist()
        [1.0]
    """
    best = np.zeros(len(images))
    levels = rise * np.arange(1, round(highest / rise) + 1)
    for share in starts:
        state = first_iteration(images, brains, first, share)
        for level in levels:
            state = refine_slices(images, brains, reconstruct, level, state)
            best = np.maximum(best, _dice(state.masks, labels))
            if not state.masks.any():
                break
    return best


def _dice(masks: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the Dice of each slice; 1 where both are empty."""
    both = (masks & labels).sum(axis=(1, 2))
    total = masks.sum(axis=(1, 2)) + labels.sum(axis=(1, 2))
    return np.where(total > 0, 2 * both / np.maximum(total, 1), 1.0)
