"""The node's SQLite file: what it has promised and what it has done; every change is on the disk before it counts."""

import fcntl
import os
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from itermask.errors import InputError

VERSION = 3
SCHEMA = """
CREATE TABLE series (
  uid TEXT PRIMARY KEY, key TEXT NOT NULL, study TEXT NOT NULL, label TEXT NOT NULL, sender TEXT NOT NULL,
  file TEXT NOT NULL,                  -- name of the scan in the folder, where it is one file (NIfTI)
  first REAL NOT NULL, last REAL NOT NULL, announced INTEGER, exact INTEGER NOT NULL,
  open INTEGER NOT NULL,               -- 1: more images may come, or a run is due
  transfer TEXT NOT NULL,              -- coming, whole, cut, interrupted, quiet, spoiled: see complete.py
  about TEXT NOT NULL DEFAULT '{}'     -- whose it is, as JSON: see header.py
);
CREATE TABLE instance (
  series TEXT NOT NULL, uid TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, bytes INTEGER NOT NULL,
  hash TEXT NOT NULL, PRIMARY KEY (series, uid)
);
CREATE INDEX instance_uid ON instance (uid);
CREATE TABLE refused (series TEXT NOT NULL, uid TEXT NOT NULL, reason TEXT NOT NULL, PRIMARY KEY (series, uid));
CREATE TABLE run (
  id INTEGER PRIMARY KEY AUTOINCREMENT, series TEXT NOT NULL, number INTEGER NOT NULL,
  state TEXT NOT NULL,                 -- waiting, looking (being processed), done, failed
  images INTEGER NOT NULL, deaths INTEGER NOT NULL DEFAULT 0, reason TEXT NOT NULL DEFAULT '',
  received REAL NOT NULL, complete REAL NOT NULL, started REAL, ended REAL, bytes INTEGER NOT NULL DEFAULT 0,
  result TEXT NOT NULL DEFAULT '{}', UNIQUE (series, number)
);
CREATE TABLE delivery (
  run INTEGER NOT NULL, destination TEXT NOT NULL, state TEXT NOT NULL,  -- waiting, sent, given up
  sent TEXT NOT NULL DEFAULT '[]', tries INTEGER NOT NULL DEFAULT 0, since REAL NOT NULL, due REAL NOT NULL,
  reason TEXT NOT NULL DEFAULT '', PRIMARY KEY (run, destination)
);
CREATE TABLE commitment (
  id INTEGER PRIMARY KEY, asked TEXT NOT NULL, title TEXT NOT NULL, host TEXT NOT NULL, port INTEGER NOT NULL,
  state TEXT NOT NULL, tries INTEGER NOT NULL DEFAULT 0, since REAL NOT NULL, due REAL NOT NULL,
  reason TEXT NOT NULL DEFAULT ''
);
CREATE TABLE seen (path TEXT PRIMARY KEY, bytes INTEGER NOT NULL, changed INTEGER NOT NULL);
"""
# What is newer than version 1. Alarms are of a run and of what was said of it: if that changes, it alarms again.
SINCE_1 = """
CREATE TABLE acknowledged (
  run INTEGER NOT NULL, verdict TEXT NOT NULL, time REAL NOT NULL, name TEXT NOT NULL, PRIMARY KEY (run, verdict)
);
CREATE TABLE audit (
  id INTEGER PRIMARY KEY AUTOINCREMENT, time REAL NOT NULL, event TEXT NOT NULL, study TEXT NOT NULL,
  series TEXT NOT NULL, who TEXT NOT NULL, what TEXT NOT NULL
);
"""
# Summaries of studies, and what scanners say of examinations.
SINCE_2 = """
CREATE TABLE step (
  uid TEXT NOT NULL, study TEXT NOT NULL, state TEXT NOT NULL, series TEXT NOT NULL DEFAULT '[]',
  changed REAL NOT NULL, PRIMARY KEY (uid, study)
);
CREATE TABLE summary (
  id INTEGER PRIMARY KEY AUTOINCREMENT, study TEXT NOT NULL, number INTEGER NOT NULL, key TEXT NOT NULL,
  state TEXT NOT NULL,                 -- done, failed, none (nothing in it was meant to be processed)
  last INTEGER NOT NULL,               -- the newest run that it is of
  ended REAL NOT NULL, bytes INTEGER NOT NULL DEFAULT 0, reason TEXT NOT NULL DEFAULT '', UNIQUE (study, number)
);
CREATE TABLE summary_delivery (        -- as delivery; run is the summary's id
  run INTEGER NOT NULL, destination TEXT NOT NULL, state TEXT NOT NULL,
  sent TEXT NOT NULL DEFAULT '[]', tries INTEGER NOT NULL DEFAULT 0, since REAL NOT NULL, due REAL NOT NULL,
  reason TEXT NOT NULL DEFAULT '', PRIMARY KEY (run, destination)
);
CREATE INDEX series_study ON series (study);
CREATE INDEX run_series ON run (series);
"""
# Studies of before are over: their summaries are not sent now.
TO_3 = (
    SINCE_2
    + """
INSERT INTO summary (study, number, key, state, last, ended)
  SELECT study, 1, '', 'none', max(run.id), 0 FROM run JOIN series ON series.uid = run.series
  WHERE study <> '' GROUP BY study;
"""
)
TO_2 = "ALTER TABLE series ADD COLUMN about TEXT NOT NULL DEFAULT '{}';" + SINCE_1


class Database:
    """One connection that all threads share, one at a time.

    Attributes:
        folder: of the node.
        lock: held while anything is read or changed; it may be taken again by its holder.
    """

    def __init__(self, folder: Path) -> None:
        """Open or make a node's database, and keep other nodes out of the folder.

        Raises:
            InputError: the folder cannot be used, another node works in it, or its queue is of another version.
        """
        self.folder, self.lock = folder, threading.RLock()
        try:
            new = [each for each in (folder, *folder.parents) if not each.exists()]
            folder.mkdir(parents=True, exist_ok=True)
            for each in new:
                sync_folder(each.parent)
            folder.chmod(0o700)  # patients' data
            self._guard = open(folder / "lock", "w")  # noqa: SIM115 - open as long as the node runs
            fcntl.flock(self._guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._guard.close()
            raise InputError(f"{folder}: another node works in this folder; end it, or choose another") from error
        except OSError as error:
            raise InputError(f"{folder}: cannot be used as the node's folder ({error.strerror})") from error
        path = folder / "queue.sqlite"
        try:
            self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._connection.row_factory = sqlite3.Row
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
            (found,) = self._connection.execute("PRAGMA user_version").fetchone()
            if found < VERSION:
                made = (SCHEMA + SINCE_1 + SINCE_2, TO_2 + TO_3, TO_3)[found]
                self._connection.executescript(f"BEGIN; {made} PRAGMA user_version = {VERSION}; COMMIT;")
                sync_folder(folder)
        except sqlite3.Error as error:
            self.close()
            raise InputError(f"{path}: cannot be used ({error}); move it away to start afresh") from error
        if found > VERSION:
            self.close()
            raise InputError(f"{path}: is of another version of itermask ({found}); finish its work with that one")

    def close(self) -> None:
        """Close the file and let others into the folder."""
        with self.lock:
            if hasattr(self, "_connection"):
                self._connection.close()
            self._guard.close()

    @contextmanager
    def change(self) -> Iterator[sqlite3.Connection]:
        """Open a transaction: all of it is on the disk when the block ends, or after an exception none of it."""
        with self.lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def rows(self, query: str, *values: Any) -> list[sqlite3.Row]:
        """Return what a query finds."""
        with self.lock:
            return self._connection.execute(query, values).fetchall()

    def row(self, query: str, *values: Any) -> sqlite3.Row | None:
        """Return the first row that a query finds."""
        found = self.rows(query, *values)
        return found[0] if found else None


def sync_file(path: Path) -> None:
    """Wait until a file's content is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_folder(path: Path) -> None:
    """Wait until the names in a folder are on the disk."""
    sync_file(path)


def put_folder(made: Path, place: Path, results: Path) -> int:
    """Move a folder to its place among the results, in place of an earlier one, and wait until its name is on the disk.

    Args:
        made: on the same disk; it is moved.
        place: where it goes.
        results: folder of all results.

    Returns:
        bytes of its files.
    """
    size = sum(path.stat().st_size for path in made.rglob("*") if path.is_file())
    shutil.rmtree(place, ignore_errors=True)
    os.replace(made, place)
    sync_folder(place.parent)
    sync_folder(results)
    return size


def sync_tree(folder: Path) -> None:
    """Wait until a folder is on the disk with all that is in it.

    Example:
        >>> (folder / "a.txt").write_text("safe")
        4
        >>> sync_tree(folder)
    """
    for path in (*folder.rglob("*"), folder):
        sync_file(path)
