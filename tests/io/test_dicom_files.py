"""What lies in a folder or a zip: MR images are found by content, everything else is left out with its reason."""

import io
import zipfile

import numpy as np
import pytest
from tiny_dicom import PRESENTATION, SECONDARY, base, enhanced, save, slices, some_image, zipped

from itermask.errors import InputError
from itermask.io.dicom.files import is_dicom, read_headers


def reasons(left_out):
    return {left.name.rsplit("/", 1)[-1]: left.reason for left in left_out}


@pytest.fixture
def folder(tmp_path):
    """Five slices in two folders, and all kinds of other files."""
    made = slices()
    save(tmp_path / "data" / "a", made[:3], "IM{:03d}")
    save(tmp_path / "data" / "b", made[3:], "{}.dcm")
    return tmp_path / "data"


def test_images_are_found_by_content_in_any_folder(folder):
    headers, left_out = read_headers(folder)
    assert left_out == []
    assert [header.values.InstanceNumber for header in headers] == [1, 2, 3, 4, 5]
    assert [header.dicom_file.name for header in headers] == ["IM000", "IM001", "IM002", "0.dcm", "1.dcm"]
    assert "PixelData" not in headers[0].values
    assert "PatientSex" not in headers[0].values  # not needed, so not read


def test_a_zip_and_single_files_give_the_same(folder, tmp_path):
    wanted = [str(header.values.SOPInstanceUID) for header in read_headers(folder)[0]]
    archive = zipped(folder, tmp_path / "all.zip")
    for paths in (archive, str(archive), sorted(folder.rglob("*.dcm")) + sorted(folder.rglob("IM*"))):
        headers, left_out = read_headers(paths)
        assert left_out == []
        assert sorted(str(header.values.SOPInstanceUID) for header in headers) == sorted(wanted)
    inside = read_headers(archive)[0][0].dicom_file
    assert str(inside) == f"{archive}/a/IM000"
    assert inside.open().read() == (folder / "a" / "IM000").read_bytes()


def test_a_zip_within_the_folder_is_looked_into(folder, tmp_path):
    archive = zipped(folder, tmp_path / "inner.zip")
    (tmp_path / "outer").mkdir()
    archive.rename(tmp_path / "outer" / "inner.zip")
    assert len(read_headers(tmp_path / "outer")[0]) == 5


def test_what_is_no_image_is_left_out_with_its_reason(folder):
    good = (folder / "b" / "0.dcm").read_bytes()
    (folder / "notes.txt").write_text("no image")
    (folder / "empty").write_bytes(b"")
    (folder / "noise.dcm").write_bytes(np.random.default_rng(0).bytes(3000))
    (folder / "cut.dcm").write_bytes(good[:-20])
    (folder / "cut_early.dcm").write_bytes(good[:400])
    (folder / "z_again.dcm").write_bytes(good)
    save(folder, [base(SECONDARY, SOPInstanceUID="1.2.3", Rows=1, Columns=1)], "capture.dcm")
    save(folder, [base(PRESENTATION, SOPInstanceUID="1.2.4")], "state.dcm")
    save(folder, [base("1.2.840.10008.5.1.4.1.1.2", SOPInstanceUID="1.2.5", Rows=1, Columns=1)], "ct.dcm")
    save(folder, [slices(Rows=None, SOPInstanceUID="1.2.6")[0]], "rows.dcm")
    headers, left_out = read_headers(folder)
    assert len(headers) == 5
    found = reasons(left_out)
    assert found.pop("cut.dcm").startswith("truncated: ")
    assert found.pop("cut_early.dcm").startswith(("cannot be read", "truncated", "its header"))
    assert found == {
        "notes.txt": "not a DICOM file",
        "empty": "not a DICOM file",
        "noise.dcm": "not a DICOM file",
        "z_again.dcm": "another copy of 0.dcm",
        "capture.dcm": "Secondary Capture Image Storage, no MR image",
        "state.dcm": "Grayscale Softcopy Presentation State Storage, no MR image",
        "ct.dcm": "CT Image Storage, no MR image",
        "rows.dcm": "its header has no Rows",
    }


def test_files_without_preamble_are_read(tmp_path):
    dataset = slices()[0]
    buffer = io.BytesIO()
    dataset.save_as(buffer, implicit_vr=False, little_endian=True, enforce_file_format=False)
    content = buffer.getvalue()
    start = content.find(b"\x08\x00\x05\x00")
    (tmp_path / "old").write_bytes(content[start:])
    headers, left_out = read_headers(tmp_path)
    assert (len(headers), left_out) == (1, [])
    assert headers[0].values.Rows == some_image().shape[1]


def test_an_enhanced_image_that_is_cut_off_is_left_out(tmp_path):
    path = save(tmp_path, enhanced())[0]
    assert len(read_headers(path)[0]) == 1
    path.write_bytes(path.read_bytes()[:-100])
    headers, left_out = read_headers(path)
    assert headers == []
    assert left_out[0].reason.startswith("truncated")


@pytest.mark.parametrize("name", ["missing", "missing.zip"])
def test_a_path_that_is_not_there_is_refused(tmp_path, name):
    with pytest.raises(InputError, match=rf"{name}: no such file$"):
        read_headers(tmp_path / name)


def test_an_encrypted_zip_is_refused(folder, tmp_path):
    path = zipped(folder, tmp_path / "locked.zip")
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        entry = content.find(b"PK\x01\x02")
        assert archive.infolist()
    content[entry + 8] |= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match="is encrypted; unpack it first"):
        read_headers(path)


def test_dicom_is_told_from_other_files(folder, tmp_path):
    assert is_dicom(folder)
    assert is_dicom(folder / "a" / "IM000")
    assert is_dicom(zipped(folder, tmp_path / "no_ending"))
    (tmp_path / "notes.txt").write_text("no image")
    assert not is_dicom(tmp_path / "notes.txt")
    assert not is_dicom(tmp_path / "missing.dcm")
