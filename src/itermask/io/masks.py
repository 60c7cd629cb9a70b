"""What a mask's file holds, before it counts as one: its place, and its values."""

from pathlib import Path

import numpy as np

from itermask.errors import InputError
from itermask.io.names import shown

APART = 1.0  # mm by which a mask's corners may lie beside the scan's
HALF = 0.5  # probability from which a voxel is brain
ALIKE = 0.5  # share of neighbours within a map of labels that have the same one; in an image far fewer do
ADVICE = "give a mask that is 0 outside the brain and 1 in it"


def turned_onto(
    path: Path, data: np.ndarray, own: np.ndarray, shape: tuple[int, ...], affine: np.ndarray
) -> tuple[np.ndarray, bool]:
    """Return a volume with its axes brought into the order and directions of a grid that it lies on.

    Args:
        path: for messages.
        data: 3D.
        own: its affine.
        shape: of the grid.
        affine: of the grid.

    Returns:
        the volume, and whether its axes had to be turned.

    Raises:
        InputError: another shape, or a corner more than 1 mm away.

    Example:
        >>> data, changed = turned_onto(Path("brain.nii.gz"), np.zeros((2, 2, 2)), np.eye(4), (2, 2, 2), np.eye(4))
        >>> data.shape, changed
        ((2, 2, 2), False)
    """
    steps = np.linalg.inv(affine[:3, :3]) @ own[:3, :3]  # of the grid's voxels, for one of the volume's
    axes = np.abs(steps).argmax(axis=0)  # the grid's axis along which each of the volume's runs
    if sorted(axes) != [0, 1, 2]:
        raise InputError(f"{path}: the mask lies elsewhere in space than the scan; resample it to the scan's grid")
    order = [int(np.flatnonzero(axes == axis)[0]) for axis in range(3)]
    flips = [float(steps[axis, order[axis]]) < 0 for axis in range(3)]
    mask = data.transpose(order)
    if mask.shape != shape and data.shape == shape:
        raise InputError(
            f"{path}: the mask's header orders its axes in another way than the scan's; save it with the scan's header"
        )
    if mask.shape != shape:
        raise InputError(f"{path}: the mask's shape {data.shape} is not the scan's {shape}; resample it to the scan")
    into = np.zeros((4, 4))  # index of the turned volume → index of the volume
    into[3, 3] = 1
    for axis, (source, flip) in enumerate(zip(order, flips, strict=True)):
        into[source, axis] = -1 if flip else 1
        into[source, 3] = shape[axis] - 1 if flip else 0
    corners = np.array(np.meshgrid(*[(0, size - 1) for size in shape], [1])).reshape(4, -1)
    if not np.abs((own @ into - affine) @ corners).max() <= APART:
        raise InputError(f"{path}: the mask lies elsewhere in space than the scan; resample it to the scan's grid")
    mask = mask[tuple(slice(None, None, -1 if flip else 1) for flip in flips)]
    return np.ascontiguousarray(mask), order != [0, 1, 2] or any(flips)


def labels_in(path: Path, data: np.ndarray) -> np.ndarray:
    """Return True where a map of labels is above 0.

    Raises:
        InputError: a voxel is NaN, infinite or negative.

    Example:
        >>> labels_in(Path("lesion.nii.gz"), np.array([[[0.0, 2.0]]])).tolist()
        [[[False, True]]]
    """
    lowest, highest = data.min(), data.max()
    if not (np.isfinite(lowest) and np.isfinite(highest)):
        raise InputError(f"{path}: the mask holds NaN or infinite values; replace them with 0")
    if lowest < 0:
        raise InputError(f"{path}: the mask holds negative values, down to {lowest:g}, so it is none; {ADVICE}")
    return data > 0


def mask_in(path: Path, data: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return the brain in a mask, a map of labels or probabilities, with sentences on what had to be done.

    Args:
        path: for messages.
        data: 3D.

    Returns:
        boolean mask, not empty, and sentences.

    Raises:
        InputError: what is there is negative, infinite, an image, covers every voxel, or holds no brain.

    Example:
        >>> mask, notes = mask_in(Path("brain.nii.gz"), np.array([[[0.0, 1.0]]]))
        >>> mask.tolist(), notes
        ([[[False, True]]], ())
    """
    name, notes = shown(path.name), []
    if np.isnan(data.min()) and not np.isnan(data).all():
        notes.append(f"The brain mask {name} is NaN outside; that was taken as background.")
        data = np.nan_to_num(data, nan=0.0, posinf=np.inf, neginf=-np.inf)
    mask = labels_in(path, data)
    if not mask.any():
        raise InputError(f"{path}: the mask is empty")
    highest = float(data.max())
    if np.all(data[mask] == highest):
        values = "two"
    elif highest <= 1 and not whole(data):
        values = "probabilities"
        mask = data >= HALF
        notes.append(f"The brain mask {name} holds probabilities; 0.5 and more was taken as brain.")
        if not mask.any():
            raise InputError(f"{path}: the mask is empty: no value reaches 0.5; {ADVICE}")
    elif whole(data) and alike(data) >= ALIKE:
        values = "labels"
    else:
        raise InputError(
            f"{path}: the mask's values, up to {highest:g}, are those of an image or a map, not of a mask; {ADVICE}"
        )
    if mask.all():
        raise InputError(f"{path}: the mask ({values} values) leaves no voxel outside the brain; {ADVICE}")
    if values == "labels":
        notes.append(f"The brain mask {name} holds several labels; all above 0 was taken as brain.")
    return mask, tuple(notes)


def whole(data: np.ndarray) -> bool:
    """Return whether all values are whole numbers.

    Example:
        >>> whole(np.array([0.0, 1.0])), whole(np.array([0.5]))
        (True, False)
    """
    return bool((data == np.round(data)).all())


def alike(data: np.ndarray) -> float:
    """Return the share of neighbours, both above 0, that have the same value.

    >>> alike(np.array([0, 1, 1, 2, 2, 0]).reshape(6, 1, 1))
    0.6666666666666666
    """
    same = pairs = 0
    for axis in range(data.ndim):
        along = np.moveaxis(data, axis, 0)
        first, second = along[:-1], along[1:]
        both = (first > 0) & (second > 0)
        pairs += int(both.sum())
        same += int((both & (first == second)).sum())
    return same / pairs if pairs else 1.0
