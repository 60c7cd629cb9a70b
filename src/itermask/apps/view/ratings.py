"""Ratings by a reader: `ratings.tsv`, to which every rating adds a line, so that nothing said is ever lost.

Of several ratings of one scan the last counts. The file is written under a temporary name, then renamed; a lock on the
folder keeps two programs that save at the same time from losing a line. Columns that others have added stay.
"""

import os
import re
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from itermask.errors import InputError

NAME = "ratings.tsv"
RATINGS = ("good", "bad", "unsure")
COLUMNS = ("scan", "rating", "comment", "rater", "time")
MISSING = "n/a"
LONGEST = 4000  # letters of a comment
ESCAPES = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"}
MEANT = {escaped[1]: plain for plain, escaped in ESCAPES.items()}
UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")  # control characters but tab and line feed


@dataclass(frozen=True)
class Rating:
    """One rating of one scan.

    Attributes:
        scan: as in `itermask.apps.view.listing.Entry`.
        rating: one of `RATINGS`, or "" for one that is withdrawn.
        comment: of the rater; may hold tabs and line feeds.
        rater: who.
        time: when, UTC, such as `2026-01-31T12:00:00Z`.
    """

    scan: str
    rating: str
    comment: str = ""
    rater: str = ""
    time: str = ""


class ChangedError(Exception):
    """Somebody has rated a scan since the one who rates it now has seen its rating.

    Attributes:
        now: the rating that counts; None where there is none.
        version: of it.
    """

    def __init__(self, now: Rating | None, version: int) -> None:
        super().__init__("rated by somebody else meanwhile")
        self.now, self.version = now, version


def clean(text: str) -> str:
    """Return a text as it can be kept: line ends as line feeds, no other control characters, nothing around it.

    Example:
        >>> clean("  Ann  ")
        'Ann'
    """
    plain = text.replace("\r\n", "\n").replace("\r", "\n").encode("utf-8", "replace").decode()
    return UNSEEN.sub(" ", plain).strip()


def escape(text: str) -> str:
    r"""Return a text as a cell of the table, with `\t`, `\n`, `\r` and `\\` for what would break it.

    Example:
        >>> escape("line 1\nline 2")
        'line 1\\nline 2'
    """
    return "".join(ESCAPES.get(letter, letter) for letter in text)


def unescape(cell: str) -> str:
    r"""Return what `escape` was given; an unknown escape stays as it is.

    Example:
        >>> unescape(escape("tab\tand line\n")) == "tab\tand line\n"
        True
    """
    return re.sub(r"\\([\\tnr])", lambda found: MEANT[found[1]], cell)


class Ratings:
    """The ratings of one folder of results.

    Args:
        out: the folder.

    Raises:
        InputError: there is a `ratings.tsv` that is no table of ratings, or that is a link.
    """

    def __init__(self, out: Path) -> None:
        self.path = out.resolve() / NAME
        self._own = threading.Lock()
        self.all()

    def all(self) -> list[Rating]:
        """Return all ratings in the order in which they were given.

        Raises:
            InputError: the table cannot be read.
        """
        header, lines = self._table()
        columns = [header.index(name) for name in COLUMNS]
        found = []
        for line in lines:
            cells = [*line.split("\t"), *[""] * len(header)]
            scan, rating, comment, rater, time = (unescape(cells[column]) for column in columns)
            rating = rating if rating in RATINGS else ""
            found.append(Rating(scan, rating, "" if comment == MISSING else comment, rater, time))
        return found

    def last(self, rater: str | None = None) -> dict[str, Rating]:
        """Return the rating that counts, by scan.

        Args:
            rater: whose ratings; None for everybody's.
        """
        return {one.scan: one for one in self.all() if rater is None or one.rater == rater}

    def versions(self, rater: str | None = None) -> dict[str, int]:
        """Return how often each scan was rated, by scan; tells whether a rating that was seen is still the last.

        Args:
            rater: whose ratings; None for everybody's.
        """
        return Counter(one.scan for one in self.all() if rater is None or one.rater == rater)

    def save(
        self, scan: str, rating: str, comment: str, rater: str, seen: int | None = None, own: bool = False
    ) -> Rating:
        """Add a rating to the table; it is on the disk when this returns.

        Args:
            scan: as in `itermask.apps.view.listing.Entry`.
            rating: one of `RATINGS`, or "" to withdraw one.
            comment: cleaned before it is kept, see `clean`.
            rater: who; cleaned too.
            seen: the version of the scan's rating that the rater has seen, see `versions`; None to save in any case.
            own: whether the rater sees only ratings of their own.

        Returns:
            what was kept, with its time.

        Raises:
            ChangedError: that was not the last version; nothing is saved.
            ValueError: there is no such rating, or the comment is longer than `LONGEST`.
            InputError: the table cannot be read or written.
        """
        if rating not in ("", *RATINGS):
            raise ValueError(f"{rating!r} is not a rating; ratings are {', '.join(RATINGS)}")
        if len(comment) > LONGEST:
            raise ValueError(f"a comment may have at most {LONGEST} characters")
        kept = Rating(scan, rating, clean(comment), clean(rater), datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
        said = (scan, rating or MISSING, kept.comment or MISSING, kept.rater, kept.time)
        cells = dict(zip(COLUMNS, map(escape, said), strict=True))
        with self._own, self._alone():
            if seen is not None:
                whose = kept.rater if own else None
                if (version := self.versions(whose).get(scan, 0)) != seen:
                    raise ChangedError(self.last(whose).get(scan), version)
            header, lines = self._table()
            lines.append("\t".join(cells.get(name, MISSING) for name in header))
            self._write("".join(f"{line}\n" for line in ("\t".join(header), *lines)))
        return kept

    def _table(self) -> tuple[Sequence[str], list[str]]:
        """Return header and lines of the table as it is now."""
        if self.path.is_symlink():
            raise InputError(f"{self.path}: is a link, but ratings are kept in the folder itself; move it away")
        try:
            text = self.path.read_bytes().decode("utf-8-sig")
        except FileNotFoundError:
            return COLUMNS, []
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{self.path}: cannot be read ({error}); fix it or move it away") from error
        head, *lines = (line.removesuffix("\r") for line in text.split("\n"))
        header = head.split("\t")
        if not text:
            return COLUMNS, []
        if absent := [name for name in COLUMNS if name not in header]:
            raise InputError(f"{self.path}: no table of ratings, column {absent[0]} is missing; move it away")
        return header, [line for line in lines if line]

    def _write(self, text: str) -> None:
        """Write the whole table under a temporary name, then rename it."""
        partial = self.path.with_name(f".{NAME}.{uuid4().hex[:8]}.part")
        try:
            with partial.open("wb") as file:
                file.write(text.encode())
                file.flush()
                os.fsync(file.fileno())
            os.replace(partial, self.path)
        except OSError as error:
            with suppress(OSError):
                partial.unlink(missing_ok=True)
            raise InputError(f"{self.path}: cannot be written ({error.strerror})") from error

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other programs from writing meanwhile, where the file system knows locks."""
        try:
            import fcntl

            folder = os.open(self.path.parent, os.O_RDONLY)
        except (ImportError, OSError):  # Windows; a folder that is gone, which writing will tell
            yield
            return
        try:
            with suppress(OSError):
                fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            os.close(folder)
