"""What a report's viewer holds: the scan's own grid, volumes that are exact, and no more than there is room for."""

import base64
import gzip
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_report import head, oblique_affine, reoriented

from itermask.results.report import embed
from itermask.results.report.embed import blocks, error_levels, nifti, quantised

ROOMY = 10**9


def opened(embedded, name):
    """An embedded volume as any reader of NIfTI files gets it."""
    return nib.Nifti1Image.from_bytes(gzip.decompress(base64.b64decode(embedded.volumes[name])))


def in_box(volume, finding):
    """A map of the finding as the viewer holds it: around the brain, R-A-S."""
    box = embed.brain_box(finding.brain, np.linalg.norm(finding.affine[:3, :3], axis=0))
    return nib.orientations.apply_orientation(volume[box], nib.orientations.io_orientation(finding.affine))


@given(
    st.integers(0, 5),
    st.floats(0.01, 3.0),
    st.sampled_from([1e-3, 1.0, 1e3]),
)
def test_the_volume_above_every_level_is_exact(seed, part, scale):
    """Not nearly so, as the thresholds are what the bytes lie between; one of them is the finding's own."""
    rng = np.random.default_rng(seed)
    error = (scale * rng.chisquare(1, 4000)).astype(np.float32)
    threshold = part * scale
    levels, start = error_levels(error, threshold)
    assert len(levels) <= 255
    assert (np.diff(levels) > 0).all()
    assert levels[start] == np.float32(threshold)
    assert not (error > levels[-1] * (1 + 1e-6)).any()
    steps = np.searchsorted(levels, error, side="left").astype(np.uint8)
    for number, level in enumerate(levels):
        assert (steps > number).sum() == (error > level).sum()
    assert (error > levels[0]).mean() <= 0.5 or levels[0] <= threshold / 2


@pytest.mark.parametrize("threshold", [np.nan, 0.0, -1.0, np.inf])
def test_without_a_threshold_the_scale_has_a_start_of_its_own(threshold):
    levels, start = error_levels(np.linspace(0, 1, 500, dtype=np.float32), threshold)
    assert levels[start] == pytest.approx(0.99, abs=0.01)
    for error in (np.zeros(9, np.float32), np.empty(0, np.float32)):
        assert error_levels(error, threshold)[0].size == 0


@pytest.mark.parametrize("codes", ["RAS", "LPI", "PSR", "IAL"])
def test_the_volumes_are_the_scans_own_voxels_in_their_places(codes):
    affine = oblique_affine()
    scan, finding = reoriented(*head(affine=affine), tuple(codes))
    embedded = embed.embed(scan, finding, ROOMY)
    assert (embedded.factor, embedded.around) == (1, True)
    error, grey = opened(embedded, "error"), opened(embedded, "scan")
    assert "".join(nib.aff2axcodes(error.affine)) == "RAS"
    inside = np.argwhere(np.asarray(opened(embedded, "passes").dataobj) == 2)
    there = nib.affines.apply_affine(np.linalg.inv(finding.affine) @ error.affine, inside)
    np.testing.assert_allclose(there, np.rint(there), atol=1e-3)
    assert finding.anomaly[tuple(np.rint(there).astype(int).T)].all()
    assert len(inside) == finding.anomaly.sum()
    seen = grey.get_fdata()[tuple(inside.T)]
    truth = scan.image[tuple(np.rint(there).astype(int).T)]
    low, high = embed.grey_window(scan.image, finding.brain)
    within = (truth > low) & (truth < high)
    np.testing.assert_allclose(seen[within], truth[within], atol=0.51 * 1.2 * (high - low) / 255)


def test_the_script_finds_places_as_the_files_do():
    scan, finding = head(affine=oblique_affine())
    for room in (ROOMY, embed.embed(scan, finding, ROOMY).size // 2):
        embedded = embed.embed(scan, finding, room)
        affine = opened(embedded, "scan").affine
        np.testing.assert_allclose(embedded.about["to_mm"], affine[:3], atol=1e-4)
        there = np.vstack([embedded.about["to_voxel"], [0, 0, 0, 1]])
        np.testing.assert_allclose(there @ affine, np.eye(4), atol=1e-4)


def test_the_script_is_told_the_truth():
    scan, finding = head()
    embedded = embed.embed(scan, finding, ROOMY)
    about = embedded.about
    steps = np.asarray(opened(embedded, "error").dataobj)
    passes = np.asarray(opened(embedded, "passes").dataobj)
    for number, (level, voxels) in enumerate(zip(about["levels"], about["above"], strict=True)):
        assert voxels == (steps > number).sum()
        assert voxels == pytest.approx((finding.error > level).sum(), abs=1)  # levels are told in six digits
    assert about["above"][about["start"]] == (finding.error > np.float32(finding.threshold)).sum()
    assert about["levels"][about["start"]] == pytest.approx(finding.threshold)
    assert about["hidden"] == [(passes > 0).sum(), (passes > 1).sum()] == [finding.brain.sum(), finding.anomaly.sum()]
    assert about["voxel_ml"] == pytest.approx(0.216)
    assert about["passes"] == 1


def test_passes_end_with_the_findings_own_mask():
    scan, finding = head()
    revealed = finding.brain.astype(np.uint8)
    revealed[6:18, 8:20, 6:14] = 2
    revealed[finding.anomaly] = 4
    finding = replace(finding, revealed=np.where(finding.brain, revealed, 0).astype(np.uint8))
    embedded = embed.embed(scan, finding, ROOMY)
    assert embedded.about["passes"] == 3
    passes = np.asarray(opened(embedded, "passes").dataobj)
    assert np.array_equal(passes, in_box(finding.revealed, finding))
    assert np.array_equal(passes > 3, in_box(finding.anomaly, finding))
    empty = replace(finding, anomaly=np.zeros_like(finding.anomaly), revealed=np.minimum(finding.revealed, 3))
    assert embed.embed(scan, empty, ROOMY).about["hidden"][-1] == 0


def test_what_has_no_room_is_held_without_surroundings_then_coarser():
    scan, finding = head(shape=(48, 60, 40), affine=np.diag([3.0, 3.0, 3.0, 1.0]))
    full = embed.embed(scan, finding, ROOMY)
    brain_only = embed.embed(scan, finding, full.size - 1)
    assert (brain_only.factor, brain_only.around) == (1, False)
    grey = opened(brain_only, "scan").dataobj.get_unscaled()
    assert not grey[~in_box(finding.brain, finding)].any()
    coarse = embed.embed(scan, finding, brain_only.size // 3)
    assert coarse.factor > 1
    assert coarse.size <= brain_only.size // 3
    assert coarse.about["above"] == full.about["above"]  # numbers are those of the scan's grid
    whole, small = opened(full, "passes"), opened(coarse, "passes")
    marked = nib.affines.apply_affine(
        np.linalg.inv(small.affine) @ whole.affine, np.argwhere(np.asarray(whole.dataobj) == 2)
    )
    assert (np.asarray(small.dataobj)[tuple(np.rint(marked).astype(int).T)] == 2).all()
    assert embed.embed(scan, finding, 10) is None


def test_thick_slices_are_not_merged():
    scan, finding = head(shape=(60, 60, 8), affine=np.diag([1.0, 1.0, 6.0, 1.0]))
    full = embed.embed(scan, finding, ROOMY)
    coarse = embed.embed(scan, finding, full.size // 3)
    assert coarse.factor > 1
    assert opened(coarse, "scan").shape[2] == opened(full, "scan").shape[2]
    np.testing.assert_allclose(opened(coarse, "scan").header.get_zooms(), (coarse.factor, coarse.factor, 6.0))


def test_no_brain_no_viewer():
    scan, finding = head()
    assert embed.embed(scan, replace(finding, brain=np.zeros_like(finding.brain)), ROOMY) is None


def test_blocks_keep_what_is_highest_and_the_mean():
    volume = np.arange(5 * 4 * 3, dtype=np.uint8).reshape(5, 4, 3)
    assert blocks(volume, (1, 1, 1), np.max) is volume
    coarse = blocks(volume, (2, 2, 1), np.max)
    assert coarse.shape == (3, 2, 3)
    assert coarse[0, 0, 0] == volume[:2, :2, 0].max()
    assert coarse.max() == volume.max()
    assert blocks(volume, (5, 4, 3), np.mean)[0, 0, 0] == round(volume.mean())


def test_a_nifti_file_says_its_scale():
    volume, slope, inter = quantised(np.linspace(-5, 300, 24).reshape(2, 3, 4), (0.0, 100.0))
    image = nib.Nifti1Image.from_bytes(nifti(volume, np.diag([1.0, 2.0, 3.0, 1.0]), slope, inter))
    assert (image.get_data_dtype(), image.header.get_zooms()) == (np.uint8, (1.0, 2.0, 3.0))
    assert image.get_fdata().min() == pytest.approx(-5, abs=slope)
    assert image.get_fdata().max() == pytest.approx(110, abs=slope)


def test_the_program_is_the_one_that_is_stated():
    text, told = embed.program()
    content = gzip.decompress(base64.b64decode(text))
    assert embed.digest(content) == told
    readme = embed.files("itermask.results.report").joinpath("viewer", "README.md").read_text()
    assert embed.sha256(content).hexdigest() in readme
    assert b"</script" not in content.lower()
