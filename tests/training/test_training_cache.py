"""The cache of prepared scans: made once, made again when anything it depends on changes."""

import os
from dataclasses import replace

import numpy as np
import pytest
from tiny import BOX, tiny_grid, write_scan
from tiny_model import write_nifti
from tiny_slices import stack_grid, tiny_stack, write_stacks

from itermask.errors import InputError
from itermask.prepare.intensity import IntensityScale
from itermask.prepare.prepare import prepare
from itermask.training.cache import cache_key, cached_volume, has_brain, prepare_entry, read_volume
from itermask.training.table import Entry, read_data


@pytest.fixture
def entry(tmp_path):
    return Entry(*write_scan(tmp_path / "scans", "a", seed=1), "train", "a")


def test_a_cached_scan_is_the_prepared_one(entry, tmp_path):
    grid = tiny_grid()
    volume = read_volume(cached_volume(entry, "T1w", grid, tmp_path / "cache"), grid)
    prepared = prepare_entry(entry, "T1w", grid)
    assert volume.images.shape == (1, *BOX)
    assert volume.spacing == grid.spacing
    np.testing.assert_array_equal(volume.brain, prepared.brain)
    np.testing.assert_allclose(volume.images[0], prepared.image, atol=2e-3)  # half precision
    assert (volume.images[0][~volume.brain] == -3).all()


def test_a_scan_is_prepared_once(entry, tmp_path):
    path = cached_volume(entry, "T1w", tiny_grid(), tmp_path / "cache")
    path.write_bytes(b"kept")
    assert cached_volume(entry, "T1w", tiny_grid(), tmp_path / "cache") == path
    assert path.read_bytes() == b"kept"
    assert [file.name for file in path.parent.iterdir()] == [path.name]  # no temporary file is left


@pytest.mark.parametrize("file", ["path", "brain_mask"])
def test_a_changed_file_is_prepared_again(entry, tmp_path, file):
    before = cached_volume(entry, "T1w", tiny_grid(), tmp_path / "cache")
    write_scan(tmp_path / "scans", "a", seed=2)
    changed = getattr(entry, file)
    other = entry.brain_mask if file == "path" else entry.path
    os.utime(changed, ns=(1, 10**18))
    os.utime(other, ns=(1, 10**18 + 7))
    middle = cached_volume(entry, "T1w", tiny_grid(), tmp_path / "cache")
    os.utime(changed, ns=(1, 10**18 + 1))
    after = cached_volume(entry, "T1w", tiny_grid(), tmp_path / "cache")
    assert len({before, middle, after}) == 3
    grid = tiny_grid()
    assert not np.array_equal(read_volume(before, grid).images, read_volume(after, grid).images)
    np.testing.assert_array_equal(read_volume(middle, grid).images, read_volume(after, grid).images)


def test_another_grid_scale_sequence_or_mask_is_another_file(entry, tmp_path):
    grid = tiny_grid()
    paths = [
        cached_volume(entry, "T1w", grid, tmp_path),
        cached_volume(entry, "T2w", grid, tmp_path),
        cached_volume(entry, "T1w", replace(grid, spacing=(4.5, 4.0, 4.0)), tmp_path),
        cached_volume(entry, "T1w", replace(grid, scale=IntensityScale(low=5.0)), tmp_path),
        cached_volume(replace(entry, brain_mask=write_scan(tmp_path, "other")[1]), "T1w", grid, tmp_path),
    ]
    assert len(set(paths)) == len(paths)


def test_a_brain_larger_than_the_box_is_cut_to_its_middle(entry, tmp_path):
    grid = replace(tiny_grid(), box=(8, 16, 12))
    volume = read_volume(cached_volume(entry, "T1w", grid, tmp_path), grid)
    whole = prepare_entry(entry, "T1w", grid).image
    assert whole.shape == (16, 16, 16)
    assert volume.images.shape == (1, 8, 16, 12)
    assert volume.brain.shape == (8, 16, 12)
    np.testing.assert_allclose(volume.images[0], whole[4:12, :, 2:14], atol=2e-3)


# --- lesions -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stacks(tmp_path_factory):
    """Entries of three stacks: with lesion in two slices, in all slices, and without, each with a second sequence."""
    lesions = {0: [4, 5], 1: range(10)}
    folder = write_stacks(tmp_path_factory.mktemp("stacks"), 2, 1, lesions, "T1w")
    return read_data(folder, "FLAIR", target="T1w")


def test_slices_with_lesion_are_left_out_and_no_others(stacks, tmp_path):
    grid, plain = stack_grid(), [replace(entry, target=None) for entry in stacks]
    whole = prepare(tiny_stack(0), grid)
    volume = read_volume(cached_volume(plain[0], "FLAIR", grid, tmp_path, True), grid)
    first = int(np.flatnonzero(tiny_stack(0).brain_mask.any((0, 1)))[0])
    affected = [4 - first, 5 - first]
    kept = np.setdiff1d(np.arange(whole.brain.shape[2]), affected)
    assert not volume.brain[..., affected].any()
    assert (volume.images[..., affected] == -3).all()
    np.testing.assert_array_equal(volume.brain[..., kept], whole.brain[..., kept])
    np.testing.assert_allclose(volume.images[0][..., kept], whole.image[..., kept], atol=2e-3)
    assert (volume.plane, volume.spacing) == ("axial", pytest.approx((3.0, 3.0, 6.0)))


def test_what_has_no_healthy_part_is_told(stacks, tmp_path):
    grid = stack_grid()
    slices = [has_brain(cached_volume(entry, "FLAIR", grid, tmp_path, True)) for entry in stacks]
    volumes = [has_brain(cached_volume(entry, "FLAIR", grid, tmp_path, False)) for entry in stacks]
    assert slices == [True, False, True]
    assert volumes == [False, False, True]
    assert [prepare_entry(entry, "FLAIR", grid, True).brain.any() for entry in stacks] == slices


def test_an_empty_lesion_map_leaves_nothing_out(entry, tmp_path):
    nothing = replace(tiny_stack(), image=0 * tiny_stack().image)
    empty = replace(
        Entry(write_nifti(tmp_path / "s_FLAIR.nii.gz", tiny_stack()), None, "train", "s"),
        lesion=write_nifti(tmp_path / "none.nii.gz", nothing),
    )
    grid = stack_grid()
    for slices in (True, False):
        assert has_brain(cached_volume(empty, "FLAIR", grid, tmp_path, slices))
    elsewhere = replace(entry, lesion=empty.lesion)
    with pytest.raises(InputError, match=r"none.nii.gz: the mask's shape"):
        prepare_entry(elsewhere, "T1w", tiny_grid())


def test_lesions_of_a_resampled_volume_take_its_slices_with_them(tmp_path):
    """A method for slices of a resampled box loses the slices that the lesion reaches, a little more or less."""
    scan = tiny_stack(0)
    lesion = np.zeros_like(scan.image)
    lesion[..., 5] = scan.brain_mask[..., 5]
    entry = Entry(write_nifti(tmp_path / "s_FLAIR.nii.gz", scan), None, "train", "s")
    entry = replace(entry, lesion=write_nifti(tmp_path / "s_les.nii.gz", replace(scan, image=lesion)))
    grid = replace(tiny_grid(), box=(16, 24, 16))
    before = prepare(scan, grid).brain.any((0, 1))
    after = prepare_entry(entry, "FLAIR", grid, True).brain.any((0, 1))
    assert 2 <= (before & ~after).sum() <= 4  # 6 mm in slices of 4 mm
    assert not (after & ~before).any()


# --- pairs ---------------------------------------------------------------------------------------------------


def test_a_pair_lies_in_one_box_each_on_its_own_scale(stacks, tmp_path):
    grid = stack_grid()
    volume = read_volume(cached_volume(stacks[2], "FLAIR", grid, tmp_path, True), grid)
    assert volume.images.shape == (2, *volume.brain.shape)
    np.testing.assert_allclose(volume.images[0], prepare(tiny_stack(2), grid).image, atol=2e-3)
    inside = volume.images[:, volume.brain]
    assert np.corrcoef(inside)[0, 1] < -0.999  # the second is the first turned dark for bright
    assert (volume.images[:, ~volume.brain] == -3).all()
    for values in inside:
        assert np.percentile(values, [2, 90]) == pytest.approx([-3, 3], abs=0.05)


def test_lesion_slices_are_left_out_of_both(stacks, tmp_path):
    grid = stack_grid()
    volume = read_volume(cached_volume(stacks[0], "FLAIR", grid, tmp_path, True), grid)
    gone = ~volume.brain.any((0, 1))
    assert gone.sum() >= 2
    assert (volume.images[..., gone] == -3).all()


@pytest.mark.parametrize("how", ["shape", "place"])
def test_a_pair_on_two_grids_is_refused_in_one_line(stacks, tmp_path, how):
    scan = tiny_stack(2)
    if how == "shape":
        scan = replace(scan, image=scan.image[1:], brain_mask=None)
    else:
        moved = scan.affine.copy()
        moved[1, 3] += 2.0
        scan = replace(scan, affine=moved)
    pair = replace(stacks[2], target=write_nifti(tmp_path / "moved_T1w.nii.gz", scan))
    with pytest.raises(InputError, match=r"not on the grid of p2_FLAIR.nii.gz .* register and resample") as caught:
        cached_volume(pair, "FLAIR", stack_grid(), tmp_path, True)
    assert str(caught.value).startswith(str(pair.target))
    assert "\n" not in str(caught.value)


def test_lesion_and_target_are_part_of_the_key_and_their_absence_is_not(stacks, entry):
    grid = stack_grid()
    first = stacks[0]
    keys = [
        cache_key(first, "FLAIR", grid, True),
        cache_key(first, "FLAIR", grid, False),
        cache_key(replace(first, lesion=None), "FLAIR", grid, True),
        cache_key(replace(first, target=None), "FLAIR", grid, True),
        cache_key(replace(first, target=stacks[1].target), "FLAIR", grid, True),
        cache_key(first, "FLAIR", replace(grid, slice_area=0.0), True),
    ]
    assert len(set(keys)) == len(keys)
    assert cache_key(entry, "T1w", tiny_grid(), True) == cache_key(entry, "T1w", tiny_grid(), False)


def test_a_scan_that_cannot_be_prepared_is_one_line(tmp_path):
    scan = tiny_stack()
    entry = Entry(write_nifti(tmp_path / "s_FLAIR.nii.gz", scan), None, "train", "s")
    with pytest.raises(InputError, match=r"s_FLAIR.nii.gz: no slice holds 99 cm² of brain"):
        prepare_entry(entry, "FLAIR", replace(stack_grid(), slice_area=99.0), True)
