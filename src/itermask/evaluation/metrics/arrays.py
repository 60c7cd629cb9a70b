"""Checks that all measures share: masks of one shape, errors in the brain, voxel sizes."""

from collections.abc import Sequence

import numpy as np


def as_masks(**masks: np.ndarray) -> list[np.ndarray]:
    """Return the arrays as boolean masks of one shape, in the order given.

    Raises:
        ValueError: the shapes differ; the message names the masks.

    Example:
        >>> [mask.tolist() for mask in as_masks(prediction=np.array([0, 1]), label=np.array([1, 1]))]
        [[False, True], [True, True]]
    """
    arrays = [np.asarray(mask, dtype=bool) for mask in masks.values()]
    if len({array.shape for array in arrays}) > 1:
        named = ", ".join(f"{name} {array.shape}" for name, array in zip(masks, arrays, strict=True))
        raise ValueError(f"the shapes differ: {named}")
    return arrays


def errors_in_brain(error: np.ndarray, label: np.ndarray, brain: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return errors (floating-point) and labels (boolean) of the brain voxels, each 1D.

    Raises:
        ValueError: shapes differ, the brain is empty, or the error is NaN or infinite in it.

    Example:
        >>> error, label, brain = np.array([0.1, 0.2, 0.3]), np.array([0, 1, 0]), np.array([1, 1, 0])
        >>> errors, labels = errors_in_brain(error, label, brain)
        >>> errors.tolist(), labels.tolist()
        ([0.1, 0.2], [False, True])
    """
    error, label, brain = np.asarray(error), np.asarray(label, dtype=bool), np.asarray(brain, dtype=bool)
    if not error.shape == label.shape == brain.shape:
        raise ValueError(f"the shapes differ: error {error.shape}, label {label.shape}, brain {brain.shape}")
    values = error[brain]
    values = values if np.issubdtype(values.dtype, np.floating) else values.astype(np.float64)
    if not len(values):
        raise ValueError("the brain mask is empty")
    if not np.isfinite(values).all():
        raise ValueError("the error is NaN or infinite in the brain")
    return values, label[brain]


def as_spacing(spacing: Sequence[float], dims: int) -> tuple[float, ...]:
    """Return the voxel size in mm along each axis, checked.

    Raises:
        ValueError: not one positive number for each of `dims` axes.

    Example:
        >>> as_spacing([1, 1, 2.5], dims=3)
        (1.0, 1.0, 2.5)
    """
    sizes = tuple(float(size) for size in spacing)
    if len(sizes) != dims or not all(np.isfinite(size) and size > 0 for size in sizes):
        raise ValueError(f"spacing {sizes} is not one positive number of mm for each of {dims} axes")
    return sizes


def bounding_box(mask: np.ndarray) -> tuple[slice, ...]:
    """Return the smallest box that holds a mask; the whole array if the mask is empty.

    Example:
        >>> bounding_box(np.array([[False, True, True], [False, False, False]]))
        (slice(0, 1, None), slice(1, 3, None))
    """
    if not mask.any():
        return (slice(None),) * mask.ndim
    box = []
    for axis in range(mask.ndim):
        touched = np.flatnonzero(mask.any(axis=tuple(other for other in range(mask.ndim) if other != axis)))
        box.append(slice(int(touched[0]), int(touched[-1]) + 1))
    return tuple(box)
