"""A cohort run: what is not done yet goes to workers, and every outcome into the manifest.

The process that runs this is the only one that writes records and moves files in place, so it may be killed at any
moment: a run started again goes on, and ends with the same bytes.
"""

import json
import os
import secrets
import shutil
import socket
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from itermask.apps.cohort.hashes import Hashes, model_hash
from itermask.apps.cohort.job import Job, Outcome, Plan, Task
from itermask.apps.cohort.manifest import (
    DONE,
    FAILED,
    LOGS,
    MANIFEST,
    PARTS,
    commit,
    commit_report,
    read_record,
    record_path,
    state_of,
    work_of,
)
from itermask.apps.cohort.workers import work_locally
from itermask.errors import InputError

Engine = Callable[[Iterator[Task], Plan], Generator[Outcome]]
TO_DO = ("new", "changed", "retry")


@dataclass
class Tally:
    """How far a run is.

    Attributes:
        total: scans of this run.
        kept: done in an earlier run.
        done: done in this run.
        failed: failed in this run.
        failed_before: failed in an earlier run, and not tried again.
        to_do: scans that need work, with those not checked yet.
    """

    total: int
    kept: int = 0
    done: int = 0
    failed: int = 0
    failed_before: int = 0

    @property
    def to_do(self) -> int:
        """Scans that need work, as far as is known: it gets less when a scan turns out to be done."""
        return self.total - self.kept - self.failed_before

    @property
    def finished(self) -> int:
        """Scans that this run has finished."""
        return self.done + self.failed


def check_names(jobs: Sequence[Job]) -> None:
    """Refuse two jobs of one name.

    Raises:
        InputError: says which.
    """
    seen: dict[str, Job] = {}
    for job in jobs:
        if (other := seen.setdefault(job.name, job)) is not job:
            raise InputError(f"{other.scan} and {job.scan} have the same name, {job.name}; keep one")


def shard_of(jobs: Sequence[Job], shard: tuple[int, int]) -> list[Job]:
    """Return every n-th job from the i-th, by name; i from 1 to n.

    Example:
        >>> shard_of([], (1, 4))
        []
    """
    number, count = shard
    return sorted(jobs, key=lambda job: job.name)[number - 1 :: count]


def states(jobs: Sequence[Job], plan: Plan, retry_failed: bool = False) -> Iterator[tuple[Job, str]]:
    """Yield each job with what a run would see in it, see `manifest.STATES`; nothing is written.

    Example:
        >>> list(states([], Plan(folder)))
        []
    """
    hashes = Hashes(plan.out / LOGS)
    for job in jobs:
        yield job, state_of(job, plan, work_of(job, plan, hashes), retry_failed)


def not_processed(jobs: Sequence[Job], out: Path) -> str:
    """Return a sentence on how many scans a results folder knows nothing of; "" if there are none.

    Example:
        >>> not_processed([], folder)
        ''
    """
    count = sum(not record_path(out, job.name).exists() for job in jobs)
    if count == 0:
        return ""
    return f"{count} of {len(jobs)} scans {'has' if count == 1 else 'have'} not been processed yet."


def run_cohort(
    jobs: Sequence[Job],
    plan: Plan,
    shard: tuple[int, int] = (1, 1),
    engine: Engine | None = None,
    retry_failed: bool = False,
    report: Callable[[Tally], None] | None = None,
) -> Tally:
    """Do what is not done yet.

    Args:
        jobs: all scans of the cohort, with names that differ.
        plan: how they are processed.
        shard: (i, n): only every n-th scan, from the i-th.
        engine: gives tasks to workers, such as `workers.work_locally` with other settings.
        retry_failed: whether scans that failed before are tried again; a changed scan always is.
        report: called with the tally, again and again.

    Returns:
        the tally at the end.

    Raises:
        InputError: names that are not unique, a results folder that cannot be used or that another run is using, or
            workers that cannot work at all.
    """
    check_names(jobs)
    name = "{}of{}".format(*shard)
    engine = engine or (lambda tasks, plan: work_locally(tasks, plan, shard=name))
    mine = shard_of(jobs, shard)
    model_hash.cache_clear()
    with _working_in(plan.out, name), _log(plan.out, name) as log:
        _clean(plan.out, mine)
        run = _Run(plan, Tally(len(mine)), Hashes(plan.out / LOGS, name), retry_failed, report)
        try:
            with closing(engine(run.tasks(mine), plan)) as outcomes:
                for outcome in outcomes:
                    _note(log, outcome, run.finish(outcome))
        finally:
            run.hashes.close()
            _clean(plan.out, mine)
    return run.tally


class _Run:
    """Chooses tasks, and puts their outcomes into the manifest."""

    def __init__(
        self, plan: Plan, tally: Tally, hashes: Hashes, retry_failed: bool, report: Callable[[Tally], None] | None
    ) -> None:
        self.plan, self.tally, self.hashes, self.retry_failed = plan, tally, hashes, retry_failed
        self.report = report or (lambda tally: None)
        self.work: dict[str, dict[str, Any]] = {}  # of tasks that are under way

    def tasks(self, jobs: Iterable[Job]) -> Iterator[Task]:
        """Yield what is to be done, checked when a worker asks for it."""
        for job in jobs:
            work = work_of(job, self.plan, self.hashes)
            state = self._state(job, work)
            if state in TO_DO:
                self.work[job.name] = work
                yield Task(job, f"{PARTS}/{job.name}.{secrets.token_hex(4)}")
            elif state == FAILED:
                self.tally.failed_before += 1
            else:
                self.tally.kept += 1
            self.report(self.tally)

    def _state(self, job: Job, work: dict[str, Any]) -> str:
        """Return what is to be done about a job; a report can be drawn again wherever the scan is still the same."""
        if not self.plan.reports_only:
            return state_of(job, self.plan, work, self.retry_failed)
        record = read_record(self.plan.out, job.name)
        drawable = record is not None and record.state == DONE and record.work["scan"] == work["scan"]
        return "changed" if drawable else DONE

    def finish(self, outcome: Outcome) -> str:
        """Put an outcome into the manifest; gives the state."""
        work = self.work.pop(outcome.job.name)
        if outcome.fatal:
            raise InputError(f"{outcome.reason}; fix it and run again to resume")
        record = read_record(self.plan.out, outcome.job.name) if self.plan.reports_only else None
        if record is None:
            commit(self.plan, outcome, work)
        elif not outcome.reason:
            commit_report(self.plan, outcome, record)
        self.tally.failed += bool(outcome.reason)
        self.tally.done += not outcome.reason
        self.report(self.tally)
        return FAILED if outcome.reason else DONE


@contextmanager
def _working_in(out: Path, shard: str) -> Iterator[None]:
    """Make the results folder, and keep a second run off the same scans while this one lasts.

    The lock is held by the process, so it is free again when the process is killed.
    """
    try:
        for folder in (out / MANIFEST, out / LOGS):
            folder.mkdir(parents=True, exist_ok=True)
        whole = open(out / LOGS / ".lock", "a")  # noqa: SIM115
        own = open(out / LOGS / f".lock-{shard}", "a")  # noqa: SIM115
    except OSError as error:
        raise InputError(f"{out}: cannot be used as results folder ({error.strerror}); choose another") from error
    with whole, own:
        if not (_lock(whole, shared=shard != "1of1") and _lock(own)):
            raise InputError(f"{out}: another run is working on the same scans; wait for it or stop it")
        yield


def _lock(file: TextIO, shared: bool = False) -> bool:
    """Return whether a file could be locked; True where the file system knows no locks."""
    try:
        import fcntl
    except ImportError:  # Windows
        return True
    try:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def _clean(out: Path, jobs: Sequence[Job]) -> None:
    """Remove what interrupted work on these jobs has left."""
    names = {job.name for job in jobs}
    parts = out / PARTS
    for path in parts.iterdir() if parts.is_dir() else ():
        if path.name.rpartition(".")[0] in names:
            shutil.rmtree(path, ignore_errors=True)
    with suppress(OSError):
        parts.rmdir()
    for name in names:
        partial = record_path(out, name)
        partial.with_name(f".{partial.name}.part").unlink(missing_ok=True)
    for path in (out / LOGS).glob("workers-*.txt"):
        with suppress(OSError):
            if path.stat().st_size == 0:
                path.unlink()


@contextmanager
def _log(out: Path, shard: str) -> Iterator[TextIO]:
    """Open the run's log, `logs/run-<shard>.jsonl`: all that differs from run to run."""
    with open(out / LOGS / f"run-{shard}.jsonl", "a", encoding="utf-8") as log:
        started = {"started": _now(), "host": socket.gethostname(), "process": os.getpid()}
        log.write("\n" + json.dumps(started) + "\n")
        log.flush()
        yield log


def _note(log: TextIO, outcome: Outcome, state: str) -> None:
    """Log one line about one outcome."""
    entry = {"finished": _now(), "name": outcome.job.name, "state": state}
    if outcome.reason:
        entry["reason"] = outcome.reason
    log.write(json.dumps(entry | dict(outcome.log)) + "\n")
    log.flush()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
