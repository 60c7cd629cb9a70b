"""Work beside other work: its result, its error, and that nobody has to wait for it."""

import threading

import pytest

from itermask.runtime.beside import beside


def test_the_result_is_that_of_the_work():
    assert beside(lambda one, two=0: one + two, 1, two=2).result() == 3


def test_it_does_not_wait_for_the_work():
    go = threading.Event()
    started = beside(go.wait, 10.0)
    assert not started.done()
    go.set()
    assert started.result() is True


def test_what_the_work_raises_comes_with_the_result():
    def fails():
        raise ValueError("no signal")

    with pytest.raises(ValueError, match="no signal"):
        beside(fails).result()


def test_work_that_is_done_leaves_no_thread():
    before = set(threading.enumerate())
    beside(sum, [1]).result()
    own = [thread for thread in threading.enumerate() if thread not in before and thread.name.startswith("beside")]
    for thread in own:
        thread.join(5.0)
    assert not [thread for thread in own if thread.is_alive()]
