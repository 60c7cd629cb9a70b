"""A stack of slices on a model's grid: the slices are the scan's own, whichever way it was acquired and stored."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_model import ORIENTATIONS, affine_of, oblique, stored_as, tiny_head, turned

from itermask.prepare.grid import Grid, grid_from
from itermask.prepare.placement import thick_axis, through_plane
from itermask.prepare.prepare import prepare
from itermask.prepare.restore import restore_map, restore_mask
from itermask.types import Scan

PLANES = ("sagittal", "coronal", "axial")
PIXEL, THICKNESS = 3.0, 6.0
GRID = Grid((PIXEL, PIXEL, 0.0), (32, 32, 1), 8)
orientations = st.sampled_from(ORIENTATIONS)
axes = st.integers(0, 2)


def stack(across=2, pixel=PIXEL, thickness=THICKNESS, tilted=False, **how):
    """A head in slices across an axis, stored in RAS order."""
    spacing = [thickness if axis == across else pixel for axis in range(3)]
    shape = tuple(int(np.ceil(size / step)) for size, step in zip((66, 84, 60), spacing, strict=True))
    image, brain = tiny_head(shape, spacing, **how)
    affine = affine_of(spacing)
    return Scan(image, oblique(affine, (9.0, -8.0, 11.0)) if tilted else affine, "FLAIR", brain, "stack_FLAIR")


def trimmed(picture):
    """The part of a slice in which something is not 0."""
    inside = np.argwhere(picture)
    return picture[tuple(slice(low, high + 1) for low, high in zip(inside.min(0), inside.max(0), strict=True))]


# --- which slices --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spacing", "shape", "through", "thick"),
    [
        ((1, 1, 5), (200, 200, 24), 2, 2),
        ((5, 0.9, 0.9), (24, 200, 200), 0, 0),
        ((1, 1, 1), (9, 9, 9), None, None),
        ((1.2, 1, 1), (160, 256, 256), None, None),
        ((1, 1, 2), (160, 256, 256), 2, None),
        ((1.88, 1.88, 1.7), (128, 128, 88), None, None),
        ((1, 1, 1), (200, 1, 200), 1, 1),
        ((1, 1, 4), (200, 1, 200), 1, 1),
        ((3, 3, 1), (40, 40, 120), None, None),
    ],
)
def test_slices_are_counted_along_the_thick_axis(spacing, shape, through, thick):
    assert through_plane(spacing, shape) == through
    assert thick_axis(spacing, shape) == thick


@given(orientation=orientations, across=axes, tilted=st.booleans())
@settings(deadline=None, max_examples=40)
def test_the_box_is_the_same_however_the_stack_is_stored(orientation, across, tilted):
    scan = stack(across, tilted=tilted)
    straight, other = prepare(scan, GRID), prepare(stored_as(scan, orientation), GRID)
    assert straight.plane == other.plane == PLANES[across]
    assert straight.spacing == pytest.approx((PIXEL, PIXEL, THICKNESS))
    np.testing.assert_allclose(other.image, straight.image, atol=1e-4)
    assert np.array_equal(other.brain, straight.brain)
    # The last axis counts the scan's own slices, the other two are in RAS order.
    rest = [axis for axis in range(3) if axis != across]
    areas = scan.brain_mask.sum(axis=tuple(rest))
    assert np.array_equal(straight.brain.sum(axis=(0, 1)), areas[areas > 0])
    thickest = int(areas.argmax())
    native = np.where(scan.brain_mask, scan.image, 0).take(thickest, axis=across)
    box = GRID.scale.undo(straight.image, straight.limits) * straight.brain
    seen = box[..., thickest - int(np.flatnonzero(areas)[0])]
    np.testing.assert_allclose(trimmed(seen), trimmed(native), rtol=1e-3)


def test_slices_of_a_volume_are_axial():
    prepared = prepare(stack(pixel=PIXEL, thickness=PIXEL), GRID)
    assert prepared.plane == "axial"
    assert prepared.spacing == pytest.approx((PIXEL, PIXEL, PIXEL))


# --- there and back ------------------------------------------------------------------------------------------


@given(orientation=orientations, across=axes, seed=st.integers(0, 99), tilted=st.booleans())
@settings(deadline=None, max_examples=40)
def test_with_the_models_pixels_maps_come_back_to_their_very_voxels(orientation, across, seed, tilted):
    scan = stack(across, tilted=tilted)
    known = (np.random.default_rng(seed).random(scan.image.shape) < 0.2) & scan.brain_mask
    stored, wanted = stored_as(scan, orientation), turned(known, orientation)
    prepared = prepare(stored, GRID)
    box = prepared.placement.to_box(wanted) > 0.5
    assert np.array_equal(restore_mask(box, prepared, stored.brain_mask), wanted)
    back = restore_map(GRID.scale.undo(prepared.image, prepared.limits), prepared, stored.brain_mask)
    np.testing.assert_allclose(back, np.where(stored.brain_mask, stored.image, 0), rtol=1e-4)


@given(
    orientation=orientations,
    across=axes,
    pixel=st.floats(1.2, 4.5),
    thickness=st.floats(5.7, 12.0),
    tilted=st.booleans(),
)
@settings(deadline=None, max_examples=40)
def test_with_other_pixels_every_slice_comes_back_to_itself(orientation, across, pixel, thickness, tilted):
    scan = stack(across, pixel, thickness, tilted, blob=200.0)
    plain = stack(across, pixel, thickness, tilted)
    blob = (scan.image - plain.image > 100) & scan.brain_mask
    stored, true = stored_as(scan, orientation), turned(blob, orientation)
    prepared = prepare(stored, GRID)
    file_axis = int(np.argmax(prepared.placement.orientation[:, 0]))
    assert prepared.plane == PLANES[across]
    assert prepared.spacing[2] == pytest.approx(thickness)
    box = prepared.placement.to_box(true) > 0.5
    found = restore_mask(box, prepared, stored.brain_mask)
    areas, wanted = (mask.sum(axis=tuple(a for a in range(3) if a != file_axis)) for mask in (found, true))
    assert not ((areas > 0) & (wanted == 0)).any()  # no slice takes from its neighbour
    assert (areas[wanted >= 10] > 0).all()
    assert not (found & ~stored.brain_mask).any()
    assert found.sum() == pytest.approx(true.sum(), rel=0.35, abs=10)
    middle = [np.argwhere(mask).mean(0) for mask in (found, true)]
    assert np.abs(middle[0] - middle[1]).max() < 0.7


@pytest.mark.parametrize("across", range(3))
@pytest.mark.parametrize("orientation", ORIENTATIONS[::11])
def test_a_single_slice_is_a_stack_of_one(across, orientation):
    whole = stack(across, blob=60)
    middle = whole.image.shape[across] // 2
    alone = tuple(slice(middle, middle + 1) if axis == across else slice(None) for axis in range(3))
    scan = stored_as(Scan(whole.image[alone], whole.affine, "FLAIR", whole.brain_mask[alone]), orientation)
    prepared = prepare(scan, GRID)
    assert prepared.plane == PLANES[across]
    assert prepared.image.shape == (32, 32, 1)
    assert prepared.brain.sum() == scan.brain_mask.sum()
    assert np.array_equal(restore_mask(prepared.brain, prepared, scan.brain_mask), scan.brain_mask)


# --- field of view and least area ----------------------------------------------------------------------------


def test_a_brain_larger_than_the_field_of_view_gets_a_larger_one():
    small = replace(GRID, box=(16, 16, 1))
    prepared = prepare(stack(), small)
    assert prepared.image.shape[:2] == (24, 24)
    assert prepared.brain.sum() == stack().brain_mask.sum()


def test_a_pixel_size_that_hardly_differs_changes_no_value():
    scan = stack(pixel=PIXEL * 1.003)
    prepared = prepare(scan, GRID)
    assert prepared.placement.ratio == (1.0, 1.0, 1.0)
    assert prepared.brain.sum() == scan.brain_mask.sum()


def test_slices_with_too_little_brain_are_not_processed():
    scan = stack()
    areas = scan.brain_mask.sum(axis=(0, 1)) * PIXEL**2 / 100
    least = float(np.median(areas[areas > 0]))
    prepared = prepare(scan, replace(GRID, slice_area=least))
    whole = prepare(scan, GRID)
    assert whole.left_out == 0
    assert prepared.left_out == ((areas > 0) & (areas < least)).sum() > 0
    held = prepared.brain.any(axis=(0, 1))
    assert np.array_equal(prepared.brain[..., held], whole.brain[..., held])
    assert (prepared.image[..., ~held] == GRID.scale.background).all()
    assert held.sum() == (areas >= least).sum()
    with pytest.raises(ValueError, match="no slice holds 90 cm² of brain"):
        prepare(scan, replace(GRID, slice_area=90.0))


@pytest.mark.parametrize(
    "grid",
    [
        {"spacing": (0.0, 2.0, 0.0)},
        {"spacing": (2.0, 2.0, -1.0)},
        {"spacing": (2.0, 2.0, float("nan"))},
        {"spacing": (2.0, 2.0, 0.0), "slice_area": -1.0},
        {"slice_area": 20.0},
    ],
)
def test_a_grid_that_is_none_is_refused(grid):
    with pytest.raises(ValueError, match=r"spacing|area"):
        Grid(**grid)


def test_a_card_states_a_grid_of_slices():
    card = {"spacing": [1.875, 1.875, 0], "box": [128, 128, 1], "divisor": 16, "intensity_scale": {}, "slice_area": 20}
    assert grid_from(card) == Grid((1.875, 1.875, 0.0), (128, 128, 1), 16, slice_area=20.0)
    assert grid_from(card).slices
