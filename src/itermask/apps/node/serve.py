"""A node, put together: what it receives is queued, processed, shown and sent, each by a thread of its own."""

import logging
import shutil
import sqlite3
import ssl
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from secrets import token_hex
from typing import Any, Self

from itermask.apps.node.arrivals import Arrivals
from itermask.apps.node.audit import read_audit
from itermask.apps.node.commit import send_report
from itermask.apps.node.complete import waiting_time
from itermask.apps.node.config import Destination, NodeConfig
from itermask.apps.node.database import Database
from itermask.apps.node.deliver import NotSentError, files_to_send, send
from itermask.apps.node.ends import FAILED as SUMMARY_FAILED
from itermask.apps.node.ends import Studies
from itermask.apps.node.outbox import Outbox
from itermask.apps.node.page import PageServer
from itermask.apps.node.process import DiedError, Function, LateError, Process
from itermask.apps.node.receive import Receiver
from itermask.apps.node.runs import Run, Runs
from itermask.apps.node.state import snapshot
from itermask.apps.node.steps import Steps
from itermask.apps.node.store import Store
from itermask.apps.node.sum_up import study_task, sum_up
from itermask.apps.node.tls import client_side, server_side
from itermask.apps.node.watch import Watcher
from itermask.apps.node.work import Task, process_series, warm_up

LOG = logging.getLogger("itermask.node")
TRACES = logging.getLogger("itermask.node.traces")
STEP = 0.2  # seconds between looks at what has changed
CLEANING = 600.0  # seconds between removals of old series
PERIOD = 1.0  # seconds between searches for studies that have ended
PAUSE = 5.0  # seconds that a thread rests after something unexpected


class Node:
    """Receives, processes, shows and sends until it is stopped.

    Args:
        config: what it is told.
        look: looks at one series, see `itermask.apps.node.work.process_series`; called in a process of its own.
        warm: called in that process first.
        retry_failed: whether series whose analysis failed are processed once more.

    Attributes:
        database: the node's memory.
        store: images and results.
        runs: the queue.
        outbox: what is to be sent.
        steps: what scanners say of examinations.
        studies: which have ended, and their summaries.
        receiver: the DICOM server.
        page: the live page.
    """

    def __init__(
        self,
        config: NodeConfig,
        look: Function = process_series,
        warm: Callable[[Any], None] | None = warm_up,
        retry_failed: bool = False,
    ) -> None:
        self.config = config
        config.page.access()  # refused before anything is opened
        self._inward, self._outward = self._contexts()
        self.database = Database(config.folder)
        try:
            self.store = Store(self.database, config.keep)
            self.runs = Runs(self.database, self.store)
            self.outbox = Outbox(self.database, self.store, config)
            self.steps = Steps(self.database)
            self.studies = Studies(self.database, self.store, self.steps)
            again = self.runs.retry_failed() if retry_failed else 0
            if retry_failed:
                self.studies.retry_failed()
        except BaseException:
            self.database.close()
            raise
        self.arrivals = Arrivals()
        self.receiver = Receiver(config, self.store, self.arrivals, self.outbox, self._inward, self.steps)
        self.page = PageServer(
            config.page, self.state, self.store.results, self._seen, partial(read_audit, config.folder)
        )
        self._process = Process(look, warm, config.look)
        self._told: dict[int, dict[str, Any]] = {}
        self._end = threading.Event()
        self._stale, self._cleaned, self._asked = False, -CLEANING, -PERIOD
        self._threads: list[threading.Thread] = []
        for name in self.store.lost:
            LOG.error("%s is gone from the disk", name)
        if again:
            LOG.info("%d failed series are processed again", again)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def start(self) -> None:
        """Begin; connections are taken when this returns.

        Raises:
            InputError: an address or port cannot be used.
            MissingExtraError: pynetdicom is not installed.
        """
        try:
            self.page.start()
            self.receiver.start()
        except BaseException:
            self.stop()
            raise
        config = self.config
        self._process.start()
        self._begin("queue", self._watch_queue)
        self._begin("look", self._work)
        self._begin("reports", self._report)
        for destination in config.destinations:
            self._begin(f"to {destination.title}", partial(self._deliver, destination))
        if config.watch is not None:
            watcher = Watcher(config.watch, self.database, self.store, self.arrivals, config.page.patient)
            self._begin("folder", partial(self._search, watcher))
        LOG.info(
            "%s listens at %s port %d; page %s", config.title, config.address, self.receiver.port, self.page.address
        )

    def stop(self) -> None:
        """End at once; what is unfinished goes on at the next start."""
        self._end.set()
        stopping = [threading.Thread(target=part.stop) for part in (self.receiver, self.page, self._process)]
        for each in stopping:
            each.start()
        for each in stopping:
            each.join()
        for thread in self._threads:
            thread.join(10.0)
        self._process.stop()  # if an analysis began meanwhile
        self.database.close()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until the node is told to stop; gives whether it was."""
        return self._end.wait(seconds)

    def ask_to_stop(self) -> None:
        """Let `wait` return."""
        self._end.set()

    def state(self) -> dict[str, Any]:
        """Return what the page shows."""
        return snapshot(self.config, self.store, dict(self._told))

    def _seen(self, run: int, verdict: str, name: str) -> bool:
        """Note that somebody has seen an alarm."""
        found = self.runs.seen(run, verdict, name)
        if found:
            LOG.info("seen%s: %s", f" by {name}" if name else "", verdict)
        return found

    def _contexts(self) -> tuple[ssl.SSLContext | None, ssl.SSLContext | None]:
        tls = self.config.tls
        return (None, None) if tls is None else (server_side(tls), client_side(tls))

    def _begin(self, name: str, step: Callable[[], bool]) -> None:
        """Start a thread that does a step again and again, and rests where the step had nothing to do."""

        def go_on() -> None:
            while not self._end.is_set():
                try:
                    busy = step()
                except Exception as error:  # the node must not stop in silence
                    if self._end.is_set():
                        return
                    full = isinstance(error, (OSError, sqlite3.OperationalError))
                    LOG.error("%s: %s", name, error if full else f"unexpected {error!r}")
                    TRACES.error("%s: %s", name, traceback.format_exc())
                    self._end.wait(PAUSE)
                    continue
                if not busy:
                    self._end.wait(STEP)

        thread = threading.Thread(target=go_on, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _watch_queue(self) -> bool:
        """Close series that are complete; now and then remove old ones."""
        self.receiver.look_for_dead()
        for series, arrival in self.runs.arriving().items():
            arrival = replace(arrival, sending=self.arrivals.sending(series))
            if self.arrivals.silence(series) >= waiting_time(arrival, self.config.complete):
                reason = self.runs.close(series, arrival.sending)
                self.arrivals.forget(series)
                LOG.info("series %s: %s", series, reason or f"complete, {arrival.images} images")
        if time.monotonic() - self._cleaned > CLEANING:
            self._cleaned = time.monotonic()
            if count := self.store.remove_old():
                LOG.info("removed %d old series", count)
        return False

    def _work(self) -> bool:
        """Look at the series whose turn it is."""
        if self._stale:
            self.runs.put_back()
            self._stale = False
        run = self.runs.start()
        if run is None:
            return self._sum_up()
        made = run.folder.parent / f".part-{token_hex(4)}"
        try:
            made.parent.mkdir(exist_ok=True)
            self._look(run, made)
        except BaseException:
            self._stale = True  # the run is done again
            raise
        finally:
            self._told.pop(run.id, None)
            shutil.rmtree(made, ignore_errors=True)
        return True

    def _look(self, run: Run, made: Path) -> None:
        """Look at one series and put what comes of it into the queue."""
        told: dict[str, Any] = {"stage": "starting"}
        self._told[run.id] = told

        def tell(content: dict[str, Any]) -> None:
            if "verdict" in content:
                more = {"told": time.time(), "doubtful": run.doubtful}
                content = content | {"verdict": content["verdict"] | more}
                LOG.info("series %s (%s): %s", run.series, run.label, content["verdict"]["verdict"])
            told.update(content)

        limit = 60 * self.config.look.minutes
        try:
            config = self.config
            task = Task(run.source, made, run.label, run.notes, config.look, config.rules)
            result = self._process.call(task, limit, tell)
        except DiedError as error:
            if self._end.is_set():  # it was stopped with the node
                return
            failed = self.runs.died(run, str(error))
            LOG.error("series %s: its process died (%s)%s", run.series, error, "" if failed else "; once more")
            return
        except LateError:
            result = {"reason": f"took longer than {self.config.look.minutes:g} minutes and was stopped", "alert": True}
        except RuntimeError as error:
            TRACES.error("series %s: %s", run.series, error)
            last = str(error).strip().splitlines()[-1]
            result = {"reason": f"unexpected {last[:200]}; traces.log in the node's folder has more", "alert": True}
        if "reason" in result:
            LOG.info("series %s (%s): could not be processed: %s", run.series, run.label, result["reason"])
            self.runs.fail(run, str(result["reason"]), bool(result.get("alert", True)))
            return
        result = told.get("verdict", {}) | result
        getting = [each.title for each in self.config.destinations if files_to_send(made, each)]
        self.runs.finish(run, made, result, getting)

    def _sum_up(self) -> bool:
        """Make the summary of a study that has ended."""
        if time.monotonic() - self._asked < PERIOD:
            return False
        self._asked = time.monotonic()
        ended = self.studies.next_due(self.config.complete)
        if ended is None:
            return False
        made = ended.folder.parent / f".part-{token_hex(4)}"
        task = study_task(self.store, ended, made)
        if task is None:
            self.studies.close(ended)
            return True
        self._asked = -PERIOD  # another one may be due
        made.parent.mkdir(exist_ok=True)
        try:
            result = self._process.call(task, 60 * self.config.look.minutes, lambda told: None, sum_up)
            if "reason" in result:
                LOG.warning("a study's summary has no DICOM objects: %s", result["reason"])
            getting = [each.title for each in self.config.destinations if files_to_send(made, each)]
            self.studies.finish(ended, made, task.line, getting)
            LOG.info("study %s has ended: %s", ended.study, task.line)
        except (DiedError, LateError, RuntimeError) as error:
            if self._end.is_set():
                return False
            TRACES.error("summary of study %s: %s", ended.study, error)
            reason = (str(error).strip().splitlines() or ["it took too long"])[-1][:200]
            LOG.error("study %s: its summary cannot be made: %s", ended.study, reason)
            self.studies.close(ended, SUMMARY_FAILED, reason)
        finally:
            shutil.rmtree(made, ignore_errors=True)
        return True

    def _deliver(self, destination: Destination) -> bool:
        """Send what is due to a destination."""
        delivery = self.outbox.next_delivery(destination.title)
        if delivery is None:
            return False
        context = self._outward if destination.tls else None
        what = "study" if delivery.summary else "series"
        try:
            count = send(delivery.folder, destination, self.config.title, delivery.taken, context)
        except NotSentError as error:
            next_ = self.outbox.put_off(delivery, error.taken, str(error))
            LOG.warning("%s %s: results to %s: %s; %s", what, delivery.series, destination.title, error, next_)
        else:
            self.outbox.delivered(delivery)
            LOG.info("%s %s: %d results sent to %s", what, delivery.series, count, destination.title)
        return True

    def _report(self) -> bool:
        """Send a report of storage commitment that is due."""
        report = self.outbox.next_report()
        if report is None:
            return False
        try:
            missing = send_report(self.store, report, self.config.title, self._outward)
        except NotSentError as error:
            next_ = self.outbox.put_off_report(report, str(error))
            LOG.warning("storage commitment to %s: %s; %s", report.title, error, next_)
        else:
            self.outbox.reported(report)
            words = f"{len(report.asked['images'])} images, {missing} not here" if missing else "all images are here"
            LOG.info("storage commitment to %s: %s", report.title, words)
        return True

    def _search(self, watcher: Watcher) -> bool:
        """Search the watched folder."""
        watcher.look()
        self._end.wait(watcher.watch.seconds)
        return True
