"""N4: the slow brightness change across a scan, estimated within its brain.

Tustison et al., N4ITK: Improved N3 Bias Correction, IEEE TMI 2010, through SimpleITK. One thread, so that the same
scan gives the same field.
"""

import importlib.util

import numpy as np

from itermask.errors import MissingExtraError
from itermask.types import Scan

SHRUNK = 4.0  # mm; the field is slow, so it is estimated on voxels of about this size
FEWEST = 4  # voxels that N4's splines need along each axis


def n4_name() -> str:
    """Return how findings name the correction.

    Raises:
        MissingExtraError: SimpleITK is not installed.

    Example:
        >>> n4_name().split()[0]
        'N4'
    """
    if importlib.util.find_spec("SimpleITK") is None:
        raise MissingExtraError("N4 bias correction needs SimpleITK; install it with pip install 'itermask[prepare]'")
    import SimpleITK

    return f"N4 (SimpleITK {SimpleITK.__version__})"


def bias_field(scan: Scan) -> np.ndarray:
    """Return the factor by which each voxel is too bright.

    Args:
        scan: with its brain mask.

    Returns:
        float32, shape of the scan, positive; its geometric mean over the brain is 1, and outside the brain it is 1.
        The corrected scan is `scan.image / field`.

    Raises:
        ValueError: no brain mask, a brain with values that are not positive (the field is a factor), or a volume
            with fewer than 4 voxels along an axis.
        MissingExtraError: SimpleITK is not installed.

    Example:
        >>> field = bias_field(scan)
        >>> field.shape == scan.image.shape, bool((field > 0).all())
        (True, True)
    """
    n4_name()
    import SimpleITK as sitk  # noqa: N813

    mask = scan.brain_mask
    if mask is None or not mask.any():
        raise ValueError("N4 needs a brain mask")
    if not (scan.image[mask] > 0).mean() > 0.99:
        raise ValueError("N4 corrects a factor, but the brain holds values that are not positive; leave N4 out")
    if min(mask.shape) < FEWEST:
        raise ValueError(f"N4 needs {FEWEST} voxels along each axis, the scan has {min(mask.shape)}; leave N4 out")
    shrink = [
        max(1, min(round(SHRUNK / edge), size // FEWEST)) for edge, size in zip(scan.spacing, mask.shape, strict=True)
    ][::-1]
    least = float(scan.image[mask & (scan.image > 0)].min())
    image = sitk.GetImageFromArray(np.maximum(scan.image, least).astype(np.float32))
    inside = sitk.GetImageFromArray(mask.astype(np.uint8))
    for one in (image, inside):
        one.SetSpacing(scan.spacing[::-1])
    filter_ = sitk.N4BiasFieldCorrectionImageFilter()
    filter_.SetNumberOfThreads(1)
    try:
        filter_.Execute(sitk.Shrink(image, shrink), sitk.Shrink(inside, shrink))
        logarithm = sitk.GetArrayFromImage(filter_.GetLogBiasFieldAsImage(image))
    except RuntimeError as error:
        raise ValueError(f"N4 does not work on it ({' '.join(str(error).split())[-160:]}); leave N4 out") from error
    logarithm = logarithm - logarithm[mask].mean()
    return np.where(mask, np.exp(logarithm), 1).astype(np.float32)
