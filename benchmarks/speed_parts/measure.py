"""What the parts measure with: rates of the machine, fresh processes, interleaved runs, tables."""

import copy
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

MB = 1e6
MATRIX = 2048  # edge of the matrices that the rate is measured with


def machine() -> str:
    """The machine and what else it was doing, in a sentence; the number format is told by every model's runtime."""
    import torch

    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        names = [line.partition(":")[2].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = names[0] if names else model
    load = f", load average {os.getloadavg()[0]:.1f} at the start" if hasattr(os, "getloadavg") else ""
    cores, threads = os.cpu_count(), torch.get_num_threads()
    return f"{model}, {cores} cores, {threads} threads of torch {torch.__version__}{load}."


def interleaved(ways: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    """Seconds of every way, one after the other in every round, after one round that is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, way in ways.items():
            started = time.perf_counter()
            way()
            if number:
                seconds[name].append(time.perf_counter() - started)
    return seconds


def ratio(slow: Sequence[float], fast: Sequence[float]) -> float:
    """How many times faster: the median over rounds, so that what slows the machine down slows both."""
    return float(np.median(np.asarray(slow) / np.asarray(fast)))


@dataclass(frozen=True)
class Launched:
    """A finished command: wall-clock and processor seconds, and its largest resident memory in bytes."""

    wall: float
    processor: float
    peak: float


LAUNCHER = """
import json, os, subprocess, sys, time
started = time.perf_counter()
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, used = os.wait4(process.pid, 0)
print(json.dumps([time.perf_counter() - started, used.ru_utime + used.ru_stime, used.ru_maxrss, status]))
"""


def launch(command: Sequence[Any]) -> Launched:
    """Run a command as a fresh process.

    A small process starts it, because Linux counts the memory of whoever starts a process as its own.
    """
    command_line = [sys.executable, "-S", "-c", LAUNCHER, *map(str, command)]
    done = subprocess.run(command_line, stdout=subprocess.PIPE, text=True, check=True)
    wall, processor, peak, status = json.loads(done.stdout)
    if status:
        raise RuntimeError(f"{' '.join(map(str, command))} failed")
    return Launched(wall, processor, peak * (1 if sys.platform == "darwin" else 1024))


def fresh(function: Callable[..., Any], *arguments: Any) -> Any:
    """What a function of a module returns in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def resident() -> int:
    """Memory that this process holds now, in bytes (Linux)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def matmul_rate(dtype: Any, device: str = "cpu") -> float:
    """FLOPs a second of this machine's matrix product in a number format of torch: the best of a few."""
    import torch

    one = torch.randn(MATRIX, MATRIX).to(device, dtype)
    seconds = []
    for _ in range(8):
        started = time.perf_counter()
        float((one @ one)[0, 0])  # waits for a card
        seconds.append(time.perf_counter() - started)
    return 2 * MATRIX**3 / min(seconds)


def disk_rates(folder: Path, size: int = 64_000_000) -> tuple[float, float]:
    """Bytes a second that the folder's disk reads, and that it writes, without the system's cache where it can be."""
    block = os.urandom(size)
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        path = Path(temporary) / "block"
        started = time.perf_counter()
        with path.open("wb") as target:
            target.write(block)
            target.flush()
            os.fsync(target.fileno())
            writing = time.perf_counter() - started
            if hasattr(os, "posix_fadvise"):
                os.posix_fadvise(target.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        started = time.perf_counter()
        path.read_bytes()
        return size / (time.perf_counter() - started), size / writing


def flops(network: Any, channels: int, shape: Sequence[int]) -> float:
    """FLOPs of one pass of a 3D network."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    shadow = copy.deepcopy(network).to("meta")  # shapes without numbers
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        shadow(torch.zeros(1, channels, *shape, device="meta"))
    return float(counter.get_total_flops())


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [f"| {' | '.join(header)} |", "|---" * len(header) + "|"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def spread(values: Sequence[float], digits: int = 2) -> str:
    """Median, and the smallest in brackets."""
    return f"{np.median(values):.{digits}f} ({min(values):.{digits}f})"
