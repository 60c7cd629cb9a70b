"""Stopping a training on request: SIGINT and SIGTERM let a step end, write the checkpoint, and say how to go on."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class TrainingStopped(Exception):  # noqa: N818 - nothing went wrong
    """A training was asked to stop.

    Attributes:
        signal: number of the signal.
    """

    def __init__(self, number: int, said: str) -> None:
        super().__init__(said)
        self.signal = number


class StopRequest:
    """What a signal has asked for.

    Attributes:
        wanted: number of the signal; 0 while there was none.
        gentle: whether a stop waits for whoever reads `wanted`; else it takes effect at once.
    """

    def __init__(self) -> None:
        self.wanted = 0
        self.gentle = False
        self._process = os.getpid()

    def __call__(self, number: int, frame: FrameType | None = None) -> None:
        """Take a signal; a second one is not gentle. Processes that were forked leave it to the first."""
        if os.getpid() != self._process:
            return
        if not self.gentle or self.wanted:
            raise TrainingStopped(number, "stopped before training began, or after it; the same command resumes it")
        self.wanted = number


@contextmanager
def stop_on_signals() -> Iterator[StopRequest]:
    """Listen to SIGINT and SIGTERM as long as this lasts; in another than the main thread nothing is changed.

    Example:
        >>> with stop_on_signals() as stop:
        ...     type(stop).__name__
        ...
        'StopRequest'
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    earlier = {number: signal.signal(number, request) for number in SIGNALS}
    try:
        yield request
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)
