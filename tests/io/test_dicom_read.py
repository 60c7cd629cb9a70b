"""A scan from DICOM: the same volume in the same place, whatever the pose, the order and the container."""

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_dicom import SHAPE, enhanced, save, slices, some_affine, some_image, zipped
from tiny_model import affine_of, oblique

from itermask.errors import InputError
from itermask.io.dicom.read import read_dicom
from itermask.io.outputs import on_grid_of

ANGLE = st.floats(-180, 180)


def canonical(image, affine):
    found = nib.as_closest_canonical(nib.Nifti1Image(image, affine))
    return np.asanyarray(found.dataobj), found.affine


@given(
    angles=st.tuples(ANGLE, ANGLE, ANGLE),
    spacing=st.tuples(*[st.floats(0.5, 6)] * 3),
    origin=st.tuples(*[st.floats(-200, 200)] * 3),
    backwards=st.booleans(),
    shape=st.tuples(*[st.integers(2, 5)] * 3),
    make=st.sampled_from([slices, enhanced]),
    order=st.randoms(use_true_random=False),
)
@settings(max_examples=20, deadline=None)
def test_a_volume_comes_back_in_its_place(tmp_path_factory, angles, spacing, origin, backwards, shape, make, order):
    affine = oblique(affine_of(spacing, origin), angles)
    if backwards:  # slices stored against their normal
        affine = affine @ np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, -1, shape[2] - 1], [0, 0, 0, 1]])
    image = some_image(shape)
    made = make(image, affine)
    if make is slices:
        order.shuffle(made)
    folder = tmp_path_factory.mktemp("pose")
    save(folder, made)
    scan = read_dicom(folder)[0].scan
    if backwards:
        image, affine = (
            image[:, :, ::-1],
            affine @ np.diag([1, 1, -1, 1]) + np.outer(affine[:, 2], [0, 0, 0, shape[2] - 1]),
        )
    assert np.array_equal(scan.image, image)
    assert np.allclose(scan.affine, affine, atol=1e-4)


@pytest.mark.parametrize("degrees", [(0, 0, 0), (90, 0, 0), (0, 90, 0), (90, 90, 0), (180, 0, 0), (90, 0, 90)])
def test_axial_coronal_and_sagittal_slices(tmp_path, degrees):
    affine = some_affine(degrees)
    save(tmp_path, slices(affine=affine))
    scan = read_dicom(tmp_path)[0].scan
    got, wanted = canonical(scan.image, scan.affine), canonical(some_image().astype(np.float32), affine)
    assert np.array_equal(got[0], wanted[0])
    assert np.allclose(got[1], wanted[1], atol=1e-5)


def test_folder_zip_enhanced_file_and_list_give_the_same(tmp_path):
    paths = save(tmp_path / "study" / "series", slices())
    multi = save(tmp_path / "multi", enhanced())[0]
    archive = zipped(tmp_path / "study", tmp_path / "study.zip")
    for place in (tmp_path / "study", str(tmp_path / "study"), archive, multi, paths):
        found = read_dicom(place)[0]
        assert np.array_equal(found.scan.image, some_image())
        assert np.allclose(found.scan.affine, some_affine(), atol=1e-5)
        assert found.scan.sequence == "T1w"


def test_name_and_sequence(tmp_path):
    save(tmp_path / "study", slices())
    assert read_dicom(tmp_path / "study")[0].scan.name == "study, series 5 'MPRAGE sag'"
    assert read_dicom(tmp_path / "study", sequence="flair")[0].scan.sequence == "FLAIR"


def test_what_is_written_on_the_scans_grid_has_its_affine_and_scanner_coordinates(tmp_path):
    save(tmp_path, slices())
    scan = read_dicom(tmp_path)[0].scan
    nib.save(on_grid_of(scan, scan.image), tmp_path / "scan.nii.gz")
    image = nib.load(tmp_path / "scan.nii.gz")
    assert np.array_equal(image.affine, scan.affine)
    assert (int(image.header["sform_code"]), int(image.header["qform_code"])) == (1, 1)
    assert np.allclose(image.header.get_qform(), scan.affine, atol=1e-4)


def test_all_series(tmp_path):
    save(tmp_path / "a", slices(series=2))
    save(tmp_path / "b", enhanced(series=3))
    save(tmp_path / "c", slices(series=1, SeriesDescription="localizer"))
    assert [found.series.label for found in read_dicom(tmp_path, "all")] == ["2", "3"]
    assert read_dicom(tmp_path, "3")[0].series.frames[0].multiframe


@pytest.mark.parametrize("flips", [(1, 1, 1), (-1, 1, 1), (1, -1, -1)])
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)])
def test_a_brain_mask_may_have_its_axes_in_any_order(tmp_path, order, flips):
    save(tmp_path / "study", slices())
    mask = some_image(seed=3) % 3 == 0
    turn = np.column_stack([order, flips])
    stored = nib.orientations.apply_orientation(mask.astype(np.uint8), turn)
    affine = some_affine() @ nib.orientations.inv_ornt_aff(turn, SHAPE)
    nib.save(nib.Nifti1Image(stored, affine), tmp_path / "mask.nii.gz")
    assert np.array_equal(read_dicom(tmp_path / "study", brain_mask=tmp_path / "mask.nii.gz")[0].scan.brain_mask, mask)


@pytest.mark.parametrize(
    ("mask", "shift", "says"),
    [
        (np.ones((7, 6, 4)), 0.0, r"mask's shape \(7, 6, 4\) is not the scan's"),
        (np.ones(SHAPE), 5.0, "lies elsewhere"),
        (np.zeros(SHAPE), 0.0, "the mask is empty"),
    ],
)
def test_a_mask_that_does_not_fit_is_refused(tmp_path, mask, shift, says):
    save(tmp_path / "study", slices())
    affine = some_affine()
    affine[0, 3] += shift
    nib.save(nib.Nifti1Image(mask.astype(np.uint8), affine), tmp_path / "mask.nii")
    with pytest.raises(InputError, match=rf"mask\.nii: .*{says}"):
        read_dicom(tmp_path / "study", brain_mask=tmp_path / "mask.nii")


def test_refusals_name_the_path_in_one_line(tmp_path):
    save(tmp_path / "flat", slices(np.full(SHAPE, 7, np.int16)))
    single = save(tmp_path / "single", slices())[2]
    save(tmp_path / "two" / "a", slices(series=1))
    save(tmp_path / "two" / "b", slices(series=2))
    (tmp_path / "empty").mkdir()
    for path, says in (
        (tmp_path / "flat", "every voxel is 7"),
        (single, "holds a single slice; give the folder"),
        (tmp_path / "two", "2 series fit"),
        (tmp_path / "empty", "not a NIfTI file, and it holds no MR series"),
        (tmp_path / "missing", "no such file"),
    ):
        with pytest.raises(InputError, match=says) as caught:
            read_dicom(path)
        assert str(caught.value).startswith(f"{path}: ")
        assert len(str(caught.value).splitlines()) == 1
