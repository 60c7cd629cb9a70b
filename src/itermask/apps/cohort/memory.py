"""How much memory and how many cores this process may use, and how much it has used."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

GIB = 2**30
FIRST_GUESS = 2.5 * GIB  # of a worker, until one has been measured
SHARE = 0.8  # of the memory that is free, given to workers


def peak_bytes() -> int:
    """Return the most memory that this process has held at once, in bytes.

    Example:
        >>> peak_bytes() > 1_000_000
        True
    """
    for line in _read(Path("/proc/self/status")).splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    import resource  # not there on Windows

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def usable_cores(environment: Mapping[str, str] = os.environ) -> int:
    """Return cores that this process may use: its affinity, its control group's share, and Slurm's word.

    Example:
        >>> usable_cores() >= 1
        True
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    for folder in _control_groups():
        quota, _, period = _read(folder / "cpu.max").partition(" ")
        if quota.isdigit() and period.strip().isdigit():
            cores = min(cores, int(quota) // int(period))
    given = environment.get("SLURM_CPUS_PER_TASK", "")
    if given.isdigit():
        cores = min(cores, int(given))
    return max(1, cores)


def free_bytes(environment: Mapping[str, str] = os.environ) -> int:
    """Return the memory that new processes may use: of the machine, the control group and Slurm.

    Example:
        >>> free_bytes() > 0
        True
    """
    free = [_machine()]
    for folder in _control_groups():
        for limit, used in (("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes")):
            most, now = _read(folder / limit).strip(), _read(folder / used).strip()
            if most.isdigit() and now.isdigit():
                free.append(int(most) - int(now) + _file_cache(folder))
    per_node, per_cpu = (environment.get(f"SLURM_MEM_PER_{unit}", "") for unit in ("NODE", "CPU"))
    if per_node.isdigit() and int(per_node):
        free.append(int(per_node) * 2**20)
    elif per_cpu.isdigit() and int(per_cpu):
        free.append(int(per_cpu) * 2**20 * usable_cores(environment))
    return max(0, min(free))


def fitting_workers(free: float, peak: float, cores: int) -> int:
    """Return how many workers of `peak` bytes go into `SHARE` of the `free` bytes: at least 1, at most one a core.

    Example:
        >>> fitting_workers(peak=2 * 2**30, cores=8, free=8 * 2**30)
        3
    """
    return max(1, min(cores, int(SHARE * free / max(peak, 1))))


def oom_kills() -> int:
    """Return how many processes Linux has killed for want of memory since it was started; 0 where that is not told.

    Example:
        >>> oom_kills() >= 0
        True
    """
    for line in _read(Path("/proc/vmstat")).splitlines():
        if line.startswith("oom_kill "):
            return int(line.split()[1])
    return 0


def _machine() -> int:
    """Return the memory that the machine can still give."""
    for line in _read(Path("/proc/meminfo")).splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    except (ValueError, OSError):
        return 4 * GIB


def _control_groups() -> list[Path]:
    """Return folders of this process's control groups, each with those above it."""
    found = []
    for line in _read(Path("/proc/self/cgroup")).splitlines():
        _, controllers, path = line.split(":", 2)
        top = Path("/sys/fs/cgroup")
        if controllers and "memory" not in controllers:
            continue
        top = top / "memory" if controllers else top
        folder = top / path.lstrip("/")
        found += [one for one in (folder, *folder.parents) if one.is_relative_to(top)]
    return list(dict.fromkeys(found))


def _file_cache(folder: Path) -> int:
    """Return bytes of a control group that hold files and can be dropped."""
    for line in _read(folder / "memory.stat").splitlines():
        if line.startswith(("inactive_file ", "total_inactive_file ")):
            return int(line.split()[1])
    return 0


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
