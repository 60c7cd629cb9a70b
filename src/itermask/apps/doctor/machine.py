"""The machine, as far as this process may use it."""

import platform
import shutil
import sys
import tempfile
from dataclasses import dataclass

from itermask.apps.cohort.memory import GIB, free_bytes, usable_cores


@dataclass(frozen=True)
class Machine:
    """What there is to compute with.

    Attributes:
        python: version.
        executable: path of the Python that runs.
        platform: system and its version.
        architecture: such as x86_64.
        cores: that this process may use: affinity, control group, Slurm.
        free_memory_gib: memory in GiB that this process may still take, by the same limits.
        temp: folder for temporary files.
        free_temp_gib: room there, in GiB; 0 where it cannot be told.
    """

    python: str
    executable: str
    platform: str
    architecture: str
    cores: int
    free_memory_gib: float
    temp: str
    free_temp_gib: float


def this_machine() -> Machine:
    """Return the machine that this runs on.

    Example:
        >>> type(this_machine()).__name__
        'Machine'
    """
    temp = tempfile.gettempdir()
    try:
        room = shutil.disk_usage(temp).free
    except OSError:
        room = 0
    return Machine(
        python=platform.python_version(),
        executable=sys.executable,
        platform=platform.platform(),
        architecture=platform.machine(),
        cores=usable_cores(),
        free_memory_gib=round(free_bytes() / GIB, 2),
        temp=temp,
        free_temp_gib=round(room / GIB, 2),
    )
