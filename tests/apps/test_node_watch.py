"""A watched folder: what appears in it is taken once, when it has rested, and never touched."""

import logging
import os

import pytest
from tiny_dicom import PRESENTATION, base, save, zipped
from tiny_model import tiny_scan, write_nifti
from tiny_node import files_of, series

from itermask.apps.node import watch
from itermask.apps.node.arrivals import Arrivals
from itermask.apps.node.config import Keep, Watch
from itermask.apps.node.database import Database
from itermask.apps.node.runs import Runs
from itermask.apps.node.store import GIB, Store
from itermask.apps.node.watch import SENDER, Watcher


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


class Side:
    """A watcher and what it works on."""

    def __init__(self, database, folder, seconds=1e-9, **keep):
        self.database = database
        self.store = Store(database, Keep(**({"free_gb": 0.0} | keep)))
        self.arrivals = Arrivals()
        self.watcher = Watcher(Watch(folder, seconds), database, self.store, self.arrivals)

    def look(self):
        """Look twice: a file is seen, and the next time it has rested."""
        return self.watcher.look() + self.watcher.look()

    def open(self):
        """Labels of open series, and how their transfer stands."""
        rows = self.database.rows("SELECT label, transfer FROM series WHERE open = 1 ORDER BY label")
        return {row["label"]: row["transfer"] for row in rows}


@pytest.fixture
def database(tmp_path):
    opened = Database(tmp_path / "node")
    yield opened
    opened.close()


@pytest.fixture
def side(database, folder):
    return Side(database, folder)


def test_dicom_files_in_folders_and_zips(side, folder, tmp_path):
    save(folder / "a" / "b", series(1, 2))
    save(tmp_path / "aside", series(2, 2))
    zipped(tmp_path / "aside", folder / "study.zip")
    before = {path: path.read_bytes() for path in files_of(folder)}
    assert side.look() == 4
    assert side.open() == {"series 1 'MPRAGE sag'": "coming", "series 2 'MPRAGE sag'": "coming"}
    assert side.look() == 0
    assert side.open() == {"series 1 'MPRAGE sag'": "whole", "series 2 'MPRAGE sag'": "whole"}
    assert len(files_of(side.store.images)) == 4
    assert before == {path: path.read_bytes() for path in files_of(folder)}


def test_a_file_that_still_grows_is_left_alone_and_keeps_its_series_open(database, folder):
    side = Side(database, folder, seconds=3600.0)
    save(folder, series(1, 1))
    assert side.look() == 0
    assert side.open() == {}
    quick = Side(database, folder)
    quick.look()
    (late,) = save(folder / "late", series(1, 1, study="late"))
    assert quick.watcher.look() == 0, "it has been seen once"
    assert quick.arrivals.peek(quick.watcher).series, "so nothing has ended"
    late.unlink()
    quick.look()
    assert not quick.arrivals.peek(quick.watcher).series


def test_nifti_with_its_sidecar(side, folder):
    scan = write_nifti(folder / "sub-1_T1w.nii.gz", tiny_scan())
    (folder / "sub-1_T1w.json").write_text("{}")
    assert side.look() == 2
    assert [path.name for path in files_of(side.store.images)] == ["sub-1_T1w.json", "sub-1_T1w.nii.gz"]
    row = side.database.row("SELECT uid, label, file, sender FROM series")
    assert row["uid"].startswith("nifti-")
    assert (row["label"], row["file"], row["sender"]) == (scan.name, scan.name, SENDER)
    (folder / "copy").mkdir()
    os.link(scan, folder / "copy" / "other_T1w.nii.gz")
    side.look()
    assert len(side.database.rows("SELECT * FROM series")) == 1, "the same content is the same scan"


def test_other_files_are_left_out_with_a_reason_and_without_their_names(side, folder, caplog):
    caplog.set_level(logging.INFO, logger="itermask.node")
    (folder / "Mueller^Anna.txt").write_text("no image")
    (folder / "broken.zip").write_bytes(b"PK\x03\x04 and no more")
    (folder / ".hidden").write_text("")
    save(folder, [base(PRESENTATION, SOPInstanceUID="1.2.4")], "state{}")
    assert side.look() == 0
    side.look()
    lines = [record.getMessage() for record in caplog.records]
    assert "watched folder: 2 files left out: not a DICOM file" in lines
    assert any("1 file left out: Grayscale Softcopy Presentation State Storage, no MR image" in line for line in lines)
    assert len(lines) == 2
    assert not any("Anna" in line for line in lines)


def test_what_was_taken_is_not_taken_again_after_a_restart(side, folder, database):
    save(folder, series(1, 2))
    assert side.look() == 2
    again = Side(database, folder)
    assert again.arrivals.sending(series(1)[0].SeriesInstanceUID), "the rest may still come"
    assert again.look() == 0
    assert again.open() == {"series 1 'MPRAGE sag'": "whole"}
    save(folder, series(1, 3)[2], "new.dcm")
    assert again.look() == 1


def test_a_full_store_takes_the_rest_later(database, folder):
    side = Side(database, folder, quota_gb=1000 / GIB)
    save(folder, series(1, 3))
    assert side.look() == 0
    side.store.keep = Keep(free_gb=0.0)
    assert side.look() == 3


def test_a_file_that_is_cut_short_means_that_its_series_is_not_whole_until_the_rest_comes(side, folder):
    paths = save(folder, series(1, 3))
    whole = paths[2].read_bytes()
    paths[2].write_bytes(whole[:-60])
    assert side.look() == 2
    side.look()
    runs = Runs(side.database, side.store)
    (uid,) = runs.arriving()
    assert runs.close(uid).startswith("2 images came, 1 more is not here (truncated")
    paths[2].write_bytes(whole)
    assert side.look() == 1
    side.look()
    assert runs.close(uid) == ""


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_a_nifti_file_that_is_cut_short_waits_for_its_rest(side, folder, ending, caplog):
    path = write_nifti(folder / f"a_T1w{ending}", tiny_scan())
    whole = path.read_bytes()
    path.write_bytes(whole[:-100])
    assert side.look() == 0
    assert any("a NIfTI file that is cut short" in record.getMessage() for record in caplog.records)
    path.write_bytes(whole)
    assert side.look() == 1


def test_a_scan_waits_for_a_sidecar_that_still_grows(database, folder):
    scan = write_nifti(folder / "a_T1w.nii.gz", tiny_scan())
    side = Side(database, folder)
    assert side.watcher.look() == 0
    scan.with_name("a_T1w.json").write_text("{")
    assert side.watcher.look() == 0
    assert side.watcher.look() == 2


def test_a_file_that_changes_while_it_is_read_is_read_again(side, folder, monkeypatch):
    (path,) = save(folder, series(1, 1))
    whole = path.read_bytes()
    receive = watch.read_headers

    def slowly(name):
        found = receive(name)
        path.write_bytes(whole + b"\0\0")
        return found

    monkeypatch.setattr(watch, "read_headers", slowly)
    assert side.look() == 0
    monkeypatch.setattr(watch, "read_headers", receive)
    path.write_bytes(whole)
    assert side.look() == 1
    (stored,) = files_of(side.store.images)
    assert stored.read_bytes() == whole


def test_other_content_under_the_same_uid_is_said(side, folder, caplog):
    save(folder, series(1, 1))
    assert side.look() == 1
    (other,) = series(1, 1)
    other.PixelData = bytes(len(other.PixelData))
    save(folder / "other", [other])
    assert side.look() == 0
    assert any("with other content; the first one is kept" in record.getMessage() for record in caplog.records)
