"""TorchIO's deterministic transforms, on an array."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from itermask.errors import needed


def transform(name: str, image: np.ndarray, spacing: Sequence[float], **arguments: Any) -> np.ndarray:
    """Apply one of TorchIO's transforms.

    No random number is drawn. The affine is diagonal, and places the volume's centre (half its size, as TorchIO
    counts) at the origin: TorchIO 1.2 turns about the origin, whatever centre it was given.

    Args:
        name: class in `torchio.transforms`.
        image: 3D.
        spacing: voxel size in mm along each axis.
        arguments: of the class.

    Returns:
        float32 array of the same shape.

    Raises:
        MissingExtraError: TorchIO is not installed.

    Example:
        >>> image = np.random.default_rng(0).random((8, 8, 8), dtype=np.float32)
        >>> transform("Flip", image, (2.0, 2.0, 2.0), axes=(0,)).shape
        (8, 8, 8)
    """
    with needed("TorchIO", "artifacts"):
        import torch
        import torchio
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = -np.array(spacing) * image.shape / 2
    tensor = torch.from_numpy(np.array(image, dtype=np.float32, order="C")[None])
    subject = torchio.Subject(scan=torchio.ScalarImage(tensor=tensor, affine=affine))
    chosen = getattr(torchio.transforms, name)(**arguments)
    return chosen.apply_transform(subject).scan.numpy()[0]
