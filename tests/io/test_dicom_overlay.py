"""Overlay pictures: the slice in grey, the outline beside the mask, the notice, and their place in the patient."""

import numpy as np
import pydicom
import pytest
from tiny_dicom import enhanced, save, slices, some_affine, some_finding, some_image

from itermask.io.dicom.identity import identify
from itermask.io.dicom.overlay import draw, overlay_images
from itermask.io.dicom.read import read_dicom
from itermask.io.dicom.sources import source_headers
from itermask.results.report.pictures import CONTOUR, grey_window

RED = np.array(CONTOUR, np.uint8)


def overlays(folder, made, **changes):
    save(folder, made)
    found = read_dicom(folder)[0]
    finding = some_finding(found.scan, **changes)
    made = list(
        overlay_images(found.scan, found.series, source_headers(found.series), finding, identify(found.series, finding))
    )
    return found, finding, made


def is_red(pixels):
    return (pixels == RED).all(-1)


@pytest.mark.parametrize("factor", [1, 3])
def test_the_outline_lies_around_the_mask_and_leaves_it_visible(factor):
    image = np.random.default_rng(0).uniform(0, 1, (300, 280))
    mask = np.zeros(image.shape, bool)
    mask[100:120, 60:90] = True
    picture = draw(image, mask, (0.0, 1.0), factor)
    assert picture.shape == (300 * factor, 280 * factor, 3)
    red = is_red(picture)
    large = np.repeat(np.repeat(mask, factor, 0), factor, 1)
    assert not red[large].any()
    rows, columns = np.nonzero(red)
    assert (rows.min(), rows.max()) == (100 * factor - 1, 120 * factor)
    assert (columns.min(), columns.max()) == (60 * factor - 1, 90 * factor)
    grey = np.rint(255 * np.repeat(np.repeat(image, factor, 0), factor, 1)).astype(int)
    assert np.abs(picture[large].astype(int) - grey[large][:, None]).max() <= 1


def test_intensities_beyond_the_window_are_black_and_white():
    image = np.array([[-5.0, 0.0], [1.0, 9.0]]).repeat(150, 0).repeat(150, 1)
    picture = draw(image, np.zeros(image.shape, bool), (0.0, 1.0), 1)
    assert (picture[:100, :].max(), picture[155, 5].min(), picture[155, 299].min()) == (0, 255, 255)


@pytest.mark.parametrize("shape", [(256, 256), (256, 600), (600, 256)])
def test_the_notice_is_burnt_in_and_fits(shape):
    picture = draw(np.zeros(shape), np.zeros(shape, bool), (0.0, 1.0), 1)
    rows, columns = np.nonzero(picture.max(-1) > 128)
    assert rows.size > 100
    assert rows.min() > 0.8 * shape[0]
    assert columns.max() < shape[1] - 1
    assert columns.min() > 0
    assert columns.max() - columns.min() > 80


@pytest.mark.parametrize("make", [slices, enhanced])
def test_a_compressed_picture_for_every_slice_with_findings_that_names_its_source(tmp_path, make):
    found, finding, made = overlays(tmp_path, make())
    shown = np.flatnonzero(finding.anomaly.any((0, 1)))
    assert len(made) == len(shown) == 2
    assert [image.InstanceNumber for image in made] == [1, 2]
    assert len({image.SOPInstanceUID for image in made}) == 2
    assert len({image.SeriesInstanceUID for image in made}) == 1
    for image, index in zip(made, shown, strict=True):
        source = image.SourceImageSequence[0]
        assert source.ReferencedSOPInstanceUID == found.series.frames[index].uid
        assert is_red(image.pixel_array).any()
        assert image.file_meta.TransferSyntaxUID.name == "RLE Lossless"
        assert "BodyPartExamined" not in image, "nothing that the source does not say"
        assert (image.SeriesNumber, str(image.PatientName)) == (502, "Müller^Anna")
        assert "not a diagnosis" in image.SeriesDescription
        assert image.FrameOfReferenceUID == found.series.frames[index].reference


@pytest.mark.parametrize("degrees", [(0, 0, 0), (12, -8, 17), (90, 0, 0), (0, 90, 0)])
def test_the_enlarged_picture_lies_where_the_slice_does(tmp_path, degrees):
    affine = some_affine(degrees)
    _, _, made = overlays(tmp_path, slices(affine=affine))
    image = made[0]  # of slice 2
    factor = image.Columns // 7
    assert (image.Rows, image.Columns) == (6 * factor, 7 * factor)
    assert min(image.Rows, image.Columns) >= 256
    row, column = np.array(image.ImageOrientationPatient, float).reshape(2, 3)
    down, right = (float(value) for value in image.PixelSpacing)
    corner = np.array(image.ImagePositionPatient, float) - 0.5 * (right * row + down * column)
    far = corner + image.Columns * right * row + image.Rows * down * column
    flip = np.array([-1, -1, 1])
    assert np.allclose(corner, flip * (affine @ [-0.5, -0.5, 2, 1])[:3], atol=1e-3)
    assert np.allclose(far, flip * (affine @ [6.5, 5.5, 2, 1])[:3], atol=1e-3)


@pytest.mark.parametrize(
    ("degrees", "letters"), [((0, 0, 0), ("R", "A")), ((0, 0, 180), ("L", "P")), ((90, 0, 0), ("R", "H"))]
)
def test_patient_orientation(tmp_path, degrees, letters):
    _, _, made = overlays(tmp_path, slices(affine=some_affine(degrees)))
    found = tuple(made[0].PatientOrientation)
    assert found[0] == letters[0]
    assert found[1] in (letters[1], {"H": "F"}.get(letters[1]))


def test_the_window_is_the_brains(tmp_path):
    image = some_image()
    image[0] = 30000  # outside the brain
    _, _, made = overlays(tmp_path, slices(image))
    picture = made[0].pixel_array
    inside = picture[:, picture.shape[1] // 7 : -picture.shape[1] // 7]
    assert np.percentile(inside, 90) > 150


def test_headers_say_what_the_source_says(tmp_path):
    told = {
        "BodyPartExamined": "HEAD",
        "StudyDescription": "Brain MR",
        "IssuerOfPatientID": "HOSPITAL",
        "AdmissionID": "7",
    }
    _, _, made = overlays(tmp_path, slices(**told))
    assert {name: made[0].get(name) for name in told} == told


def test_an_empty_mask_gives_no_pictures(tmp_path):
    assert overlays(tmp_path, slices(), anomaly=np.zeros((7, 6, 5), bool))[2] == []


@pytest.mark.parametrize("shape", [(7, 9, 5), (7, 6, 5), (257, 259, 4)])
def test_pictures_of_odd_and_even_size_are_compressed_without_loss(tmp_path, shape):
    found, finding, made = overlays(tmp_path, slices(some_image(shape) % 1000))
    window, factor = grey_window(found.scan.image, finding.brain), -(-256 // min(shape[:2]))
    shown = np.flatnonzero(finding.anomaly.any((0, 1)))
    for image, index in zip(made, shown, strict=True):
        image.save_as(tmp_path / "written.dcm", enforce_file_format=True)
        back = pydicom.dcmread(tmp_path / "written.dcm")
        assert back.file_meta.TransferSyntaxUID.name == "RLE Lossless"
        assert back.SOPInstanceUID == back.file_meta.MediaStorageSOPInstanceUID
        drawn = draw(found.scan.image[..., index].T, finding.anomaly[..., index].T, window, factor)
        np.testing.assert_array_equal(back.pixel_array, drawn)
