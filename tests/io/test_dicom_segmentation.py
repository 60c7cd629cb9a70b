"""The segmentation: every voxel of the mask in its place in the patient, on its source slice."""

import nibabel as nib
import numpy as np
import pytest
from tiny_dicom import enhanced, save, slices, some_affine, some_finding, some_image

from itermask import __version__
from itermask.io.dicom.extras import highdicom
from itermask.io.dicom.identity import identify
from itermask.io.dicom.read import read_dicom
from itermask.io.dicom.segmentation import anomaly_segmentation
from itermask.io.dicom.sources import source_headers

hd = highdicom()


def segmentation(folder, made, anomaly=None):
    """Scan, finding and segmentation (written and read back) of a series."""
    save(folder / "source", made)
    found = read_dicom(folder / "source")[0]
    finding = some_finding(found.scan, anomaly)
    identity = identify(found.series, finding)
    result = anomaly_segmentation(found.series, source_headers(found.series), finding, identity)
    result.save_as(folder / "seg.dcm", enforce_file_format=True)
    return found, finding, hd.seg.segread(folder / "seg.dcm")


def patient_points(seg):
    """Positions (LPS mm) of all voxels of segment 1, by the frames' own geometry."""
    shared = seg.SharedFunctionalGroupsSequence[0]
    orientation = shared.PlaneOrientationSequence[0].ImageOrientationPatient
    spacing = shared.PixelMeasuresSequence[0].PixelSpacing
    frames = seg.pixel_array.reshape(-1, seg.Rows, seg.Columns)
    points = []
    for frame, groups in zip(frames, seg.PerFrameFunctionalGroupsSequence, strict=True):
        corner = groups.PlanePositionSequence[0].ImagePositionPatient
        to_patient = hd.spatial.PixelToReferenceTransformer(corner, orientation, spacing)
        rows, columns = np.nonzero(frame)
        if rows.size:
            points.append(to_patient(np.column_stack([columns, rows])))
    return np.concatenate(points)


def mask_points(finding):
    """Positions (LPS mm) of the mask's voxels, by the scan's affine."""
    indices = np.argwhere(finding.anomaly)
    return (indices @ finding.affine[:3, :3].T + finding.affine[:3, 3]) * [-1, -1, 1]


def in_order(points):
    points = np.round(points, 3) + 0.0
    return points[np.lexsort(points.T)]


@pytest.mark.parametrize("make", [slices, enhanced])
@pytest.mark.parametrize("degrees", [(12, -8, 17), (0, 0, 0), (90, 0, 0), (0, 90, 10), (100, 200, 300)])
def test_every_voxel_is_in_its_place_in_the_patient(tmp_path, degrees, make):
    anomaly = some_image(seed=4) % 5 == 0
    _, finding, seg = segmentation(tmp_path, make(affine=some_affine(degrees)), anomaly)
    got, wanted = in_order(patient_points(seg)), in_order(mask_points(finding))
    assert got.shape == wanted.shape
    assert np.allclose(got, wanted, atol=2e-3)


@pytest.mark.parametrize("make", [slices, enhanced])
def test_only_slices_with_anomaly_have_frames_and_name_their_source(tmp_path, make):
    found, finding, seg = segmentation(tmp_path, make())
    frames = seg.pixel_array.reshape(-1, seg.Rows, seg.Columns)
    marked = np.flatnonzero(finding.anomaly.any((0, 1)))
    assert len(frames) == len(marked) == 2
    slices_of = {(frame.uid, frame.number): index for index, frame in enumerate(found.series.frames)}
    seen = []
    for frame, groups in zip(frames, seg.PerFrameFunctionalGroupsSequence, strict=True):
        source = groups.DerivationImageSequence[0].SourceImageSequence[0]
        number = source.ReferencedFrameNumber - 1 if make is enhanced else 0
        seen.append(slices_of[source.ReferencedSOPInstanceUID, number])
        assert np.array_equal(frame.T > 0, finding.anomaly[:, :, seen[-1]])
    assert sorted(seen) == list(marked)


def test_highdicoms_own_volume_agrees(tmp_path):
    anomaly = np.zeros((7, 6, 5), bool)
    anomaly[1:3, 2:5] = True
    anomaly[4, 0, 3] = True
    found, _, seg = segmentation(tmp_path, slices(), anomaly)
    volume = seg.get_volume(combine_segments=True)
    back = volume.to_patient_orientation("RAS").array
    wanted = nib.as_closest_canonical(nib.Nifti1Image(anomaly.astype(np.uint8), found.scan.affine))
    assert np.array_equal(back > 0, np.asanyarray(wanted.dataobj) > 0)
    assert seg.number_of_segments == 2, "one a region, the larger first"
    assert [(back == number).sum() for number in (1, 2)] == [30, 1]


def test_frames_of_an_enhanced_image_in_another_order(tmp_path):
    anomaly = some_image(seed=4) % 5 == 0
    _, finding, seg = segmentation(tmp_path, enhanced(order=[4, 1, 3, 0, 2]), anomaly)
    assert np.allclose(in_order(patient_points(seg)), in_order(mask_points(finding)), atol=2e-3)


def test_one_of_two_echoes_in_an_enhanced_image(tmp_path):
    made = enhanced(order=[*range(5), *range(5)])
    for groups in made.PerFrameFunctionalGroupsSequence[5:]:
        groups.MREchoSequence[0].EffectiveEchoTime = 80.0
    save(tmp_path, made)
    found = read_dicom(tmp_path, "5b")[0]
    finding = some_finding(found.scan)
    identity = identify(found.series, finding)
    seg = anomaly_segmentation(found.series, source_headers(found.series), finding, identity)
    named = [
        int(groups.DerivationImageSequence[0].SourceImageSequence[0].ReferencedFrameNumber)
        for groups in seg.PerFrameFunctionalGroupsSequence
    ]
    assert sorted(named) == [8, 9]  # slices 2 and 3 of the second echo
    assert np.allclose(in_order(patient_points(seg)), in_order(mask_points(finding)), atol=2e-3)


def test_an_empty_mask_keeps_all_slices_empty(tmp_path):
    _, _, seg = segmentation(tmp_path, slices(), np.zeros((7, 6, 5), bool))
    assert seg.NumberOfFrames == 5
    assert not seg.pixel_array.any()


def test_what_it_says(tmp_path):
    found, _, seg = segmentation(tmp_path, slices())
    segment = seg.SegmentSequence[0]
    assert segment.SegmentLabel == "Anomaly 1"
    assert segment.SegmentAlgorithmType == "AUTOMATIC"
    assert segment.SegmentedPropertyCategoryCodeSequence[0].CodeValue == "49755003"
    assert segment.SegmentedPropertyTypeCodeSequence[0].CodeValue == "263654008"
    algorithm = segment.SegmentationAlgorithmIdentificationSequence[0]
    assert (algorithm.AlgorithmName, algorithm.AlgorithmVersion) == ("itermask", __version__)
    assert "model=tiny 3" in algorithm.AlgorithmParameters
    source = source_headers(found.series)[0]
    for keyword in ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyInstanceUID", "StudyDate",
                    "AccessionNumber", "FrameOfReferenceUID"):  # fmt: skip
        assert seg[keyword].value == source[keyword].value, keyword
    assert str(seg.PatientName) == "Müller^Anna"
    assert seg.SeriesInstanceUID != source.SeriesInstanceUID
    assert (seg.SeriesNumber, seg.Modality, seg.SegmentationType) == (501, "SEG", "BINARY")
    assert "not a diagnosis" in seg.SeriesDescription
    assert "not a diagnosis" in seg.ContentDescription
