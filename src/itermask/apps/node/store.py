"""What a node has received: a file on the disk and a row in the database before anything is acknowledged."""

import json
import os
import shutil
import sqlite3
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from itermask.apps.node.complete import COMING, INTERRUPTED, QUIET, WHOLE
from itermask.apps.node.config import Keep
from itermask.apps.node.database import Database, sync_folder
from itermask.apps.node.header import NO_ROOM, Instance, RefusedError, series_key

GIB = 2**30
NEW, SAME, OTHER = "new", "same", "other"
# A series that nothing is waiting for: closed, processed, results delivered or given up.
SETTLED = """
    open = 0
    AND NOT EXISTS (SELECT 1 FROM run WHERE run.series = series.uid AND run.state IN ('waiting', 'looking'))
    AND NOT EXISTS (SELECT 1 FROM delivery JOIN run ON run.id = delivery.run
                    WHERE run.series = series.uid AND delivery.state = 'waiting')
"""


class Store:
    """Images and results in the node's folder.

    Attributes:
        incoming: folder of files that are being received.
        images: folder of received files, a folder a series.
        results: folder of results, a folder a series and in it a folder a run.
    """

    def __init__(self, database: Database, keep: Keep) -> None:
        self.database, self.keep = database, keep
        self.incoming, self.images, self.results = (
            database.folder / name for name in ("incoming", "images", "results")
        )
        shutil.rmtree(self.incoming, ignore_errors=True)
        for folder in (self.incoming, self.images, self.results):
            folder.mkdir(exist_ok=True)
        sync_folder(database.folder)
        self._used: int | None = None
        self.lost = self._clean()
        with database.change() as change:  # what came when the node ended may or may not have been all
            change.execute("UPDATE series SET transfer = ? WHERE open = 1 AND transfer = ?", (INTERRUPTED, COMING))

    @property
    def used(self) -> int:
        """Bytes of all images and results."""
        with self.database.lock:
            if self._used is None:
                (row,) = self.database.rows(
                    """SELECT (SELECT coalesce(sum(bytes), 0) FROM instance)
                       + (SELECT coalesce(sum(bytes), 0) FROM run)
                       + (SELECT coalesce(sum(bytes), 0) FROM summary) AS used"""
                )
                self._used = int(row["used"])
            return self._used

    def changed(self) -> None:
        """Count again: something was added or removed by others."""
        with self.database.lock:
            self._used = None

    def receive(self, parts: Iterable[bytes]) -> Path:
        """Write a file that is being received; it is on the disk when this returns.

        Raises:
            RefusedError: there is no room.
        """
        path = self.incoming / uuid4().hex
        try:
            with path.open("wb") as file:
                for part in parts:
                    file.write(part)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            path.unlink(missing_ok=True)
            raise RefusedError(NO_ROOM, f"cannot be written ({error.strerror})") from error
        return path

    def add(self, path: Path, instance: Instance, sender: str, digest: str, file: str = "") -> str:
        """Take a received file into the store; what this returns from survives anything but a broken disk.

        Args:
            path: of the file, from `receive`; it is moved or removed.
            instance: what it is.
            sender: who sent it.
            digest: hash of its content.
            file: name of the scan among the series' files, where it is one file.

        Returns:
            `NEW`, `SAME`, or `OTHER` where a file with this UID and other content is there; the first one is kept.

        Raises:
            RefusedError: there is no room.
        """
        size, now = path.stat().st_size, time.time()
        key = series_key(instance.series)
        target = self.images / key / instance.name
        known = "SELECT hash FROM instance WHERE series = ? AND uid = ?"
        try:
            with self.database.lock:  # so that a folder is not removed while something is put into it
                there = self.database.row(known, instance.series, instance.uid)
                if there is not None and target.is_file():
                    return SAME if there["hash"] == digest else OTHER
                self._make_room(size, instance.series)
                try:
                    with self.database.change() as change:
                        _touch_series(change, instance, key, sender, file, now)
                        change.execute(
                            "INSERT OR REPLACE INTO instance VALUES (?, ?, ?, ?, ?, ?)",
                            (instance.series, instance.uid, instance.kind, instance.name, size, digest),
                        )
                        change.execute(
                            "DELETE FROM refused WHERE series = ? AND uid = ?", (instance.series, instance.uid)
                        )
                        _forget_waiting(change, instance.series)  # a run will be made anew, with this image
                        if not target.parent.is_dir():
                            target.parent.mkdir()
                            sync_folder(self.images)
                        os.replace(path, target)
                        sync_folder(target.parent)
                except BaseException:
                    if self.database.row(known, instance.series, instance.uid) is None:  # no file without its row
                        target.unlink(missing_ok=True)
                        with suppress(OSError):
                            target.parent.rmdir()
                    raise
                self.changed()
        except (OSError, sqlite3.OperationalError) as error:
            raise RefusedError(NO_ROOM, f"cannot be stored ({error})") from error
        finally:
            path.unlink(missing_ok=True)
        return NEW

    def holds(self, uid: str) -> set[str]:
        """Return the classes under which an instance is on the disk now, with all its bytes; as a rule one, or none."""
        rows = self.database.rows(
            "SELECT kind, key, name, bytes FROM instance JOIN series ON series.uid = series WHERE instance.uid = ?", uid
        )
        return {row["kind"] for row in rows if _size(self.images / row["key"] / row["name"]) == row["bytes"]}

    def note_refused(self, series: str, uid: str, reason: str) -> bool:
        """Remember that an image of a series could not be taken, so that the rest does not pass for the whole.

        Returns:
            whether it is missing now; not so if an earlier copy of it is here.
        """
        with self.database.change() as change:
            missing = change.execute(
                """INSERT OR REPLACE INTO refused SELECT ?, ?, ?
                   WHERE NOT EXISTS (SELECT 1 FROM instance WHERE series = ? AND uid = ?)""",
                (series, uid, reason, series, uid),
            ).rowcount
            if missing:
                change.execute("UPDATE series SET open = 1, transfer = ? WHERE uid = ? AND open = 0", (COMING, series))
                _forget_waiting(change, series)
        return missing > 0

    def connection_ended(self, series: Iterable[str], how: str = WHOLE) -> list[str]:
        """Return a connection has ended.

        Args:
            series: what it brought.
            how: `WHOLE`, if it was ended properly; else `CUT`, or `SPOILED` where an image could not be taken.

        Returns:
            those series that are open again, since before they were taken for cut off.
        """
        again = []
        with self.database.change() as change:
            for uid in series:
                if how != WHOLE:  # a series that was whole before stays so
                    told = "UPDATE series SET transfer = ? WHERE uid = ? AND transfer IN (?, ?)"
                    change.execute(told, (how, uid, COMING, QUIET))
                    continue
                missed = "UPDATE series SET open = 1 WHERE uid = ? AND open = 0 AND transfer NOT IN (?, ?)"
                if change.execute(missed, (uid, WHOLE, QUIET)).rowcount:
                    _forget_waiting(change, uid)
                    again.append(uid)
                change.execute("UPDATE series SET transfer = ? WHERE uid = ?", (WHOLE, uid))
        return again

    def remove_old(self, now: float | None = None) -> int:
        """Remove series, with all results, that nothing has waited for during the days of the configuration.

        Args:
            now: seconds since 1970.

        Returns:
            how many were removed.
        """
        limit = (time.time() if now is None else now) - 86400 * self.keep.days
        with self.database.lock:
            old = self.database.rows(
                f"""SELECT uid, key FROM series WHERE {SETTLED} AND last < ? AND NOT EXISTS (
                    SELECT 1 FROM run LEFT JOIN delivery ON delivery.run = run.id
                    WHERE run.series = series.uid AND max(run.ended, coalesce(delivery.due, 0)) >= ?)""",
                limit,
                limit,
            )
            for row in old:
                with self.database.change() as change:
                    change.execute(
                        "DELETE FROM delivery WHERE run IN (SELECT id FROM run WHERE series = ?)", (row["uid"],)
                    )
                    change.execute(
                        "DELETE FROM acknowledged WHERE run IN (SELECT id FROM run WHERE series = ?)", (row["uid"],)
                    )
                    for table in ("instance", "refused", "run"):
                        change.execute(f"DELETE FROM {table} WHERE series = ?", (row["uid"],))
                    change.execute("DELETE FROM series WHERE uid = ?", (row["uid"],))
                    change.execute("DELETE FROM commitment WHERE state = 'given up' AND due < ?", (limit,))
                for folder in (self.images, self.results):
                    shutil.rmtree(folder / row["key"], ignore_errors=True)
            self._remove_summaries(limit)
            self.changed()
        return len(old)

    def _remove_summaries(self, limit: float) -> None:
        """Remove the summaries, and what scanners said, of studies that are gone; not what waits to be sent."""
        for row in self.database.rows(
            """SELECT id, key, number FROM summary WHERE study NOT IN (SELECT study FROM series)
               AND NOT EXISTS (SELECT 1 FROM summary_delivery WHERE run = summary.id AND state = 'waiting')"""
        ):
            with self.database.change() as change:
                change.execute("DELETE FROM summary_delivery WHERE run = ?", (row["id"],))
                change.execute("DELETE FROM summary WHERE id = ?", (row["id"],))
            if row["key"]:
                shutil.rmtree(self.results / row["key"] / summary_name(row["number"]), ignore_errors=True)
        with self.database.change() as change:
            change.execute("DELETE FROM step WHERE changed < ? AND study NOT IN (SELECT study FROM series)", (limit,))

    def _make_room(self, size: int, series: str) -> None:
        """Remove the images (not the results) of the oldest other settled series until `size` bytes fit."""
        if self._fits(size):
            return
        for row in self.database.rows(
            f"""SELECT uid, key FROM series WHERE {SETTLED} AND uid <> ?
                AND EXISTS (SELECT 1 FROM instance WHERE instance.series = series.uid) ORDER BY last""",
            series,
        ):
            with self.database.change() as change:
                _forget_images(change, row["uid"], "removed to free disk space")
            shutil.rmtree(self.images / row["key"], ignore_errors=True)
            self.changed()
            if self._fits(size):
                return
        raise RefusedError(NO_ROOM, f"over the quota of {self.keep.quota_gb:g} GiB, or the disk is full")

    def _fits(self, size: int) -> bool:
        free = shutil.disk_usage(self.images).free
        return self.used + size <= self.keep.quota_gb * GIB and free - size >= self.keep.free_gb * GIB

    def _clean(self) -> list[str]:
        """Remove what was never acknowledged or finished; gives acknowledged files that are missing, none as a rule."""
        kept: dict[str, set[str]] = {}
        for row in self.database.rows("SELECT key, name FROM instance JOIN series ON series.uid = instance.series"):
            kept.setdefault(row["key"], set()).add(row["name"])
        runs: dict[str, set[str]] = {}
        for row in self.database.rows(
            "SELECT key, number FROM run JOIN series ON series.uid = run.series WHERE state = 'done'"
        ):
            runs.setdefault(row["key"], set()).add(run_name(row["number"]))
        for row in self.database.rows("SELECT key, number FROM summary WHERE state = 'done'"):
            runs.setdefault(row["key"], set()).add(summary_name(row["number"]))
        lost = _remove_others(self.images, kept)
        for name in lost:  # so that it is stored when it is sent again, and nobody is told that it is safe
            key, _, file = name.partition("/")
            with self.database.change() as change:
                (uid,) = change.execute("SELECT uid FROM series WHERE key = ?", (key,)).fetchone()
                _forget_images(change, uid, "gone from the node's disk", file)
                started = "SELECT 1 FROM run WHERE series = ? AND state IN ('waiting', 'looking')"
                if change.execute(started, (uid,)).fetchone():
                    change.execute("UPDATE series SET open = 1 WHERE uid = ?", (uid,))
                    change.execute("DELETE FROM run WHERE series = ? AND state IN ('waiting', 'looking')", (uid,))
        return lost + _remove_others(self.results, runs)


def run_name(number: int) -> str:
    """Name of the folder of a run's results.

    Example:
        >>> run_name(2)
        'run-2'
    """
    return f"run-{number}"


def summary_name(number: int) -> str:
    """Name of the folder of a study's summary.

    Example:
        >>> summary_name(1)
        'summary-1'
    """
    return f"summary-{number}"


def copy_into(store: Store, source: Path) -> Path:
    """Return a copy of a file, in the store's incoming folder and on the disk.

    Raises:
        RefusedError: there is no room.
    """
    with source.open("rb") as file:
        return store.receive(iter(lambda: file.read(1 << 20), b""))


def _touch_series(change: sqlite3.Connection, instance: Instance, key: str, sender: str, file: str, now: float) -> None:
    """Note a new image in its series, which is then open."""
    change.execute(
        """INSERT INTO series
           (uid, key, study, label, sender, file, first, last, announced, exact, open, transfer, about)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1, ?, ?)
           ON CONFLICT (uid) DO UPDATE SET last = excluded.last, sender = excluded.sender, open = 1,
           transfer = excluded.transfer,
           announced = max(coalesce(announced, excluded.announced), coalesce(excluded.announced, announced)),
           exact = max(exact, excluded.exact)""",
        (
            *(instance.series, key, instance.study, instance.label, sender, file),
            *(now, now, instance.announced, int(instance.exact), COMING, json.dumps(dict(instance.about))),
        ),
    )


def _forget_waiting(change: sqlite3.Connection, series: str) -> None:
    """Forget a run that has not started; it will be made anew."""
    change.execute("DELETE FROM run WHERE series = ? AND state = 'waiting'", (series,))


def _forget_images(change: sqlite3.Connection, series: str, reason: str, name: str | None = None) -> None:
    """Forget images (one, or all), so that what is left or comes later does not pass for the whole."""
    which, values = ("series = ?", (series,)) if name is None else ("series = ? AND name = ?", (series, name))
    change.execute(
        f"INSERT OR REPLACE INTO refused SELECT series, uid, ? FROM instance WHERE {which}", (reason, *values)
    )
    change.execute(f"DELETE FROM instance WHERE {which}", values)


def _size(path: Path) -> int | None:
    """Return the bytes of a file; None if there is none."""
    try:
        return path.stat().st_size
    except OSError:
        return None


def _remove_others(top: Path, kept: dict[str, set[str]]) -> list[str]:
    """Remove everything from a folder of folders but what is named; gives what is named and not there."""
    for folder in top.iterdir():
        for path in folder.iterdir() if folder.is_dir() and folder.name in kept else [folder]:
            if path == folder or path.name not in kept[folder.name]:
                shutil.rmtree(path, ignore_errors=True)
                if path.is_file():
                    path.unlink()
    return [f"{key}/{name}" for key, names in kept.items() for name in names if not (top / key / name).exists()]
