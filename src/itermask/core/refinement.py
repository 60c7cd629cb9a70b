"""The test-time procedure of IterMask3D, readable on one screen each function.

Everything here is arithmetic on arrays and a callable `reconstruct(image, mask)`, which hides the voxels of
`mask` (noise fill), asks a model, and returns what the model expects everywhere. Nothing here knows of
networks or files. Source: `itermask3d.md`, "Test-time refinement"; Liang et al. 2026.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from itermask.core.error_maps import Reconstruct, check_image, error_map

MAX_PASSES = 100  # a refinement that has not settled by then is stopped


@dataclass(frozen=True)
class Refinement:
    """The end of a refinement.

    Attributes:
        mask: boolean, the final mask M.
        reconstruction: the last pass's reconstruction x̂.
        error: the last pass's error map E, 0 outside the brain.
        passes: number of network passes.
        trace: voxels in M before the first pass and after each pass.
        settled: False if it was stopped after `MAX_PASSES`.
    """

    mask: np.ndarray
    reconstruction: np.ndarray
    error: np.ndarray
    passes: int
    trace: list[int] = field(default_factory=list)
    settled: bool = True


def refine(
    image: np.ndarray,
    brain: np.ndarray,
    reconstruct: Reconstruct,
    threshold: float,
    start: np.ndarray | None = None,
    min_shrink: float = 0.01,
    *,
    on_pass: Callable[[int, int], None] | None = None,
    measure: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray] = error_map,
) -> Refinement:
    """Run phase 2: shrink the mask with one threshold until it settles.

    Repeat: one pass with M; M' = {E > τ}; r = (|M| − |M'|)/|M|; M ← M'. Stops when r < `min_shrink`: a mask
    that grows stops too, and so does an empty one.

    Args:
        image: scaled intensities, 2D or 3D.
        brain: brain mask, shape of `image`.
        reconstruct: `(image, mask) → reconstruction`; does the noise fill.
        threshold: the stop threshold τ.
        start: mask to start from; the whole brain if None. Only its part inside the brain counts.
        min_shrink: smallest share of the mask that a pass must reveal for another pass.
        on_pass: called after each pass with (passes so far, voxels in the mask).
        measure: `(image, reconstruction, brain) → error`; the plain squared error by default.

    Returns:
        the final mask with the last pass's reconstruction and error map.

    Raises:
        ValueError: see `check_image`; a threshold that is NaN; a start mask of another shape.

    Example:
        >>> image = np.array([[0.0, 0.0, 3.0]])
        >>> found = refine(image, np.ones((1, 3), bool), lambda image, hidden: np.zeros_like(image), threshold=1.0)
        >>> found.mask.tolist(), found.passes, found.trace
        ([[False, False, True]], 2, [3, 1, 1])
    """
    brain = check_image(image, brain)
    if np.isnan(threshold):
        raise ValueError("the stop threshold is NaN")
    if start is not None and start.shape != brain.shape:
        raise ValueError(f"the start mask {start.shape} does not have the brain's shape {brain.shape}")
    mask = brain if start is None else (np.asarray(start) > 0) & brain
    trace = [int(mask.sum())]
    while True:
        reconstruction = reconstruct(image, mask)
        error = measure(image, reconstruction, brain)
        mask = (error > threshold) & brain
        trace.append(int(mask.sum()))
        passes = len(trace) - 1
        if on_pass is not None:
            on_pass(passes, trace[-1])
        settled = trace[-1] == 0 or trace[-2] - trace[-1] < min_shrink * trace[-2]
        if settled or passes == MAX_PASSES:
            return Refinement(mask, reconstruction, error, passes, trace, settled)


def record_passes(reconstruct: Reconstruct, revealed: np.ndarray) -> Reconstruct:
    """Return `reconstruct`, which also writes into `revealed` by which pass each voxel was hidden last, counted from 1.

    So every voxel ends with the number of the pass that revealed it for good.

    Example:
        >>> revealed = np.zeros(3, dtype=int)
        >>> reconstruct = record_passes(lambda image, hidden: image, revealed)
        >>> image = np.zeros(3)
        >>> for hidden in ([True, True, True], [True, False, False]):
        ...     _ = reconstruct(image, np.array(hidden))
        ...
        >>> revealed.tolist()
        [2, 1, 1]
    """
    passes = 0

    def watch(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
        nonlocal passes
        passes += 1
        revealed[mask] = passes
        return reconstruct(image, mask)

    return watch
