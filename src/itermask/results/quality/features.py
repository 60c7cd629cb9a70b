"""All features of one scan, by name."""

import numpy as np

from itermask.results.quality.crop import BrainCrop
from itermask.results.quality.field import field_features
from itermask.results.quality.slices import cut_features, empty_share, slice_features
from itermask.results.quality.spectra import FEWEST, line_features, plane_features, volume_features
from itermask.results.quality.texture import axis_features, noise_level


def features(crop: BrainCrop) -> dict[str, float]:
    """Return features of a scan, NaN where one cannot be computed; see `summarise`.

    Example:
        >>> from itermask.results.quality.crop import crop_brain
        >>> found = features(crop_brain(scan))
        >>> len(found) > 10
        True
    """
    return summarise(crop, by_axis(crop))


def summarise(crop: BrainCrop, axes: dict[str, np.ndarray]) -> dict[str, float]:
    """Return features of a scan, whichever way its axes lie.

    Args:
        crop: the scan, cropped to its brain.
        axes: its features along each axis, from `by_axis`.

    Returns:
        what is measured along every axis as its largest and smallest value (`…_max`, `…_min`), and how far these lie
        from the middle one (`…_odd`, `…_low`); and what is measured of the volume.

    Example:
        >>> from itermask.results.quality.crop import crop_brain
        >>> crop = crop_brain(scan)
        >>> len(summarise(crop, by_axis(crop))) > 10
        True
    """
    found = {
        "wave": volume_features(crop.detail, crop.spacing)["wave"],
        "noise": float(np.log(max(noise_level(crop.image, crop.inside), 1e-5))),
        "empty": empty_share(crop.image, crop.brain),
        **field_features(crop),
    }
    for name, values in axes.items():
        known = np.sort(values[np.isfinite(values)])
        if len(known) == 0:
            found |= dict.fromkeys((f"{name}_max", f"{name}_min", f"{name}_odd", f"{name}_low"), np.nan)
            continue
        middle = known[len(known) // 2]
        found |= {
            f"{name}_max": float(known[-1]),
            f"{name}_min": float(known[0]),
            f"{name}_odd": float(known[-1] - middle) if len(known) > 1 else np.nan,
            f"{name}_low": float(middle - known[0]) if len(known) > 1 else np.nan,
        }
    size = np.array(crop.spacing)
    found["voxel"] = float(np.log(np.prod(size)) / 3)
    found["flat_voxel"] = float(np.log(size.max() / size.min()))
    return found


def by_axis(crop: BrainCrop) -> dict[str, np.ndarray]:
    """Return features along or across each axis: name → three values, NaN where an axis is too short.

    Example:
        >>> from itermask.results.quality.crop import crop_brain
        >>> {values.shape for values in by_axis(crop_brain(scan)).values()}
        {(3,)}
    """
    rows = []
    for axis, size in enumerate(crop.spacing):
        row: dict[str, float] = {}
        if crop.detail.shape[axis] >= FEWEST:
            row |= line_features(crop.detail, size, axis)
        row |= axis_features(crop.image, crop.inside, crop.spacing, axis)
        row |= slice_features(crop.image, crop.inside, crop.spacing, axis)
        row |= cut_features(crop.image, crop.brain, size, axis, crop.open[axis])
        row |= plane_features(crop.detail, crop.spacing, axis)
        rows.append(row)
    names = sorted(set().union(*rows))
    return {name: np.array([row.get(name, np.nan) for row in rows]) for name in names}
