"""The node's memory: all or nothing, and for one node only."""

import sqlite3

import pytest

from itermask.apps.node.database import SCHEMA, SINCE_1, Database
from itermask.errors import InputError

SEEN = "INSERT INTO seen VALUES (?, 1, 1)"


def test_a_change_is_there_after_opening_again(tmp_path):
    database = Database(tmp_path)
    with database.change() as change:
        change.execute(SEEN, ("a",))
    database.close()
    again = Database(tmp_path)
    assert again.row("SELECT path FROM seen")["path"] == "a"
    assert again.row("SELECT path FROM seen WHERE path = ?", "b") is None
    again.close()


def test_a_change_that_fails_leaves_nothing(tmp_path):
    database = Database(tmp_path)
    with pytest.raises(sqlite3.IntegrityError), database.change() as change:
        change.executemany(SEEN, [("a",), ("a",)])
    assert database.rows("SELECT * FROM seen") == []
    with database.change() as change:
        change.execute(SEEN, ("b",))
    assert len(database.rows("SELECT * FROM seen")) == 1
    database.close()


def test_every_change_waits_for_the_disk(tmp_path):
    database = Database(tmp_path)
    assert database.row("PRAGMA synchronous")[0] == 2
    assert database.row("PRAGMA journal_mode")[0] == "wal"
    database.close()


def test_two_nodes_cannot_share_a_folder(tmp_path):
    first = Database(tmp_path)
    with pytest.raises(InputError, match="another node works in this folder"):
        Database(tmp_path)
    first.close()
    Database(tmp_path).close()


def test_folders_that_cannot_be_used(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be used as the node's folder"):
        Database(tmp_path / "file")
    (tmp_path / "queue.sqlite").write_text("no database, but long enough to look at" * 100)
    with pytest.raises(InputError, match="move it away"):
        Database(tmp_path)
    (tmp_path / "queue.sqlite").unlink()
    other = sqlite3.connect(tmp_path / "queue.sqlite")
    other.execute("PRAGMA user_version = 99")
    other.close()
    with pytest.raises(InputError, match="of another version"):
        Database(tmp_path)


def test_studies_of_an_earlier_version_are_over(tmp_path):
    """Their summaries are not sent when the node is brought up to date."""
    old = sqlite3.connect(tmp_path / "queue.sqlite")
    old.executescript(f"{SCHEMA} {SINCE_1} PRAGMA user_version = 2;")
    row = "INSERT INTO series VALUES ('1.2', 'k', '1', 'series 1', 'MR', '', 1, 1, NULL, 0, 0, 'whole', '{}')"
    old.execute(row)
    old.execute(
        "INSERT INTO run (series, number, state, images, received, complete) VALUES ('1.2', 1, 'done', 1, 1, 1)"
    )
    old.commit()
    old.close()
    database = Database(tmp_path)
    (summary,) = database.rows("SELECT * FROM summary")
    assert (summary["study"], summary["state"], summary["last"]) == ("1", "none", 1)
    assert database.row("PRAGMA user_version")[0] == 3
    database.close()
