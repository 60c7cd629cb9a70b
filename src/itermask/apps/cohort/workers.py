"""Processes of this machine that work side by side, each with one thread and the model loaded once.

A worker that dies, killed or for want of memory, costs its scan one attempt: the scan is given to a new worker once,
then it has failed. Where the system has killed for want of memory, there is one worker less from then on. A worker
whose main process is gone ends at once, also in the middle of a scan.

`concurrent.futures` gives up all its jobs when one of its processes dies. So this pool is written here.
"""

import faulthandler
import os
import shutil
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from itermask.apps.cohort.job import Outcome, Plan, Task
from itermask.apps.cohort.manifest import LOGS
from itermask.apps.cohort.memory import FIRST_GUESS, fitting_workers, free_bytes, oom_kills, usable_cores
from itermask.apps.cohort.work import carry_out
from itermask.errors import InputError

Function = Callable[[Task, Plan], Outcome]
ATTEMPTS = 2
STARTS = 3  # workers in a row that may die before they are ready
PATIENCE = 10.0  # seconds that a process which has closed its pipe gets to end
START_LIMIT = 600.0  # seconds that a process gets to be ready
CHECK_EVERY = 5.0  # seconds between checks of workers that say nothing
THREADS = (
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS",
    "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS",
)  # fmt: skip


def work_locally(
    tasks: Iterable[Task],
    plan: Plan,
    function: Function = carry_out,
    workers: int | None = None,
    memory: float | None = None,
    time_limit: float | None = None,
    shard: str = "1of1",
) -> Generator[Outcome]:
    """Do tasks in processes of this machine; outcomes come as they are ready.

    Args:
        tasks: taken one by one, as workers get free.
        plan: given to every worker.
        function: does one task; it must not raise.
        workers: how many; None for as many as cores and memory allow, by what the largest worker was seen to hold,
            but one on a graphics card.
        memory: bytes to share among workers; None for what is free at the start.
        time_limit: seconds after which a scan's worker is killed and the scan has failed; None for no limit.
        shard: names the workers' log files.

    Raises:
        InputError: workers cannot be started.
    """
    pool = _Pool(plan, function, shard)
    free, cores = memory or free_bytes(), usable_cores()
    peak = 0.0
    limit = workers or (fitting_workers(free, FIRST_GUESS, cores) if plan.device in ("cpu", "openvino") else 1)
    queue: deque[tuple[Task, int]] = deque()
    source = iter(tasks)
    try:
        while True:
            pool.fill(queue, source, min(limit, pool.most))
            if not pool.busy() and not queue:
                return
            for worker in pool.next_events(time_limit):
                outcome = pool.heard(worker, queue, time_limit)
                if outcome is None:
                    continue
                peak = max(peak, float(outcome.log.get("peak_bytes", 0)))
                if workers is None and peak and plan.device in ("cpu", "openvino"):
                    limit = fitting_workers(free, peak, cores)
                yield outcome
    finally:
        pool.end()


def work_here(tasks: Iterable[Task], plan: Plan) -> Generator[Outcome]:
    """Do tasks one after the other in this process: for debugging. A crash ends the run."""
    for task in tasks:
        yield carry_out(task, plan)


class _Worker:
    """One process, the pipe to it, and what it is doing."""

    def __init__(self, plan: Plan, function: Function, log: Path) -> None:
        context = get_context("spawn")
        self.pipe, other = context.Pipe()
        self.process = context.Process(target=serve, args=(other, plan, function, log), daemon=True)
        with _environment(dict.fromkeys(THREADS, "1")):
            self.process.start()
        other.close()
        self.ready = False
        self.task: Task | None = None
        self.attempt = 0
        self.since = time.monotonic()

    def end(self) -> None:
        """Kill the process and wait for it, but not for ever."""
        self.process.kill()
        self.process.join(PATIENCE)
        self.pipe.close()

    def late(self, time_limit: float | None) -> bool:
        """Return whether it has taken too long, with a task or to get ready for one."""
        limit = time_limit if self.ready else START_LIMIT
        waited_for = self.task is not None or not self.ready
        return waited_for and limit is not None and time.monotonic() - self.since >= limit


class _Pool:
    """The workers of a run."""

    def __init__(self, plan: Plan, function: Function, shard: str) -> None:
        self.plan, self.function, self.shard = plan, function, shard
        self.workers: list[_Worker] = []
        self.lost_at_start = 0
        self.most = sys.maxsize  # workers that memory was seen to hold
        self.oom_kills = oom_kills()

    def busy(self) -> bool:
        """Return whether any worker has a task."""
        return any(worker.task is not None for worker in self.workers)

    def fill(self, queue: deque[tuple[Task, int]], source: Iterator[Task], limit: int) -> None:
        """Give tasks to free workers, start workers for more, and let go of those above the limit."""
        while True:
            idle = [worker for worker in self.workers if worker.ready and worker.task is None]
            while idle and len(self.workers) > limit:
                self._drop(idle.pop())
            starting = sum(not worker.ready for worker in self.workers)
            if not idle and len(self.workers) >= limit:
                return
            if len(queue) <= (0 if idle else starting):
                task = next(source, None)
                if task is None:
                    return
                queue.append((task, 1))
            if idle:
                self._give(idle[0], queue)
            else:
                self.workers.append(_Worker(self.plan, self.function, self._log()))

    def _give(self, worker: _Worker, queue: deque[tuple[Task, int]]) -> None:
        task, attempt = queue.popleft()
        try:
            worker.pipe.send(task)
        except OSError:  # it died while it had nothing to do
            queue.appendleft((task, attempt))
            self._drop(worker)
            return
        worker.task, worker.attempt, worker.since = task, attempt, time.monotonic()

    def next_events(self, time_limit: float | None) -> list[_Worker]:
        """Wait until some workers have something to say, are dead, or have taken too long."""
        by_pipe: dict[Any, _Worker] = {worker.pipe: worker for worker in self.workers}
        heard = [by_pipe[pipe] for pipe in wait(list(by_pipe), min(CHECK_EVERY, time_limit or CHECK_EVERY))]
        return heard + [worker for worker in self.workers if worker not in heard and worker.late(time_limit)]

    def heard(self, worker: _Worker, queue: deque[tuple[Task, int]], time_limit: float | None) -> Outcome | None:
        """Return what a worker has to say; None if that is no outcome."""
        task, attempt = worker.task, worker.attempt
        message: Any = None
        try:
            if worker.pipe.poll():
                message = worker.pipe.recv()
        except (EOFError, OSError):
            return self._died(worker, queue)
        if message is None and task is None:  # it does not get ready
            worker.process.kill()
            return self._died(worker, queue)
        if message is None and task is not None:
            self._drop(worker)
            self._clean(task)
            return Outcome(task.job, reason=f"took longer than {time_limit:g} seconds and was stopped")
        if isinstance(message, Outcome):
            worker.task = None
            return replace(message, log={**message.log, "attempts": attempt})
        worker.ready, self.lost_at_start = True, 0
        return None

    def _died(self, worker: _Worker, queue: deque[tuple[Task, int]]) -> Outcome | None:
        """Return a worker is dead: its task is tried again, or has failed."""
        worker.process.join(PATIENCE)  # so that its own exit code is known
        self._drop(worker)
        if oom_kills() > self.oom_kills:  # the machine holds fewer than these
            self.oom_kills, self.most = oom_kills(), max(1, len(self.workers))
        if worker.task is None:
            self.lost_at_start += not worker.ready
            if self.lost_at_start >= STARTS:
                raise InputError(f"workers end as soon as they are started ({_how(worker)}); see {self._log()}")
            return None
        self._clean(worker.task)
        if worker.attempt < ATTEMPTS:
            queue.appendleft((worker.task, worker.attempt + 1))
            return None
        reason = f"its worker died {ATTEMPTS} times ({_how(worker)})"
        return Outcome(worker.task.job, reason=reason, log={"attempts": worker.attempt})

    def _drop(self, worker: _Worker) -> None:
        worker.end()
        self.workers.remove(worker)

    def _clean(self, task: Task) -> None:
        """Remove what an attempt has left."""
        start = self.plan.out / task.part
        for path in start.parent.glob("*") if start.parent.is_dir() else ():
            if path.name.startswith(f"{start.name}-"):
                shutil.rmtree(path, ignore_errors=True)

    def _log(self) -> Path:
        return self.plan.out / LOGS / f"workers-{self.shard}.txt"

    def end(self) -> None:
        """Kill all workers."""
        for worker in self.workers:
            worker.end()
        self.workers.clear()


def _how(worker: _Worker) -> str:
    """Return how a process has ended."""
    code = worker.process.exitcode or 0
    if code == -signal.SIGKILL:
        return "killed, or out of memory"
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"


@contextmanager
def _environment(settings: dict[str, str]) -> Iterator[None]:
    """Set environment variables for processes that are started meanwhile."""
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def serve(pipe: Connection, plan: Plan, function: Function, log: Path) -> None:
    """Work as a worker: one task after the other, until the pipe is closed.

    Args:
        pipe: to the main process.
        plan: given with every task to `function`.
        function: does one task.
        log: where whatever libraries print goes, and the trace of a crash.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the main process ends its workers
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "ab", buffering=0) as target:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os.dup2(target.fileno(), 1)
        os.dup2(target.fileno(), 2)
    faulthandler.enable()
    with suppress(OSError):  # where memory runs out, a worker should go, not the main process
        Path("/proc/self/oom_score_adj").write_text("500")
    threading.Thread(target=_end_with_parent, daemon=True).start()
    pipe.send("ready")
    while True:
        try:
            task = pipe.recv()
        except (EOFError, OSError):
            return
        pipe.send(function(task, plan))


def _end_with_parent() -> None:
    """Wait until the main process is gone, then end at once."""
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
