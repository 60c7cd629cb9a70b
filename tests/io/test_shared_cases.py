"""Files and masks of real scans that must be said or refused, made by the shared script of such cases."""

import subprocess
import sys

import numpy as np
import pytest

from itermask.errors import InputError
from itermask.io.scans import read_scans
from itermask.prepare.brain import with_brain

pytestmark = pytest.mark.shared


@pytest.fixture(scope="session")
def cases(shared_data, tmp_path_factory):
    """The folder of all cases; some are DICOM, and need pydicom to be made."""
    pytest.importorskip("pydicom")
    make, out = shared_data.parent / "cases" / "make.py", tmp_path_factory.mktemp("cases")
    if not make.is_file():
        pytest.skip("the script of cases is not beside the shared data")
    subprocess.run([sys.executable, str(make), str(out), str(shared_data)], check=True, capture_output=True)
    return out


def read(path, mask=None):
    return read_scans(path, None, mask)[0].scan


def test_a_clean_scan_needs_no_note(cases):
    assert read(cases / "clean_T1w.nii.gz").notes == ()


@pytest.mark.parametrize("name", ["metres", "microns"])
def test_other_units_give_the_same_scan(cases, name):
    clean, other = read(cases / "clean_T1w.nii.gz"), read(cases / f"{name}_T1w.nii.gz")
    assert np.array_equal(other.image, clean.image)
    assert np.allclose(other.affine, clean.affine, atol=1e-4)
    assert "converted to millimetres" in other.notes[0]


def test_a_placeholder_in_the_sform_is_said_and_not_used(cases):
    clean, other = read(cases / "clean_T1w.nii.gz"), read(cases / "sform-identity_T1w.nii.gz")
    assert np.allclose(other.affine, clean.affine, atol=1e-3)
    assert "sform and qform" in other.notes[0]


def test_a_missing_orientation_is_said(cases):
    assert "tells no orientation" in read(cases / "no-orientation_T1w.nii.gz").notes[0]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("zero-pixdim_T1w.nii", "has no voxel size"),
        ("bits_T1w.nii.gz", "gzip stream is wrong"),
    ],
)
def test_what_cannot_be_read_rightly_is_refused(cases, name, says):
    with pytest.raises(InputError, match=says):
        read(cases / name)


def test_a_crop_of_27_voxels_is_refused_in_words(cases):
    with pytest.raises(InputError, match="too small to hold a brain"):
        with_brain(read(cases / "tiny_T1w.nii.gz"))


@pytest.mark.parametrize(
    ("mask", "says"),
    [
        ("inverted", "litres, more than any brain"),
        ("zscored", "negative values"),
        ("dot", "too little for a brain"),
    ],
)
def test_masks_that_are_none_are_refused(cases, mask, says):
    with pytest.raises(InputError, match=says):
        with_brain(read(cases / "clean_T1w.nii.gz", cases / f"mask-{mask}.nii.gz"))


@pytest.mark.parametrize(
    ("mask", "says"), [("probability", "0.5 and more was taken"), ("shifted", "does not fit the scan")]
)
def test_masks_that_are_doubtful_are_said(cases, mask, says):
    scan, _ = with_brain(read(cases / "clean_T1w.nii.gz", cases / f"mask-{mask}.nii.gz"))
    assert says in scan.notes[0]
    assert len(scan.notes) == 1


def test_a_scan_is_not_replaced_by_its_own_result(cases, command):
    own = cases / "own-folder"
    before = (own / "brain.nii.gz").read_bytes()
    code, output, errors = command("run", own / "brain.nii.gz", own, "--sequence", "T1w")
    assert (code, output, len(errors.splitlines())) == (2, "", 1)
    assert [(path.name, path.read_bytes()) for path in own.iterdir()] == [("brain.nii.gz", before)]


def test_a_name_that_is_no_text_is_read(cases):
    (path,) = cases.glob("latin1-*")
    scan = read(path)
    assert scan.name == r"latin1-\xff\xfe_T1w.nii.gz"
    assert np.array_equal(scan.image, read(cases / "clean_T1w.nii.gz").image)
