"""Work that runs beside other work, in a thread of its own: NumPy and SciPy let others compute meanwhile."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def beside(work: Callable[P, T], *given: P.args, **named: P.kwargs) -> "Future[T]":
    """Start some work in a thread and return at once.

    Args:
        work: a function that changes nothing that others read meanwhile.
        given: its arguments.
        named: the same, by name.

    Returns:
        what holds the result: `result()` waits for it, and raises what the work has raised. Nothing needs to be
        closed, and work that nobody waits for ends by itself.

    Example:
        >>> total = beside(sum, [1, 2, 3])
        >>> total.result()
        6
    """
    pool = ThreadPoolExecutor(1, "beside")
    started = pool.submit(work, *given, **named)
    pool.shutdown(wait=False)  # takes no more work; what was started goes on
    return started
