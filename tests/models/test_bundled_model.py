"""The model inside the package, on the scans inside the package."""

import dataclasses

import numpy as np
import pytest

import itermask
from itermask.cli.demo import cases, compared_with_experts
from itermask.io.nifti import read_mask, read_scan
from itermask.models.folder import WEIGHTS, bundled_models, read_card
from itermask.training.calibration import MINIMUM_SUBJECTS


@pytest.fixture(scope="module")
def model():
    return itermask.load_model(sequence="T1w")


@pytest.fixture(scope="module")
def findings(model):
    return {name: (scan, itermask.run(scan, model)) for name, scan in cases()}


@pytest.mark.parametrize("name", sorted(bundled_models()))
def test_card_says_what_it_learned_from_and_its_licence(name):
    folder = bundled_models()[name]
    card = read_card(folder)
    assert card["license"] != "unknown"
    assert card["data"]["license"] != "unknown"
    assert card["data"]["train_subjects"] > card["data"]["validation_subjects"] >= MINIMUM_SUBJECTS
    assert (folder / WEIGHTS).stat().st_size <= 20_000_000


def test_calibrated_so_that_healthy_masks_are_small(model):
    sizes = model.calibration["healthy"]["mask_size"]
    assert np.median(sizes) <= 0.005
    assert np.percentile(sizes, 95) <= 0.02


def test_maps_lie_on_the_scans_grid(findings):
    for scan, finding in findings.values():
        assert finding.anomaly.shape == finding.error.shape == scan.image.shape
        assert np.array_equal(finding.affine, scan.affine)
        assert not (finding.anomaly & ~finding.brain).any()


def test_healthy_scan_has_a_small_mask(findings):
    assert findings["healthy"][1].anomaly_fraction < 0.03


def test_ghosting_is_called_corrupt_and_the_scan_without_it_is_not(findings):
    healthy, ghosting = findings["healthy"][1], findings["ghosting"][1]
    assert ghosting.stands_out > healthy.stands_out
    assert ghosting.verdict == "outside the healthy range"
    assert "ghosting" in ghosting.headline
    assert healthy.verdict == "within the healthy range"


def test_lesions_of_multiple_sclerosis_are_found_in_flair(findings):
    scan, finding = findings["ms-patient"]
    assert finding.verdict != "within the healthy range"
    assert "experts outlined" in compared_with_experts(scan, finding)
    assert "missed" not in compared_with_experts(scan, finding)


def test_same_scan_same_bits(model, findings):
    scan, first = findings["healthy"]
    second = itermask.run(scan, model)
    for name in ("anomaly", "error", "reconstruction"):
        assert np.array_equal(getattr(first, name), getattr(second, name))
    assert first.scores == second.scores


def test_an_inserted_dark_slab_is_found(model, findings):
    scan, _ = findings["healthy"]
    middle = np.argwhere(scan.brain_mask).mean(axis=0).round().astype(int)
    lesion = np.zeros_like(scan.brain_mask)
    lesion[tuple(slice(m - 5, m + 6) for m in middle + np.array([12, 0, 8]))] = True
    lesion &= scan.brain_mask
    dark = np.percentile(scan.image[scan.brain_mask], 3)
    finding = itermask.run(dataclasses.replace(scan, image=np.where(lesion, dark, scan.image)), model)
    assert (finding.anomaly & lesion).sum() > 0.5 * lesion.sum()


@pytest.mark.shared
def test_another_scanner_at_1_mm(model, shared_data):
    scan = itermask.read_scan(next(iter(sorted((shared_data / "oasis-t1").glob("*_T1w.nii.gz")))))
    finding = itermask.run(scan, model)
    assert finding.settings["brain_mask"] == "stripped"
    assert finding.anomaly.shape == scan.image.shape
    assert finding.anomaly_fraction < 0.1


@pytest.mark.shared
def test_brain_of_a_whole_head_is_extracted(model, shared_data):
    pytest.importorskip("deepbet")
    head = shared_data / "ixi-t1" / "IXI148-HH-1453_T1w.nii.gz"
    finding = itermask.run(head, model)
    labelled = itermask.read_scan(head, brain_mask=head.with_name("IXI148-HH-1453_labels.nii.gz")).brain_mask
    assert finding.settings["brain_mask"] == "deepbet"
    overlap = 2 * (finding.brain & labelled).sum() / (finding.brain.sum() + labelled.sum())
    assert overlap > 0.95


@pytest.mark.shared
def test_a_tumour_in_a_stack_of_slices_is_found(shared_data):
    """A validation patient: never trained on, but of those by whom the threshold's share was chosen."""
    path = shared_data / "lgg-flair" / "TCGA_DU_A5TW"
    parts = {name: path.with_name(f"{path.name}_{name}.nii.gz") for name in ("FLAIR", "brain", "lesion")}
    scan = read_scan(parts["FLAIR"], "FLAIR", parts["brain"])
    finding = itermask.run(scan)
    assert finding.settings["model"] == "any-2mm"
    lesion = read_mask(parts["lesion"], scan.image.shape, scan.affine)
    assert 2 * (finding.anomaly & lesion).sum() / (finding.anomaly.sum() + lesion.sum()) > 0.7
    assert finding.verdict == "outside the healthy range"
