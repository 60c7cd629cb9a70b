"""The turned grid: what it agrees with, what comes back from it, and that nothing depends on how a scan is stored."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_align import box_of, rigid
from tiny_model import ORIENTATIONS, affine_of, oblique, stored_as, tiny_scan

from itermask.prepare.align import Alignment
from itermask.prepare.aligned import fit_aligned_box
from itermask.prepare.grid import Grid
from itermask.prepare.placement import fit_box
from itermask.prepare.prepare import prepare
from itermask.prepare.restore import restore_map, restore_mask

pytest.importorskip("SimpleITK")
GRID = Grid((3.0, 3.0, 3.0), (32, 40, 32), 8)
ANGLES = st.tuples(*[st.floats(-40, 40)] * 3)


def aligned(matrix):
    return Alignment(matrix, 0.0, 1.0, 1.0, 0.0, 1.0)


def smooth(scan):
    """A slow wave in the scanner's space, so that it is the same however the scan is stored."""
    index = np.indices(scan.image.shape).reshape(3, -1)
    x, y, z = scan.affine[:3, :3] @ index + scan.affine[:3, 3:]
    return (3 + np.sin(x / 15) + np.cos(y / 18) + z / 40).reshape(scan.image.shape).astype(np.float32)


@pytest.mark.parametrize("spacing", [(3.0, 3.0, 3.0), (2.0, 2.5, 3.0), (1.5, 4.0, 2.0)])
def test_without_a_turn_it_is_the_placement_along_the_scans_own_axes(spacing):
    scan = tiny_scan()
    turned = fit_aligned_box(scan.brain_mask, scan.affine, np.eye(4), spacing, (16, 16, 16), 4)
    own = fit_box(scan.brain_mask, scan.affine, spacing, (16, 16, 16), 4)
    assert turned.shape == own.shape
    np.testing.assert_allclose(turned.to_box(scan.image), own.to_box(scan.image), rtol=1e-4, atol=0.02)
    values = own.to_box(smooth(scan))
    np.testing.assert_allclose(turned.to_native(values), own.to_native(values), rtol=1e-4, atol=1e-4)


@settings(max_examples=15, deadline=None)
@given(ANGLES, st.sampled_from([(2.0, 2.5, 3.0), (1.5, 4.0, 2.0)]))
def test_a_smooth_map_comes_back_from_any_turn(degrees, spacing):
    scan = tiny_scan((48, 25, 36) if spacing[1] == 4 else (36, 40, 24), spacing)
    way = box_of(scan, rigid(degrees, (7.0, -3.0, 40.0)), (2.5, 2.5, 2.5), (8, 8, 8))
    wave = smooth(scan)
    back = way.to_native(way.to_box(wave))
    assert back.shape == scan.image.shape
    assert back.dtype == np.float32
    brain = scan.brain_mask
    # away from the volume's end, where the surroundings count as 0
    assert np.abs(back - wave)[brain].mean() < 0.05
    assert np.corrcoef(back[brain], wave[brain])[0, 1] > 0.98


@settings(max_examples=15, deadline=None)
@given(ANGLES)
def test_the_whole_brain_lies_in_the_middle_of_the_box(degrees):
    scan = tiny_scan()
    way = box_of(scan, rigid(degrees), divisor=4)
    inside = way.to_box(scan.brain_mask.astype(np.float32))
    ml = np.prod(scan.spacing) / 1000
    assert inside.sum() * 27 / 1000 == pytest.approx(scan.brain_mask.sum() * ml, rel=0.02)
    taken = np.argwhere(inside >= 0.5)
    middle = (taken.min(axis=0) + taken.max(axis=0)) / 2
    assert np.abs(middle - (np.array(way.shape) - 1) / 2).max() <= 1.5
    assert all(size == 16 or size % 4 == 0 for size in way.shape)


@pytest.mark.parametrize("orientation", ORIENTATIONS[::5])
@pytest.mark.parametrize("tilt", [False, True])
def test_it_does_not_matter_how_a_scan_is_stored(orientation, tilt):
    scan = tiny_scan(affine=oblique(affine_of()) if tilt else None)
    turn = rigid((8.0, -12.0, 20.0), (3.0, 1.0, -2.0))
    other = stored_as(scan, orientation)
    wanted, found = prepare(scan, GRID, aligned(turn)), prepare(other, GRID, aligned(turn))
    np.testing.assert_allclose(found.image, wanted.image, atol=1e-3)
    mask = wanted.image > 1
    one = restore_mask(mask, wanted, scan.brain_mask)
    assert one.any()
    same = stored_as(replace(scan, image=one.astype(np.float32)), orientation).image > 0
    assert (restore_mask(mask, found, other.brain_mask) != same).sum() <= 2  # rounding at a half


def test_a_turned_scan_and_the_turn_back_give_the_untilted_box():
    scan = tiny_scan()
    turn = rigid((15.0, -20.0, 10.0), (30.0, -10.0, 5.0))
    straight = prepare(scan, GRID, aligned(np.eye(4)))
    tilted = prepare(replace(scan, affine=turn @ scan.affine), GRID, aligned(np.linalg.inv(turn)))
    np.testing.assert_allclose(tilted.image, straight.image, atol=1e-3)
    assert np.array_equal(tilted.brain, straight.brain)


def test_masks_and_maps_stay_on_the_scans_grid_and_in_its_brain():
    scan = tiny_scan(blob=120.0)
    prepared = prepare(scan, GRID, aligned(rigid((20.0, -10.0, 15.0))))
    bright = scan.image > 190
    box = prepared.placement.to_box(bright.astype(np.float32)) >= 0.5
    found = restore_mask(box, prepared, scan.brain_mask)
    assert found.shape == scan.image.shape
    assert not found[~scan.brain_mask].any()
    assert 2 * (found & bright).sum() / (found.sum() + bright.sum()) > 0.85
    error = restore_map(np.ones(prepared.image.shape, np.float32), prepared, scan.brain_mask)
    assert (error[~scan.brain_mask] == 0).all()
    np.testing.assert_allclose(error[scan.brain_mask], 1, atol=1e-5)


def test_a_window_is_a_part_of_the_whole():
    scan = tiny_scan()
    way = box_of(scan, rigid((20.0, -10.0, 15.0)))
    values = way.to_box(scan.image)
    window = (slice(3, 20), slice(0, 31), slice(11, 24))
    np.testing.assert_allclose(way.to_native(values, window), way.to_native(values)[window], atol=1e-3)
    assert way.to_native(values, (slice(0, 0),) * 3).shape == (0, 0, 0)


def test_the_same_scan_gives_the_same_bits():
    scan = tiny_scan()
    way = box_of(scan, rigid((20.0, -10.0, 15.0)))
    assert way.to_box(scan.image).tobytes() == way.to_box(scan.image).tobytes()


def test_outside_the_volume_counts_as_0():
    scan = tiny_scan()
    way = box_of(scan, rigid((45.0, 0.0, 0.0)), box=(48, 48, 48))
    ones = way.to_box(np.ones(scan.image.shape, np.float32))
    assert ones[0, 0, 0] == 0
    assert ones.max() == pytest.approx(1, abs=1e-4)


def test_a_brain_at_the_edge_of_the_volume_is_whole():
    scan = tiny_scan()
    cut = replace(scan, image=scan.image[:, :, 9:], brain_mask=scan.brain_mask[:, :, 9:])
    way = box_of(cut, rigid((25.0, 0.0, 10.0)), spacing=(2.0, 2.0, 2.0))
    share = way.to_box(cut.brain_mask.astype(np.float32)).sum() * 8 / (cut.brain_mask.sum() * np.prod(cut.spacing))
    assert share == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"brain": np.zeros((4, 4, 4), bool)}, "the brain mask is empty"),
        ({"affine": np.diag([0.0, 1, 1, 1])}, "not invertible"),
        ({"to_axes": np.diag([2.0, 1, 1, 1])}, "must be rigid"),
        ({"to_axes": np.diag([-1.0, 1, 1, 1])}, "must be rigid"),
    ],
)
def test_what_has_no_place_is_refused(change, message):
    usual = {"brain": np.ones((4, 4, 4), bool), "affine": np.eye(4), "to_axes": np.eye(4)}
    with pytest.raises(ValueError, match=message):
        fit_aligned_box(**(usual | change), spacing=(2.0, 2.0, 2.0), box=(4, 4, 4), divisor=1)


def test_a_grid_says_whether_it_is_aligned_and_preparation_follows_it():
    scan = tiny_scan()
    wanting = replace(GRID, align=True)
    with pytest.raises(ValueError, match="align the scan before preparation"):
        prepare(scan, wanting)
    turn = aligned(rigid((0.0, 0.0, 12.0)))
    assert np.array_equal(prepare(scan, wanting, turn).image, prepare(scan, GRID, turn).image)
    slices = Grid((3.0, 3.0, 0.0), (32, 32, 1), 8)
    with pytest.raises(ValueError, match=r"scan's own slices .* cannot have them aligned"):
        prepare(scan, slices, turn)
    with pytest.raises(ValueError, match=r"scan's own slices .* cannot have them aligned"):
        replace(slices, align=True)
    with pytest.raises(ValueError, match="align is true or false"):
        replace(GRID, align="yes")
