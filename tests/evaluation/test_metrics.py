"""One scan's numbers: each is its measure's, and only what the files allow is there."""

import itertools
import sys
import warnings

import numpy as np
import pytest

from itermask.errors import MissingExtraError
from itermask.evaluation.metrics import scan
from itermask.evaluation.metrics.scan import MAP_METRICS, MASK_METRICS, SIMILARITY_METRICS, scan_metrics

SHAPE, SPACING = (12, 11, 13), (1.0, 2.0, 1.5)
BRAIN = np.zeros(SHAPE, dtype=bool)
BRAIN[1:-1, 1:-1, 1:-1] = True
LESION = np.zeros(SHAPE, dtype=bool)
LESION[2:5, 3:5, 2:6] = True
RNG = np.random.default_rng(0)
ERROR = (LESION + RNG.random(SHAPE)).astype(np.float32)
IMAGE = RNG.normal(100, 10, SHAPE).astype(np.float32)
RECONSTRUCTION = IMAGE + RNG.normal(0, 2, SHAPE).astype(np.float32)
EVERYTHING = {"error": ERROR, "reconstruction": RECONSTRUCTION, "image": IMAGE}


def test_every_number_is_its_measures():
    prediction = ERROR > 0.9
    found = scan_metrics(prediction, LESION, BRAIN, SPACING, **EVERYTHING)
    lesions = scan.match_lesions(prediction, LESION, SPACING)
    assert found == pytest.approx(
        {
            "label_ml": LESION.sum() * 3 / 1000,
            "dice": scan.dice(prediction, LESION),
            "jaccard": scan.jaccard(prediction, LESION),
            "precision": scan.precision(prediction, LESION),
            "sensitivity": scan.sensitivity(prediction, LESION),
            "assd_mm": scan.assd(prediction, LESION, SPACING),
            "predicted_ml": prediction.sum() * 3 / 1000,
            "false_positive_ml": np.nan,
            "false_positive_share": np.nan,
            "lesions_found": 1,
            "lesions_missed": 0,
            "lesions_false": len(lesions.false_volumes),
            "lesion_detection_rate": 1,
            "lesion_f1": lesions.f1,
            "best_threshold_dice": scan.best_threshold_dice(ERROR, LESION, BRAIN).dice,
            "best_threshold": scan.best_threshold_dice(ERROR, LESION, BRAIN).threshold,
            "auroc_voxels": scan.auroc_voxels(ERROR, LESION, BRAIN),
            "auprc_voxels": scan.auprc_voxels(ERROR, LESION, BRAIN),
            "mean_error": ERROR[BRAIN].mean(),
            "ssim": scan.ssim(IMAGE, RECONSTRUCTION, LESION, BRAIN),
            "psnr_db": scan.psnr(IMAGE, RECONSTRUCTION, LESION, BRAIN),
        },
        nan_ok=True,
    )
    assert tuple(found) == ("label_ml", *MASK_METRICS, *MAP_METRICS, *SIMILARITY_METRICS)
    assert all(type(value) is float for value in found.values())


def test_only_what_is_given_is_measured():
    assert set(scan_metrics(LESION, LESION, BRAIN, SPACING)) == {"label_ml", *MASK_METRICS}
    assert set(scan_metrics(None, LESION, BRAIN, SPACING, ERROR)) == {"label_ml", *MAP_METRICS}
    assert set(scan_metrics(None, LESION, BRAIN, SPACING, image=IMAGE)) == {"label_ml"}


def test_what_a_healthy_scan_has_flagged_is_false():
    nothing = np.zeros(SHAPE, dtype=bool)
    found = scan_metrics(LESION, nothing, BRAIN, SPACING)
    assert found["false_positive_ml"] == found["predicted_ml"] == pytest.approx(LESION.sum() * 3 / 1000)
    assert found["false_positive_share"] == pytest.approx(LESION.sum() / BRAIN.sum())
    assert (found["dice"], found["lesion_f1"], found["lesions_false"]) == (0, 0, 1)
    clean = scan_metrics(nothing, nothing, BRAIN, SPACING)
    assert (clean["dice"], clean["false_positive_ml"], clean["false_positive_share"]) == (1, 0, 0)


def test_without_a_brain_mask_what_needs_it_is_undefined():
    found = scan_metrics(~BRAIN, BRAIN & False, None, SPACING, **EVERYTHING)
    needs = {"false_positive_share", "auroc_voxels", "auprc_voxels", "mean_error", "ssim", "psnr_db"}
    assert needs <= {name for name, value in found.items() if np.isnan(value)}
    everywhere = scan_metrics(None, LESION, None, SPACING, ERROR)
    assert everywhere["best_threshold_dice"] == scan.best_threshold_dice(ERROR, LESION, BRAIN | True).dice


def test_masks_may_be_numbers():
    as_numbers = scan_metrics(LESION.astype(int), LESION.astype("u1"), BRAIN.astype("f4"), SPACING, **EVERYTHING)
    assert as_numbers == pytest.approx(scan_metrics(LESION, LESION, BRAIN, SPACING, **EVERYTHING), nan_ok=True)


MASKS = {
    "empty": LESION & False,
    "full": LESION | True,
    "lesion": LESION,
    "brain": BRAIN,
    "one voxel": np.arange(LESION.size).reshape(SHAPE) == 800,
    "border": np.indices(SHAPE)[0] == 0,
}


@pytest.mark.parametrize(("prediction", "label"), itertools.product(MASKS, repeat=2))
def test_no_mask_gives_a_warning(prediction, label):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = scan_metrics(MASKS[prediction], MASKS[label], BRAIN, SPACING, **EVERYTHING)
    assert found["dice"] == pytest.approx(scan.dice(MASKS[prediction], MASKS[label]))
    assert not any(np.isinf(value) for value in found.values())


def test_what_does_not_fit_is_refused():
    for wrong in (
        (LESION[1:], LESION, BRAIN, SPACING),
        (LESION, LESION, BRAIN, (1, 1)),
        (LESION, LESION, BRAIN, SPACING, ERROR[1:]),
        (None, LESION, BRAIN[1:], SPACING, ERROR),
        (None, LESION, BRAIN & False, SPACING, ERROR),
    ):
        with pytest.raises(ValueError, match=r"shapes|spacing|empty"):
            scan_metrics(*wrong)


def test_masks_alone_need_no_extra(monkeypatch):
    for name in ("sklearn", "skimage.metrics"):
        monkeypatch.setitem(sys.modules, name, None)
    assert scan_metrics(LESION, LESION, BRAIN, SPACING)["dice"] == 1
    with pytest.raises(MissingExtraError):
        scan_metrics(LESION, LESION, BRAIN, SPACING, ERROR)


def test_all_measures_are_in_one_place():
    assert all(hasattr(scan, name) for name in scan.__all__)
    assert {"dice", "assd", "match_lesions", "auroc", "best_shared_threshold", "ssim"} <= set(scan.__all__)
