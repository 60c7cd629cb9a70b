"""The analysis process: its answer, its progress, and what is left of it when it dies."""

import os
import signal
import time

import pytest

from itermask.apps.node.process import DiedError, LateError, Process


def answer(task, tell):
    """Does what the task says."""
    if task == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if task == "exit":
        os._exit(3)
    if task == "hang":
        time.sleep(600)
    if task == "raise":
        raise ValueError("as asked")
    tell({"share": 0.5})
    tell({"share": 1.0})
    return {"task": task, "process": os.getpid(), "warm": os.environ.get("WARMED")}


def warm(argument):
    os.environ["WARMED"] = argument


def silent(content):
    pass


@pytest.fixture
def process():
    made = Process(answer, warm, "yes")
    yield made
    made.stop()


def test_answers_come_from_one_warm_process(process):
    told = []
    first = process.call("a", 300, told.append)
    assert first["task"] == "a"
    assert first["process"] != os.getpid()
    assert first["warm"] == "yes"
    assert told == [{"share": 0.5}, {"share": 1.0}]
    assert process.call("b", 300, silent)["process"] == first["process"]
    with pytest.raises(RuntimeError, match="ValueError: as asked"):
        process.call("raise", 300, silent)
    assert process.call("c", 300, silent)["process"] == first["process"], "an exception is no death"


def test_a_death_is_told_and_mended(process):
    with pytest.raises(DiedError, match="killed, or out of memory"):
        process.call("die", 300, silent)
    assert process.call("a", 300, silent)["task"] == "a"
    with pytest.raises(DiedError, match="exit code 3"):
        process.call("exit", 300, silent)


def test_what_takes_too_long_is_stopped(process):
    process.call("a", 300, silent)
    started = time.monotonic()
    with pytest.raises(LateError):
        process.call("hang", 0.3, silent)
    assert time.monotonic() - started < 30
    assert process.call("b", 300, silent)["task"] == "b"
