"""IterMask3D exactly as published, slow and simple: the yardstick for the speed and the result of the default path.

The whole box without a crop (192³ voxels of 1 mm), float32 in plain PyTorch, the guidance by a full complex Fourier
transform, and a threshold curve of 100 even steps, each with a network pass of its own. It shares no code with
`refinement`, `detection` and `guidance`, so that each checks the other. Source: `itermask3d.md`; Liang et al. 2026.

Known defects of the authors' code are not repeated: no step 1 where the slope never exceeds gamma, no thresholds of
another scan of the batch, no 100 masks kept in memory.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import curve_fit

from itermask.core.guidance import CUTOFF_3D
from itermask.prepare.grid import Grid

if TYPE_CHECKING:
    from torch import nn

Reconstruct = Callable[[np.ndarray, np.ndarray], np.ndarray]

PUBLISHED_GRID = Grid(spacing=(1.0, 1.0, 1.0), box=(192, 192, 192), divisor=16)


@dataclass(frozen=True)
class ReferenceDetection:
    """What the published procedure finds.

    Attributes:
        mask: boolean, the final mask M.
        error: float32, the last pass's error map E, 0 outside the brain.
        reconstruction: float32, the last pass's x̂.
        threshold: the stop threshold τ.
        curve: float64, T_1 … T_steps.
        step: 0-based index of the chosen point of the curve.
        passes: network passes of both phases.
    """

    mask: np.ndarray
    error: np.ndarray
    reconstruction: np.ndarray
    threshold: float
    curve: np.ndarray
    step: int
    passes: int


def reference_guidance(image: np.ndarray, spacing: tuple[float, ...], cutoff: float = CUTOFF_3D) -> np.ndarray:
    """Return the guidance h: amplitude 1 below `cutoff` (cycles/mm), amplitude and phase kept above; real, float32.

    Source: "High-frequency guidance h".

    Example:
        >>> image = np.random.default_rng(0).random((8, 8, 8))
        >>> reference_guidance(image, (2.0, 2.0, 2.0)).dtype
        dtype('float32')
    """
    spectrum = np.fft.fftn(image)
    axes = [np.fft.fftfreq(size, step) for size, step in zip(image.shape, spacing, strict=True)]
    radius = np.sqrt(sum(axis**2 for axis in np.meshgrid(*axes, indexing="ij")))
    inside = radius < cutoff * (1 - 1e-9)  # a bin on the sphere is not, whatever its square root was rounded to
    amplitude = np.where(inside, 1.0, np.abs(spectrum))
    return np.fft.ifftn(amplitude * np.exp(1j * np.angle(spectrum))).real.astype(np.float32)


def reference_reconstruct(
    network: "nn.Module",
    guidance: np.ndarray,
    rng: np.random.Generator,
    mask_channel: bool = False,
    device: str = "cpu",
) -> Reconstruct:
    """Return `(x, M) → x̂` on the whole box: fresh noise in M, then the network in float32.

    Args:
        network: in evaluation mode, on `device`; (1, channels, X, Y, Z) → (1, 1, X, Y, Z).
        guidance: h of the box.
        rng: of the noise.
        mask_channel: give M as a third channel, for networks that were trained with it; the published one has two.
        device: of PyTorch.

    Example:
        >>> import torch
        >>> network = torch.nn.Conv3d(2, 1, 1)
        >>> image = np.zeros((4, 4, 4), np.float32)
        >>> reconstruct = reference_reconstruct(network, image, np.random.default_rng(0))
        >>> reconstruct(image, np.ones(image.shape, bool)).shape
        (4, 4, 4)
    """
    import torch

    def reconstruct(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
        noise = rng.standard_normal(image.shape, dtype=np.float32)
        channels = [np.where(mask, noise, image), guidance, *([mask] if mask_channel else [])]
        with torch.no_grad():
            inputs = torch.from_numpy(np.stack(channels).astype(np.float32))[None].to(device)
            return network(inputs)[0, 0].cpu().numpy()

    return reconstruct


def reference_curve(image: np.ndarray, brain: np.ndarray, reconstruct: Reconstruct, steps: int = 100) -> np.ndarray:
    """Run phase 1: return T_i, the error that a share 1 − i/steps of the brain's voxels exceed; one pass a step.

    Example:
        >>> image = np.arange(10.0)
        >>> reference_curve(image, np.ones(10, bool), lambda image, hidden: np.zeros(10), steps=5).shape
        (5,)
    """
    mask, curve = brain, np.empty(steps)
    for i in range(1, steps + 1):
        error = np.where(brain, (image - reconstruct(image, mask)) ** 2, 0)
        ordered = np.sort(error[brain])
        curve[i - 1] = ordered[-(-ordered.size * i // steps) - 1]
        mask = error > curve[i - 1]
    return curve


def reference_step(curve: np.ndarray, gamma: float = 0.01, fit_limit: float = 10.0) -> int:
    """Return the first point (0-based) at which the slope exceeds gamma, the last if none does.

    The slope is the derivative of a·tan(b·i), fitted to the points before the first above `fit_limit`; where R² over
    the first 80 % is below 0.85, the first differences' centred moving average of 5. Both are per percent.

    Example:
        >>> reference_step(np.concatenate([np.zeros(90), np.linspace(0.0, 5.0, 10)]))
        89
    """
    i = 100 * np.arange(1, curve.size + 1) / curve.size
    used = int(np.argmax(curve > fit_limit)) if (curve > fit_limit).any() else curve.size
    early = i <= 80
    try:
        (a, b), _ = curve_fit(lambda x, a, b: a * np.tan(b * x), i[:used], curve[:used], p0=(1, 0.01), maxfev=20_000)
        rest, spread = (np.sum(one[early] ** 2) for one in (curve - a * np.tan(b * i), curve - curve[early].mean()))
        r_squared = 1 - rest / spread if spread else -np.inf
    except (RuntimeError, TypeError, ValueError):  # no convergence, fewer points than parameters, or none at all
        r_squared = -np.inf
    if r_squared >= 0.85:
        slope = a * b / np.cos(b * i) ** 2
    else:
        differences = np.diff(curve, prepend=2 * curve[0] - curve[1]) * curve.size / 100
        slope = np.array([differences[max(0, n - 2) : n + 3].mean() for n in range(curve.size)])
    above = np.flatnonzero(slope > gamma)
    return int(above[0]) if above.size else curve.size - 1


def reference_refine(
    image: np.ndarray, brain: np.ndarray, reconstruct: Reconstruct, threshold: float, min_shrink: float = 0.01
) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Run phase 2, from the whole brain: return mask, error map and reconstruction of the last pass, and its number.

    Example:
        >>> image = np.array([[0.0, 0.0, 3.0]])
        >>> def reconstruct(image, hidden):
        ...     return np.zeros_like(image)
        ...
        >>> mask, *_, passes = reference_refine(image, np.ones((1, 3), bool), reconstruct, threshold=1.0)
        >>> mask.tolist(), passes
        ([[False, False, True]], 2)
    """
    mask, passes = brain, 0
    while True:
        reconstruction = reconstruct(image, mask)
        error = np.where(brain, (image - reconstruction) ** 2, 0).astype(np.float32)
        before, mask, passes = mask.sum(), error > threshold, passes + 1
        if not mask.any() or (before - mask.sum()) / before < min_shrink:
            return mask, error, reconstruction, passes


def reference_detection(
    image: np.ndarray,
    brain: np.ndarray,
    reconstruct: Reconstruct,
    gamma: float = 0.01,
    *,
    steps: int = 100,
    fit_limit: float = 10.0,
    min_shrink: float = 0.01,
    threshold_limit: float = np.inf,
) -> ReferenceDetection:
    """Run both phases on one scan.

    Args:
        image: scaled intensities of the whole box, 3D.
        brain: boolean brain mask, not empty.
        reconstruct: `(x, M) → x̂`, see `reference_reconstruct`.
        gamma: slope at which the curve leaves the normal tissue.
        steps: points of the curve.
        fit_limit: error above which points are left out of the fit.
        min_shrink: phase 2 ends when a pass reveals a smaller share of M than this.
        threshold_limit: highest τ, as a multiple of the curve at 80 %; none in the paper, but our models are calibrated
            with one.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> image = rng.normal(size=(10, 10, 10))
        >>> def reconstruct(image, hidden):
        ...     return np.zeros_like(image)
        ...
        >>> found = reference_detection(image, np.ones(image.shape, bool), reconstruct, steps=20)
        >>> found.mask.shape
        (10, 10, 10)
    """
    curve = reference_curve(image, brain, reconstruct, steps)
    step = reference_step(curve, gamma, fit_limit)
    bulk = float(np.interp(80, 100 * np.arange(1, steps + 1) / steps, curve))
    threshold = min(float(curve[step]), threshold_limit * bulk)
    mask, error, reconstruction, passes = reference_refine(image, brain, reconstruct, threshold, min_shrink)
    return ReferenceDetection(mask, error, reconstruction, threshold, curve, step, steps + passes)
