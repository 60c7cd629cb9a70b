"""Regions of an anomaly mask: every voxel in one, places inside them, sides only where the middle is known."""

from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from test_io_outputs import some_finding, some_scan
from tiny_model import affine_of, oblique

from itermask.io.outputs import plain
from itermask.results.regions import find_regions, is_registered, regions_of, with_regions

SHAPE = (5, 6, 4)
masks = hnp.arrays(bool, SHAPE, elements=st.booleans())


def errors_of(mask):
    return np.where(mask, np.random.default_rng(0).uniform(1, 9, mask.shape), 0.5).astype(np.float32)


@given(masks)
def test_regions_hold_every_voxel_once_and_lie_inside(mask):
    affine, error = oblique(affine_of()), errors_of(mask)
    regions, count = find_regions(mask, error, affine)
    assert count == len(regions)
    assert sum(region.voxels for region in regions) == mask.sum()
    assert [region.voxels for region in regions] == sorted((region.voxels for region in regions), reverse=True)
    for region in regions:
        assert mask[region.voxel]
        np.testing.assert_allclose(region.position_mm, nib.affines.apply_affine(affine, region.voxel), atol=0.006)
        assert region.volume_ml == pytest.approx(region.voxels * 15 / 1000)
        assert 1 <= region.mean_error <= region.peak_error <= 9 + 1e-6
        assert region.side is None
    if count:
        assert max(region.peak_error for region in regions) == error[mask].max()
        total = sum(region.mean_error * region.voxels for region in regions)
        assert total == pytest.approx(error[mask].sum(dtype=float), rel=1e-5)


def test_a_corner_connects_and_a_gap_parts():
    mask = np.zeros((6, 6, 6), bool)
    mask[1, 1, 1] = mask[2, 2, 2] = mask[4, 4, 4] = True
    regions, count = find_regions(mask, mask.astype(np.float32), np.eye(4))
    assert count == 2
    assert [region.voxels for region in regions] == [2, 1]
    assert regions[1].voxel == (4, 4, 4)


def test_a_ring_has_its_place_on_the_ring():
    mask = np.zeros((9, 9, 3), bool)
    mask[1:8, 1:8, 1] = True
    mask[2:7, 2:7, 1] = False
    ((region,), _) = find_regions(mask, mask.astype(np.float32), np.eye(4))
    assert mask[region.voxel]
    assert not mask[4, 4, 1]


def test_the_nearest_voxel_is_nearest_in_mm():
    """The centre of a U is nearer to its legs in voxels, and nearer to its floor in mm."""
    mask = np.zeros((7, 5, 1), bool)
    mask[0], mask[6], mask[:, 0] = True, True, True
    (in_mm,), _ = find_regions(mask, mask.astype(np.float32), np.diag([9.0, 1.0, 1.0, 1.0]))
    assert in_mm.voxel[1] == 0


@pytest.mark.parametrize(("x", "side"), [(-3.0, "left"), (0.0, "middle"), (3.0, "right")])
def test_sides_are_told_of_registered_scans_only(x, side):
    mask = np.ones((1, 1, 1), bool)
    affine = np.eye(4)
    affine[0, 3] = x
    for registered, expected in ((True, side), (False, None)):
        ((region,), _) = find_regions(mask, mask.astype(np.float32), affine, registered=registered)
        assert region.side == expected


@pytest.mark.parametrize(
    ("sform", "qform", "registered"),
    [(4, 1, True), (3, 0, True), (1, 4, False), (2, 1, False), (0, 4, True), (0, 1, False)],
)
def test_the_header_tells_whether_a_scan_is_registered(sform, qform, registered):
    header = nib.Nifti1Header()
    header["sform_code"], header["qform_code"] = sform, qform
    assert is_registered(header) is registered
    assert is_registered(None) is False


def test_only_the_largest_are_described_but_all_are_counted():
    mask = np.zeros((9, 1, 1), bool)
    mask[[0, 2, 4, 5, 8]] = True
    regions, count = find_regions(mask, mask.astype(np.float32), np.eye(4), most=2)
    assert count == 4
    assert [(region.voxel, region.voxels) for region in regions] == [((4, 0, 0), 2), ((0, 0, 0), 1)]


def test_no_region_and_a_map_that_does_not_fit():
    none = np.zeros(SHAPE, bool)
    assert find_regions(none, errors_of(none), np.eye(4)) == ([], 0)
    with pytest.raises(ValueError, match="differ in shape"):
        find_regions(none, errors_of(none)[1:], np.eye(4))


def test_a_summary_lists_the_regions():
    scan = some_scan()
    finding = some_finding(scan)
    summary = plain(with_regions(scan, finding))
    regions, count = regions_of(scan, finding)
    assert summary["regions"]["count"] == count
    assert summary["regions"]["listed"][0]["position_mm"] == list(regions[0].position_mm)
    assert {key: summary[key] for key in finding.summary()} == plain(finding.summary())
    empty = replace(finding, anomaly=np.zeros_like(finding.anomaly))
    assert with_regions(scan, empty)["regions"]["listed"] == []
