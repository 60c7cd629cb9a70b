"""DICOM results on disk: whole or not at all, with the same UIDs every time, and by the standard."""

import os
import shutil
import subprocess
import warnings
from dataclasses import replace

import numpy as np
import pydicom
import pytest
from tiny_dicom import enhanced, save, slices, some_finding, zipped

from itermask.errors import InputError
from itermask.io.dicom import write
from itermask.io.dicom.read import read_dicom
from itermask.io.dicom.series import find_series
from itermask.io.dicom.write import check_dicom, write_dicom
from itermask.io.result_folder import MARK


@pytest.fixture
def found(tmp_path):
    save(tmp_path / "source", slices())
    return read_dicom(tmp_path / "source")[0]


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def uids(folder):
    """All UIDs of the results, by file; without those of the standard."""
    return {
        str(path.relative_to(folder)): [
            str(element.value) for element in pydicom.dcmread(path).iterall() if element.VR == "UI"
        ]
        for path in sorted(folder.rglob("*.dcm"))
    }


ALWAYS = {"segmentation.dcm", "scores.dcm", "summary-page.dcm", "summary-pdf.dcm"}
NAMES = {*ALWAYS, "key-images.dcm", "overlay/0001.dcm", "overlay/0002.dcm"}


@pytest.mark.parametrize("make", [slices, enhanced])
def test_all_files_are_written_without_a_warning(tmp_path, make):
    save(tmp_path / "source", make(PatientName="anonymous"))
    found = read_dicom(tmp_path / "source")[0]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        folder = write_dicom(found.scan, found.series, some_finding(found.scan), tmp_path / "out")
    assert folder == tmp_path / "out" / "dicom"
    assert set(contents(folder)) == NAMES
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [MARK, "dicom"]
    studies = {pydicom.dcmread(path).StudyInstanceUID for path in folder.rglob("*.dcm")}
    assert studies == {found.series.study}


def test_a_zip_is_a_source_like_a_folder(tmp_path, found):
    archive = zipped(tmp_path / "source", tmp_path / "source.zip")
    other = read_dicom(archive)[0]
    one = write_dicom(found.scan, found.series, some_finding(found.scan), tmp_path / "a")
    two = write_dicom(other.scan, other.series, some_finding(other.scan), tmp_path / "b")
    assert uids(one) == uids(two)


def test_writing_again_gives_the_same_uids(tmp_path, found):
    finding = some_finding(found.scan)
    first = uids(write_dicom(found.scan, found.series, finding, tmp_path / "out"))
    assert uids(write_dicom(found.scan, found.series, finding, tmp_path / "out")) == first
    other = some_finding(found.scan, np.roll(finding.anomaly, 1, axis=0))
    changed = uids(write_dicom(found.scan, found.series, other, tmp_path / "out"))
    assert set(changed) == set(first)
    assert all(changed[name] != first[name] for name in first)


def test_fewer_pictures_take_the_place_of_more(tmp_path, found):
    write_dicom(found.scan, found.series, some_finding(found.scan), tmp_path)
    nothing = some_finding(found.scan, np.zeros(found.scan.image.shape, bool))
    assert len(list((tmp_path / "dicom" / "overlay").iterdir())) == 2
    write_dicom(found.scan, found.series, nothing, tmp_path)
    assert set(contents(tmp_path / "dicom")) == ALWAYS


@pytest.mark.parametrize("make", [slices, enhanced])
def test_key_images_are_the_slices_with_findings(tmp_path, make):
    save(tmp_path / "source", make())
    found = read_dicom(tmp_path / "source")[0]
    finding = some_finding(found.scan)
    folder = write_dicom(found.scan, found.series, finding, tmp_path / "out")
    keys = pydicom.dcmread(folder / "key-images.dcm")
    named = [
        item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID
        for item in keys.ContentSequence
        if item.ValueType == "IMAGE"
    ]
    marked = np.flatnonzero(finding.anomaly.any((0, 1)))
    assert named == list(dict.fromkeys(found.series.frames[index].uid for index in marked))
    assert (keys.Modality, keys.SeriesNumber) == ("KO", 504)


@pytest.mark.parametrize("make", [slices, enhanced])
def test_the_summary_is_one_page_that_any_archive_shows(tmp_path, make):
    """As a picture and as a PDF; both name their source in the header, neither names the patient on the page."""
    save(tmp_path / "source", make(PatientName="Doe^Jane", PatientID="P-77", BodyPartExamined="HEAD"))
    found = read_dicom(tmp_path / "source")[0]
    finding = replace(some_finding(found.scan), warnings=("Of how it came.",))
    folder = write_dicom(found.scan, found.series, finding, tmp_path / "out")
    page, document = (pydicom.dcmread(folder / name) for name in ("summary-page.dcm", "summary-pdf.dcm"))
    for each in (page, document):
        assert (each.PatientName, each.PatientID, each.StudyInstanceUID) == ("Doe^Jane", "P-77", found.series.study)
        assert each.BurnedInAnnotation == "NO"
        assert "Research use" in each.SeriesDescription
    assert len({page.SeriesInstanceUID, document.SeriesInstanceUID, found.series.uid}) == 3
    assert page.BodyPartExamined == "HEAD"
    pixels = page.pixel_array
    assert pixels.shape == (page.Rows, page.Columns, 3)
    assert pixels.std() > 10
    assert (pixels[:, :20] == 255).all(), "the edge of a page"
    assert document.MIMETypeOfEncapsulatedDocument == "application/pdf"
    content = document.EncapsulatedDocument[: document.EncapsulatedDocumentLength]
    assert content.startswith(b"%PDF-")
    assert content.rstrip().endswith(b"%%EOF")
    assert content.count(b"/Type /Page\n") + content.count(b"/Type /Page ") == 1
    assert b"Doe" not in content
    named = {item.ReferencedSOPInstanceUID for item in document.SourceInstanceSequence}
    assert named == {frame.uid for frame in found.series.frames}
    other = write_dicom(found.scan, found.series, some_finding(found.scan), tmp_path / "other")
    assert pydicom.dcmread(other / "summary-pdf.dcm").SOPInstanceUID != document.SOPInstanceUID, "it says less"


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), ValueError("no"), KeyboardInterrupt()])
def test_a_failure_leaves_earlier_results_whole(tmp_path, found, monkeypatch, error):
    finding = some_finding(found.scan)
    folder = write_dicom(found.scan, found.series, finding, tmp_path / "out")
    before = contents(folder)

    def fail(*_):
        raise error

    monkeypatch.setattr(write, "score_report", fail)
    with pytest.raises(InputError if isinstance(error, OSError) else type(error)):
        write_dicom(found.scan, found.series, finding, tmp_path / "out")
    assert contents(folder) == before
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [MARK, "dicom"]


def test_a_rename_that_fails_puts_earlier_results_back(tmp_path, found, monkeypatch):
    finding = some_finding(found.scan)
    folder = write_dicom(found.scan, found.series, finding, tmp_path)
    before, real, seen = contents(folder), os.replace, []

    def replace(source, target):
        seen.append(target)
        if len(seen) == 2:
            raise OSError(5, "Input/output error")
        real(source, target)

    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(InputError, match=r"cannot be written to \(Input/output error\)"):
        write_dicom(found.scan, found.series, finding, tmp_path)
    assert contents(folder) == before


@pytest.mark.parametrize("name", ["notes.txt", "overlay/mine.dcm"])
def test_a_folder_with_other_files_is_refused_and_kept(tmp_path, found, name):
    (tmp_path / "dicom" / "overlay").mkdir(parents=True)
    (tmp_path / "dicom" / name).write_text("mine")
    for call in (
        lambda: check_dicom(found.series, tmp_path),
        lambda: write_dicom(found.scan, found.series, some_finding(found.scan), tmp_path),
    ):
        with pytest.raises(InputError, match=r"dicom: holds other things than earlier results"):
            call()
    assert (tmp_path / "dicom" / name).read_text() == "mine"


def test_the_source_is_never_overwritten(tmp_path):
    save(tmp_path / "dicom", slices())
    found = read_dicom(tmp_path / "dicom")[0]
    with pytest.raises(InputError, match="holds other things"):
        check_dicom(found.series, tmp_path)


def test_results_are_no_series_to_look_at(tmp_path, found):
    folder = write_dicom(found.scan, found.series, some_finding(found.scan), tmp_path / "out")
    seen = find_series(folder)
    assert seen.series == ()
    assert {left.reason for left in seen.left_out} == {
        "Segmentation Storage, no MR image",
        "Comprehensive SR Storage, no MR image",
        "Secondary Capture Image Storage, no MR image",
        "Key Object Selection Document Storage, no MR image",
        "Encapsulated PDF Storage, no MR image",
    }


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy (dicom3tools) is not installed")
@pytest.mark.parametrize("empty", [False, True])
@pytest.mark.parametrize("make", [slices, enhanced])
def test_the_validator_finds_no_error(tmp_path, make, empty):
    save(tmp_path / "source", make())
    found = read_dicom(tmp_path / "source")[0]
    finding = some_finding(found.scan, np.zeros(found.scan.image.shape, bool) if empty else None)
    folder = write_dicom(found.scan, found.series, finding, tmp_path / "out")
    for name in (*sorted(ALWAYS), *(() if empty else ("overlay/0001.dcm",))):
        done = subprocess.run(["dciodvfy", folder / name], capture_output=True, text=True, check=False, timeout=60)
        assert [line for line in done.stderr.splitlines() if line.startswith("Error")] == [], name
