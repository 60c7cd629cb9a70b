"""A folder whose scans are processed as if they had been sent: DICOM files and zips, and NIfTI files."""

import gzip
import hashlib
import logging
import math
import os
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from itermask.apps.node.arrivals import Arrivals
from itermask.apps.node.config import Watch
from itermask.apps.node.database import Database
from itermask.apps.node.header import (
    NO_ROOM,
    NOT_UNDERSTOOD,
    Instance,
    RefusedError,
    names_in,
    plain_text,
    read_instance,
)
from itermask.apps.node.store import NEW, OTHER, Store
from itermask.errors import InputError
from itermask.io.dicom.files import read_headers
from itermask.io.nifti import NIFTI_ENDINGS

LOG = logging.getLogger("itermask.node")
SENDER = "(folder)"  # in the place of an AE title


class _GrowsError(Exception):
    """A file, or what belongs to it, is still being written."""


class Watcher:
    """Searches a folder again and again; files are copied, and stay where they are."""

    def __init__(
        self, watch: Watch, database: Database, store: Store, arrivals: Arrivals, patient: str = "off"
    ) -> None:
        self.patient = patient
        self.watch, self.database, self.store, self.arrivals = watch, database, store, arrivals
        self._resting: dict[Path, tuple[int, int, float]] = {}
        self._full = False
        self._seen = {Path(row["path"]): (row["bytes"], row["changed"]) for row in database.rows("SELECT * FROM seen")}
        for row in database.rows("SELECT uid FROM series WHERE open = 1 AND sender = ?", SENDER):
            arrivals.brings(self, row["uid"])  # the rest of it may be found now

    def is_alive(self) -> bool:
        """Return True: a folder's connection is never cut."""
        return True

    def look(self) -> int:
        """Search the folder once; a file is taken when it has rested.

        Returns:
            how many images were taken.
        """
        taken = 0
        left_out: Counter[str] = Counter()
        ready, waiting = self._ready()
        for path, size, changed in ready:
            try:
                taken += self._take(path, (size, changed), left_out)
            except _GrowsError:
                waiting += 1
                continue
            except RefusedError as error:
                if error.status == NO_ROOM:
                    if not self._full:
                        LOG.warning("watched folder: no more is taken for now: %s", error)
                    self._full = True
                    waiting += 1
                    break
                left_out[str(error)] += 1
            except (InputError, OSError) as error:
                left_out[" ".join(str(error).replace(str(path), "").split()).strip(": ")] += 1
            else:
                self._full = False
            self._note(path, size, changed)
        for reason, count in left_out.items():
            LOG.warning("watched folder: %d file%s left out: %s", count, "" if count == 1 else "s", reason)
        if not taken and not waiting:
            self._end()
        return taken

    def _ready(self) -> tuple[list[tuple[Path, int, int]], int]:
        """Return the files that have rested with size and time of change, and how many have not."""
        now = time.monotonic()
        found: dict[Path, tuple[int, int, float]] = {}
        ready = []
        for path, size, changed in self._files():
            if self._seen.get(path) == (size, changed):
                continue
            before = self._resting.get(path)
            since = before[2] if before is not None and before[:2] == (size, changed) else now
            found[path] = (size, changed, since)
            if now - since >= self.watch.seconds:
                ready.append((path, size, changed))
        self._resting = found
        return ready, len(found) - len(ready)

    def _files(self) -> Iterator[tuple[Path, int, int]]:
        """Yield all files but hidden ones, in the order of their names."""
        for folder, folders, names in os.walk(self.watch.folder):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in sorted(names):
                path = Path(folder) / name
                if name.startswith(".") or path.is_symlink():
                    continue
                try:
                    status = path.stat()
                except OSError:  # it is gone again
                    continue
                yield path, status.st_size, status.st_mtime_ns

    def _take(self, path: Path, state: tuple[int, int], left_out: Counter[str]) -> int:
        """Take a file, or what is in a zip; gives how many images.

        Args:
            path: the file.
            state: its size and time of change when it had rested.
            left_out: counts what is not taken, by reason; added to.
        """
        name = path.name.lower()
        if name.endswith(NIFTI_ENDINGS):
            return self._take_nifti(path, state)
        if name.endswith(".json"):  # with its scan
            return 0
        headers, others = read_headers(path)
        left_out.update(other.reason for other in others)
        if others and not headers and (names := names_in(path)) is not None:  # else the rest would pass for the whole
            self.store.note_refused(*names, others[0].reason)
        taken = 0
        for header in headers:
            with header.dicom_file.open() as file:
                content = file.read()
            _check_rest(path, state)
            copy = self.store.receive([content])
            try:
                instance = read_instance(copy, patient=self.patient)
                taken += self._add(copy, instance, hashlib.sha256(content).hexdigest())
            except RefusedError as error:
                if error.status == NO_ROOM:
                    raise
                left_out[str(error)] += 1
            finally:
                copy.unlink(missing_ok=True)
        return taken

    def _take_nifti(self, path: Path, state: tuple[int, int]) -> int:
        """Take a scan with its sidecar; its series is named after its content."""
        ending = next(ending for ending in NIFTI_ENDINGS if path.name.lower().endswith(ending))
        sidecar = path.with_name(path.name[: -len(ending)] + ".json")
        if sidecar in self._resting:  # sorted before the scan, so it would have been dealt with
            raise _GrowsError
        content = path.read_bytes()
        aside = sidecar.read_bytes() if sidecar.is_file() else None
        _check_rest(path, state)
        if _is_cut_short(content, ending):
            raise RefusedError(NOT_UNDERSTOOD, "a NIfTI file that is cut short")
        digest = hashlib.sha256(content).hexdigest()
        series = f"nifti-{digest[:40]}"
        label = plain_text(path.name)
        taken = 0
        for name, data in ((sidecar.name, aside), (path.name, content)):
            if data is not None:
                instance = Instance(name, "", series, "", label, 1, False, name)
                copy = self.store.receive([data])
                taken += self._add(copy, instance, hashlib.sha256(data).hexdigest(), path.name)
        return taken

    def _add(self, copy: Path, instance: Instance, digest: str, file: str = "") -> int:
        self.arrivals.brings(self, instance.series)
        stored = self.store.add(copy, instance, SENDER, digest, file)
        if stored == OTHER:
            LOG.warning("instance %s is in the watched folder with other content; the first one is kept", instance.uid)
        self.arrivals.has_brought(self, instance.series, stored == NEW)
        return int(stored == NEW)

    def _note(self, path: Path, size: int, changed: int) -> None:
        """Note that a file was dealt with."""
        self._resting.pop(path, None)
        self._seen[path] = (size, changed)
        with self.database.change() as change:
            change.execute("INSERT OR REPLACE INTO seen VALUES (?, ?, ?)", (str(path), size, changed))

    def _end(self) -> None:
        """Note that nothing is on its way: what was found is whole."""
        brought = self.arrivals.peek(self)
        if not brought.series:
            return
        self.store.connection_ended(brought.series)
        for series, count in sorted(self.arrivals.ended(self).new.items()):
            LOG.info("series %s: %d file%s from the watched folder", series, count, "" if count == 1 else "s")


def _check_rest(path: Path, state: tuple[int, int]) -> None:
    """Refuse what was read of a file if it was changed meanwhile: half of it may be old."""
    now = path.stat()
    if (now.st_size, now.st_mtime_ns) != state:
        raise _GrowsError


def _is_cut_short(content: bytes, ending: str) -> bool:
    """Return whether the end of a NIfTI file is missing; what is no NIfTI file at all is for the reader to say."""
    import nibabel

    try:
        if ending.endswith(".gz"):
            content = gzip.decompress(content)
        second = content[:4] in (b"\x1c\x02\0\0", b"\0\0\x02\x1c")  # 540, the size of its header
        kind = nibabel.Nifti2Image if second else nibabel.Nifti1Image
        image = kind.from_bytes(content)
        array: Any = image.dataobj
    except EOFError:
        return True
    except Exception:  # whatever it is, it is not short
        return False
    return len(content) < array.offset + array.dtype.itemsize * math.prod(array.shape)
