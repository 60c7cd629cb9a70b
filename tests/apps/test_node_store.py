"""What is received: on the disk before it counts, once, within the quota, and gone only when nothing waits for it."""

import errno
import json
import os

import pytest
from tiny_node import files_of

from itermask.apps.node import store as store_module
from itermask.apps.node.config import Destination, Keep
from itermask.apps.node.database import Database
from itermask.apps.node.header import NO_ROOM, Instance, RefusedError, series_key
from itermask.apps.node.outbox import Outbox
from itermask.apps.node.runs import Runs
from itermask.apps.node.store import GIB, NEW, OTHER, SAME, Store, run_name

DAY = 86400.0


@pytest.fixture
def database(tmp_path):
    opened = Database(tmp_path / "node")
    yield opened
    opened.close()


def store_of(database, **keep):
    return Store(database, Keep(**({"free_gb": 0.0} | keep)))


def instance(number=1, series="1.2", announced=None):
    return Instance(f"{series}.{number}", "1.2.840", series, "1", f"series {series}", announced, False, f"{number}.dcm")


def add(store, what, content=b"image"):
    return store.add(store.receive([content]), what, "MR", str(hash(content)))


def settle(database, store, series, ended=None):
    """Close a series and end its run; returns the folder of its results."""
    runs = Runs(database, store)
    store.connection_ended([series])
    runs.close(series)
    run = runs.start()
    made = run.folder.parent / ".part-x"
    made.mkdir(parents=True)
    (made / "report.html").write_text("report")
    runs.finish(run, made, {}, [])
    if ended is not None:
        with database.change() as change:
            change.execute("UPDATE run SET ended = ? WHERE id = ?", (ended, run.id))
            change.execute("UPDATE series SET last = ? WHERE uid = ?", (ended, series))
    return run.folder


def test_an_image_is_a_file_and_a_row(database):
    store = store_of(database)
    assert add(store, instance(), b"content") == NEW
    (path,) = files_of(store.images)
    assert path.read_bytes() == b"content"
    assert not files_of(store.incoming)
    row = database.row("SELECT * FROM series")
    assert (row["uid"], row["open"], row["transfer"], row["sender"]) == ("1.2", 1, "coming", "MR")
    assert store.used == 7


def test_what_comes_twice_is_kept_once(database):
    store = store_of(database)
    assert [add(store, instance(), content) for content in (b"a", b"a", b"b")] == [NEW, SAME, OTHER]
    (path,) = files_of(store.images)
    assert path.read_bytes() == b"a"
    assert not files_of(store.incoming)


def test_what_was_acknowledged_is_there_after_a_crash_and_nothing_else(database, tmp_path):
    store = store_of(database)
    add(store, instance(1))
    (kept,) = files_of(store.images)
    store.receive([b"half"])  # received, not yet added
    (kept.parent / "2.dcm").write_bytes(b"moved, not yet in the database")
    (store.images / "unknown").mkdir()
    (store.images / "unknown" / "1.dcm").write_bytes(b"")
    (store.results / kept.parent.name / ".part-1").mkdir(parents=True)
    again = store_of(database)
    assert files_of(again.images) == [kept]
    assert not files_of(again.incoming)
    assert not list(again.results.rglob(".part*"))
    assert again.lost == []
    kept.unlink()
    assert store_of(database).lost == [f"{kept.parent.name}/1.dcm"]


def test_results_that_a_run_has_finished_stay(database):
    store = store_of(database)
    add(store, instance())
    folder = settle(database, store, "1.2")
    (folder.parent / run_name(2)).mkdir()
    assert [path.parent for path in files_of(store_of(database).results)] == [folder]
    assert not (folder.parent / run_name(2)).exists()


def test_the_quota(database):
    store = store_of(database, quota_gb=10 / GIB)
    add(store, instance(1), b"12345")
    add(store, instance(2), b"12345")
    with pytest.raises(RefusedError, match="over the quota") as caught:
        add(store, instance(3), b"1")
    assert caught.value.status == NO_ROOM
    assert add(store, instance(2), b"12345") == SAME, "what is here needs no room"
    assert len(files_of(store.images)) == 2
    assert not files_of(store.incoming)


def test_a_full_disk_refuses(database, monkeypatch):
    store = store_of(database, free_gb=1e6)
    with pytest.raises(RefusedError, match="or the disk is full"):
        add(store, instance())

    def full(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RefusedError, match="No space left") as caught:
        store.receive([b"x"])
    assert caught.value.status == NO_ROOM
    assert not files_of(store.incoming)


def test_images_of_settled_series_make_room_and_their_results_stay(database):
    store = store_of(database, quota_gb=20 / GIB)
    add(store, instance(1, "1.1"), b"12345")
    add(store, instance(1, "1.2"), b"12345")
    folder = settle(database, store, "1.1", ended=1.0)
    assert add(store, instance(1, "1.3"), b"123456789") == NEW
    assert database.rows("SELECT uid FROM instance WHERE series = '1.1'") == []
    assert (folder / "report.html").exists()
    assert len(files_of(store.images)) == 2
    with pytest.raises(RefusedError):  # the others are still open
        add(store, instance(2, "1.3"), b"123456789")


def test_old_series_are_removed_with_everything(database):
    store = store_of(database, days=7)
    for series, age in (("1.1", 8), ("1.2", 6)):
        add(store, instance(1, series))
        settle(database, store, series, ended=100 * DAY - age * DAY)
    add(store, instance(1, "1.3"))  # still open, and much older
    with database.change() as change:
        change.execute("UPDATE series SET last = 0 WHERE uid = '1.3'")
    assert store.remove_old(now=100 * DAY) == 1
    assert [row["uid"] for row in database.rows("SELECT uid FROM series ORDER BY uid")] == ["1.2", "1.3"]
    assert database.rows("SELECT * FROM run WHERE series = '1.1'") == []
    assert len(files_of(store.images)) == 2
    assert len(files_of(store.results)) == 1
    assert store.used == 5 + 5 + len("report")


def test_nothing_is_removed_while_results_wait_to_be_sent(database, tmp_path):
    from tiny_node import some_config

    store = store_of(database, days=7)
    add(store, instance(1, "1.1"))
    settle(database, store, "1.1", ended=1.0)
    with database.change() as change:
        change.execute("INSERT INTO delivery (run, destination, state, since, due) VALUES (1, 'PACS', 'waiting', 1, 1)")
    assert store.remove_old(now=100 * DAY) == 0
    outbox = Outbox(database, store, some_config(tmp_path, destinations=(Destination("PACS", "h", 1),)))
    outbox.delivered(outbox.next_delivery("PACS"))
    with database.change() as change:
        change.execute("UPDATE delivery SET due = 2")
    assert store.remove_old(now=100 * DAY) == 1


def test_announced_images_are_remembered(database):
    store = store_of(database)
    add(store, instance(1))
    add(store, instance(2, announced=5))
    add(store, instance(3, announced=4))
    assert database.row("SELECT announced FROM series")["announced"] == 5


def test_refused_images_are_forgotten_when_they_come(database):
    store = store_of(database)
    add(store, instance(1))
    store.note_refused("1.2", "1.2.2", "no room")
    assert json.dumps([tuple(row) for row in database.rows("SELECT * FROM refused")]) == '[["1.2", "1.2.2", "no room"]]'
    add(store, instance(2))
    assert database.rows("SELECT * FROM refused") == []


def test_an_image_that_is_gone_from_the_disk_is_not_called_safe_and_taken_again(database):
    store = store_of(database)
    for number in (1, 2):
        add(store, instance(number))
    Runs(database, store).close("1.2")
    assert store.holds("1.2.1") == {"1.2.840"}
    (store.images / series_key("1.2") / "1.dcm").unlink()
    assert store.holds("1.2.1") == set()
    store = store_of(database)
    assert len(store.lost) == 1
    runs = Runs(database, store)
    assert runs.start() is None, "what is left is not the series"
    assert runs.close("1.2") == "1 image came, 1 more is not here (gone from the node's disk); send the series again"
    assert add(store, instance(1)) == NEW
    assert store.holds("1.2.1") == {"1.2.840"}


def test_an_image_that_is_cut_short_on_the_disk_is_not_called_safe(database):
    store = store_of(database)
    add(store, instance(1))
    (path,) = files_of(store.images)
    path.write_bytes(b"im")
    assert store.holds("1.2.1") == set()


def test_an_image_that_vanished_while_the_node_runs_is_stored_again(database):
    store = store_of(database)
    add(store, instance(1))
    files_of(store.images)[0].unlink()
    assert add(store, instance(1)) == NEW
    assert len(files_of(store.images)) == 1
    assert store.used == len("image")


def test_what_could_not_be_noted_leaves_no_file(database, monkeypatch):
    store = store_of(database)
    add(store, instance(1))
    sync = store_module.sync_folder

    def fail(path):
        sync(path)
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(store_module, "sync_folder", fail)
    with pytest.raises(RefusedError, match="Input/output error"):
        add(store, instance(2))
    assert [path.name for path in files_of(store.images)] == ["1.dcm"]
    with pytest.raises(RefusedError):
        add(store, instance(1, "1.3"))
    assert len(list(store.images.iterdir())) == 1


def test_a_late_image_never_drives_out_those_of_its_own_series(database):
    store = store_of(database, quota_gb=12 / GIB)
    add(store, instance(1), b"12345")
    settle(database, store, "1.2", ended=1.0)
    with pytest.raises(RefusedError, match="over the quota"):
        add(store, instance(2), b"12345")
    assert [path.name for path in files_of(store.images)] == ["1.dcm"]


def test_a_late_image_of_a_series_that_made_room_does_not_pass_for_the_whole(database):
    store = store_of(database, quota_gb=30 / GIB)
    for number in (1, 2):
        add(store, instance(number), b"1234567890")
    settle(database, store, "1.2", ended=1.0)
    add(store, instance(1, "1.3"), b"123456789")
    assert [path.name for path in files_of(store.images)] == ["1.dcm"]
    store.keep = Keep(free_gb=0.0)
    add(store, instance(3), b"1")
    store.connection_ended(["1.2"])
    runs = Runs(database, store)
    assert runs.close("1.2") == "1 image came, 2 more are not here (removed to free disk space); send the series again"
    for number in (1, 2):
        add(store, instance(number), b"1234567890")
    assert runs.close("1.2") == ""


def test_a_damaged_copy_of_an_image_that_is_here_leaves_no_gap(database):
    store = store_of(database)
    add(store, instance(1))
    assert not store.note_refused("1.2", "1.2.1", "damaged")
    assert database.rows("SELECT * FROM refused") == []


def test_an_image_that_is_refused_late_means_that_the_series_was_not_whole(database):
    store = store_of(database)
    add(store, instance(1))
    settle(database, store, "1.2")
    assert store.note_refused("1.2", "1.2.2", "damaged")
    assert list(Runs(database, store).arriving()) == ["1.2"]


def test_reports_of_commitment_that_were_given_up_are_forgotten(database):
    store = store_of(database, days=7)
    add(store, instance(1))
    settle(database, store, "1.2", ended=1.0)
    with database.change() as change:
        change.execute("INSERT INTO commitment VALUES (1, '{}', 'MR', 'h', 1, 'given up', 9, 1, 1, 'gone')")
        change.execute("INSERT INTO commitment VALUES (2, '{}', 'MR', 'h', 1, 'waiting', 9, 1, 1, 'gone')")
    store.remove_old(now=100 * DAY)
    assert [row["id"] for row in database.rows("SELECT id FROM commitment")] == [2]
