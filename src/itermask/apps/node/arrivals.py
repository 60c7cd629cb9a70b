"""Which series are on their way: the connections that bring them, and how long each has been silent."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol


class Connection(Protocol):
    """What brings series; a thread of the receiving server, or the watcher of a folder."""

    def is_alive(self) -> bool:
        """Return whether it can still bring something."""


@dataclass
class Brought:
    """What one connection has brought.

    Attributes:
        new: images by series.
        known: images that were here already, by series.
        refused: series of which some were refused.
        unread: whether an image came that could not be read, so that it may be of any series.
        first: when it began with a series.
        last: when it last brought some of a series.
    """

    new: dict[str, int] = field(default_factory=dict)
    known: dict[str, int] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)
    unread: bool = False
    first: dict[str, float] = field(default_factory=dict)
    last: dict[str, float] = field(default_factory=dict)

    @property
    def series(self) -> set[str]:
        """UIDs of the series."""
        return set(self.new) | set(self.known)

    @property
    def spoiled(self) -> set[str]:
        """UIDs of those that are not whole, whatever the connection's end."""
        return self.refused | (self.series if self.unread else set())


class Arrivals:
    """Connections and the series they bring, in memory; a restart counts as silence that begins anew."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._lock = clock, threading.Lock()
        self._started = clock()
        self._last: dict[str, float] = {}
        self._cut: dict[str, float] = {}
        self._open: dict[Connection, Brought] = {}

    def brings(self, connection: Connection, series: str) -> None:
        """Note that a connection has begun to bring an image of a series."""
        with self._lock:
            brought, now = self._open.setdefault(connection, Brought()), self._clock()
            brought.known.setdefault(series, 0)
            brought.first.setdefault(series, now)
            self._last[series] = brought.last[series] = now

    def has_brought(self, connection: Connection, series: str, new: bool) -> None:
        """Note that the image is in the store."""
        with self._lock:
            brought = self._open.setdefault(connection, Brought())
            counts = brought.new if new else brought.known
            counts[series] = counts.get(series, 0) + 1
            self._last[series] = self._clock()

    def spoil(self, connection: Connection, series: str | None) -> None:
        """Note that an image was refused, so its series is not whole; None where the series is not known."""
        with self._lock:
            brought = self._open.setdefault(connection, Brought())
            if series is None:
                brought.unread = True
            else:
                brought.refused.add(series)

    def peek(self, connection: Connection) -> Brought:
        """Return what a connection has brought so far."""
        with self._lock:
            return self._open.get(connection, Brought())

    def speaks_for(self, connection: Connection, series: str) -> bool:
        """Return whether a connection's proper end means that all of a series came.

        Not so if another one, that is open or was cut, brought some of it meanwhile. A connection that brings a series
        after another one was cut is taken for one that sends it again.
        """
        with self._lock:
            began = self._open.get(connection, Brought()).first.get(series, self._clock())
            others = [each.last for open_, each in self._open.items() if open_ is not connection]
            return all(times.get(series, began) <= began for times in [*others, self._cut])

    def ended(self, connection: Connection, whole: bool = True) -> Brought:
        """Return a connection has ended, properly or not; silence of its series begins now."""
        with self._lock:
            brought = self._open.pop(connection, Brought())
            if not whole:
                self._cut |= {series: max(last, self._cut.get(series, last)) for series, last in brought.last.items()}
            self._last |= dict.fromkeys(brought.series, self._clock())
            return brought

    def dead(self) -> list[Connection]:
        """Return the connections that are gone without having ended."""
        with self._lock:
            return [connection for connection in self._open if not connection.is_alive()]

    def sending(self, series: str) -> bool:
        """Return whether a connection that brought some of a series is open."""
        with self._lock:
            return any(series in brought.series for brought in self._open.values())

    def silence(self, series: str) -> float:
        """Return the seconds since the last image of a series, or since the end of a connection that brought some."""
        with self._lock:
            return self._clock() - self._last.get(series, self._started)

    def forget(self, series: str) -> None:
        """Note that a series is closed."""
        with self._lock:
            self._last.pop(series, None)
            self._cut.pop(series, None)
