"""Where a brain lies in a model's box, whatever way the scan is stored, and the way back."""

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_model import ORIENTATIONS, SHAPE, SPACING, affine_of, oblique, stored_as, tiny_head, tiny_scan, turned

from itermask.prepare.placement import fit_box

RATIOS = st.floats(0.3, 4.0)
ORIENTATION = st.sampled_from(ORIENTATIONS)


def block(shape, low, high):
    brain = np.zeros(shape, bool)
    brain[tuple(slice(first, last) for first, last in zip(low, high, strict=True))] = True
    return brain


def centres(placement):
    """Native RAS index of every box voxel's centre, one array an axis; from the class's own definition."""
    return [
        start + (np.arange(size) + 0.5) * ratio - 0.5
        for start, size, ratio in zip(placement.start, placement.shape, placement.ratio, strict=True)
    ]


def centre_of_mass(values, positions):
    """Centre of mass along each axis, where `positions` says where the voxels lie."""
    total = values.sum()
    return [float(values.sum(tuple(a for a in range(3) if a != axis)) @ positions[axis] / total) for axis in range(3)]


def test_the_48_orientations_are_48():
    assert len({orientation.tobytes() for orientation in ORIENTATIONS}) == 48


@pytest.mark.parametrize("spacing", [SPACING, (3.0, 3.0, 3.0), (4.0, 5.0, 1.5)])
@pytest.mark.parametrize("tilt", [np.eye(4), oblique(np.eye(4))], ids=["straight", "oblique"])
def test_every_way_to_store_a_head_gives_the_same_box(spacing, tilt):
    scan = tiny_scan(affine=tilt @ affine_of(), blob=50.0)
    reference = fit_box(scan.brain_mask, scan.affine, spacing, (8, 8, 8), 4)
    wanted = reference.to_box(scan.image)
    for orientation in ORIENTATIONS:
        stored = stored_as(scan, orientation)
        placement = fit_box(stored.brain_mask, stored.affine, spacing, (8, 8, 8), 4)
        assert placement.shape == reference.shape
        np.testing.assert_allclose(placement.to_box(stored.image), wanted, atol=2e-3)
        back = placement.to_native(wanted)
        assert back.shape == stored.image.shape
        np.testing.assert_allclose(back, turned(reference.to_native(wanted), orientation), atol=2e-3)


def test_a_tilt_does_not_change_the_box():
    scan = tiny_scan(blob=50.0)
    boxes = [
        fit_box(scan.brain_mask, affine, (3.0, 3.0, 3.0), (8, 8, 8), 4).to_box(scan.image)
        for affine in (scan.affine, oblique(scan.affine), oblique(scan.affine, (-20.0, 30.0, 5.0)))
    ]
    np.testing.assert_allclose(boxes[1], boxes[0], atol=2e-3)
    np.testing.assert_allclose(boxes[2], boxes[0], atol=2e-3)


@given(
    shape=st.tuples(*[st.integers(1, 9)] * 3),
    box=st.tuples(*[st.integers(1, 12)] * 3),
    divisor=st.sampled_from([1, 2, 4]),
    orientation=ORIENTATION,
    seed=st.integers(0, 99),
)
@settings(deadline=None)
def test_with_one_voxel_size_a_map_in_the_brain_comes_back_exactly(shape, box, divisor, orientation, seed):
    rng = np.random.default_rng(seed)
    brain = rng.random(shape) < 0.3
    brain[tuple(rng.integers(size) for size in shape)] = True
    image = rng.random(shape).astype(np.float32)
    stored, mask = turned(image, orientation), turned(brain, orientation)
    affine = affine_of() @ nib.orientations.inv_ornt_aff(orientation, shape)
    placement = fit_box(mask, affine, SPACING, box, divisor)
    assert np.array_equal(placement.to_native(placement.to_box(stored))[mask], stored[mask])
    assert placement.to_box(mask).sum() == brain.sum()  # the whole brain is in the box
    occupied = [np.ptp(np.flatnonzero(brain.any(tuple(b for b in range(3) if b != a)))) + 1 for a in range(3)]
    for size, smallest, extent in zip(placement.shape, box, occupied, strict=True):
        assert size == smallest or (size > smallest and size % divisor == 0 and size - extent < divisor)


@given(ratios=st.tuples(RATIOS, RATIOS, RATIOS), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=60)
def test_box_voxels_lie_where_the_placement_says(ratios, seed):
    """Smoothing and linear interpolation both leave a linear ramp as it is: the ramp shows each voxel's place."""
    rng = np.random.default_rng(seed)
    shape = tuple(int(size) for size in rng.integers(24, 36, 3))
    low = rng.integers(10, 12, 3)
    brain = block(shape, low, low + rng.integers(2, 10, 3))
    placement = fit_box(brain, np.eye(4), ratios, (1, 1, 1), 1)
    for axis, wanted in enumerate(centres(placement)):
        along = [-1 if a == axis else 1 for a in range(3)]
        ramp = np.broadcast_to(np.arange(shape[axis], dtype=np.float32).reshape(along), shape)
        box = placement.to_box(ramp)
        inside = tuple(
            (position >= 6) & (position <= size - 7) for position, size in zip(centres(placement), shape, strict=True)
        )
        np.testing.assert_allclose(
            box[np.ix_(*inside)], np.broadcast_to(wanted.reshape(along), box.shape)[np.ix_(*inside)], atol=2e-2
        )
        back = placement.to_native(np.broadcast_to(wanted.reshape(along), placement.shape))
        covered = tuple(
            np.flatnonzero((np.arange(size) >= position[0]) & (np.arange(size) <= position[-1]))
            for position, size in zip(centres(placement), shape, strict=True)
        )
        np.testing.assert_allclose(back[np.ix_(*covered)], ramp[np.ix_(*covered)], atol=1e-2)


@given(
    spacing=st.tuples(*[st.floats(0.8, 6.0)] * 3),
    native=st.tuples(*[st.floats(0.8, 6.0)] * 3),
    orientation=ORIENTATION,
    divisor=st.sampled_from([4, 16]),
)
@settings(deadline=None, max_examples=50)
def test_the_brain_lies_inside_the_box_and_in_its_middle(spacing, native, orientation, divisor):
    brain = tiny_head()[1]
    affine = affine_of(native) @ nib.orientations.inv_ornt_aff(orientation, SHAPE)
    placement = fit_box(turned(brain, orientation), affine, spacing, (16, 16, 16), divisor)
    for axis in range(3):
        occupied = np.flatnonzero(brain.any(tuple(a for a in range(3) if a != axis)))
        before = occupied[0] - placement.start[axis]
        after = placement.start[axis] + placement.shape[axis] * placement.ratio[axis] - (occupied[-1] + 1)
        tolerance = 1e-5 * placement.ratio[axis]
        assert before >= -tolerance
        assert after >= -tolerance
        assert abs(before - after) <= 2 * placement.ratio[axis] + tolerance
        assert placement.ratio[axis] == pytest.approx(spacing[axis] / native[axis], rel=2e-3)


@pytest.mark.parametrize(("extent", "size"), [(8, 16), (16, 16), (17, 32), (32, 32), (33, 48)])
def test_a_brain_larger_than_the_box_grows_it_to_a_multiple_of_the_divisor(extent, size):
    brain = block((40, 40, 40), (2, 2, 2), (2 + extent, 4, 4))
    assert fit_box(brain, np.eye(4), (1.0, 1.0, 1.0), (16, 16, 16), 16).shape == (size, 16, 16)


def test_halving_the_resolution_keeps_the_mean_and_a_blobs_place():
    x, y, z = np.meshgrid(*[np.arange(size) for size in (44, 48, 40)], indexing="ij")
    blob = np.exp(-((x - 17.3) ** 2 + (y - 27.8) ** 2 + (z - 21.1) ** 2) / (2 * 3.0**2))
    image = (blob + 0.2 * np.sin(x) * np.cos(2 * y + z) * (blob > 0.01)).astype(np.float32)
    placement = fit_box(block(image.shape, (3, 4, 2), (41, 44, 37)), np.eye(4), (2.0, 2.0, 2.0), (8, 8, 8), 4)
    box = placement.to_box(image)
    assert 8 * box.sum() == pytest.approx(image.sum(), rel=0.01)
    native = centre_of_mass(image, [np.arange(size) for size in image.shape])
    assert centre_of_mass(box, centres(placement)) == pytest.approx(native, abs=0.1)
    assert centre_of_mass(placement.to_native(box), [np.arange(size) for size in image.shape]) == pytest.approx(
        native, abs=0.1
    )


def test_fine_detail_is_averaged_and_not_aliased():
    image = np.indices((32, 32, 32)).sum(0) % 2  # a checkerboard: its mean everywhere
    placement = fit_box(block(image.shape, (4, 4, 4), (28, 28, 28)), np.eye(4), (3.0, 3.0, 3.0), (8, 8, 8), 4)
    assert np.abs(placement.to_box(image)[1:-1, 1:-1, 1:-1] - 0.5).max() < 0.02


@pytest.mark.parametrize("native", [(1.0, 1.0, 5.0), (1.0, 1.2, 0.9), (3.0, 1.0, 1.0), (2.0, 2.0, 2.0)])
def test_a_smooth_map_survives_the_way_there_and_back(native):
    shape = tuple(int(60 / size) for size in native)
    x, y, z = np.meshgrid(*[size * np.arange(n) for n, size in zip(shape, native, strict=True)], indexing="ij")
    smooth = np.sin(x / 12) + np.cos(y / 10 + 0.5) * np.sin(z / 14)
    low, high = [n // 5 for n in shape], [n - n // 5 for n in shape]
    brain = block(shape, low, high)
    placement = fit_box(brain, np.diag([*native, 1.0]), (2.0, 2.0, 2.0), (32, 32, 32), 16)
    back = placement.to_native(placement.to_box(smooth))
    assert np.abs(back - smooth)[brain].max() < 0.1  # of an amplitude of 2
    assert np.sqrt(np.mean((back - smooth)[brain] ** 2)) < 0.04


@pytest.mark.parametrize("orientation", ORIENTATIONS[::5])
def test_a_window_of_the_way_back_is_that_part_of_it_to_the_bit(orientation):
    scan = stored_as(tiny_scan(), orientation)
    placement = fit_box(scan.brain_mask, scan.affine, (3.3, 2.0, 4.1), (8, 8, 8), 4)
    values = np.random.default_rng(0).random(placement.shape)
    window = tuple(slice(size // 5, size - size // 3) for size in scan.image.shape)
    assert np.array_equal(placement.to_native(values, window), placement.to_native(values)[window])


def test_a_single_slice_fills_its_own_thickness():
    brain = block((20, 20, 1), (4, 4, 0), (16, 16, 1))
    image = np.arange(400.0).reshape(20, 20, 1)
    placement = fit_box(brain, np.diag([1.0, 1.0, 4.0, 1.0]), (1.0, 1.0, 1.0), (16, 16, 8), 4)
    box = placement.to_box(image)
    assert [int((plane > 0).sum() > 0) for plane in np.moveaxis(box, 2, 0)].count(1) >= 4
    np.testing.assert_allclose(placement.to_native(box)[brain] / image[brain], 0.875, atol=1e-4)  # not 1: 0 outside


@pytest.mark.parametrize(
    ("brain", "affine", "says"),
    [
        (np.zeros((4, 4, 4), bool), np.eye(4), "empty"),
        (np.ones((4, 4, 4), bool), np.diag([1.0, 1.0, 0.0, 1.0]), "not invertible"),
        (np.ones((4, 4, 4), bool), np.full((4, 4), np.nan), "not invertible"),
    ],
)
def test_what_cannot_be_placed_is_refused(brain, affine, says):
    with pytest.raises(ValueError, match=says):
        fit_box(brain, affine, (1.0, 1.0, 1.0), (4, 4, 4), 4)
