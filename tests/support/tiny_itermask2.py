"""IterMask2 on tiny stacks: a runtime that knows what is normal, a stack with a ball, random networks."""

from dataclasses import replace

import numpy as np
import torch
from tiny_slices import stack_grid, tiny_stack

from itermask.core.guidance import CUTOFF_2D, high_frequency
from itermask.networks import build_network
from itermask.prepare.prepare import prepare
from itermask.runtime.torch_runtime import TorchRuntime
from itermask.types import TrainingVolume

QUICK = {"steps": 20, "window": 25.0, "focused": False}


POINTS = {
    "own": {"gamma": 0.05},
    "level": {"multiple": 50.0},
    "validation": {"threshold": 0.5},
    "fixed": {"threshold": 0.5},
}


class KnowsSlices:
    """A runtime that knows each slice's normal image by its guidance; it repeats what it sees."""

    description = "knows every slice"

    def __init__(self, prepared, normal, cutoff=CUTOFF_2D, spread=0.1):
        self.normal = np.moveaxis(normal, -1, 0)
        slices = np.moveaxis(prepared.image, -1, 0)
        self.fine = np.stack([high_frequency(one, prepared.spacing[:2], cutoff) for one in slices])
        self.spread, self.seen = spread, []

    def batch(self, role, inputs):
        self.seen.append((role, inputs))
        guidance = inputs[:, 0] if role == "first" else inputs[:, 1]
        places = [int(np.abs(self.fine - one).sum((1, 2)).argmin()) for one in guidance]
        normal = self.normal[places]
        if role == "first":
            return normal[:, None] + 0.3
        image, hidden = inputs[:, 0], inputs[:, 2] > 0
        return np.where(hidden, normal + self.spread * image, image + 0.01 * normal)[:, None]  # noise where hidden


def with_ball(contrast=4.0):
    """A prepared stack with a brighter ball, the ball, and the stack without it."""
    normal = prepare(tiny_stack(2), stack_grid())
    axes = np.meshgrid(*[np.arange(n) - at * n for n, at in zip(normal.image.shape, (0.4, 0.55, 0.5), strict=True)],
                       indexing="ij")  # fmt: skip
    ball = (axes[0] ** 2 + axes[1] ** 2 + (2 * axes[2]) ** 2 < 3.5**2) & normal.brain
    return replace(normal, image=np.where(ball, normal.image + contrast, normal.image).astype(np.float32)), ball, normal


def dice(mask, wanted):
    return 2 * (mask & wanted).sum() / (mask.sum() + wanted.sum())


def found(method, prepared, runtime, seed=0, point=None):
    return method.detect(prepared, runtime, np.random.default_rng(seed), point or POINTS[method.stop])


def tiny_runtime(method):
    """Random networks of a method."""
    torch.manual_seed(0)
    arguments = {"widths": [4, 8], "group_size": 4}
    specs = method.network_specs().items()
    return TorchRuntime(
        {role: build_network(name, given | arguments) for role, (name, given) in specs}, "cpu", torch.float32
    )


def volume(seed=0):
    prepared = prepare(tiny_stack(seed), stack_grid())
    return TrainingVolume(prepared.image[None], prepared.brain, prepared.spacing, prepared.plane)
