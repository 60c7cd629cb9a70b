"""What commands over many scans show while they work and when they are done, and the options that they share."""

import sys
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from itermask.cli.console import console, print_json
from itermask.errors import InputError

if TYPE_CHECKING:
    from itermask.apps.cohort.job import Job, Outcome, Plan, Task
    from itermask.apps.cohort.manifest import Record
    from itermask.apps.cohort.run import Tally

EVERY = 60.0  # seconds between lines where standard error is no terminal
MEMORY_OF_RATE = 3600.0  # seconds of the past by which the time left is estimated


def engine_for(
    dask: str | None, workers: int | None, memory: float | None, time_limit: float, shard: tuple[int, int]
) -> "Callable[[Iterator[Task], Plan], Generator[Outcome]]":
    """Return Dask or processes of this machine, as the options say.

    Raises:
        InputError: options that cannot be.
    """
    from itermask.apps.cohort.dask_workers import work_on_dask
    from itermask.apps.cohort.workers import work_here, work_locally

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
    limit = None if memory is None else memory * 2**30
    name = "{}of{}".format(*shard)
    return lambda tasks, plan: work_locally(
        tasks, plan, workers=workers, memory=limit, time_limit=60 * time_limit, shard=name
    )


def check_ahead(plan: "Plan") -> None:
    """Refuse what would make every scan fail, before any work is done.

    Raises:
        InputError: the device, or a tool for bias correction or alignment, is not there.
    """
    from itermask.prepare.align import align_name
    from itermask.prepare.bias import n4_name

    if plan.settings.n4:
        n4_name()
    if plan.settings.align:
        align_name()
    if plan.device not in ("cpu", "auto"):
        from itermask.runtime.device import pick_device

        pick_device(plan.device)


@contextmanager
def cohort_bar(title: str) -> "Iterator[Callable[[Tally], None]]":
    """Show a bar with the time left on standard error; a line a minute without terminal or with `NO_COLOR`."""
    errors = console(stderr=True)
    if not errors.is_terminal:
        yield _Lines(title)
        return
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[failed]}"),
        TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=errors, speed_estimate_period=MEMORY_OF_RATE) as bar:
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


def print_states(jobs: "Sequence[Job]", plan: "Plan", retry_failed: bool, as_json: bool = False) -> None:
    """Print what a run would do, a line a scan and a last line with counts; or the same as one JSON object."""
    from itermask.apps.cohort.run import TO_DO, states

    counts: Counter[str] = Counter()
    scans = []
    for job, state in states(jobs, plan, retry_failed):
        counts[state] += 1
        scans.append({"name": job.name, "scan": str(job.scan), "state": state})
        if not as_json:
            print(f"{state:8} {job.name}  {job.scan}")
    to_do = sum(counts[state] for state in TO_DO)
    if as_json:
        print_json({"scans": scans, "counts": counts, "to_do": to_do})
        return
    parts = ", ".join(f"{number} {state}" for state, number in counts.items())
    print(f"{len(jobs)} scans ({parts}): {to_do} would be processed")


@dataclass(frozen=True)
class Tables:
    """What the group level wrote.

    Attributes:
        pages: a page for each sequence, with its table beside it.
        note: a sentence on scans that have not been processed; "" if there are none.
        failed: scans of the results folder that could not be processed.
    """

    pages: "Sequence[Path]"
    note: str
    failed: int


def write_tables(
    jobs: "Sequence[Job]",
    out: Path,
    layout: str,
    about: "Callable[[Record], Mapping[str, str]]",
    by: "Sequence[str]" = (),
    keep: "Callable[[Record], bool] | None" = None,
) -> Tables:
    """Write tables and pages of a results folder; `by` and `keep` as `write_group` takes them."""
    from itermask.apps.cohort.group import write_group
    from itermask.apps.cohort.manifest import FAILED, read_records
    from itermask.apps.cohort.run import not_processed

    note = not_processed(jobs, out)
    records = read_records(out)
    rows = [record for record in records if keep is None or keep(record)]
    if len(rows) < len(records):
        note = f"{note} The tables hold {len(rows)} of {len(records)} scans of this folder: those asked for.".strip()
    pages = write_group(out, layout, about, note, by, keep)
    return Tables(pages, note, sum(record.state == FAILED for record in rows))


def finish(
    jobs: "Sequence[Job]", out: Path, tally: "Tally | None", tables: Tables | None, as_json: bool = False
) -> None:
    """Say what a run came to; exit code 1 if any scan failed, now or before.

    Args:
        jobs: the run's scans, those of its shard alone.
        out: results folder.
        tally: of the participant level; None where that was left out.
        tables: of the group level; None where that was left out.
        as_json: one JSON object instead of lines.
    """
    failed = tally.failed + tally.failed_before if tally is not None else tables.failed if tables is not None else 0
    if as_json:
        print_json(_summary(jobs, out, tally, tables, failed))
    else:
        _print(out, tally, tables, failed)
    if failed:
        raise typer.Exit(1)


def _print(out: Path, tally: "Tally | None", tables: Tables | None, failed: int) -> None:
    """Print the pages, a line on what was done, and on standard error what was not."""
    from itermask.apps.cohort.manifest import MANIFEST

    for page in () if tables is None else tables.pages:
        print(page)
    if tables is not None and tables.note:
        print(f"itermask: {tables.note}", file=sys.stderr)
    if tally is None:
        return
    line = f"{tally.done} processed, {tally.kept} kept from earlier, {failed} failed"
    if failed:
        line += f"; reasons are in the table and in {out / MANIFEST}; --retry-failed tries again"
    print(line)


def _summary(
    jobs: "Sequence[Job]", out: Path, tally: "Tally | None", tables: Tables | None, failed: int
) -> dict[str, Any]:
    """Return what a run came to, as JSON holds it."""
    from itermask.apps.cohort.manifest import FAILED, read_record

    records = [record for job in jobs if (record := read_record(out, job.name)) is not None]
    return {
        "out": str(out),
        "scans": len(jobs),
        "processed": None if tally is None else tally.done,
        "kept": None if tally is None else tally.kept,
        "failed": failed,
        "not_processed": len(jobs) - len(records),
        "verdicts": Counter(str(record.figures["verdict"]) for record in records if "verdict" in record.figures),
        "failures": [
            {"name": record.name, "scan": record.scan, "reason": record.reason}
            for record in records
            if record.state == FAILED
        ],
        "tables": [str(page.with_suffix(".tsv")) for page in (() if tables is None else tables.pages)],
        "pages": [str(page) for page in (() if tables is None else tables.pages)],
    }
