"""kill -9 of the main process and of workers at random moments: resumed, the outputs are the same to the bit."""

import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tiny_cohort import BAD, contents, write_bids, write_model

from itermask.apps.cohort.bids import Selection, find_jobs
from itermask.apps.cohort.derivative import describe_derivative
from itermask.apps.cohort.job import Plan
from itermask.apps.cohort.manifest import read_records
from itermask.apps.cohort.run import run_cohort
from itermask.apps.cohort.workers import work_here
from itermask.pipeline import RunSettings

COUNT = 4
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1"}
pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds the workers in /proc")


def start(tree, model, out, workers):
    command = [sys.executable, "-m", "itermask", "bids", tree, out, "participant", "group", "--skip-bids-validation"]
    options = ["--model", model, "--workers", workers]
    return subprocess.Popen(
        [str(word) for word in (*command, *options)], env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def workers_of(process):
    """Process ids of a run's workers."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = path.read_text().rpartition(")")[2].split()[1]
            if int(parent) == process.pid and b"spawn_main" in path.with_name("cmdline").read_bytes():
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


def progress(out):
    return len(list((out / "manifest").glob("*.json")))


def wait_for(look, process):
    """Wait until there is something, or the process has ended."""
    while process.poll() is None and not look():
        time.sleep(0.01)


def test_interrupted_and_resumed_runs_give_the_bytes_of_an_uninterrupted_one(tmp_path, command):
    tree, model = write_bids(tmp_path / "tree", COUNT, BAD), write_model(tmp_path / "model")
    whole, out = tmp_path / "whole", tmp_path / "out"
    describe_derivative(tree, whole)
    plan = Plan(whole, "bids", RunSettings(), str(model))
    assert run_cohort(find_jobs(tree, Selection(("T1w",))), plan, engine=work_here).finished == COUNT + len(BAD)
    assert command("bids", tree, whole, "group", "--model", model)[0] == 1

    dice = random.Random()
    process = start(tree, model, out, 2)
    wait_for(lambda: progress(out) >= 1, process)
    time.sleep(dice.uniform(0, 0.2))
    os.kill(dice.choice(workers_of(process)), signal.SIGKILL)
    wait_for(lambda: progress(out) >= 3, process)
    time.sleep(dice.uniform(0, 0.2))
    process.kill()
    process.communicate()
    before = progress(out)
    assert 3 <= before < COUNT + len(BAD)

    process = start(tree, model, out, 1)
    said = process.communicate()[0].decode()
    assert process.returncode == 1, said
    done, kept = (int(number) for number in re.search(r"(\d+) processed, (\d+) kept", said).groups())
    assert done + kept == COUNT
    assert before <= kept + len(BAD), "finished scans were not processed again"
    assert contents(out) == contents(whole)
    assert sum(record.state == "failed" for record in read_records(out)) == len(BAD)
