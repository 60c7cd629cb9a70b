"""A process that analyses scans, so that neither its load nor its death touches the receiving node."""

import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

PATIENCE = 10.0  # seconds that a killed process gets to end
TOLD, RESULT = "told", "result"
PRELOADED = ["__main__", "itermask.apps.node.config", "pydicom"]  # what every such process needs, and starts no threads

Tell = Callable[[dict[str, Any]], None]
Function = Callable[[Any, Tell], Any]


class DiedError(Exception):
    """The process ended before it had an answer; the message says how."""


class LateError(Exception):
    """The process took too long and was stopped."""


class Process:
    """A process that does one task after the other; it is started anew where it has died.

    Args:
        function: does a task; called with the task and something to tell the progress with. What it raises becomes the
            answer, as text; it must be importable by name.
        warm: called once when the process starts, with `argument`: loads what every task needs.
        argument: of `warm`.
    """

    def __init__(self, function: Function, warm: Callable[[Any], None] | None = None, argument: Any = None) -> None:
        self._arguments = (function, warm, argument)
        self._process: Any = None
        self._pipe: Connection | None = None

    def start(self) -> None:
        """Start the process, unless it runs."""
        if self._process is not None and self._process.is_alive():
            return
        self.stop()
        context = get_context("forkserver")  # forked from a process without threads, so that a new one is there at once
        context.set_forkserver_preload(PRELOADED)
        self._pipe, other = context.Pipe()
        self._process = context.Process(target=serve, args=(other, *self._arguments), daemon=True)
        self._process.start()
        other.close()

    def call(self, task: Any, limit: float, told: Tell, other: Function | None = None) -> Any:
        """Return what the function answers to a task.

        Args:
            task: given to the function.
            limit: seconds it may take, with the process' start.
            told: called with all that the function tells meanwhile.
            other: function for this task, in place of the usual one.

        Raises:
            DiedError: the process died.
            LateError: it took longer than `limit`; it is stopped.
            RuntimeError: the function raised something; the message is its trace.
        """
        self.start()
        pipe = self._pipe
        assert pipe is not None
        end = time.monotonic() + limit
        try:
            pipe.send((other, task))
            while pipe.poll(max(0.0, end - time.monotonic())):
                kind, content, failure = pipe.recv()
                if kind == TOLD:
                    told(content)
                elif failure:
                    raise RuntimeError(failure)
                else:
                    return content
        except (EOFError, OSError) as error:
            raise DiedError(self._how()) from error
        self.stop()
        raise LateError

    def stop(self) -> None:
        """Kill the process, and wait for its end."""
        if self._process is not None:
            self._process.kill()
            self._process.join(PATIENCE)
        if self._pipe is not None:
            self._pipe.close()
        self._process = self._pipe = None

    def _how(self) -> str:
        """Return how the process has ended."""
        if self._process is None:
            return "stopped"
        self._process.join(PATIENCE)
        code = self._process.exitcode or 0
        if code == -signal.SIGKILL:
            return "killed, or out of memory"
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"


def serve(pipe: Connection, function: Function, warm: Callable[[Any], None] | None, argument: Any) -> None:
    """Do one task after the other, until the pipe is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the node ends it
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    with suppress(OSError):  # where memory runs out, this should go, not the node
        Path("/proc/self/oom_score_adj").write_text("500")
    threading.Thread(target=_end_with_parent, daemon=True).start()

    def tell(content: dict[str, Any]) -> None:
        pipe.send((TOLD, content, ""))

    if warm is not None:
        try:
            warm(argument)
        except Exception as error:  # a task will say the same, with its scan
            print(f"cannot be made ready: {error}", file=sys.stderr)
    while True:
        try:
            other, task = pipe.recv()
        except (EOFError, OSError):
            return
        try:
            answer = (RESULT, (other or function)(task, tell), "")
        except Exception:
            answer = (RESULT, None, traceback.format_exc())
        pipe.send(answer)


def _end_with_parent() -> None:
    """Wait until the node is gone, then end at once."""
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
