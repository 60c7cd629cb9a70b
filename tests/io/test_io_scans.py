"""A path's content decides how it is read."""

import numpy as np
import pytest
from tiny_dicom import enhanced, save, slices, some_affine, some_image, zipped
from tiny_model import tiny_scan, write_nifti

from itermask.errors import InputError
from itermask.io.scans import read_scans


def test_nifti_and_dicom(tmp_path):
    nifti = write_nifti(tmp_path / "sub-1_T1w.nii.gz", tiny_scan(given=False))
    save(tmp_path / "study" / "one", slices(series=1))
    (source,) = read_scans(str(nifti))
    assert (source.scan.name, source.series) == (nifti.name, None)
    multi = save(tmp_path, enhanced(), "no_ending")[0]
    for path in (tmp_path / "study", zipped(tmp_path / "study", tmp_path / "study.zip"), multi):
        (source,) = read_scans(path)
        assert np.array_equal(source.scan.image, some_image())
        assert np.allclose(source.scan.affine, some_affine(), atol=1e-5)
        assert source.series is not None


def test_options_reach_both(tmp_path):
    nifti = write_nifti(tmp_path / "scan.nii", tiny_scan(given=False))
    assert read_scans(nifti, sequence="flair")[0].scan.sequence == "FLAIR"
    for number in (1, 2):
        save(tmp_path / "study" / str(number), slices(series=number))
    assert read_scans(tmp_path / "study", "flair", series="2")[0].series.label == "2"
    assert [source.series.label for source in read_scans(tmp_path / "study", series="all")] == ["1", "2"]


@pytest.mark.parametrize("name", ["missing", "missing.nii", "missing.dcm", "notes.txt"])
def test_what_is_neither_is_refused_as_before(tmp_path, name):
    (tmp_path / "notes.txt").write_text("no image")
    with pytest.raises(InputError, match=r"no such file|not a NIfTI file"):
        read_scans(tmp_path / name)


def test_a_series_of_a_nifti_file_is_refused(tmp_path):
    nifti = write_nifti(tmp_path / "scan_T1w.nii", tiny_scan(given=False))
    with pytest.raises(InputError, match=r"^--series 3: .*scan_T1w\.nii is no DICOM"):
        read_scans(nifti, series="3")
