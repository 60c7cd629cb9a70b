"""What commands over many scans show while they work and when they are done, and the options that they share."""

import sys
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from itermask.errors import InputError

if TYPE_CHECKING:
    from itermask.cohort.job import Job, Outcome, Plan, Task
    from itermask.cohort.manifest import Record
    from itermask.cohort.run import Tally

EVERY = 60.0  # seconds between lines where standard error is no terminal
MEMORY_OF_RATE = 3600.0  # seconds of the past by which the time left is estimated


def parse_shard(text: str) -> tuple[int, int]:
    """`i/n` as numbers.

    Raises:
        InputError: it is not that, or i is not within 1 to n.
    """
    try:
        number, count = (int(word) for word in text.split("/"))
    except ValueError:
        number, count = 0, 0
    if not 1 <= number <= count:
        raise InputError(f"--shard {text}: write it as 1/4, 2/4, … up to 4/4")
    return number, count


def engine_for(
    dask: str | None, workers: int | None, memory: float | None, time_limit: float, shard: tuple[int, int]
) -> "Callable[[Iterator[Task], Plan], Generator[Outcome]]":
    """Dask or processes of this machine, as the options say.

    Raises:
        InputError: options that cannot be.
    """
    from itermask.cohort.dask_workers import work_on_dask
    from itermask.cohort.workers import work_here, work_locally

    if dask is not None and (workers is not None or memory is not None):
        raise InputError("--dask: the cluster has its own workers; leave out --workers and --memory")
    for option, value in (("memory", memory), ("time-limit", time_limit)):
        if value is not None and not value > 0:
            raise InputError(f"--{option} {value:g}: must be above 0")
    if workers is not None and workers < 0:
        raise InputError(f"--workers {workers}: must not be negative")
    if dask is not None:
        return lambda tasks, plan: work_on_dask(tasks, plan, dask)
    if workers == 0:
        return work_here
    room = None if memory is None else memory * 2**30
    name = "{}of{}".format(*shard)
    return lambda tasks, plan: work_locally(
        tasks, plan, workers=workers, memory=room, time_limit=60 * time_limit, shard=name
    )


def check_ahead(plan: "Plan") -> None:
    """Refuse what would make every scan fail, before any work is done.

    Raises:
        InputError: the device or the tool for bias correction is not there.
    """
    from itermask.prepare.bias import n4_name

    if plan.settings.n4:
        n4_name()
    if plan.device not in ("cpu", "auto"):
        from itermask.runtime.device import pick_device

        pick_device(plan.device)


@contextmanager
def cohort_bar(title: str) -> "Iterator[Callable[[Tally], None]]":
    """A bar with the time left on standard error; where that is no terminal, a line a minute."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _Lines(title)
        return
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[failed]}"),
        TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=console, speed_estimate_period=MEMORY_OF_RATE) as bar:
        task = bar.add_task(title, total=None, failed="")

        def show(tally: "Tally") -> None:
            failed = f"{tally.failed} failed" if tally.failed else ""
            bar.update(task, total=tally.to_do, completed=tally.finished, failed=failed)

        yield show


class _Lines:
    """Called with the tally: a line on standard error, but not too often."""

    def __init__(self, title: str) -> None:
        self.title, self.started, self.last = title, time.monotonic(), time.monotonic()

    def __call__(self, tally: "Tally") -> None:
        now = time.monotonic()
        if now - self.last < EVERY:
            return
        self.last = now
        left = ""
        if tally.finished:
            seconds = (now - self.started) / tally.finished * (tally.to_do - tally.finished)
            left = f", about {seconds / 3600:.1f} h left" if seconds > 5400 else f", about {seconds / 60:.0f} min left"
        print(f"{self.title}: {tally.finished} of {tally.to_do}, {tally.failed} failed{left}", file=sys.stderr)


def print_states(jobs: "Sequence[Job]", plan: "Plan", retry_failed: bool) -> None:
    """What a run would do, a line a scan and a last line with counts."""
    from collections import Counter

    from itermask.cohort.run import states

    counts: Counter[str] = Counter()
    for job, state in states(jobs, plan, retry_failed):
        counts[state] += 1
        print(f"{state:8} {job.name}  {job.scan}")
    to_do = sum(counts[state] for state in ("new", "changed", "retry"))
    parts = ", ".join(f"{number} {state}" for state, number in counts.items())
    print(f"{len(jobs)} scans ({parts}): {to_do} would be looked at")


def finish(tally: "Tally", out: Path) -> None:
    """One line about a run; exit code 1 if any of its scans failed, now or before."""
    from itermask.cohort.manifest import MANIFEST

    failed = tally.failed + tally.failed_before
    line = f"{tally.done} looked at, {tally.kept} kept from earlier, {failed} failed"
    if failed:
        line += f"; reasons are in the table and in {out / MANIFEST}; --retry-failed tries again"
    print(line)
    if failed:
        raise typer.Exit(1)


def write_tables(jobs: "Sequence[Job]", out: Path, layout: str, about: "Callable[[Record], Mapping[str, str]]") -> int:
    """Write tables and pages, name the pages, and tell how many scans have failed."""
    from itermask.cohort.group import write_group
    from itermask.cohort.manifest import FAILED, read_records
    from itermask.cohort.run import not_looked_at

    note = not_looked_at(jobs, out)
    for page in write_group(out, layout, about, note):
        print(page)
    if note:
        print(f"itermask: {note}", file=sys.stderr)
    return sum(record.state == FAILED for record in read_records(out))
