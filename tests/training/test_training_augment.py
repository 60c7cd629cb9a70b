"""Augmentation moves image and mask together, keeps the brain in the box, and leaves the original alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from tiny import tiny_brain

from itermask.training.augment import Augmentation
from itermask.types import TrainingVolume

STILL = {"flip": 0.0, "pose": 0.0, "shift": 0, "contrast": 0.0, "gamma": 0.0, "erode": 0.0}
seeds = st.integers(0, 2**32 - 1)


def volume(shape=(14, 16, 12), sequences=1):
    """A brain that is not its own mirror image."""
    images, brains = zip(*[tiny_brain(shape, seed) for seed in range(sequences)], strict=True)
    brain = brains[0] & (np.indices(shape).sum(axis=0) > 14)
    return TrainingVolume(np.where(brain, np.stack(images), np.float32(-3)), brain, (2.0, 2.0, 2.0))


@settings(max_examples=60, deadline=None)
@given(seeds, st.integers(0, 30), st.floats(0, 1), st.integers(1, 2))
def test_image_and_mask_move_together_and_the_brain_stays_in_the_box(seed, shift, erode, sequences):
    before = volume(sequences=sequences)
    after = Augmentation(shift=shift, erode=erode, pose=0)(before, np.random.default_rng(seed))
    assert after.images.dtype == np.float32
    assert after.images.shape == before.images.shape
    assert after.brain.shape == before.brain.shape
    # Outside the brain is background in every sequence, and nothing inside was cut off or wrapped around.
    assert (after.images[:, ~after.brain] == -3).all()
    assert (after.images[:, after.brain] != -3).mean() > 0.99
    kept = {before.brain.sum(), ndimage.binary_erosion(before.brain).sum()}
    assert after.brain.sum() in kept
    assert ndimage.label(after.brain)[1] == 1


@settings(max_examples=40, deadline=None)
@given(seeds)
def test_without_contrast_every_brain_voxel_keeps_its_value(seed):
    before = volume()
    after = Augmentation(flip=0.5, pose=0, shift=5, contrast=0, gamma=0, erode=0)(before, np.random.default_rng(seed))
    np.testing.assert_allclose(
        np.sort(after.images[:, after.brain]), np.sort(before.images[:, before.brain]), atol=1e-5
    )
    shifted = [
        int(np.flatnonzero(after.brain.any(axis=axes))[0]) - int(np.flatnonzero(before.brain.any(axis=axes))[0])
        for axes in ((1, 2), (0, 2), (0, 1))
    ]
    back = np.roll(after.images[0], [-by for by in shifted], (0, 1, 2))
    same = [np.allclose(back, option, atol=1e-5) for option in (before.images[0], before.images[0][::-1])]
    assert any(same)  # the original or its mirror image along the first axis, moved as a whole


def test_shifts_reach_as_far_as_they_may_and_no_further():
    brain = np.zeros((20, 20, 20), dtype=bool)
    brain[1:9, 6:14, 2:20] = True
    before = TrainingVolume(np.where(brain, 1.0, -3.0)[None].astype(np.float32), brain, (1.0, 1.0, 1.0))
    move = Augmentation(**(STILL | {"shift": 3}))
    after = [move(before, np.random.default_rng(seed)).brain for seed in range(200)]
    first = np.array([[np.flatnonzero(b.any(axis=a))[0] for a in ((1, 2), (0, 2), (0, 1))] for b in after])
    assert first.min(axis=0).tolist() == [0, 3, 0]
    assert first.max(axis=0).tolist() == [4, 9, 2]


def test_probabilities_of_flip_and_erosion():
    before = volume()
    flip, erode = (Augmentation(**(STILL | change)) for change in ({"flip": 0.3}, {"erode": 0.4}))
    flips = [
        not np.allclose(flip(before, np.random.default_rng(s)).images, before.images, atol=1e-4) for s in range(200)
    ]
    eroded = [erode(before, np.random.default_rng(s)).brain.sum() < before.brain.sum() for s in range(200)]
    assert abs(np.mean(flips) - 0.3) < 0.12
    assert abs(np.mean(eroded) - 0.4) < 0.12


def test_contrast_is_monotone_and_each_sequence_gets_its_own():
    before = volume(sequences=2)
    after = Augmentation(**(STILL | {"contrast": 0.04, "gamma": 0.06}))(before, np.random.default_rng(0))
    changes = []
    for old, new in zip(before.images, after.images, strict=True):
        order = np.argsort(old[before.brain])
        assert (np.diff(new[before.brain][order]) >= -1e-5).all()
        changes.append(float((new - old)[before.brain].mean()))
    assert changes[0] != pytest.approx(changes[1], abs=1e-4)
    assert max(map(abs, changes)) < 1


def test_nothing_to_vary_changes_nothing_and_the_original_is_never_touched():
    before = volume()
    images, brain = before.images.copy(), before.brain.copy()
    same = Augmentation(**STILL)(before, np.random.default_rng(0))
    np.testing.assert_allclose(same.images, images, atol=1e-5)
    np.testing.assert_array_equal(same.brain, brain)
    varied = Augmentation(erode=1.0)(before, np.random.default_rng(1))
    varied.images[:], varied.brain[:] = 0, False
    np.testing.assert_array_equal(before.images, images)
    np.testing.assert_array_equal(before.brain, brain)


def test_the_generator_decides_everything():
    before, vary = volume(), Augmentation(erode=0.5)
    one, two, other = (vary(before, np.random.default_rng(seed)) for seed in (5, 5, 6))
    np.testing.assert_array_equal(one.images, two.images)
    np.testing.assert_array_equal(one.brain, two.brain)
    assert not np.array_equal(one.images, other.images)


def test_a_brain_too_thin_to_erode_stays():
    brain = np.zeros((6, 6, 6), dtype=bool)
    brain[3] = True
    thin = TrainingVolume(np.where(brain, 1.0, -3.0)[None].astype(np.float32), brain, (1.0, 1.0, 1.0))
    assert Augmentation(erode=1.0)(thin, np.random.default_rng(0)).brain.sum() == 36


def test_a_turned_head_keeps_its_intensities_and_about_its_size():
    before = volume((24, 26, 22))
    turn = Augmentation(**(STILL | {"pose": 1.0}))
    changed = 0
    for seed in range(20):
        after = turn(before, np.random.default_rng(seed))
        changed += not np.array_equal(after.brain, before.brain)
        assert 0.6 < after.brain.sum() / before.brain.sum() < 1.6
        assert (after.images[:, ~after.brain] == -3).all()
        inside = after.images[:, after.brain]
        assert inside.min() >= before.images[:, before.brain].min() - 1e-4  # no background in the brain's edge
        assert inside.max() <= before.images[:, before.brain].max() + 1e-4
    assert changed > 10


def test_a_head_that_would_leave_the_box_is_not_turned():
    brain = np.zeros((12, 12, 12), dtype=bool)
    brain[1:-1, 1:-1, 1:-1] = True
    tight = TrainingVolume(np.where(brain, 1.0, -3.0)[None].astype(np.float32), brain, (2.0, 2.0, 2.0))
    turn = Augmentation(**(STILL | {"pose": 1.0, "zoom": 0.5}))
    for seed in range(20):
        after = turn(tight, np.random.default_rng(seed)).brain
        inner = after[1:-1, 1:-1, 1:-1].sum()
        assert inner == after.sum()


def test_the_contrast_bends_between_the_ends_of_the_scale():
    values = np.linspace(-3, 3, 8 * 8 * 8, dtype=np.float32).reshape(8, 8, 8)
    before = TrainingVolume(values[None], np.ones((8, 8, 8), dtype=bool), (2.0, 2.0, 2.0))
    bend = Augmentation(**(STILL | {"gamma": 0.5}))
    middles = set()
    for seed in range(5):
        after = bend(before, np.random.default_rng(seed)).images[0].ravel()
        np.testing.assert_allclose(after[[0, -1]], [-3, 3], atol=1e-5)
        assert (np.diff(after) >= 0).all()
        middles.add(round(float(after[256]), 3))
    assert len(middles) == 5


# --- a scan's own slices -------------------------------------------------------------------------------------


def own_slices(plane="axial", sequences=1):
    """Slices that tell which they are: each has its own value, and its own outline."""
    shape = (20, 24, 6)
    brain = np.zeros(shape, bool)
    for at in range(6):
        brain[5 : 13 + at // 2, 6 : 16 - at // 3, at] = True
    images = np.where(brain, np.arange(6) - 2.5, -3.0).astype(np.float32)
    return TrainingVolume(np.stack([images] * sequences), brain, (2.0, 2.0, 6.0), plane)


@settings(max_examples=40, deadline=None)
@given(seeds, st.sampled_from(["axial", "coronal"]), st.integers(1, 2))
def test_slices_are_varied_in_their_plane_only(seed, plane, sequences):
    before = own_slices(plane, sequences)
    vary = Augmentation(tilt=15.0, zoom=0.1, pose=1.0, contrast=0.0, gamma=0.0, erode=0.5)
    after = vary(before, np.random.default_rng(seed))
    assert (after.plane, after.spacing) == (plane, before.spacing)
    for at in range(6):
        assert after.brain[..., at].any()
        np.testing.assert_allclose(after.images[:, after.brain[..., at], at], at - 2.5, atol=1e-4)
        assert (after.images[:, ~after.brain[..., at], at] == -3).all()


def test_slices_are_turned_and_thinned_by_one_layer():
    before = own_slices()
    turned = Augmentation(**(STILL | {"pose": 1.0, "tilt": 30.0, "zoom": 0.0}))(before, np.random.default_rng(1))
    assert (turned.brain != before.brain).any(axis=(0, 1)).all()
    thinner = Augmentation(**(STILL | {"erode": 1.0}))(before, np.random.default_rng(0))
    expected = np.stack([ndimage.binary_erosion(before.brain[..., at]) for at in range(6)], axis=-1)
    np.testing.assert_array_equal(thinner.brain, expected)


@pytest.mark.parametrize(("plane", "axis"), [("axial", 0), ("coronal", 0), ("sagittal", 2)])
def test_left_and_right_are_exchanged_whichever_axis_they_lie_along(plane, axis):
    before = own_slices(plane)
    after = Augmentation(**(STILL | {"flip": 1.0}))(before, np.random.default_rng(0))
    np.testing.assert_allclose(after.images[0], np.flip(before.images[0], axis), atol=1e-5)
    np.testing.assert_array_equal(after.brain, np.flip(before.brain, axis))


def test_slices_that_would_leave_their_field_of_view_are_not_turned():
    brain = np.zeros((12, 12, 4), dtype=bool)
    brain[1:-1, 1:-1] = True
    tight = TrainingVolume(np.where(brain, 1.0, -3.0)[None].astype(np.float32), brain, (2.0, 2.0, 5.0), "axial")
    turn = Augmentation(**(STILL | {"pose": 1.0, "zoom": 0.5}))
    for seed in range(20):
        after = turn(tight, np.random.default_rng(seed)).brain
        assert after[1:-1, 1:-1].sum() == after.sum()


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (1.0, 1.0, 3.0)])
def test_a_turned_head_is_turned_in_millimetres(spacing):
    """A ball stays one, whatever the voxels' shape: its extent in mm is the same along every axis."""
    shape = tuple(int(60 / size) for size in spacing)
    grid = np.meshgrid(*[(np.arange(n) - (n - 1) / 2) * s for n, s in zip(shape, spacing, strict=True)], indexing="ij")
    bar = (np.abs(grid[0]) < 18) & (np.abs(grid[1]) < 6) & (np.abs(grid[2]) < 18)
    before = TrainingVolume(np.where(bar, 1.0, -3.0)[None].astype(np.float32), bar, spacing)
    turn = Augmentation(**(STILL | {"pose": 1.0, "tilt": 20.0, "zoom": 0.0}))
    for seed in range(8):
        after = turn(before, np.random.default_rng(seed)).brain
        places = np.argwhere(after) * spacing
        moments = np.sort(np.linalg.eigvalsh(np.cov(places.T)))
        still = np.sort(np.linalg.eigvalsh(np.cov((np.argwhere(bar) * spacing).T)))
        np.testing.assert_allclose(moments, still, rtol=0.15)  # the shape, free of where it points


def test_quarter_turns_are_in_the_plane_of_the_first_and_third_axis():
    before = volume((12, 14, 12))
    turn = Augmentation(**(STILL | {"quarter_turns": 0.5}))
    found = [turn(before, np.random.default_rng(seed)) for seed in range(120)]
    kinds = [
        next(k for k in range(4) if np.array_equal(np.rot90(before.brain, k, (0, 2)), one.brain)
             and np.allclose(np.rot90(before.images, k, (1, 3)), one.images, atol=1e-5))
        for one in found
    ]  # fmt: skip
    assert set(kinds) == {0, 1, 2, 3}
    assert abs(np.mean(np.array(kinds) > 0) - 0.5) < 0.15


@pytest.mark.parametrize("change", [{"flip": 1.5}, {"pose": -0.1}, {"tilt": float("nan")}, {"quarter_turns": 2.0}])
def test_a_variation_that_is_none_is_refused(change):
    with pytest.raises(ValueError, match=next(iter(change))):
        Augmentation(**change)
