"""A small brain made of tissue groups, for the generator's tests."""

import numpy as np

from itermask.synth.tissues import GROUPS

LEVELS = {"outer fluid": 0.1, "ventricles": 0.12, "cortex": 0.5, "white matter": 0.9}


def tiny_head(shape: tuple[int, int, int] = (32, 40, 32), seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """T1-weighted image, boolean brain mask and tissue groups: shells of three tissues around a ventricle."""
    axes = np.meshgrid(*[np.linspace(-1, 1, size) for size in shape], indexing="ij")
    radius = np.sqrt(sum(axis**2 for axis in axes)) / 0.85
    groups = np.zeros(shape, np.uint8)
    for name, outer in (("outer fluid", 1.0), ("cortex", 0.9), ("white matter", 0.7), ("ventricles", 0.2)):
        groups[radius < outer] = GROUPS.index(name)
    level = np.zeros(len(GROUPS))
    for name, value in LEVELS.items():
        level[GROUPS.index(name)] = value
    noise = 0.02 * np.random.default_rng(seed).standard_normal(shape)
    image = np.where(groups > 0, level[groups] + noise, 0).astype(np.float32)
    return image, groups > 0, groups
