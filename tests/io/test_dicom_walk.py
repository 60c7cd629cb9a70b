"""Folders, links and zips: every file is found once, and what cannot be opened is named."""

import os

import pytest
from tiny_dicom import save, slices, zipped

from itermask.errors import InputError
from itermask.io.dicom import walk
from itermask.io.dicom.files import read_headers
from itermask.io.dicom.walk import find_dicom_files


@pytest.fixture
def folder(tmp_path):
    save(tmp_path / "data" / "a", slices())
    return tmp_path / "data"


def reasons(left_out):
    return {left.name.rsplit("/", 1)[-1]: (left.reason, left.lost) for left in left_out}


def test_linked_folders_and_files_are_followed(folder, tmp_path):
    (tmp_path / "outer").mkdir()
    (tmp_path / "outer" / "there").symlink_to(folder / "a")
    dicom_files, left_out = find_dicom_files([tmp_path / "outer"])
    assert [dicom_file.name for dicom_file in dicom_files] == [f"000{number}.dcm" for number in range(5)]
    assert left_out == []
    (tmp_path / "top").symlink_to(folder)
    assert len(find_dicom_files([tmp_path / "top"])[0]) == 5


@pytest.mark.parametrize("target", [".", "..", "a", "loop"])
def test_links_in_circles_end(folder, target):
    (folder / "loop").symlink_to(target)
    dicom_files, left_out = find_dicom_files([folder])
    assert len(dicom_files) == 5 if target != ".." else len(dicom_files) >= 5
    if target == "loop":
        assert reasons(left_out)["loop"] == ("a broken link", True)
    elif target != "..":
        assert reasons(left_out)["loop"] == ("a link to a folder that is read already", False)


def test_two_folders_that_link_to_each_other(folder):
    (folder / "b").mkdir()
    (folder / "b" / "to_a").symlink_to(folder / "a")
    (folder / "a" / "to_b").symlink_to(folder / "b")
    assert len(read_headers(folder)[0]) == 5


def test_broken_links_and_things_that_are_no_files_are_named(folder):
    (folder / "gone.dcm").symlink_to("/nonexistent/gone.dcm")
    os.mkfifo(folder / "pipe.dcm")  # opening it would wait forever
    dicom_files, left_out = find_dicom_files([folder])
    assert len(dicom_files) == 5
    assert reasons(left_out) == {
        "gone.dcm": ("a broken link", True),
        "pipe.dcm": ("neither a file nor a folder", False),
    }


def test_a_folder_that_cannot_be_opened_is_named(folder, monkeypatch):
    (folder / "locked").mkdir()
    scan = os.scandir

    def refuse(path):
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(walk.os, "scandir", refuse)
    headers, left_out = read_headers(folder)
    assert len(headers) == 5
    assert reasons(left_out) == {"locked": ("a folder that cannot be opened (Permission denied)", True)}
    with pytest.raises(InputError, match=r"locked: cannot be opened \(Permission denied\)"):
        read_headers(folder / "locked")


def test_a_damaged_zip_costs_only_itself(folder, tmp_path):
    content = zipped(folder, tmp_path / "whole.zip").read_bytes()
    damaged = bytearray(content)
    at = damaged.rfind(b"PK\x01\x02")
    damaged[at : at + 4] = b"\0\0\0\0"
    (folder / "damaged.zip").write_bytes(damaged)
    headers, left_out = read_headers(folder)
    assert len(headers) == 5
    assert left_out[0].lost
    with pytest.raises(InputError, match=r"damaged\.zip: cannot be read"):
        read_headers(folder / "damaged.zip")


def test_names_of_any_bytes_are_written_so_that_they_can_be_printed(folder):
    os.link(folder / "a" / "0000.dcm", os.fsencode(folder) + b"/z\xff\nq")
    _, left_out = read_headers(folder)
    assert left_out[0].name == f"{folder}/z\\xff\\nq"
    assert left_out[0].name.encode("ascii")
