"""Brain masks: turned, thresholded and said so, or refused for what they are."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import ndimage
from tiny_model import ORIENTATIONS, affine_of, oblique, tiny_head, turned

from itermask.errors import InputError
from itermask.io.masks import turned_onto
from itermask.io.nifti import read_brain_mask, read_mask, read_scan

SHAPE = (12, 11, 10)
AFFINE = oblique(affine_of())
BRAIN = ((np.indices(SHAPE) - np.reshape((6, 5, 5), (3, 1, 1, 1))) ** 2).sum(0) < 16


def saved(path, data, affine=AFFINE):
    nib.save(nib.Nifti1Image(data, affine), path)
    return path


def refusal(path):
    with pytest.raises(InputError) as caught:
        read_brain_mask(path, SHAPE, AFFINE)
    assert str(caught.value).startswith(f"{path}: ")
    return str(caught.value)


@pytest.mark.parametrize("high", [1, 2, 255])
@pytest.mark.parametrize("kind", [np.uint8, np.float32, np.int16])
def test_two_values_are_a_mask_without_a_note(tmp_path, kind, high):
    mask, notes = read_brain_mask(saved(tmp_path / "m.nii", (high * BRAIN).astype(kind)), SHAPE, AFFINE)
    assert np.array_equal(mask, BRAIN)
    assert notes == ()


@given(which=st.integers(0, len(ORIENTATIONS) - 1))
@settings(max_examples=48, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_mask_of_the_same_space_in_another_order_is_turned_and_said(tmp_path, which):
    orientation = ORIENTATIONS[which]
    path = saved(
        tmp_path / "m.nii",
        turned(BRAIN.astype(np.uint8), orientation),
        AFFINE @ nib.orientations.inv_ornt_aff(orientation, SHAPE),
    )
    mask, notes = read_brain_mask(path, SHAPE, AFFINE)
    assert np.array_equal(mask, BRAIN)
    same = np.array_equal(orientation, [[0, 1], [1, 1], [2, 1]])
    assert bool(notes) != same
    assert np.array_equal(read_mask(path, SHAPE, AFFINE), BRAIN)


def test_probabilities_are_thresholded_at_a_half_and_said(tmp_path):
    soft = ndimage.gaussian_filter(BRAIN.astype(np.float32), 1)
    mask, notes = read_brain_mask(saved(tmp_path / "m.nii", soft), SHAPE, AFFINE)
    assert np.array_equal(mask, soft >= 0.5)
    assert notes == ("The brain mask m.nii holds probabilities; 0.5 and more was taken as brain.",)


def test_labels_of_tissue_are_brain_and_said(tmp_path):
    labels = BRAIN * (1 + (np.indices(SHAPE)[0] > 6))
    mask, notes = read_brain_mask(saved(tmp_path / "m.nii", labels.astype(np.int16)), SHAPE, AFFINE)
    assert np.array_equal(mask, BRAIN)
    assert "several labels" in notes[0]


def test_a_mask_with_a_nan_background_is_read_and_said(tmp_path):
    mask, notes = read_brain_mask(
        saved(tmp_path / "m.nii", np.where(BRAIN, 1, np.nan).astype(np.float32)), SHAPE, AFFINE
    )
    assert np.array_equal(mask, BRAIN)
    assert "NaN outside" in notes[0]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (np.where(BRAIN, np.random.default_rng(0).normal(0, 1, SHAPE), 0).astype(np.float32), "negative values"),
        (np.where(BRAIN, 3, -1).astype(np.int16), "negative values"),
        ((BRAIN + 1).astype(np.uint8), "leaves no voxel outside"),
        (np.ones(SHAPE, np.uint8), "leaves no voxel outside"),
        ((BRAIN * np.random.default_rng(0).integers(1, 256, SHAPE)).astype(np.uint8), "of an image or a map"),
        ((BRAIN * np.random.default_rng(0).random(SHAPE) * 90).astype(np.float32), "of an image or a map"),
        ((BRAIN * 0.2 * np.random.default_rng(0).random(SHAPE)).astype(np.float32), "no value reaches 0.5"),
        (np.where(BRAIN, np.inf, 0).astype(np.float32), "NaN or infinite"),
        (np.zeros(SHAPE, np.uint8), "the mask is empty"),
    ],
)
def test_what_is_no_mask_is_refused(tmp_path, data, says):
    assert says in refusal(saved(tmp_path / "m.nii.gz", data))


def test_the_notes_of_a_mask_reach_the_scan(tmp_path):
    image, brain = tiny_head()
    scan = saved(tmp_path / "s_T1w.nii", image, affine_of())
    mask = saved(tmp_path / "m.nii", ndimage.gaussian_filter(brain.astype(np.float32), 1), affine_of())
    assert "holds probabilities" in read_scan(scan, brain_mask=mask).notes[0]


# --- scans with a background of NaN --------------------------------------------------------------------------


def test_a_nan_background_is_set_to_0_and_said(tmp_path):
    image, brain = tiny_head()
    path = saved(tmp_path / "s_T1w.nii", np.where(brain, image, np.nan).astype(np.float32), affine_of())
    scan = read_scan(path)
    assert np.array_equal(scan.image, image)
    assert scan.notes == (f"{100 * (1 - brain.mean()):.0f} % of the volume, its background, is NaN and was set to 0.",)


def test_nan_within_the_object_is_refused(tmp_path):
    image, brain = tiny_head()
    image = np.where(brain, image, np.nan).astype(np.float32)
    image[tuple(size // 2 for size in image.shape)] = np.nan
    with pytest.raises(InputError, match="1 of them within the object"):
        read_scan(saved(tmp_path / "s_T1w.nii", image, affine_of()))


def test_a_mask_may_reach_a_little_into_a_nan_background_but_not_far(tmp_path):
    image, brain = tiny_head()
    path = saved(tmp_path / "s_T1w.nii", np.where(brain, image, np.nan).astype(np.float32), affine_of())
    rim = brain.copy()
    rim[0, 0, 0] = True
    given = saved(tmp_path / "m.nii", rim.astype(np.uint8), affine_of())
    assert np.array_equal(read_scan(path, brain_mask=given).brain_mask, brain)
    wide = saved(tmp_path / "w.nii", ndimage.binary_dilation(brain, iterations=3).astype(np.uint8), affine_of())
    with pytest.raises(InputError, match="voxels of the brain mask are NaN"):
        read_scan(path, brain_mask=wide)


def test_axes_in_another_order_on_a_grid_of_the_same_shape_are_told_apart_from_another_shape():
    data, other = np.zeros((4, 4, 3)), np.eye(4)[[2, 0, 1, 3]]
    with pytest.raises(InputError, match="orders its axes in another way"):
        turned_onto(Path("brain.nii.gz"), data, other, (4, 4, 3), np.eye(4))
    with pytest.raises(InputError, match=r"the mask's shape \(4, 4, 3\) is not the scan's \(4, 4, 4\)"):
        turned_onto(Path("brain.nii.gz"), data, np.eye(4), (4, 4, 4), np.eye(4))
