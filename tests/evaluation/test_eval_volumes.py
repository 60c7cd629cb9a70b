"""Files to compare: one orientation for all, and no comparison of what lies elsewhere."""

from itertools import permutations, product

import nibabel as nib
import numpy as np
import pytest

from itermask.errors import InputError
from itermask.evaluation.volumes import as_mask, check_same_grid, read_volume

IMAGE = np.random.default_rng(0).random((4, 5, 6)).astype(np.float32)
ORIENTATIONS = [
    np.array(list(zip(order, flips, strict=True)))
    for order in permutations(range(3))
    for flips in product((1, -1), repeat=3)
]


def affine_of(spacing=(2.0, 2.5, 3.0), origin=(-30.0, -50.0, -20.0), degrees=0.0):
    """RAS axes, turned about the first by some degrees."""
    affine, turn, angle = np.diag([*spacing, 1.0]), np.eye(4), np.radians(degrees)
    affine[:3, 3] = origin
    turn[1:3, 1:3] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return turn @ affine


def turned(array, orientation):
    return np.ascontiguousarray(nib.orientations.apply_orientation(array, orientation))


@pytest.fixture
def write(tmp_path):
    """Write an array; gives its volume as read."""

    def call(data, affine=None, name="a.nii.gz"):
        affine = affine_of() if affine is None else affine
        nib.save(nib.Nifti1Image(np.asarray(data, dtype=np.float32), affine), tmp_path / name)
        return read_volume(tmp_path / name)

    return call


@pytest.mark.parametrize("degrees", [0, 17])
def test_however_it_is_stored_it_is_read_alike(write, degrees):
    affine = affine_of(degrees=degrees)
    reference = write(IMAGE, affine)
    assert np.array_equal(reference.data, IMAGE)
    assert reference.spacing == pytest.approx((2.0, 2.5, 3.0), abs=1e-5)
    for orientation in ORIENTATIONS[::5]:
        stored = affine @ nib.orientations.inv_ornt_aff(orientation, IMAGE.shape)
        other = write(turned(IMAGE, orientation), stored, "other.nii")
        check_same_grid(other, reference)
        assert np.array_equal(other.data, IMAGE)


def test_turning_the_array_alone_is_another_place(write):
    reference = write(IMAGE)
    flip = turned(IMAGE, np.array([[0, -1], [1, 1], [2, 1]]))
    check_same_grid(write(flip, name="b.nii"), reference)  # the grid is the same, what it holds is not
    swapped = turned(IMAGE, np.array([[1, 1], [0, 1], [2, 1]]))
    with pytest.raises(InputError, match=r"b.nii: shape \(5, 4, 6\) is not \(4, 5, 6\)"):
        check_same_grid(write(swapped, name="b.nii"), reference)


@pytest.mark.parametrize(("shift", "fits"), [(0.01, True), (0.05, True), (0.2, False), (3.0, False)])
def test_a_grid_that_is_moved(write, shift, fits):
    moved = affine_of(origin=(-30.0 + shift, -50.0, -20.0))
    reference, other = write(IMAGE), write(IMAGE, moved, "b.nii")
    if fits:
        check_same_grid(other, reference)
    else:
        with pytest.raises(InputError, match="lies elsewhere in space"):
            check_same_grid(other, reference)


def test_a_grid_of_another_size_or_tilt_is_elsewhere(write):
    reference = write(IMAGE)
    for affine in (affine_of((2.0, 2.5, 3.1)), affine_of(degrees=10)):
        with pytest.raises(InputError, match="lies elsewhere in space"):
            check_same_grid(write(IMAGE, affine, "b.nii"), reference)


def test_masks_of_any_whole_numbers(write):
    labels = np.arange(120).reshape(4, 5, 6) % 5
    assert np.array_equal(as_mask(write(labels)), labels > 0)
    assert np.array_equal(as_mask(write(255 * (labels > 2))), labels > 2)
    assert not as_mask(write(0 * labels)).any()
    assert as_mask(write(0 * labels + 1)).all()


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (IMAGE, "fractions"),
        (np.where(IMAGE > 0.5, -1, 1), "negative"),
        (np.where(IMAGE > 0.5, np.nan, 1), "NaN"),
        (np.arange(120).reshape(4, 5, 6), "more than 100 different"),
    ],
)
def test_what_is_no_mask_is_refused(write, data, why):
    with pytest.raises(InputError, match=f"a.nii.gz: .*{why}.*; try this"):
        as_mask(write(data), "try this")


def test_a_file_that_is_no_volume_is_refused(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_volume(tmp_path / "none.nii.gz")
    nib.save(nib.Nifti1Image(np.zeros((3, 3, 3, 2)), np.eye(4)), tmp_path / "4d.nii.gz")
    with pytest.raises(InputError, match="4D image"):
        read_volume(tmp_path / "4d.nii.gz")
