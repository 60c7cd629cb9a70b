"""Preparation: brain only, the model's grid and intensity scale; and maps brought back to the scan."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_model import ORIENTATIONS, SPACING, affine_of, oblique, stored_as, tiny_head, tiny_scan, turned

from itermask.prepare.grid import Grid, grid_from
from itermask.prepare.intensity import IntensityScale
from itermask.prepare.prepare import prepare
from itermask.prepare.restore import restore_map, restore_mask
from itermask.types import Scan

GRID = Grid((4.0, 4.0, 4.0), (16, 24, 16), 8)
SAME = Grid(SPACING, (16, 16, 16), 8)  # the voxel size of the tiny scan


# --- intensity scale -----------------------------------------------------------------------------------------


@given(
    seed=st.integers(0, 99),
    count=st.integers(2, 300),
    factor=st.floats(0.5, 1e4),
    offset=st.floats(-1e3, 1e3),
    top=st.floats(0.5, 5),
    percentiles=st.sampled_from([(2.0, 90.0), (0.0, 100.0), (25.0, 75.0)]),
)
@settings(deadline=None)
def test_the_two_percentiles_go_to_the_ends_and_back(seed, count, factor, offset, top, percentiles):
    rng = np.random.default_rng(seed)
    image = (offset + factor * rng.gamma(2.0, size=(count, 3))).astype(np.float64)
    brain = rng.random(image.shape) < 0.7
    brain[0] = True
    image[~brain] = np.nan  # what is outside the brain does not matter
    scale = IntensityScale(*percentiles, top=top)
    limits = scale.limits(image, brain)
    scaled = scale.apply(image, brain, limits)
    assert scaled.dtype == np.float32
    assert np.percentile(scaled[brain], percentiles) == pytest.approx([-3, top], abs=1e-4)
    assert (scaled[~brain] == -3).all()
    np.testing.assert_allclose(
        scale.undo(scaled, limits)[brain], image[brain], rtol=1e-4, atol=1e-5 * (abs(offset) + factor)
    )
    order = np.argsort(image[brain], kind="stable")
    assert (np.diff(scaled[brain][order]) >= 0).all()


def test_nothing_is_clipped_and_the_background_is_the_scales():
    image = np.arange(101.0)
    brain = np.ones(101, bool)
    brain[:2] = False
    scale = IntensityScale(background=-5.0)
    scaled = scale.apply(image, brain, (10.0, 70.0))
    assert list(scaled[[0, 1, 10, 40, 70, 100]]) == [-5, -5, -3, 0, 3, 6]


@pytest.mark.parametrize("wrong", [{"low": 60, "high": 50}, {"low": -1}, {"high": 101}, {"top": -3.0}])
def test_a_scale_that_means_nothing_is_refused(wrong):
    with pytest.raises(ValueError, match="the scale's"):
        IntensityScale(**wrong)


def test_an_end_in_normal_tissue_is_not_moved_by_a_bright_lesion():
    rng = np.random.default_rng(0)
    normal = rng.normal(100, 10, 10_000)
    with_ball = np.where(np.arange(10_000) < 1200, 200, normal)
    brain = np.ones(10_000, bool)

    def median(image, scale):
        return np.median(scale.apply(image, brain, scale.limits(image, brain))[1200:])

    robust, usual = IntensityScale(high=60, top=2), IntensityScale()
    assert abs(median(with_ball, robust) - median(normal, robust)) < 0.5
    assert abs(median(with_ball, usual) - median(normal, usual)) > 2


@pytest.mark.parametrize(
    ("image", "brain", "says"),
    [
        (np.arange(10.0), np.zeros(10, bool), "empty"),
        (np.full(10, 4.0), np.ones(10, bool), r"constant \(4\)"),
        (np.array([0.0] * 98 + [1, 2]), np.ones(100, bool), r"constant \(0\)"),
        (np.array([1.0, np.nan, 2.0]), np.ones(3, bool), "NaN"),
        (np.array([1.0, np.inf, 2.0]), np.ones(3, bool), "NaN or inf"),
    ],
)
def test_a_brain_without_a_scale_is_refused(image, brain, says):
    with pytest.raises(ValueError, match=says):
        IntensityScale().limits(image, brain)


# --- preparation ---------------------------------------------------------------------------------------------


def test_every_way_to_store_a_scan_is_prepared_alike():
    scan = tiny_scan(blob=40.0)
    wanted = prepare(scan, GRID)
    assert wanted.image.shape == GRID.box
    assert wanted.image.dtype == np.float32
    for orientation in ORIENTATIONS:
        prepared = prepare(stored_as(scan, orientation), GRID)
        assert np.array_equal(prepared.brain, wanted.brain)
        np.testing.assert_allclose(prepared.image, wanted.image, atol=1e-4)
        assert prepared.limits == pytest.approx(wanted.limits, rel=1e-5)


@pytest.mark.parametrize("grid", [GRID, SAME], ids=["coarser", "same"])
def test_a_skull_makes_no_difference(grid):
    stripped, whole = tiny_scan(), tiny_scan(skull=True)
    assert np.array_equal(stripped.brain_mask, whole.brain_mask)
    assert not np.array_equal(stripped.image, whole.image)
    one, other = prepare(stripped, grid), prepare(whole, grid)
    assert np.array_equal(one.image, other.image)
    assert np.array_equal(one.brain, other.brain)
    assert one.limits == other.limits


@given(factor=st.floats(1e-2, 1e3), offset=st.floats(-1e3, 1e3))
@settings(deadline=None, max_examples=15)
def test_the_scanners_units_make_no_difference(factor, offset):
    scan = tiny_scan()
    other = replace(scan, image=(factor * (scan.image + offset)).astype(np.float32))
    np.testing.assert_allclose(prepare(other, GRID).image, prepare(scan, GRID).image, atol=2e-3)


@pytest.mark.parametrize(
    ("shape", "spacing"),
    [((72, 80, 14), (1.0, 1.25, 5.0)), ((18, 25, 48), (4.0, 4.0, 1.5)), ((36, 50, 36), (2.0, 2.0, 2.0))],
    ids=["thick", "anisotropic", "isotropic"],
)
def test_sampled_differently_a_head_is_prepared_much_alike(shape, spacing):
    wanted = prepare(tiny_scan((72, 100, 72), (1.0, 1.0, 1.0)), GRID)
    prepared = prepare(tiny_scan(shape, spacing), GRID)
    dice = 2 * (prepared.brain & wanted.brain).sum() / (prepared.brain.sum() + wanted.brain.sum())
    assert dice > 0.88  # the brain is 55 mm wide, the boxes' origins differ by up to a voxel of 4 mm
    assert prepared.limits == pytest.approx(wanted.limits, rel=0.05)


def test_outside_the_brain_is_background_and_inside_follows_the_scale():
    prepared = prepare(tiny_scan(skull=True), GRID)
    assert (prepared.image[~prepared.brain] == GRID.scale.background).all()
    assert np.percentile(prepared.image[prepared.brain], [2, 90]) == pytest.approx([-3, 3], abs=1e-4)
    volume = prepared.brain.sum() * 4.0**3
    assert volume == pytest.approx(tiny_head()[1].sum() * np.prod(SPACING), rel=0.05)


@pytest.mark.parametrize("thickness", [0.5, 1.0, 2.0, 4.0, 6.0])
@pytest.mark.parametrize("orientation", ORIENTATIONS[::7])
def test_a_single_slice_of_any_thickness_is_prepared_and_restored(thickness, orientation):
    image, brain = tiny_head((36, 40, 3), (2.0, 2.5, thickness), blob=60)
    affine = affine_of((2.0, 2.5, thickness))
    scan = stored_as(Scan(image[..., 1:2], affine, "T1w", brain[..., 1:2]), orientation)
    prepared = prepare(scan, GRID)
    planes = np.flatnonzero(prepared.brain.any((0, 1)))
    assert 1 <= len(planes) <= 1 + np.ceil(thickness / 4)
    plain = GRID.scale.undo(prepared.image, prepared.limits)[prepared.brain]
    assert plain.min() > 0.5 * scan.image[scan.brain_mask].min()  # not darkened by what is beside the slice
    back = restore_map(prepared.image, prepared, scan.brain_mask)
    assert back.shape == scan.image.shape
    assert np.mean(back[scan.brain_mask] != 0) > 0.9


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"brain_mask": None}, "brain mask is needed"),
        ({"brain_mask": np.zeros((36, 40, 24), bool)}, "empty"),
        ({"image": np.full((36, 40, 24), 5.0, np.float32)}, "constant"),
        ({"image": np.full((36, 40, 24), np.nan, np.float32)}, "NaN"),
        ({"affine": np.zeros((4, 4))}, "not invertible"),
    ],
)
def test_what_cannot_be_prepared_is_refused(changes, says):
    with pytest.raises(ValueError, match=says):
        prepare(replace(tiny_scan(), **changes), GRID)


def test_nan_outside_the_brain_is_of_no_matter():
    scan = tiny_scan()
    other = replace(scan, image=np.where(scan.brain_mask, scan.image, np.nan))
    assert np.array_equal(prepare(other, GRID).image, prepare(scan, GRID).image)


# --- the way back --------------------------------------------------------------------------------------------


@given(orientation=st.sampled_from(ORIENTATIONS), seed=st.integers(0, 99), tilted=st.booleans())
@settings(deadline=None, max_examples=30)
def test_with_one_voxel_size_a_mask_comes_back_to_its_very_voxels(orientation, seed, tilted):
    scan = tiny_scan(affine=oblique(affine_of()) if tilted else None)
    known = np.random.default_rng(seed).random(scan.image.shape) < 0.2
    stored, wanted = stored_as(scan, orientation), turned(known & scan.brain_mask, orientation)
    prepared = prepare(stored, SAME)
    box = prepared.placement.to_box(wanted) > 0.5
    assert box.sum() == wanted.sum()
    assert np.array_equal(restore_mask(box, prepared, stored.brain_mask), wanted)
    values = np.where(stored.brain_mask, stored.image, 0)
    back = restore_map(GRID.scale.undo(prepared.image, prepared.limits), prepared, stored.brain_mask)
    np.testing.assert_allclose(back, values, rtol=1e-4)


@pytest.mark.parametrize("affine", [affine_of(), oblique(affine_of())], ids=["straight", "oblique"])
@pytest.mark.parametrize("orientation", ORIENTATIONS[::5])
def test_a_blob_comes_back_to_its_place_in_millimetres(orientation, affine):
    scan = tiny_scan(affine=affine, blob=200.0)
    true = (scan.image - tiny_scan().image > 100) & scan.brain_mask
    stored = stored_as(scan, orientation)
    prepared = prepare(stored, GRID)
    found = restore_mask(prepared.placement.to_box(turned(true, orientation)) > 0.5, prepared, stored.brain_mask)

    def place_in_space(mask, where):
        return (where @ np.append(np.argwhere(mask).mean(0), 1))[:3]

    assert place_in_space(found, stored.affine) == pytest.approx(place_in_space(true, scan.affine), abs=1.0)
    assert found.sum() == pytest.approx(true.sum(), rel=0.2)


@given(seed=st.integers(0, 99))
@settings(deadline=None, max_examples=15)
def test_restored_maps_stay_within_the_brain_and_the_maps_own_range(seed):
    scan = tiny_scan()
    prepared = prepare(scan, GRID)
    values = np.random.default_rng(seed).uniform(5, 9, prepared.brain.shape).astype(np.float32)
    back = restore_map(values, prepared, scan.brain_mask)
    assert back.dtype == np.float32
    assert (back[~scan.brain_mask] == 0).all()
    inside = back[scan.brain_mask & (back != 0)]
    assert inside.size > 0.97 * scan.brain_mask.sum()
    assert inside.min() > 5 - 1e-3  # nothing is mixed with what is outside
    assert inside.max() < 9 + 1e-3
    mask = values > 7
    restored = restore_mask(mask, prepared, scan.brain_mask)
    assert not (restored & ~scan.brain_mask).any()
    assert not restore_mask(np.zeros_like(mask), prepared, scan.brain_mask).any()


@given(seed=st.integers(0, 99), grid=st.sampled_from([GRID, SAME]))
@settings(deadline=None, max_examples=15)
def test_a_mask_and_the_rest_of_the_brain_share_out_the_voxels(seed, grid):
    """A restored mask is neither too large nor too small: what one side loses, the other gains."""
    scan = tiny_scan()
    prepared = prepare(scan, grid)
    mask = np.random.default_rng(seed).random(prepared.brain.shape) < 0.4
    one, rest = (restore_mask(part, prepared, scan.brain_mask) for part in (mask, ~mask))
    assert np.mean((one ^ rest)[scan.brain_mask]) > 0.97


def test_a_grid_from_a_card_is_the_grid():
    settings_ = {
        "spacing": [1, 2, 3],
        "box": [16, 32, 48],
        "divisor": 8,
        "intensity_scale": {"low": 1.0, "high": 99.0, "background": -4.0},
    }
    assert grid_from(settings_) == Grid((1.0, 2.0, 3.0), (16, 32, 48), 8, IntensityScale(1.0, 99.0, -4.0))
