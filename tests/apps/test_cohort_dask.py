"""A real Dask scheduler with two workers started separately: the same bytes, also when a worker is killed midway."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tiny_cohort import contents, write_bids, write_model
from tiny_workers import as_named, tasks_named

from itermask.apps.cohort.bids import Selection, find_jobs
from itermask.apps.cohort.dask_workers import work_on_dask
from itermask.apps.cohort.job import Plan
from itermask.apps.cohort.run import run_cohort
from itermask.apps.cohort.workers import work_here
from itermask.errors import InputError
from itermask.pipeline import RunSettings

pytest.importorskip("distributed")
pytestmark = pytest.mark.servers
SECONDS = 60


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """A scheduler's address, and a function that starts a worker process."""
    folder = tmp_path_factory.mktemp("dask")
    file = folder / "scheduler.json"
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join((str(Path(__file__).parents[1] / "support"), os.environ.get("PYTHONPATH", ""))),
        "DASK_DISTRIBUTED__DIAGNOSTICS__NVML": "False",
        "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1",
    }
    started = []

    def start(kind, *options):
        command = [sys.executable, "-m", "dask", kind, "--scheduler-file", file, *options]
        started.append(subprocess.Popen([str(word) for word in command], env=environment, cwd=folder,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))  # fmt: skip
        return started[-1]

    def worker():
        return start("worker", "--nthreads", 1, "--no-nanny", "--no-dashboard", "--local-directory", folder)

    start("scheduler", "--port", 0, "--no-dashboard", "--host", "127.0.0.1")
    end = time.monotonic() + SECONDS
    while not file.exists() or not file.stat().st_size:
        assert time.monotonic() < end, "no scheduler"
        time.sleep(0.05)
    yield json.loads(file.read_text())["address"], worker
    for process in started:
        process.kill()
        process.wait()


# In this order: one cluster serves all, and gets its workers one by one.


def test_no_scheduler_and_no_worker_are_one_line(cluster, tmp_path, monkeypatch):
    address, _ = cluster
    monkeypatch.setattr("itermask.apps.cohort.dask_workers.POLL", 0.2)
    with pytest.raises(InputError, match=r"no worker for 0\.5 seconds; start some and run again"):
        list(work_on_dask(tasks_named("ok"), Plan(tmp_path), address, as_named, no_worker=0.5))
    monkeypatch.setattr("itermask.apps.cohort.dask_workers.CONNECT", "1s")
    with pytest.raises(InputError, match="no scheduler there") as caught:
        list(work_on_dask(tasks_named("ok"), Plan(tmp_path), "tcp://127.0.0.1:9", as_named))
    assert "\n" not in str(caught.value)


def test_a_cluster_gives_the_same_bytes_also_when_a_worker_is_killed_midway(cluster, tmp_path):
    address, start_worker = cluster
    tree, model = write_bids(tmp_path / "tree", 5, ["cut"]), write_model(tmp_path / "model")
    jobs = find_jobs(tree, Selection(("T1w",)))
    plan = Plan(tmp_path / "here", "bids", RunSettings(), str(model))
    run_cohort(jobs, plan, engine=work_here)
    workers = [start_worker(), start_worker()]

    def engine(tasks, plan):
        for number, outcome in enumerate(work_on_dask(tasks, plan, address)):
            if number == 0:
                workers[0].kill()
            yield outcome

    there = Plan(tmp_path / "there", "bids", RunSettings(), str(model))
    tally = run_cohort(jobs, there, engine=engine)
    assert (tally.done, tally.failed) == (5, 1)
    assert contents(there.out) == contents(plan.out)


def test_a_scan_that_takes_its_workers_down_has_failed_and_the_others_are_done(cluster, tmp_path):
    address, start_worker = cluster
    for _ in range(4):  # one is left of those above
        start_worker()
    found = work_on_dask(tasks_named("dies", "fails", "ok"), Plan(tmp_path), address, as_named)
    outcomes = {one.job.name: one for one in found}
    assert outcomes["ok"].reason == ""
    assert outcomes["dies"].reason == "each worker that processed it died, even one that had nothing else to do"
    assert outcomes["fails"].reason == "as asked"
