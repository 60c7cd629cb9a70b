"""Tissue groups of a normal brain: what contrasts are made from, and what the tissue head learns.

A group map holds one of `GROUPS` for each voxel. It comes from anatomical labels (DLMUSE's numbers), or, where a scan
has none, from its intensities.
"""

import numpy as np
from scipy import ndimage

GROUPS = (
    "background",
    "outer fluid",
    "ventricles",
    "cortex",
    "caudate",
    "putamen",
    "pallidum",
    "thalamus",
    "hippocampus",
    "white matter",
    "inner tracts",
    "cerebellar cortex",
    "cerebellar white matter",
    "brainstem",
    "other",
)
FLUID, GREY, WHITE, MIXED = 0, 1, 2, 3  # kinds of tissue, which decide a group's brightness
KIND_OF_GROUP = np.array(
    [MIXED, FLUID, FLUID, GREY, GREY, GREY, GREY, GREY, GREY, WHITE, WHITE, GREY, WHITE, WHITE, MIXED]
)
TISSUES = ("fluid", "cortex", "deep grey", "white", "cerebellar cortex", "cerebellar white", "brainstem", "other")
TISSUE_OF_GROUP = np.array([7, 0, 0, 1, 2, 2, 2, 2, 2, 3, 3, 4, 5, 6, 7])
UNKNOWN = 255  # tissue of a voxel whose group was guessed from its intensity

_DLMUSE = {
    "outer fluid": (1, 46),
    "ventricles": (4, 11, 49, 50, 51, 52),
    "caudate": (23, 30, 36, 37),
    "putamen": (57, 58),
    "pallidum": (55, 56),
    "thalamus": (59, 60, 61, 62),
    "hippocampus": (31, 32, 47, 48, 75, 76),
    "white matter": (81, 82, 83, 84, 85, 86, 87, 88),
    "inner tracts": (89, 90, 91, 92, 93, 94, 95),
    "cerebellar cortex": (38, 39, 71, 72, 73),
    "cerebellar white matter": (40, 41),
    "brainstem": (35,),
    "other": (69,),
}


def groups_from_labels(labels: np.ndarray, brain: np.ndarray) -> np.ndarray:
    """Merge anatomical labels into tissue groups.

    Args:
        labels: DLMUSE label numbers, 0 to 207; 100 and above are cortex.
        brain: boolean brain mask of that shape; what it holds beyond the labels becomes `other`.

    Returns:
        uint8 indices into `GROUPS`; 0 outside the brain.

    Example:
        >>> groups_from_labels(np.array([51, 120, 81, 0, 0]), np.array([1, 1, 1, 1, 0], bool)).tolist()
        [2, 3, 9, 14, 0]
    """
    table = np.full(256, GROUPS.index("other"), dtype=np.uint8)
    table[100:208] = GROUPS.index("cortex")
    for group, numbers in _DLMUSE.items():
        table[list(numbers)] = GROUPS.index(group)
    return np.where(brain, table[np.clip(labels, 0, 255).astype(np.uint8)], 0).astype(np.uint8)


def brain_from_labels(labels: np.ndarray) -> np.ndarray:
    """Return the brain mask that anatomical labels outline: labels above 0, closed by 3 voxels, holes filled.

    Args:
        labels: label numbers, 3D, 0 outside the brain.

    Returns:
        boolean mask of that shape.

    Example:
        >>> labels = np.zeros((9, 9, 9), int)
        >>> labels[2:7, 2:7, 2:7], labels[4, 4, 4] = 81, 0
        >>> int(brain_from_labels(labels).sum())
        125
    """
    padded = np.pad(labels > 0, 5)
    return ndimage.binary_fill_holes(ndimage.binary_closing(padded, iterations=3))[5:-5, 5:-5, 5:-5]


def groups_from_intensity(image: np.ndarray, brain: np.ndarray) -> np.ndarray:
    """Guess fluid, cortex and white matter of a T1-weighted scan by three-means clustering of its intensities.

    Args:
        image: T1-weighted intensities, in any unit.
        brain: boolean brain mask.

    Returns:
        uint8 indices into `GROUPS`: `outer fluid`, `cortex` and `white matter`; 0 outside the brain.

    Example:
        >>> image = np.concatenate([np.full(50, 10.0), np.full(50, 50.0), np.full(50, 90.0)]).reshape(5, 5, 6)
        >>> sorted(set(groups_from_intensity(image, np.ones_like(image, bool)).ravel().tolist()))
        [1, 3, 9]
    """
    every = image[brain]
    values = every[:: max(1, every.size // 20_000)]
    centres = np.percentile(values, [8, 45, 85]).astype(np.float64)
    for _ in range(30):
        nearest = np.searchsorted((centres[1:] + centres[:-1]) / 2, values)
        moved = np.array([values[nearest == k].mean() if (nearest == k).any() else centres[k] for k in range(3)])
        if np.allclose(moved, centres, rtol=1e-4):
            break
        centres = np.sort(moved)
    chosen = np.array([GROUPS.index(name) for name in ("outer fluid", "cortex", "white matter")], dtype=np.uint8)
    groups = np.zeros(image.shape, dtype=np.uint8)
    groups[brain] = chosen[(every > centres[:2].mean()).astype(np.uint8) + (every > centres[1:].mean())]
    return groups
