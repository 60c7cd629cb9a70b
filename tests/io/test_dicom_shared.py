"""A real series: the same voxels in the same place as dcm2niix finds, and results on the right slices."""

import shutil
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
from tiny_dicom import some_finding

from itermask.io.dicom.extras import highdicom
from itermask.io.dicom.read import read_dicom
from itermask.io.dicom.series import find_series
from itermask.io.dicom.write import write_dicom

pytestmark = pytest.mark.shared


@pytest.fixture(scope="module")
def source(shared_data):
    return shared_data / "dicom" / "mprage-siemens"


@pytest.fixture(scope="module")
def found(source):
    return read_dicom(source)[0]


def test_the_series_and_what_it_is(source):
    listed = find_series(source)
    (series,) = listed.series
    assert (series.label, series.plane, series.shape, series.problem) == ("5", "sagittal", (256, 256, 192), "")
    assert series.spacing == pytest.approx((0.859375, 0.859375, 0.9), abs=1e-6)
    assert series.guess.sequence == "T1w"
    assert series.guess.evidence == "TI 900 ms, TR 2000 ms, TE 2.52 ms, description 'SAG MPRAGE 220 FOV'"
    assert {left.reason for left in listed.left_out} <= {"not a DICOM file"}


def test_dcm2niix_finds_the_same_voxels_in_the_same_place(source, found, tmp_path):
    program = shutil.which("dcm2niix") or shutil.which("dcm2niix", path=str(Path(sys.executable).parent))
    if program is None:
        pytest.skip("dcm2niix is not installed")
    command = [program, "-z", "n", "-f", "scan", "-o", tmp_path, source]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    theirs = nib.as_closest_canonical(nib.load(tmp_path / "scan.nii"))
    ours = nib.as_closest_canonical(nib.Nifti1Image(found.scan.image, found.scan.affine))
    assert np.array_equal(np.asanyarray(theirs.dataobj), np.asanyarray(ours.dataobj))
    corners = np.array(np.meshgrid(*[(0, size - 1) for size in ours.shape], [1])).reshape(4, -1)
    assert np.abs((theirs.affine - ours.affine) @ corners).max() < 0.002  # mm; its numbers are of single precision


def test_results_lie_on_the_slices_they_were_made_from(source, found, tmp_path):
    image = found.scan.image
    bright = np.zeros(image.shape, bool)
    bright[100:140, 90:130, 80:84] = image[100:140, 90:130, 80:84] > 150
    finding = some_finding(found.scan, bright, brain=bright, reconstruction=image, error=image)
    folder = write_dicom(found.scan, found.series, finding, tmp_path)
    seg = highdicom().seg.segread(folder / "segmentation.dcm")
    originals = {header.SOPInstanceUID: header for header in map(pydicom.dcmread, source.glob("*.dcm"))}
    frames = seg.pixel_array.astype(bool)
    assert frames.sum() == bright.sum() > 100
    for frame, groups in zip(frames, seg.PerFrameFunctionalGroupsSequence, strict=True):
        original = originals[groups.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID]
        place = groups.PlanePositionSequence[0].ImagePositionPatient
        assert np.allclose(place, original.ImagePositionPatient, atol=1e-6)
        assert original.pixel_array[frame].min() > 150
        again = original.pixel_array[90:130, 100:140] > 150
        assert not (frame[90:130, 100:140] & ~again).any()
    marked = int(bright.any(axis=(0, 1)).sum())
    assert len(list((folder / "overlay").iterdir())) == marked
