"""What a node reads in a received file, and what it refuses."""

import pytest
from tiny_dicom import PRESENTATION, base, enhanced, save
from tiny_node import no_image, series

from itermask.apps.node.header import MISMATCH, NOT_UNDERSTOOD, RefusedError, read_instance, series_key


def test_a_slice(tmp_path):
    (dataset,) = series(count=1)
    (path,) = save(tmp_path, dataset)
    instance = read_instance(path, str(dataset.SOPClassUID), str(dataset.SOPInstanceUID))
    assert (instance.uid, instance.series) == (dataset.SOPInstanceUID, dataset.SeriesInstanceUID)
    assert instance.study == dataset.StudyInstanceUID
    assert instance.label == "series 1 'MPRAGE sag'"
    assert (instance.announced, instance.exact) == (None, False)
    assert instance.name.endswith(".dcm")


def test_an_enhanced_image(tmp_path):
    (path,) = save(tmp_path, enhanced())
    assert read_instance(path).label == "series 5 'MPRAGE sag'"


@pytest.mark.parametrize(
    ("values", "announced", "exact"),
    [
        ({"ImagesInAcquisition": 7}, 7, False),
        ({"NumberOfSeriesRelatedInstances": 8}, 8, True),
        ({"ImagesInAcquisition": 7, "NumberOfSeriesRelatedInstances": 8}, 8, True),
        ({"ImagesInAcquisition": 0}, None, False),
    ],
)
def test_announced_images(tmp_path, values, announced, exact):
    (path,) = save(tmp_path, series(count=1, **values))
    instance = read_instance(path)
    assert (instance.announced, instance.exact) == (announced, exact)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_labels_hold_no_patient_and_no_control_characters(tmp_path):
    (path,) = save(tmp_path, series(count=1, SeriesDescription="a\tb \x1b[31m" + 100 * "x"))
    label = read_instance(path).label
    assert label.startswith("series 1 'a b [31mxxx")
    assert label.isprintable()
    assert len(label) < 80
    assert "Anna" not in label


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_what_is_refused(tmp_path):
    dataset = series(count=1)[0]
    (good,) = save(tmp_path / "good", dataset)
    cut = tmp_path / "cut.dcm"
    cut.write_bytes(good.read_bytes()[:-20])
    text = tmp_path / "text.dcm"
    text.write_text("no image")
    (state,) = save(tmp_path / "state", [base(PRESENTATION, SOPInstanceUID="1.2.4")])
    (empty,) = save(tmp_path / "empty", no_image())
    (odd,) = save(tmp_path / "odd", series(count=1, SeriesInstanceUID="1.2.x"))
    kind, uid = str(dataset.SOPClassUID), str(dataset.SOPInstanceUID)
    for path, kind_sent, uid_sent, status, says in (
        (cut, kind, uid, NOT_UNDERSTOOD, "truncated"),
        (text, kind, uid, NOT_UNDERSTOOD, "not a DICOM file"),
        (state, "", "", MISMATCH, "no MR image"),
        (empty, "", "", MISMATCH, "no Rows and no Columns"),
        (odd, "", "", NOT_UNDERSTOOD, "a UID in its header is none"),
        (good, kind, "1.2.3", MISMATCH, "another class or instance"),
        (good, "1.2.840.10008.5.1.4.1.1.4.1", uid, MISMATCH, "another class or instance"),
    ):
        with pytest.raises(RefusedError, match=says) as caught:
            read_instance(path, kind_sent, uid_sent)
        assert caught.value.status == status


def test_folders_are_safe_whatever_the_uid():
    keys = {series_key(uid) for uid in ("../..", "/", "1.2.3", "1.2.4", "")}
    assert len(keys) == 5
    assert all(key.isalnum() and len(key) == 20 for key in keys)
