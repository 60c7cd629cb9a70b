"""One scan's numbers: every measure that its files allow, by one function; and all measures by one import."""

from collections.abc import Sequence

import numpy as np

from itermask.evaluation.metrics.arrays import as_spacing
from itermask.evaluation.metrics.healthy import mask_volume, share_of_brain
from itermask.evaluation.metrics.intervals import Interval, auroc_interval, bootstrap_interval
from itermask.evaluation.metrics.lesionwise import LesionMatch, match_lesions
from itermask.evaluation.metrics.overlap import dice, jaccard, precision, sensitivity
from itermask.evaluation.metrics.ranking import (
    auprc,
    auprc_voxels,
    auroc,
    auroc_voxels,
    fpr_at_tpr,
    scan_detection,
    youden,
)
from itermask.evaluation.metrics.similarity import psnr, ssim
from itermask.evaluation.metrics.sizes import by_size, size_group, size_groups
from itermask.evaluation.metrics.surface import assd
from itermask.evaluation.metrics.thresholds import (
    BestThreshold,
    SharedThreshold,
    best_shared_threshold,
    best_threshold_dice,
)

__all__ = [
    "BestThreshold",
    "Interval",
    "LesionMatch",
    "SharedThreshold",
    "assd",
    "auprc",
    "auprc_voxels",
    "auroc",
    "auroc_interval",
    "auroc_voxels",
    "best_shared_threshold",
    "best_threshold_dice",
    "bootstrap_interval",
    "by_size",
    "dice",
    "fpr_at_tpr",
    "jaccard",
    "mask_volume",
    "match_lesions",
    "precision",
    "psnr",
    "scan_detection",
    "scan_metrics",
    "sensitivity",
    "share_of_brain",
    "size_group",
    "size_groups",
    "ssim",
    "youden",
]

MASK_METRICS = (
    "dice",
    "jaccard",
    "precision",
    "sensitivity",
    "assd_mm",
    "predicted_ml",
    "false_positive_ml",
    "false_positive_share",
    "lesions_found",
    "lesions_missed",
    "lesions_false",
    "lesion_detection_rate",
    "lesion_f1",
)
MAP_METRICS = ("best_threshold_dice", "best_threshold", "auroc_voxels", "auprc_voxels", "mean_error")
SIMILARITY_METRICS = ("ssim", "psnr_db")


def scan_metrics(
    prediction: np.ndarray | None,
    label: np.ndarray,
    brain: np.ndarray | None,
    spacing: Sequence[float],
    error: np.ndarray | None = None,
    reconstruction: np.ndarray | None = None,
    image: np.ndarray | None = None,
) -> dict[str, float]:
    """Return everything that can be measured on one scan; `docs/evaluation.md` has each measure's definition.

    Args:
        prediction: boolean mask, 3D; None if there is an error map only.
        label: boolean mask of what is not normal, of the same shape; empty for a healthy scan.
        brain: boolean mask, or None if not known: what needs it is NaN, and best thresholds are taken over
            the whole grid.
        spacing: voxel size in mm along each axis.
        error: map that is higher where there is more to find.
        reconstruction: what the model expected, in the image's intensities; used together with `image`.
        image: the scan's intensities.

    Returns:
        always `label_ml`; with a prediction `MASK_METRICS`; with an error map `MAP_METRICS`; with reconstruction
        and image `SIMILARITY_METRICS`. False-positive figures are those of healthy scans and NaN on others.

    Raises:
        ValueError: shapes differ, or what the single measures raise.
        MissingExtraError: an error map or reconstruction is given and its library is not installed.

    Example:
        >>> label = np.zeros((8, 8, 8), bool)
        >>> label[2:5, 2:5, 2:5] = True
        >>> found = scan_metrics(label, label, np.ones((8, 8, 8), bool), spacing=(1.0, 1.0, 1.0))
        >>> found["dice"], found["sensitivity"]
        (1.0, 1.0)
    """
    label = np.asarray(label, dtype=bool)
    brain = None if brain is None else np.asarray(brain, dtype=bool)
    spacing = as_spacing(spacing, label.ndim)
    nan = float("nan")
    found = {"label_ml": mask_volume(label, spacing)}
    if prediction is not None:
        prediction = np.asarray(prediction, dtype=bool)
        lesions = match_lesions(prediction, label, spacing)
        volume, healthy = mask_volume(prediction, spacing), not label.any()
        found |= {
            "dice": dice(prediction, label),
            "jaccard": jaccard(prediction, label),
            "precision": precision(prediction, label),
            "sensitivity": sensitivity(prediction, label),
            "assd_mm": assd(prediction, label, spacing),
            "predicted_ml": volume,
            "false_positive_ml": volume if healthy else nan,
            "false_positive_share": share_of_brain(prediction, brain) if healthy and brain is not None else nan,
            "lesions_found": float(lesions.detected.sum()),
            "lesions_missed": float((~lesions.detected).sum()),
            "lesions_false": float(len(lesions.false_volumes)),
            "lesion_detection_rate": lesions.detection_rate,
            "lesion_f1": lesions.f1,
        }
    if error is not None:
        best = best_threshold_dice(error, label, np.ones_like(label) if brain is None else brain)
        found |= {
            "best_threshold_dice": best.dice,
            "best_threshold": best.threshold,
            "auroc_voxels": nan if brain is None else auroc_voxels(error, label, brain),
            "auprc_voxels": nan if brain is None else auprc_voxels(error, label, brain),
            "mean_error": nan if brain is None else float(np.mean(np.asarray(error)[brain], dtype=np.float64)),
        }
    if reconstruction is not None and image is not None:
        found |= {
            "ssim": nan if brain is None else ssim(image, reconstruction, label, brain),
            "psnr_db": nan if brain is None else psnr(image, reconstruction, label, brain),
        }
    return found
