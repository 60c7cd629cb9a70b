"""Image quality: what its features see, what its numbers mean, and what it says."""

from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from itermask.results.quality import assess, with_residual
from itermask.results.quality.crop import crop_brain
from itermask.results.quality.features import by_axis, features
from itermask.results.quality.field import coarse, fit_field
from itermask.results.quality.numbers import air_of, smoothness
from itermask.results.quality.reference import Reference, bundled
from itermask.results.quality.text import FAULTS, leading, likely_fault
from itermask.results.quality.texture import noise_level
from itermask.synth.artifacts import ARTIFACTS, corrupt
from itermask.types import Scan

SPACING = (2.0, 2.0, 2.0)


def phantom(shape=(72, 84, 76), spacing=SPACING, seed=0):
    """A brain-like ball: two tissues in folds, a dark middle, a little noise; nothing around it."""
    rng = np.random.default_rng(seed)
    axes = [(np.arange(n) - (n - 1) / 2) * s for n, s in zip(shape, spacing, strict=True)]
    x, y, z = np.meshgrid(*axes, indexing="ij")
    radius = np.sqrt((x / 62) ** 2 + (y / 74) ** 2 + (z / 66) ** 2)
    brain = radius < 1
    folds = ndimage.gaussian_filter(rng.standard_normal(shape), [4 / s for s in spacing])
    white = (folds / folds.std() > 0.2) & (radius < 0.9) | (radius < 0.55)
    image = np.where(white, 100.0, 68.0)
    image[radius < 0.15] = 25
    image = ndimage.gaussian_filter(image, 0.5) + rng.normal(0, 1.0, shape)
    image = np.where(brain, np.maximum(image, 0), 0).astype(np.float32)
    return Scan(image, np.diag([*spacing, 1.0]), "T1w", brain, "phantom")


@pytest.fixture(scope="module")
def clean():
    return phantom()


@pytest.fixture(scope="module")
def clean_features(clean):
    return features(crop_brain(clean))


def corrupted(scan, artifact, severity=5.0, axis=1, seed=3):
    made = corrupt(scan.image, artifact, severity, seed, axis, scan.brain_mask, scan.spacing)
    return replace(scan, image=made.image)


# --- features ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("artifact", "feature"),
    [
        ("spike", "wave"),
        ("kspace_point", "weave_max"),
        ("kspace_line", "peak_max"),
        ("kspace_empty_line", "jag_max"),
        ("ghosting", "echo_max"),
        ("gibbs", "cliff_max"),
        ("zipper", "noisy_max"),
        ("line_shift", "jump_max"),
        ("missing_chunk", "face_max"),
        ("missing_chunk_middle", "empty"),
        ("noise", "noise"),
        ("bias_field", "field"),
    ],
)
def test_an_artifact_raises_its_feature(clean, clean_features, artifact, feature):
    values = [features(crop_brain(corrupted(clean, artifact, severity)))[feature] for severity in (2, 6)]
    assert clean_features[feature] < values[0] < values[1]


def test_features_do_not_depend_on_level_skull_or_the_order_of_axes(clean, clean_features):
    rng = np.random.default_rng(0)
    skull = np.where(clean.brain_mask, clean.image * 37, rng.uniform(0, 9000, clean.image.shape)).astype(np.float32)
    turned = [np.ascontiguousarray(np.flip(a.transpose(2, 0, 1), 1)) for a in (skull, clean.brain_mask)]
    affine = clean.affine[:, [2, 0, 1, 3]] @ np.diag([1, -1, 1, 1])
    found = features(crop_brain(Scan(turned[0], affine, "T1w", turned[1])))
    assert found.keys() == clean_features.keys()
    for name, value in clean_features.items():
        assert found[name] == pytest.approx(value, rel=0.05, abs=0.12), name


def test_a_scan_stays_as_it_is(clean):
    image, mask = clean.image.copy(), clean.brain_mask.copy()
    assess(clean)
    np.testing.assert_array_equal(clean.image, image)
    np.testing.assert_array_equal(clean.brain_mask, mask)


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (2.0, 2.0, 2.0), (1.0, 1.0, 3.0)])
def test_noise_level_is_the_noise(spacing):
    rng = np.random.default_rng(0)
    image = (1 + 0.05 * rng.standard_normal((48, 48, 48))).astype(np.float32)
    assert noise_level(image, np.ones(image.shape, dtype=bool)) == pytest.approx(0.05, rel=0.12)


def test_the_field_is_found_whatever_the_tissues(clean):
    axes = np.meshgrid(*[np.linspace(-1, 1, n) for n in clean.image.shape], indexing="ij")
    wanted = 0.35 * axes[0] - 0.2 * axes[2] + 0.15 * axes[1] ** 2
    for image in (clean.image, np.where(clean.brain_mask, 168 - clean.image, 0)):
        crop = crop_brain(replace(clean, image=(image * np.exp(wanted)).astype(np.float32)))
        blocks, full, spacing = coarse(crop)
        field = fit_field(blocks, full, spacing)
        low, high = np.percentile(wanted[clean.brain_mask], [5, 95])
        assert np.subtract(*np.percentile(field[full], [95, 5])) == pytest.approx(high - low, rel=0.25)


def test_few_slices_leave_features_unknown_but_a_score():
    scan = phantom(shape=(72, 84, 10), spacing=(2.0, 2.0, 14.0))
    quality = assess(scan)
    assert np.isfinite(quality.score)
    assert np.isnan(by_axis(crop_brain(scan))["jag"][2])


# --- refusals ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mask", [None, np.zeros((8, 8, 8), dtype=bool)])
def test_a_brain_mask_is_needed(mask):
    with pytest.raises(ValueError, match=r"sub-1: .*brain mask"):
        assess(Scan(np.ones((8, 8, 8), dtype=np.float32), np.eye(4), "T1w", mask, "sub-1"))


def test_an_empty_brain_is_refused():
    with pytest.raises(ValueError, match="no signal"):
        assess(Scan(np.zeros((8, 8, 8), dtype=np.float32), np.eye(4), "T1w", np.ones((8, 8, 8), dtype=bool)))


def test_a_residual_of_another_shape_is_refused(clean):
    with pytest.raises(ValueError, match="does not fit"):
        assess(clean, np.zeros((2, 2, 2)))


def test_voxels_that_are_not_finite_count_as_empty(clean):
    image = clean.image.copy()
    image[40, 40, 40] = np.nan
    assert np.isfinite(assess(replace(clean, image=image)).score)


def test_a_tiny_brain_gets_a_score():
    mask = np.zeros((9, 9, 9), dtype=bool)
    mask[3:6, 3:6, 3:6] = True
    image = np.random.default_rng(0).uniform(50, 100, mask.shape).astype(np.float32)
    assert np.isfinite(assess(Scan(image, np.eye(4), "T1w", mask)).score)


# --- numbers -------------------------------------------------------------------------------------------------


def test_smoothness_is_the_width_of_what_noise_was_blurred_with():
    rng = np.random.default_rng(0)
    sigma = np.array([1.5, 1.5, 3.0])
    image = ndimage.gaussian_filter(rng.standard_normal((60, 60, 60)), sigma, mode="wrap")
    image = (10 + image / image.std()).astype(np.float32)
    crop = crop_brain(Scan(image, np.diag([1, 1, 1, 1.0]), "T1w", np.ones(image.shape, dtype=bool)))
    crop = replace(crop, detail=crop.image - crop.image.mean())
    for axis in range(3):  # noise blurred with σ is correlated as a Gaussian of σ·√2
        assert smoothness(crop, axis) == pytest.approx(2.3548 * sigma[axis] * np.sqrt(2) / np.sqrt(2), rel=0.5)
    assert smoothness(crop, 2) > 1.5 * smoothness(crop, 0)


def test_numbers_that_need_air_are_left_out_of_a_stripped_scan(clean):
    quality = assess(clean)
    assert {"snr_air", "fber"} <= quality.left_out.keys()
    assert "air" in quality.left_out["fber"]
    assert not {"snr_air", "fber"} & quality.numbers.keys()


def test_numbers_against_air(clean):
    rng = np.random.default_rng(0)
    wide = np.pad(clean.image, 12)
    mask = np.pad(clean.brain_mask, 12)
    noisy = np.hypot(wide + rng.normal(0, 2, wide.shape), rng.normal(0, 2, wide.shape)).astype(np.float32)
    assert air_of(noisy, mask, SPACING) is not None
    quality = assess(Scan(noisy, clean.affine, "T1w", mask))
    median = np.median(clean.image[clean.brain_mask])
    assert quality.numbers["snr_air"].value == pytest.approx(median / 2, rel=0.15)  # of Rician air: σ = 2
    energy = np.mean(clean.image[clean.brain_mask].astype(float) ** 2)
    assert quality.numbers["fber"].value == pytest.approx(energy / 8, rel=0.15)


def test_worse_scans_have_worse_numbers(clean):
    good, noisy, shaded = (
        assess(s).numbers for s in (clean, corrupted(clean, "noise"), corrupted(clean, "bias_field"))
    )
    assert noisy["snr"].value < good["snr"].value / 2
    assert noisy["cnr"].value < good["cnr"].value
    assert noisy["noise"].value > 2 * good["noise"].value
    assert shaded["inu_ratio"].value > 1.3 * good["inu_ratio"].value
    assert all(np.isfinite(number.value) and number.unit for number in noisy.values())


def test_jitter_of_a_residual(clean):
    rng = np.random.default_rng(0)
    steady = rng.normal(0, 1, clean.image.shape)
    jumping = steady + rng.normal(0, 2, (1, 1, clean.image.shape[2]))
    values = [assess(clean, residual).numbers["residual_jitter"].value for residual in (steady, jumping)]
    assert values[1] > 5 * values[0]


def test_a_residual_that_comes_later_changes_nothing(clean):
    residual = np.random.default_rng(0).normal(0, 1, clean.image.shape)
    later, at_once = with_residual(assess(clean), clean, residual), assess(clean, residual)
    assert later == at_once
    assert list(later.numbers) == list(at_once.numbers)
    assert later.left_out == at_once.left_out


# --- the reference and its words -----------------------------------------------------------------------------


def test_the_bundled_reference_fits_the_features(clean_features):
    reference = bundled()
    assert {name[:-1] for name in reference.names} <= clean_features.keys()
    assert {name[-1] for name in reference.names} == {"+", "-"}
    assert set(reference.faults) == set(ARTIFACTS) == set(FAULTS)
    assert (reference.weights >= 0).all()
    assert reference.limits[0] < reference.limits[1]
    assert "CC BY-SA" in str(reference.origin)


def test_a_reference_survives_json():
    reference = bundled()
    again = Reference.from_json(reference.to_json())
    np.testing.assert_allclose(again.weights, reference.weights, atol=1e-5)
    assert again.names == reference.names


def test_a_reference_that_does_not_fit_itself_is_refused():
    stored = bundled().to_json()
    stored["centre"] = stored["centre"][1:]
    with pytest.raises(ValueError, match="do not fit"):
        Reference.from_json(stored)


def test_more_of_anything_unusual_never_lowers_the_score(clean_features):
    reference = bundled()
    score = reference.score(clean_features)[0]
    for name in {
        name[:-1] for name in reference.names if name.endswith("+") and f"{name[:-1]}-" not in reference.names
    }:
        assert reference.score(clean_features | {name: clean_features[name] + 1})[0] >= score - 1e-9


def test_the_likely_fault_names_the_axis_of_the_head():
    axes = {"echo": np.array([0.1, 0.9, 0.2])}
    for code, words in (("LAS", "front–back"), ("PSR", "head–foot"), ("ARS", "left–right")):
        towards = {"R": (1, 0, 0), "L": (-1, 0, 0), "A": (0, 1, 0), "P": (0, -1, 0), "S": (0, 0, 1)}
        affine = nib.affines.from_matvec(np.array([towards[letter] for letter in code]).T)
        scan = Scan(np.ones((4, 4, 4), dtype=np.float32), affine, "T1w")
        assert likely_fault({"ghosting": 4.0, "motion": 1.0}, axes, scan) == f"ghosting along the {words} axis"


def test_no_fault_is_named_where_none_leads():
    assert leading({"ghosting": 1.0, "motion": 1.0, "gibbs": 1.0}) is None


def test_a_corrupted_bundled_scan_is_worse_than_the_clean_one():
    from itermask.demo_data import __path__ as folder

    image, brain = (nib.load(f"{folder[0]}/healthy_{name}.nii.gz") for name in ("T1w", "brain"))
    scan = Scan(image.get_fdata(dtype=np.float32), image.affine, "T1w", np.asanyarray(brain.dataobj) > 0)
    quality = assess(scan)
    assert quality.range == "within"
    assert quality.likely is None
    for artifact in ("spike", "ghosting", "noise", "zipper", "gibbs", "missing_chunk_middle"):
        worse = assess(corrupted(scan, artifact, 8))
        assert worse.score > quality.score + 1
        assert worse.range != "within", artifact
