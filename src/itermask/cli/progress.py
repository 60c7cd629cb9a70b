"""How far a long command is: a bar on a terminal, plain lines on standard error elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from itermask.cli.console import console
from itermask.cli.show import progress_bar

EVERY = 30.0  # seconds between lines of a stage


@contextmanager
def bar_or_lines(title: str) -> Iterator[Callable[[str, float], None]]:
    """Show a bar where standard error is a terminal, else lines (`StageLines`); called with (stage, share done).

    Example:
        >>> with bar_or_lines("train") as report:
        ...     report("training", 0.5)
        ...
    """
    if not console(stderr=True).is_terminal:
        yield StageLines(title)
        return
    with progress_bar(title) as bar:
        yield bar


class StageLines:
    """Called with (stage, share done): a line when a stage begins and ends, and now and then between.

    What follows a comma in the stage, such as the loss, changes within a stage.

    >>> lines = StageLines("model", sys.stdout, clock=lambda: 0.0)
    >>> lines("training, loss 0.5", 0.1), lines("training, loss 0.4", 0.2), lines("training, loss 0.3", 1.0)
    model: training, loss 0.5: 10 %
    model: training, loss 0.3: done in 0 min
    (None, None, None)
    """

    def __init__(
        self,
        title: str,
        stream: TextIO | None = None,
        every: float = EVERY,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.title, self.stream, self.every, self.clock = title, stream, every, clock
        self.stage, self.began, self.first, self.last, self.ended = "", 0.0, 0.0, 0.0, False

    def __call__(self, stage: str, share: float) -> None:
        """Write a line if it is time for one."""
        now, name = self.clock(), stage.split(",")[0]
        if name != self.stage:
            self.stage, self.began, self.first, self.last, self.ended = name, now, share, now - self.every, False
        done = share >= 1
        if self.ended or not (done or now - self.last >= self.every):
            return
        self.last, self.ended = now, done
        spent = now - self.began
        if done:
            self._write(f"{stage}: done in {_minutes(spent)}")
            return
        left = spent / (share - self.first) * (1 - share) if share > self.first and spent > 0 else None
        self._write(f"{stage}: {100 * share:.0f} %" + ("" if left is None else f", about {_minutes(left)} left"))

    def _write(self, text: str) -> None:
        print(f"{self.title}: {text}", file=self.stream or sys.stderr, flush=True)


def _minutes(seconds: float) -> str:
    """Return a time as text."""
    return f"{seconds / 3600:.1f} h" if seconds > 5400 else f"{seconds / 60:.0f} min"
