"""Maps of how far a scan departs from what is expected, with their sign: from the restored image and from tissues.

Everything here is arithmetic on arrays; what is expected comes from `itermask.methods.anyscan.detection`.
"""

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from itermask.synth.tissues import TISSUES

SURE, LIKELY = (
    0.6,
    0.3,
)  # probability from which a voxel speaks for its tissue; the second where the first gives too few
FEWEST = 60  # voxels that a tissue's level is taken from
TRIM = 2.5  # robust standard deviations beyond which voxels do not count for their tissue's level
LEAST_OWN_SPREAD = 0.05  # scaled intensities, added to the spread of a map
CERTAIN = 8.0  # the logit below 0 at which a voxel counts as certainly normal
LEAST_SPREAD = 0.25  # of a tissue's scaled intensities
# How much a voxel of each tissue counts: lesions of white matter are found against its even level, while the level of
# cortex and fluid varies too much from place to place.
TRUST = {"white": 1.0, "cerebellar white": 0.5, "brainstem": 0.5}


def smooth_within(values: np.ndarray, brain: np.ndarray, sigma: Sequence[float]) -> np.ndarray:
    """Average over a Gaussian neighbourhood in the brain.

    Args:
        values: 3D map.
        brain: boolean brain mask.
        sigma: standard deviation in voxels along each axis.

    Returns:
        float32; 0 outside the brain.

    Example:
        >>> brain = np.ones((4, 4, 4), bool)
        >>> bool(np.allclose(smooth_within(np.full((4, 4, 4), 3.0), brain, (1, 1, 1)), 3))
        True
    """
    total = ndimage.gaussian_filter(np.where(brain, values, 0).astype(np.float32), sigma, mode="constant", truncate=2.5)
    weight = ndimage.gaussian_filter(brain.astype(np.float32), sigma, mode="constant", truncate=2.5)
    return np.divide(total, weight, out=np.zeros_like(total), where=brain & (weight > 1e-3))


def in_own_spread(values: np.ndarray, brain: np.ndarray) -> np.ndarray:
    """Divide a map by its own robust spread over the brain, so that one threshold suits any contrast.

    Args:
        values: signed map.
        brain: boolean brain mask, not empty.

    Returns:
        float32: in units of 1.4826 times the median absolute deviation (and a little, so that no scan's is 0).

    Example:
        >>> brain = np.ones((9, 9, 9), bool)
        >>> noise = np.random.default_rng(0).standard_normal((9, 9, 9))
        >>> round(float(in_own_spread(50 * noise, brain).std()), 1)
        1.0
    """
    inside = values[brain]
    spread = 1.4826 * float(np.median(np.abs(inside - np.median(inside)))) + LEAST_OWN_SPREAD
    return (values / spread).astype(np.float32)


def tissue_levels(image: np.ndarray, brain: np.ndarray, tissues: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Measure each tissue's level and spread in one scan, robustly: a lesion does not move them much.

    Args:
        image: scaled intensities.
        brain: boolean brain mask.
        tissues: (tissues, X, Y, Z) probabilities of each tissue.

    Returns:
        mean and standard deviation of each tissue's voxels, those beyond 2.5 robust standard deviations left out. A
        tissue with too few voxels has the brain's median and a spread of 2.
    """
    middle = float(np.median(image[brain]))
    means, spreads = np.full(len(tissues), middle), np.full(len(tissues), 2.0)
    for number, share in enumerate(tissues):
        inside = brain & (share > SURE)
        if inside.sum() < FEWEST:
            inside = brain & (share > LIKELY)
        if inside.sum() < FEWEST:
            continue
        values = image[inside]
        centre = np.median(values)
        width = 1.4826 * np.median(np.abs(values - centre)) + 0.1
        kept = values[np.abs(values - centre) < TRIM * width]
        means[number], spreads[number] = kept.mean(), max(float(kept.std()), LEAST_SPREAD)
    return means, spreads


def tissue_deviation(image: np.ndarray, brain: np.ndarray, tissues: np.ndarray, levels_from: np.ndarray) -> np.ndarray:
    """Standard deviations by which each voxel departs from the tissue that is expected there, where that is reliable.

    Args:
        image: scaled intensities.
        brain: boolean brain mask.
        tissues: (tissues, X, Y, Z) probabilities of the tissue that is expected in each place.
        levels_from: probabilities of the tissue that is seen there; the levels are measured with these.

    Returns:
        float32, signed: the deviation times how far the place's tissue can be trusted, see `TRUST`; 0 outside the
        brain.
    """
    means, spreads = tissue_levels(image, brain, levels_from)
    expected, spread = np.tensordot(means, tissues, 1), np.tensordot(spreads, tissues, 1)
    trust = np.tensordot([TRUST.get(name, 0.0) for name in TISSUES], tissues, 1)
    return np.where(brain, (image - expected) / spread * trust, 0).astype(np.float32)


def evidence(logits: np.ndarray, brain: np.ndarray) -> np.ndarray:
    """Join the logits of a bright and a dark anomaly into one signed map.

    Args:
        logits: (2, X, Y, Z) of a bright and a dark anomaly.
        brain: boolean brain mask.

    Returns:
        float32: `CERTAIN` plus the larger logit (at least 0), negative where the dark one is larger; 0 outside the
        brain.

    Example:
        >>> evidence(np.stack([[[[2.0, -3.0, -20.0]]], [[[-9.0, 1.0, -30.0]]]]), np.ones((1, 1, 3), bool)).tolist()
        [[[10.0, -9.0, 0.0]]]
    """
    bright, dark = np.maximum(logits + CERTAIN, 0)
    return np.where(brain, np.where(bright >= dark, bright, -dark), 0).astype(np.float32)


def probabilities(logits: np.ndarray) -> np.ndarray:
    """Softmax over the first axis, float32."""
    shifted = np.exp(logits - logits.max(axis=0))
    return (shifted / shifted.sum(axis=0)).astype(np.float32)
