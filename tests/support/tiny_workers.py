"""What workers do in tests of the pool; each function is called in a process of its own, so little is imported."""

import os
import signal
import time
from pathlib import Path

from itermask.apps.cohort.job import Job, Outcome, Task


def tasks_named(*names):
    """Tasks for the functions below."""
    return [Task(Job(name, Path(name), "T1w"), f".part/{name}") for name in names]


def note(task, plan):
    """Leave a file a call, and tell how many calls there were of this task."""
    folder = plan.out / "calls"
    folder.mkdir(exist_ok=True, parents=True)
    (folder / f"{task.job.name}.{os.getpid()}.{time.monotonic_ns()}").touch()
    return len(list(folder.glob(f"{task.job.name}.*")))


def as_named(task, plan):
    """Do what the task's name says: ok, prints, dies (always), dies-once, fails, or hangs."""
    calls = note(task, plan)
    what = task.job.name.split("_")[0]
    if what == "dies" or (what == "dies-once" and calls == 1):
        (plan.out / f"{task.part}-{calls}").mkdir(parents=True)
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "hangs":
        time.sleep(600)
    if what == "prints":
        print("noise of a library", flush=True)
    return Outcome(task.job, reason="as asked" if what == "fails" else "", log={"process": os.getpid(), "calls": calls})


def threads_seen(task, plan):
    """Tell with how many threads libraries would compute."""
    return Outcome(task.job, figures={"threads": os.environ.get("OMP_NUM_THREADS")}, log={"peak_bytes": 1})
