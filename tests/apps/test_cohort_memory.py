"""How many workers go into a machine."""

import mmap

from hypothesis import given
from hypothesis import strategies as st

from itermask.apps.cohort.memory import FIRST_GUESS, GIB, SHARE, fitting_workers, free_bytes, peak_bytes, usable_cores


@given(st.floats(0, 1e13), st.floats(1, 1e12), st.integers(1, 256))
def test_workers_fit_into_memory_and_cores_and_there_is_always_one(free, peak, cores):
    count = fitting_workers(free, peak, cores)
    assert 1 <= count <= cores
    assert count == 1 or count * peak <= SHARE * free * (1 + 1e-9)
    assert count == cores or (count + 1) * peak > SHARE * free * (1 - 1e-9)


def test_slurm_gives_the_limits_of_a_job():
    assert usable_cores({"SLURM_CPUS_PER_TASK": "1"}) == 1
    assert usable_cores({"SLURM_CPUS_PER_TASK": "999"}) == usable_cores({})
    assert free_bytes({"SLURM_MEM_PER_NODE": "64"}) == 64 * 2**20
    assert free_bytes({"SLURM_MEM_PER_CPU": "8", "SLURM_CPUS_PER_TASK": "1"}) == 8 * 2**20
    assert free_bytes({"SLURM_MEM_PER_NODE": "0"}) > 64 * 2**20, "Slurm's word for all of a node"
    assert 0 < free_bytes({}) < 2**50
    assert 1 <= fitting_workers(64 * GIB, FIRST_GUESS, usable_cores({})) <= usable_cores({})


def test_the_peak_is_of_all_memory_ever_held():
    before = peak_bytes()
    size = 64 * 2**20
    with mmap.mmap(-1, before + size) as memory:
        for at in range(0, len(memory), mmap.PAGESIZE):
            memory[at] = 1
    assert peak_bytes() >= before + size
