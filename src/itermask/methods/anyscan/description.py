"""What the network is told of a whole scan: its contrast, as a short row of numbers."""

import numpy as np
from scipy import ndimage

BINS = np.linspace(-8, 8, 33)  # of scaled intensities
SHELLS = 8  # of the brain, from its border inwards, each of the same volume
FEATURES = 2 * (len(BINS) - 1) + 2 * SHELLS
DEPTH = 5.0  # voxels of the subsampled grid: smoothness of the depth


def describe_contrast(image: np.ndarray, brain: np.ndarray) -> np.ndarray:
    """Describe a scan's contrast.

    The histogram of the scaled intensities, the mean local slope in each of its bins, and mean and spread of the
    intensities in shells from the brain's border inwards. Every second voxel along each axis is taken.

    Args:
        image: scaled intensities (robust scale), 3D.
        brain: boolean brain mask, not empty.

    Returns:
        float32 (FEATURES,), each about −1 to 4.

    Example:
        >>> image = np.random.default_rng(0).normal(1.0, 0.2, (24, 24, 24)).astype(np.float32)
        >>> numbers = describe_contrast(image, np.ones(image.shape, bool))
        >>> numbers.shape == (FEATURES,), numbers.dtype.name
        (True, 'float32')
    """
    slopes = np.zeros(image.shape, np.float32)
    for axis in range(image.ndim):
        difference = np.abs(np.diff(image, axis=axis, append=image.take([-1], axis=axis)))
        both = brain & np.roll(brain, -1, axis)
        slopes += np.where(both, difference, 0)
    step = (slice(None, None, 2),) * image.ndim
    image, brain, slopes = image[step], brain[step], slopes[step]
    if not brain.any():
        return np.zeros(FEATURES, np.float32)
    values = np.clip(image[brain], BINS[0], BINS[-1] - 1e-3)
    bins = np.digitize(values, BINS) - 1
    counts = np.bincount(bins, minlength=len(BINS) - 1)
    mean_slope = np.bincount(bins, slopes[brain], len(BINS) - 1) / np.maximum(counts, 1)
    depth = ndimage.gaussian_filter(brain.astype(np.float32), DEPTH, mode="constant", truncate=2)[brain]
    edges = np.quantile(depth, np.linspace(0, 1, SHELLS + 1)[1:-1])
    shell = np.searchsorted(edges, depth)
    inside = np.maximum(np.bincount(shell, minlength=SHELLS), 1)
    means = np.bincount(shell, values, SHELLS) / inside
    spreads = np.sqrt(np.maximum(np.bincount(shell, values**2, SHELLS) / inside - means**2, 0))
    shares = 10 * counts / counts.sum()
    return np.concatenate([shares, mean_slope, means / 2, spreads / 2]).astype(np.float32)
