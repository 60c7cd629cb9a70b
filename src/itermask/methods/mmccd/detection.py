"""How MMCCD processes a scan: strip after strip is hidden, and every pixel is judged only where it was."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from itermask.core.strips import HiddenStrips, mean_where_hidden, strip_schedule
from itermask.methods.cyclic_unet.detection import BACKWARD, FORWARD
from itermask.methods.mmccd.diffusion import sample
from itermask.methods.mmccd.training import condition
from itermask.types import Prepared

if TYPE_CHECKING:
    from itermask.methods.mmccd.method import MMCCD
    from itermask.runtime.base import Runtime

Sample = tuple[int, HiddenStrips]  # slice, and what is hidden of it


def sampling_plan(method: "MMCCD", scored: np.ndarray) -> list[Sample]:
    """Return all that has to be sampled for a scan, slice after slice.

    Args:
        method: its settings.
        scored: boolean (X, Y, Z); slices without any such pixel are left out.

    Example:
        >>> from itermask.methods.mmccd.method import MMCCD
        >>> scored = np.zeros((32, 32, 3), bool)
        >>> scored[8:24, 8:24, 1] = True
        >>> sorted({index for index, _ in sampling_plan(MMCCD(), scored)})
        [1]
    """
    hidden = strip_schedule(scored.shape[:2], method.width, method.strips, method.share)
    return [
        (int(at), hiding)
        for at in np.flatnonzero(scored.any(axis=(0, 1)))
        for hiding in hidden
        if not method.skip or (hiding.mask & scored[..., at]).any()
    ]


def sample_noise(seed: int, sample: Sample, shape: tuple[int, ...]) -> np.ndarray:
    """Return the noise of one sample: the same whatever else is sampled.

    Args:
        seed: of the scan.
        sample: slice and strips.
        shape: (X, Y).

    Returns:
        float32 (2, X, Y): where sampling starts, and what fills the strips.

    Example:
        >>> from itermask.methods.mmccd.method import MMCCD
        >>> sample = sampling_plan(MMCCD(), np.ones((32, 32, 1), bool))[0]
        >>> noise = sample_noise(0, sample, (32, 32))
        >>> noise.shape, bool((noise == sample_noise(0, sample, (32, 32))).all())
        ((2, 32, 32), True)
    """
    at, hiding = sample
    rng = np.random.default_rng([seed, at, hiding.axis, hiding.offsets[0]])
    return rng.standard_normal((2, *shape), dtype=np.float32)


def reconstruct_samples(
    method: "MMCCD", prepared: Prepared, runtime: "Runtime", seed: int, batch: list[Sample]
) -> np.ndarray:
    """Return what comes back of a few slices, each with its strips hidden.

    Args:
        method: its settings.
        prepared: the scan in sequence a.
        runtime: executes the networks.
        seed: of the scan's noise.
        batch: slices and strips that the networks see at once.

    Returns:
        float32 (samples, X, Y), scaled intensities.
    """
    images = np.stack([prepared.image[..., at] for at, _ in batch])
    brains = np.stack([prepared.brain[..., at] for at, _ in batch])
    start, fill = np.stack([sample_noise(seed, sample, images.shape[1:]) for sample in batch], axis=1)
    seen = condition(images, np.stack([hiding.mask for _, hiding in batch]), fill)

    def predict(noisy: np.ndarray, time: int) -> np.ndarray:
        times = np.full(len(batch), time, dtype=np.int64)
        return runtime.batch(FORWARD, np.stack([noisy, seen], axis=1), t=times)[:, 0]

    translated = np.where(brains, sample(predict, start, method.ddim_steps), images)
    return runtime.batch(BACKWARD, translated[:, None])[:, 0]


def error_and_reconstruction(
    method: "MMCCD",
    prepared: Prepared,
    scored: np.ndarray,
    runtime: "Runtime",
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the error map and reconstruction: means over the strips that hid a pixel.

    Args:
        method: its settings.
        prepared: the scan in sequence a.
        scored: boolean (X, Y, Z), where the error counts.
        runtime: executes the networks.
        rng: gives the scan's seed.

    Returns:
        float32 (X, Y, Z) both: the mean squared error, 0 outside `scored`; and the mean of what came back, outside
        the brain and where nothing was hidden the image itself.
    """
    seed = int(rng.integers(2**63))
    wanted = sampling_plan(method, scored)
    indices = sorted({at for at, _ in wanted})
    number = {at: index for index, at in enumerate(indices)}

    def parts() -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        for first in range(0, len(wanted), method.batch):
            batch = wanted[first : first + method.batch]
            for (at, hiding), back in zip(
                batch, reconstruct_samples(method, prepared, runtime, seed, batch), strict=True
            ):
                yield number[at], np.stack([(prepared.image[..., at] - back) ** 2, back]), hiding.mask

    means, times = mean_where_hidden((len(indices), 2, *scored.shape[:2]), parts())
    error, back = np.zeros(scored.shape, dtype=np.float32), prepared.image.astype(np.float32)
    known = np.moveaxis(times > 0, 0, -1) & prepared.brain[..., indices]
    error[..., indices] = np.where(scored[..., indices], np.moveaxis(means[:, 0], 0, -1), 0)
    back[..., indices] = np.where(known, np.moveaxis(means[:, 1], 0, -1), back[..., indices])
    return error, back
