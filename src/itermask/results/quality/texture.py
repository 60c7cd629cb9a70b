"""What neighbouring voxels tell: noise in flat regions against edges, ripples, scales that no longer agree.

Second differences `x[i−s] − 2 x[i] + x[i+s]` at a stride `s` are blind to slow shading and to contrast between tissues
as such; their levels in the flattest regions, at the median and at edges are compared within the scan.
"""

import numpy as np

STRIDES = {"fine": 1.0, "middle": 2.0, "coarse": 4.0}  # mm; at least one, two and four voxels
APART = 1.6  # mm, between lines that are examined
FLAT, EDGY = 15.0, 85.0  # percentiles of the regions
FEWEST = 12  # slices along an axis that is measured


def thinned(volume: np.ndarray, spacing: tuple[float, ...], axis: int) -> np.ndarray:
    """Return lines along an axis, which comes last; of lines closer than 1.6 mm to each other only some.

    Example:
        >>> thinned(np.zeros((8, 8, 8)), (1.0, 1.0, 1.0), axis=0).shape
        (4, 4, 8)
    """
    across = [max(1, round(APART / size)) for a, size in enumerate(spacing) if a != axis]
    return np.ascontiguousarray(np.moveaxis(volume, axis, -1)[:: across[0], :: across[1]])


def difference(lines: np.ndarray, stride: int) -> np.ndarray:
    """Return the second difference along the last axis, shorter by twice the stride along it.

    Example:
        >>> difference(np.array([[0.0, 1.0, 4.0, 9.0]]), stride=1).tolist()
        [[2.0, 2.0]]
    """
    return lines[..., : -2 * stride] - 2 * lines[..., stride:-stride] + lines[..., 2 * stride :]


def axis_features(image: np.ndarray, inside: np.ndarray, spacing: tuple[float, ...], axis: int) -> dict[str, float]:
    """Return levels of second differences along one axis, and how well strides agree.

    Args:
        image: intensities over the brain's level.
        inside: boolean, voxels well inside the brain.
        spacing: voxel size in mm.
        axis: along which.

    Returns:
        for every stride (`fine`, `middle`, `coarse`): `…_flat`, logarithm of the root mean square in the flattest
        regions; `…_rise`, the same at edges against it; `…_tail`, the differences' kurtosis; and `agree_…`, the
        correlation between neighbouring strides.

    Example:
        >>> image = np.random.default_rng(0).random((32, 32, 32)).astype(np.float32)
        >>> "agree_fine" in axis_features(image, image >= 0, (1.0, 1.0, 1.0), axis=0)
        True
    """
    found: dict[str, float] = {}
    kept: list[tuple[int, np.ndarray, np.ndarray] | None] = []
    lines, where = thinned(image, spacing, axis), thinned(inside, spacing, axis)
    for least, (name, mm) in zip((1, 2, 4), STRIDES.items(), strict=True):
        stride = max(least, round(mm / spacing[axis]))
        if lines.shape[-1] < max(FEWEST, 4 * stride):
            found |= {f"{name}_flat": np.nan, f"{name}_rise": np.nan, f"{name}_tail": np.nan}
            kept.append(None)
            continue
        values = difference(lines, stride)
        good = where[..., : -2 * stride] & where[..., 2 * stride :] & where[..., stride:-stride]
        values *= good
        square = values * values
        count = max(int(good.sum()), 1)
        levels = _levels(square, good)
        flat, edgy = np.percentile(levels, [FLAT, EDGY]) if len(levels) else (np.nan, np.nan)
        fourth = float(np.vdot(square, square)) / count
        found[f"{name}_flat"] = float(np.log(max(flat, 1e-10)) / 2)
        found[f"{name}_rise"] = float(np.log(max(edgy, 1e-10) / max(flat, 1e-10)) / 2)
        found[f"{name}_tail"] = float(np.log(fourth / max(float(square.sum()) / count, 1e-10) ** 2 + 1e-6))
        kept.append((stride, values, good))
    for name, one, other in (("agree_fine", 0, 1), ("agree_coarse", 1, 2)):
        found[name] = _agreement(kept[one], kept[other])
    return found


def _levels(square: np.ndarray, good: np.ndarray, edges: tuple[int, int, int] = (4, 4, 6)) -> np.ndarray:
    """Return the mean of a map (0 where not good) in boxes of voxels that are at least two thirds good."""
    sizes = [n // edge * edge for n, edge in zip(square.shape, edges, strict=True)]
    if min(sizes) == 0:
        return square[good]
    cut = tuple(slice(0, n) for n in sizes)
    total, weight = square[cut], good[cut].astype(np.float32)
    for axis, edge in enumerate(edges):
        at = np.arange(0, sizes[axis], edge)
        total, weight = np.add.reduceat(total, at, axis=axis), np.add.reduceat(weight, at, axis=axis)
    full = weight >= np.prod(edges) * 2 / 3
    return total[full] / weight[full]


def _agreement(
    one: tuple[int, np.ndarray, np.ndarray] | None, other: tuple[int, np.ndarray, np.ndarray] | None
) -> float:
    """Return the correlation of the second differences of two strides, at the same voxels."""
    if one is None or other is None:
        return float("nan")
    (near, fine, good), (far, coarse, there) = one, other
    cut = slice(far - near, fine.shape[-1] - (far - near))
    a, b = fine[..., cut] * there, coarse * good[..., cut]
    power = float(np.vdot(a, a)) * float(np.vdot(b, b))
    return float(np.vdot(a, b)) / power**0.5 if power > 0 else float("nan")


def noise_level(image: np.ndarray, inside: np.ndarray) -> float:
    """Return the standard deviation of the noise in the flattest regions, as a share of the level.

    Differences along all axes at once (the product of three first differences) hold the least anatomy.

    Example:
        >>> image = np.random.default_rng(0).normal(1.0, 0.05, (32, 32, 32)).astype(np.float32)
        >>> 0.01 < noise_level(image, image > 0) < 0.1
        True
    """
    corner, good = image, inside
    for axis, size in enumerate(image.shape):
        if size > 2:
            first, second = [slice(None)] * 3, [slice(None)] * 3
            first[axis], second[axis] = slice(0, size // 2 * 2, 2), slice(1, None, 2)
            corner = corner[tuple(second)] - corner[tuple(first)]
            good = good[tuple(second)] & good[tuple(first)]
    scale = np.sqrt(2.0 ** sum(size > 2 for size in image.shape))
    levels = _levels(corner * corner * good, good, (4, 4, 4))
    return float(np.sqrt(np.percentile(levels, 2 * FLAT)) / scale) if len(levels) else float("nan")
