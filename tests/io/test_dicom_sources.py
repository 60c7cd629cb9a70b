"""Headers that results refer to: in the slices' order, mended where a result needs more."""

import warnings

import pytest
from tiny_dicom import enhanced, save, slices, uid

from itermask.errors import InputError
from itermask.io.dicom.series import find_series
from itermask.io.dicom.sources import check_sources, source_headers


def only(folder):
    found = find_series(folder)
    assert found.series[0].problem == ""
    return found.series[0]


def test_headers_come_in_the_order_of_the_slices(tmp_path):
    made = slices()
    save(tmp_path, [made[index] for index in (2, 4, 0, 1, 3)])
    headers = source_headers(only(tmp_path))
    assert [header.SOPInstanceUID for header in headers] == [dataset.SOPInstanceUID for dataset in made]
    assert all("PixelData" not in header for header in headers)


def test_an_enhanced_image_has_one_header(tmp_path):
    save(tmp_path, enhanced())
    assert [int(header.NumberOfFrames) for header in source_headers(only(tmp_path))] == [5]


def test_private_elements_go_and_missing_ones_come(tmp_path):
    absent = dict.fromkeys(("PatientID", "PatientName", "PatientBirthDate", "StudyID", "StudyDate", "AccessionNumber"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = slices(PatientSex="U", StudyTime="noon", **absent)
    for dataset in made:
        dataset.private_block(0x0019, "MAKER", create=True).add_new(0x0C, "LO", "secret")
    save(tmp_path, made)
    header = source_headers(only(tmp_path))[0]
    assert not [element for element in header if element.tag.is_private]
    for keyword in (*absent, "PatientSex", "StudyTime"):
        assert not header[keyword].value
    assert header.ReferringPhysicianName == ""


def test_what_results_cannot_refer_to_is_refused(tmp_path):
    save(tmp_path / "good", slices())
    save(tmp_path / "nowhere", slices(FrameOfReferenceUID=None))
    first, second = enhanced(order=[0, 1, 2]), enhanced(order=[3, 4], SOPInstanceUID=uid("second"))
    save(tmp_path / "spread", [first, second])
    check_sources(only(tmp_path / "good"))
    with pytest.raises(InputError, match=r"series 5 .*no FrameOfReferenceUID; leave them out with --no-dicom"):
        check_sources(only(tmp_path / "nowhere"))
    with pytest.raises(InputError, match="spread over several multi-frame files"):
        check_sources(only(tmp_path / "spread"))


def test_a_file_that_is_gone_is_refused(tmp_path):
    paths = save(tmp_path, slices())
    series = only(tmp_path)
    paths[0].unlink()
    with pytest.raises(InputError, match=r"0000\.dcm: cannot be read any more"):
        source_headers(series)
