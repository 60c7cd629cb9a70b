"""Workers of a Dask cluster, which may be anywhere as long as they see the same files under the same paths.

Every worker does what a local one does, `work.carry_out`; this process moves files in place and writes the records.
When a worker dies, the scheduler gives its scans to others. A scan that was on four workers that died
(`distributed.scheduler.allowed-failures`) may only have had bad company, so it is processed once more at the end, when
nothing else is; then it has failed.
"""

import time
from collections import deque
from collections.abc import Callable, Generator, Iterable
from typing import Any

from itermask.apps.cohort.job import Outcome, Plan, Task
from itermask.apps.cohort.work import carry_out, one_line
from itermask.errors import InputError, MissingExtraError

CONNECT = "30s"
POLL = 2.0  # seconds between checks of the cluster
NO_WORKER = 600.0  # seconds without any worker after which a run ends


def work_on_dask(
    tasks: Iterable[Task],
    plan: Plan,
    address: str,
    function: Callable[[Task, Plan], Outcome] = carry_out,
    no_worker: float = NO_WORKER,
) -> Generator[Outcome]:
    """Do tasks on a Dask cluster; outcomes come as they are ready.

    Args:
        tasks: taken as the cluster has room for them.
        plan: given with every task; its paths are those of the workers.
        address: of the scheduler, such as `tcp://node1:8786`.
        function: does one task.
        no_worker: seconds without any worker after which the run ends.

    Raises:
        MissingExtraError: Dask is not installed.
        InputError: no scheduler there, it went away, no worker came, or the workers lack this package.
    """
    try:
        from distributed import Client, wait
    except ImportError as error:
        raise MissingExtraError("--dask needs Dask; install it with pip install 'itermask[cluster]'") from error
    try:
        client = Client(address, timeout=CONNECT)
    except (OSError, TimeoutError, ValueError) as error:
        raise InputError(
            f"--dask {address}: no scheduler there ({one_line(str(error))[:120]}); start one, or check the address"
        ) from error
    source = iter(tasks)
    running: dict[Any, Task] = {}
    suspects: deque[Task] = deque()
    alone = False  # whether what runs is a suspect
    seen = time.monotonic()
    try:
        while True:
            threads = _threads(client, address)
            seen = time.monotonic() if threads else seen
            if time.monotonic() - seen > no_worker:
                raise InputError(f"--dask {address}: no worker for {no_worker:g} seconds; start some and run again")
            while len(running) < max(1, threads) and (task := next(source, None)) is not None:
                running[client.submit(function, task, plan, key=f"itermask-{task.part}", pure=False)] = task
            if not running:
                if not suspects:
                    return
                alone, task = True, suspects.popleft()
                running[client.submit(function, task, plan, key=f"itermask-{task.part}-alone", pure=False)] = task
            try:
                wait(list(running), timeout=POLL, return_when="FIRST_COMPLETED")
            except TimeoutError:
                continue
            for future in [future for future in running if future.done()]:
                task = running.pop(future)
                if _killed(future) and not alone:
                    suspects.append(task)
                else:
                    yield _outcome(future, task, address)
    finally:
        client.cancel(list(running))
        client.close(timeout=5)


def _threads(client: Any, address: str) -> int:
    """Return threads of all workers there are now."""
    try:
        return sum(client.nthreads().values())
    except (OSError, TimeoutError) as error:
        raise _gone(address) from error


def _gone(address: str) -> InputError:
    return InputError(f"--dask {address}: the scheduler went away; start it and run again to resume")


def _killed(future: Any) -> bool:
    """Return whether the scheduler has given a task up because the workers that had it died."""
    from distributed.scheduler import KilledWorker

    return future.status == "error" and isinstance(future.exception(), KilledWorker)


def _outcome(future: Any, task: Task, address: str) -> Outcome:
    """Return what became of a task."""
    if future.status == "finished":
        return future.result()  # type: ignore[no-any-return]
    if _killed(future):
        return Outcome(task.job, reason="each worker that processed it died, even one that had nothing else to do")
    if future.status == "error":
        error = future.exception()
        if isinstance(error, ImportError):
            raise InputError(f"--dask {address}: the workers cannot run itermask ({error}); install it there")
        return Outcome(task.job, reason=one_line(f"unexpected {type(error).__name__}: {error}"))
    raise _gone(address)
