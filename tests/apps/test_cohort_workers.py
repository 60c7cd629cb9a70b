"""Workers: every task ends in one outcome, whatever becomes of the process that does it."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tiny_workers import as_named, tasks_named, threads_seen

from itermask.apps.cohort.job import Plan
from itermask.apps.cohort.workers import work_locally
from itermask.errors import InputError


def done(tmp_path, names, function=as_named, **how):
    outcomes = list(work_locally(iter(tasks_named(*names)), Plan(tmp_path), function, **how))
    found = {outcome.job.name: outcome for outcome in outcomes}
    assert sorted(found) == sorted(names)
    assert len(outcomes) == len(names)
    return found


def calls(tmp_path, name):
    return len(list((tmp_path / "calls").glob(f"{name}.*")))


def test_a_worker_that_dies_costs_only_its_scan_which_is_tried_once_more(tmp_path):
    names = ["ok_0", "ok_1", "dies", "dies-once", "fails"]
    found = done(tmp_path, names, workers=2)
    assert all(found[f"ok_{n}"].reason == "" for n in range(2))
    assert found["dies-once"].reason == ""
    assert found["dies-once"].log["attempts"] == 2
    assert found["dies"].reason == "its worker died 2 times (killed, or out of memory)"
    assert found["fails"].reason == "as asked"
    counted = {name: calls(tmp_path, name) for name in names}
    assert counted == {name: 2 if name in ("dies", "dies-once") else 1 for name in names}
    assert not list((tmp_path / ".part").iterdir()), "what the dead have left is removed"


def test_a_scan_that_takes_too_long_is_stopped_and_a_process_is_used_again(tmp_path):
    started = time.monotonic()
    found = done(tmp_path, ["prints", "ok_1", "ok_2", "hangs"], workers=1, time_limit=1.0)
    assert time.monotonic() - started < 30
    assert found["hangs"].reason == "took longer than 1 seconds and was stopped"
    assert len({found[name].log["process"] for name in ("prints", "ok_1", "ok_2")}) == 1
    assert "noise of a library" in (tmp_path / "logs" / "workers-1of1.txt").read_text()


def test_workers_compute_with_one_thread_and_the_environment_stays(tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    found = done(tmp_path, ["a", "b"], threads_seen, memory=1.0)
    assert {outcome.figures["threads"] for outcome in found.values()} == {"1"}
    assert os.environ["OMP_NUM_THREADS"] == "7"
    assert "MKL_NUM_THREADS" not in os.environ


def test_without_tasks_no_process_is_started(tmp_path):
    assert list(work_locally(iter(()), Plan(tmp_path), as_named)) == []
    assert not (tmp_path / "logs").exists()


def test_workers_that_cannot_start_are_one_line(tmp_path):
    (tmp_path / "logs").write_text("in the way")
    with pytest.raises(InputError, match=r"workers end as soon as they are started \(exit code 1\)"):
        list(work_locally(iter(tasks_named("ok")), Plan(tmp_path), as_named, workers=1))


def test_workers_end_when_their_main_process_is_killed_in_the_middle_of_a_scan(tmp_path):
    script = (
        "from pathlib import Path\n"
        "from tiny_workers import as_named, tasks_named\n"
        "from itermask.apps.cohort.job import Plan\n"
        "from itermask.apps.cohort.workers import work_locally\n"
        f"list(work_locally(iter(tasks_named('hangs')), Plan(Path({str(tmp_path)!r})), as_named, workers=1))\n"
    )
    path = os.pathsep.join((str(Path(__file__).parents[1] / "support"), os.environ.get("PYTHONPATH", "")))
    main = subprocess.Popen([sys.executable, "-c", script], env=os.environ | {"PYTHONPATH": path})
    try:
        worker = wait_for(lambda: next((tmp_path / "calls").glob("hangs.*"), None))
    finally:
        main.kill()
        main.wait()
    process = int(worker.name.split(".")[1])
    assert wait_for(lambda: not running(process))


def running(process):
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_for(look, seconds=30):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := look():
            return found
        time.sleep(0.02)
    raise AssertionError("waited in vain")
