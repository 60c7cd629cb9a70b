"""Blobs: smooth-edged regions of another brightness, which training may put into normal slices.

A model that must give back the slice without them learns not to believe the edges that a lesion leaves in the guidance.
The blobs are drawn at random; no real lesion has a part in them.
"""

import numpy as np
from scipy import ndimage

from itermask.core.masks import MaskMix, training_mask

SHAPES = MaskMix(ellipsoid=0.7, field=0.3, full=0.0)
EDGE = (0.3, 3.0)  # voxels: standard deviation of a blob's edge
CONTRAST = (0.15, 1.5)  # of the scaled intensities: how far a blob's level lies from what was there
TEXTURE = 0.25  # of the contrast: the standard deviation of a blob's texture
GRAIN = (0.5, 6.0)  # voxels: smoothness of the texture
BRIGHT = 0.7  # share of blobs that are brighter than what was there


def add_blob(image: np.ndarray, brain: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Put one blob into a normal slice or volume.

    Its shape is that of a training mask (ellipsoid or thresholded random field), its edge Gaussian, its level that of
    the tissue plus a contrast of either sign, with a smooth texture. What lies below it shows through in part.

    Args:
        image: scaled intensities, 2D or 3D.
        brain: boolean brain mask of that shape, not empty.
        rng: random generator; the only source of randomness.

    Returns:
        float32 image with the blob; the same as `image` outside the brain.

    Example:
        >>> brain = np.ones((16, 16), bool)
        >>> image = np.random.default_rng(0).random((16, 16)).astype(np.float32)
        >>> add_blob(image, brain, np.random.default_rng(0)).shape
        (16, 16)
    """
    shape = training_mask(brain, rng, SHAPES).astype(np.float32)
    weight = ndimage.gaussian_filter(shape, rng.uniform(*EDGE), truncate=3) * brain
    texture = ndimage.gaussian_filter(rng.standard_normal(image.shape, dtype=np.float32), rng.uniform(*GRAIN))
    texture /= max(float(texture[brain].std()), 1e-6)
    sign = 1 if rng.random() < BRIGHT else -1
    contrast = np.exp(rng.uniform(*np.log(CONTRAST)))
    flat = rng.uniform(0.0, 0.8)  # how much of the tissue's own structure is lost
    middle = float((image * weight).sum() / max(float(weight.sum()), 1e-6))
    level = image + flat * (middle - image) + contrast * (sign + TEXTURE * texture)
    return (image + weight * (level - image)).astype(np.float32)
