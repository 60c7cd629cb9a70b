"""Folders of results: only what was written there, and is unchanged, may be replaced; one run at a time."""

import os
import subprocess
import sys
import threading

import pytest

from itermask.errors import InputError
from itermask.io.result_folder import MARK, check_folder, check_inputs, check_writable, expect, locked, read_mark

NAME = "brain.nii.gz"


def wrote(out, tmp_path, text="ours"):
    """Write a result as the program does."""
    part = tmp_path / "part"
    part.mkdir(exist_ok=True)
    (part / NAME).write_text(text)
    out.mkdir(exist_ok=True)
    expect(out, part)
    os.replace(part / NAME, out / NAME)
    return out


def test_what_was_written_may_be_replaced_and_what_was_changed_may_not(tmp_path):
    out = wrote(tmp_path / "out", tmp_path)
    check_folder(out, [NAME])
    wrote(out, tmp_path, "ours, again")
    check_folder(out, [NAME])
    (out / NAME).write_text("corrected by hand")
    with pytest.raises(InputError, match="was changed after it had been written"):
        check_folder(out, [NAME])


def test_a_file_of_somebody_else_is_never_replaced(tmp_path):
    (tmp_path / NAME).write_text("mine")
    with pytest.raises(InputError, match="was not written by itermask"):
        check_folder(tmp_path, [NAME])
    check_folder(tmp_path, ["other.nii.gz"])
    (tmp_path / MARK).write_text("{")
    with pytest.raises(InputError, match="cannot be read as the mark"):
        check_folder(tmp_path, ["other.nii.gz"])


def test_a_file_entered_ahead_of_an_interrupted_move_stays_ours(tmp_path):
    out = wrote(tmp_path / "out", tmp_path)
    (tmp_path / "part" / NAME).write_text("new")
    expect(out, tmp_path / "part")  # and the process is killed before the move
    check_folder(out, [NAME])
    assert len(read_mark(out)[NAME]) == 2


def test_an_input_is_recognised_through_every_kind_of_link(tmp_path):
    scan, out = tmp_path / "scan.nii.gz", tmp_path / "out"
    scan.write_text("scan")
    out.mkdir()
    (tmp_path / "way").symlink_to(out)
    for make in (lambda path: path.symlink_to(scan), lambda path: path.hardlink_to(scan)):
        make(out / NAME)
        with pytest.raises(InputError, match="would replace the input"):
            check_inputs([out / NAME], [None, scan])
        with pytest.raises(InputError, match="would replace the input"):
            check_folder(tmp_path / "way", [NAME], [out / NAME])
        (out / NAME).unlink()


def test_an_input_within_a_folder_that_is_written_is_recognised(tmp_path):
    (tmp_path / "dicom").mkdir()
    (tmp_path / "dicom" / "0001.dcm").write_text("image")
    for given in (tmp_path / "dicom", tmp_path / "dicom" / "0001.dcm"):
        with pytest.raises(InputError, match="would replace the input"):
            check_folder(tmp_path, ["dicom"], [given])


def test_impossible_places_are_refused_and_nothing_is_made(tmp_path):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "broken").symlink_to(tmp_path / "nowhere")
    before = sorted(tmp_path.iterdir())
    for out, says in (
        (tmp_path / "file" / "below", "is a file"),
        (tmp_path / "broken", "is a link to a folder that is not there"),
        (tmp_path / ("x" * 300), "240 bytes|File name too long"),
        (tmp_path.joinpath(*["deeper" * 20] * 40), "too long"),
    ):
        with pytest.raises(InputError, match=says):
            check_writable(out)
    check_writable(tmp_path / "new" / "newer")
    assert sorted(tmp_path.iterdir()) == before


def test_a_folder_that_was_made_and_stays_empty_is_removed(tmp_path):
    with locked(tmp_path / "a" / "b"):
        assert (tmp_path / "a" / "b").is_dir()
    assert not list(tmp_path.iterdir())
    with locked(tmp_path / "a"):
        (tmp_path / "a" / "result").write_text("kept")
    assert (tmp_path / "a" / "result").exists()


def test_one_thread_may_lock_twice_and_another_may_not(tmp_path):
    said = []

    def other():
        try:
            with locked(tmp_path):
                said.append("locked")
        except InputError as error:
            said.append(str(error))

    with locked(tmp_path):
        with locked(tmp_path):
            pass
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert "another run is writing into it" in said[0]
    other()
    assert said[1] == "locked"


def test_another_process_is_kept_out(tmp_path):
    code = f"from itermask.io.result_folder import locked\nwith locked({str(tmp_path)!r}): pass"
    with locked(tmp_path):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "another run is writing into it" in done.stderr
