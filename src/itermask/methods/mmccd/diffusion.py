"""The diffusion process: how much noise there is at which step, and the way back from noise. MONAI's schedulers."""

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from itermask.errors import needed

if TYPE_CHECKING:
    from torch import Tensor

STEPS = 1000  # of the process
BETAS = (1e-4, 0.02)  # noise variance that the first and the last step add; linear between them

Predict = Callable[[np.ndarray, int], np.ndarray]


def sampling_times(count: int) -> list[int]:
    """Return steps of the process at which the network is asked, from the noisiest on.

    Evenly spaced, so that each is exactly the step that the one before it leads to, and the last leads to the clean
    image.

    Args:
        count: how many; a divisor of 1000.

    Raises:
        ValueError: `count` does not divide the process.

    Example:
        >>> sampling_times(4)
        [999, 749, 499, 249]
    """
    if count < 1 or STEPS % count:
        raise ValueError(f"the number of DDIM steps must divide {STEPS}, but is {count}")
    return list(range(STEPS - 1, -1, -(STEPS // count)))


def noised(clean: "Tensor", noise: "Tensor", time: "Tensor") -> "Tensor":
    """Return images at a step of the process.

    Args:
        clean: float32 (batch, channels, X, Y).
        noise: standard normal, same shape.
        time: integers (batch,), 0 (nearly clean) to 999 (nearly noise).

    Returns:
        float32, same shape.

    Raises:
        MissingExtraError: MONAI is not installed.

    Example:
        >>> import torch
        >>> clean, noise = torch.ones(1, 1, 2, 2), torch.zeros(1, 1, 2, 2)
        >>> noised(clean, noise, torch.tensor([0])).shape
        torch.Size([1, 1, 2, 2])
    """
    return _process().add_noise(clean, noise, time)


def sample(predict: Predict, noise: np.ndarray, count: int) -> np.ndarray:
    """Draw clean images by DDIM with η = 0: all chance is in `noise`.

    Args:
        predict: (images at a step, the step) → what they are without noise; float32, shape of `noise`.
        noise: standard normal float32, any shape.
        count: DDIM steps, see `sampling_times`.

    Returns:
        float32, shape of `noise`.

    Raises:
        MissingExtraError: MONAI is not installed.

    Example:
        >>> noise = np.ones((1, 1, 4, 4), np.float32)
        >>> sample(lambda image, time: np.zeros_like(image), noise, count=2).shape
        (1, 1, 4, 4)
    """
    import torch

    times, scheduler = sampling_times(count), _scheduler()
    scheduler.set_timesteps(count)  # how far a step leads; the library's own times do not keep to it
    images = torch.from_numpy(noise)
    for time in times:
        images, _ = scheduler.step(torch.from_numpy(predict(images.numpy(), time)), time, images, eta=0.0)
    return images.numpy()


def _scheduler() -> Any:
    """Return a new scheduler for a network that predicts the clean image."""
    with needed("MONAI", "diffusion"):
        from monai.networks.schedulers import DDIMScheduler
    return DDIMScheduler(
        STEPS,
        schedule="linear_beta",
        beta_start=BETAS[0],
        beta_end=BETAS[1],
        clip_sample=False,
        prediction_type="sample",
    )


@cache
def _process() -> Any:
    """Return the scheduler of training, which moves to the device of its images; sampling never takes it."""
    return _scheduler()
