"""The receiving side: C-ECHO, C-STORE and requests of storage commitment, from those who are allowed to."""

import hashlib
import logging
import socket
import sqlite3
import ssl
import threading
import traceback
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from itermask.apps.node.arrivals import Arrivals
from itermask.apps.node.commit import PUSH_MODEL, REQUEST, read_request
from itermask.apps.node.complete import CUT, IN_PROGRESS, SPOILED, WHOLE
from itermask.apps.node.config import NodeConfig, Sender
from itermask.apps.node.extras import pynetdicom, shut_down
from itermask.apps.node.header import (
    MISMATCH,
    NO_ROOM,
    NO_SUCH_CLASS,
    NOT_UNDERSTOOD,
    SUCCESS,
    RefusedError,
    read_instance,
)
from itermask.apps.node.outbox import Outbox
from itermask.apps.node.steps import PERFORMED_STEP, Steps
from itermask.apps.node.store import NEW, OTHER, Store
from itermask.errors import InputError
from itermask.io.dicom.files import MR_IMAGES

LOG = logging.getLogger("itermask.node")
TRACES = logging.getLogger("itermask.node.traces")
SYNTAXES = (
    *("1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2"),  # uncompressed
    *("1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.80"),  # lossless JPEG, JPEG-LS
    *("1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.5"),  # JPEG 2000, its fast form, RLE
    *("1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51", "1.2.840.10008.1.2.4.81", "1.2.840.10008.1.2.4.91"),  # lossy
)
# Reasons of a rejected association (DICOM PS3.8, table 9-21), and its result and source: for good, by the user.
FOR_GOOD, BY_USER, CALLING_UNKNOWN, CALLED_UNKNOWN = 1, 1, 3, 7
FOR_NOW, BY_SERVICE, LIMIT_EXCEEDED = 2, 3, 2
PROCESSING_FAILURE, NO_SUCH_ACTION, NOT_AUTHORISED, INVALID = 0x0110, 0x0123, 0x0124, 0x0115
SILENT = 60.0  # seconds after which a silent connection is ended
MOST = 20  # connections at once
PROPOSED = 5.0  # seconds within which a connection must say who it is and what it wants
FEW, MANY = 4, 12  # connections that have not, from one address and in all; for one more the oldest is ended


class Receiver:
    """The DICOM server of a node.

    Attributes:
        port: that is listened at.
    """

    def __init__(
        self,
        config: NodeConfig,
        store: Store,
        arrivals: Arrivals,
        outbox: Outbox,
        context: ssl.SSLContext | None = None,
        steps: Steps | None = None,
    ) -> None:
        self.config, self.store, self.arrivals, self.outbox, self.context = config, store, arrivals, outbox, context
        self.steps = steps or Steps(store.database)
        self._lock = threading.Lock()
        self._refused: dict[Any, Counter[str]] = {}
        self._said: set[str] = set()
        self._silent: dict[socket.socket, str] = {}
        self._server: Any = None
        self._stopping = False
        self.port = config.port

    def start(self) -> None:
        """Listen.

        Raises:
            InputError: the address or port cannot be used.
            MissingExtraError: pynetdicom is not installed.
        """
        library = pynetdicom()
        events = library.evt
        entity = library.AE(ae_title=self.config.title)
        entity.maximum_associations, entity.maximum_pdu_size = MOST + 2 * MANY, 131072
        entity.network_timeout, entity.acse_timeout = SILENT, PROPOSED
        for uid in sorted(MR_IMAGES):
            entity.add_supported_context(uid, list(SYNTAXES))
        entity.add_supported_context("1.2.840.10008.1.1")  # verification
        entity.add_supported_context(PUSH_MODEL)
        entity.add_supported_context(PERFORMED_STEP)
        handlers = [
            (events.EVT_REQUESTED, self._requested),
            (events.EVT_REJECTED, self._rejected),
            (events.EVT_ESTABLISHED, self._established),
            (events.EVT_C_ECHO, self._echo),
            (events.EVT_C_STORE, self._store),
            (events.EVT_N_ACTION, self._action),
            (events.EVT_N_CREATE, self._step_begins),
            (events.EVT_N_SET, self._step_goes_on),
            (events.EVT_RELEASED, self._released),
            (events.EVT_ABORTED, self._aborted),
        ]
        where = (self.config.address, self.config.port)
        try:
            self._server = entity.start_server(where, block=False, ssl_context=self.context, evt_handlers=handlers)
        except (OSError, OverflowError) as error:
            raise InputError(
                f"{where[0]} port {where[1]}: cannot be listened at ({error}); choose another address or port"
            ) from error
        self._server.verify_request = self._verify
        self.port = int(self._server.server_address[1])

    def stop(self) -> None:
        """Stop listening, and end what is connected."""
        self._stopping = True
        if self._server is not None:
            for association in self._server.active_associations:
                if association.is_established:
                    association.abort()
            shut_down(self._server)
            self._server = None

    def look_for_dead(self) -> None:
        """Notice connections that ended without any word."""
        for connection in self.arrivals.dead():
            self._end(connection, whole=False)

    def _verify(self, request: socket.socket, client_address: Any) -> bool:
        """Let a connection in, and end the oldest of those that have said nothing yet, where there are too many."""
        address = str(client_address[0])
        with self._lock:
            self._silent = {each: whose for each, whose in self._silent.items() if each.fileno() != -1}
            mine = [each for each, whose in self._silent.items() if whose == address]
            oldest = mine[0] if len(mine) >= FEW else next(iter(self._silent)) if len(self._silent) >= MANY else None
            if oldest is not None:
                del self._silent[oldest]
            self._silent[request] = address
        if oldest is not None:
            self._say_once(f"connections from {address} that say nothing are ended")
            with suppress(OSError):
                oldest.shutdown(socket.SHUT_RDWR)
        return True

    def _requested(self, event: Any) -> None:
        """Reject whoever is not known here, and more than can be served at once."""
        association = event.assoc
        with self._lock:
            self._silent.pop(association.dul.socket.socket, None)
        if sum(each.is_established for each in self._server.active_associations) >= MOST:
            association.acse.send_reject(FOR_NOW, BY_SERVICE, LIMIT_EXCEEDED)
            self._rejected(event)
            association.kill()
            return
        primitive = association.requestor.primitive
        title, called = primitive.calling_ae_title.strip(), primitive.called_ae_title.strip()
        address = association.requestor.address
        reason, words = 0, ""
        senders = [sender for sender in self.config.senders if sender.title == title]
        if not senders:
            reason, words = CALLING_UNKNOWN, "calling AE title not recognised"
        elif not any(sender.calls_from(address) for sender in senders):
            reason, words = CALLING_UNKNOWN, "calling AE title not recognised at this address"
        elif called != self.config.title:
            reason, words = CALLED_UNKNOWN, f"called AE title {called!r} not recognised"
        if reason:
            LOG.warning("rejected %r from %s: %s", title, address, words)
            association.acse.send_reject(FOR_GOOD, BY_USER, reason)
            association.kill()

    def _rejected(self, event: Any) -> None:
        """Note that the library itself has rejected a connection."""
        requestor = event.assoc.requestor
        LOG.warning(
            "rejected %r from %s: more than %d connections at once", _title(event.assoc), requestor.address, MOST
        )

    def _established(self, event: Any) -> None:
        """Say, once, which classes of objects are not taken from a sender."""
        names = sorted({str(context.abstract_syntax.name) for context in event.assoc.rejected_contexts})
        if names:
            listed = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
            self._say_once(f"not taken from {_title(event.assoc)}: {listed} (abstract syntax not supported)")

    def _echo(self, event: Any) -> int:
        LOG.info("echo from %s", _title(event.assoc))
        return SUCCESS

    def _store(self, event: Any) -> Any:
        """Take one image; success means that it is on the disk."""
        association, request = event.assoc, event.request
        try:
            return self._take(event)
        except RefusedError as error:
            return self._refuse(event, error.status, str(error))
        except sqlite3.Error as error:
            return self._refuse(event, NO_ROOM, f"cannot be stored ({error})")
        except Exception as error:  # a file that no reader was made for must not end the connection
            LOG.error("instance %s from %s: unexpected %r", request.AffectedSOPInstanceUID, _title(association), error)
            TRACES.error("%s", traceback.format_exc())
            return self._refuse(event, NOT_UNDERSTOOD, f"unexpected {type(error).__name__}")

    def _take(self, event: Any) -> int:
        association, request = event.assoc, event.request
        kind, uid = str(request.AffectedSOPClassUID), str(request.AffectedSOPInstanceUID)
        if kind not in MR_IMAGES or kind != str(event.context.abstract_syntax):
            raise RefusedError(NO_SUCH_CLASS, f"{request.AffectedSOPClassUID.name} was not agreed on")
        data = event.encoded_dataset()
        path = self.store.receive([data])
        try:
            instance = read_instance(path, kind, uid, self.config.page.patient)
            self.arrivals.brings(association, instance.series)
            digest = hashlib.sha256(data).hexdigest()
            taken = self.store.add(path, instance, _title(association), digest)
        finally:
            path.unlink(missing_ok=True)
        self.arrivals.has_brought(association, instance.series, taken == NEW)
        if taken == OTHER:
            LOG.warning("instance %s was sent again with other content; the first one is kept", instance.uid)
        return SUCCESS

    def _refuse(self, event: Any, status: int, reason: str) -> Any:
        """Answer with a status, and log the reason once a connection."""
        from pydicom.dataset import Dataset

        association = event.assoc
        series = _series(event)
        with self._lock:
            counts = self._refused.setdefault(association, Counter())
            counts[reason] += 1
            first = counts[reason] == 1
        if first:
            of = f" of series {series}" if series else ""
            LOG.warning("refused an image%s from %s: %s (status 0x%04X)", of, _title(association), reason, status)
        if status not in (MISMATCH, NO_SUCH_CLASS):  # what is no image leaves no gap
            missing = True
            if series:
                try:
                    missing = self.store.note_refused(series, str(event.request.AffectedSOPInstanceUID), reason)
                except sqlite3.Error as error:  # `spoil` stands for it
                    LOG.warning("cannot note a refused image: %s", error)
            if missing:
                self.arrivals.spoil(association, series)
        answer = Dataset()
        answer.Status, answer.ErrorComment = status, reason[:64].encode("ascii", "replace").decode()
        return answer

    def _action(self, event: Any) -> tuple[int, None]:
        """Answer a request of storage commitment."""
        title, address = _title(event.assoc), event.assoc.requestor.address
        if event.action_type != REQUEST:
            return NO_SUCH_ACTION, None
        sender = next((each for each in self._known(title) if each.port and each.calls_from(address)), None)
        if sender is None:
            LOG.warning("storage commitment refused to %s: its [[sender]] has no port to report to", title)
            return NOT_AUTHORISED, None
        try:
            asked = read_request(event.action_information)
            self.outbox.add_report(asked, title, address, sender.port)
        except ValueError as error:
            LOG.warning("storage commitment refused to %s: %s", title, error)
            return INVALID, None
        except sqlite3.Error as error:
            LOG.warning("storage commitment refused to %s: %s", title, error)
            return PROCESSING_FAILURE, None
        LOG.info("storage commitment asked for by %s: %d images", title, len(asked["images"]))
        return SUCCESS, None

    def _step_begins(self, event: Any) -> tuple[int, Any]:
        """Return the scanner says that an examination has begun (MPPS N-CREATE)."""
        uid = str(event.request.AffectedSOPInstanceUID or "")
        return self._step(event, lambda: (self.steps.create(uid, told := event.attribute_list), told), "has begun")

    def _step_goes_on(self, event: Any) -> tuple[int, Any]:
        """Return the scanner says that an examination goes on, is complete or was given up (MPPS N-SET)."""
        uid = str(event.request.RequestedSOPInstanceUID or "")
        return self._step(event, lambda: (self.steps.change(uid, told := event.modification_list), told), "goes on")

    def _step(self, event: Any, take: Callable[[], tuple[int, Any]], words: str) -> tuple[int, Any]:
        """Take what the scanner says of an examination, and answer with it."""
        title = _title(event.assoc)
        try:
            status, told = take()
        except sqlite3.Error as error:
            LOG.warning("an examination's step from %s cannot be noted: %s", title, error)
            return PROCESSING_FAILURE, None
        except Exception as error:  # what no reader was made for
            LOG.warning("an examination's step from %s cannot be read: %r", title, error)
            return INVALID, None
        if status != SUCCESS:
            LOG.warning("an examination's step from %s was refused (status 0x%04X)", title, status)
            return status, None
        state = str(told.get("PerformedProcedureStepStatus") or "")
        LOG.info("an examination at %s %s", title, {"": words, IN_PROGRESS: words}.get(state, f"is {state.lower()}"))
        return SUCCESS, told

    def _known(self, title: str) -> list[Sender]:
        return [sender for sender in self.config.senders if sender.title == title]

    def _released(self, event: Any) -> None:
        self._end(event.assoc, whole=True)

    def _aborted(self, event: Any) -> None:
        self._end(event.assoc, whole=False)

    def _end(self, connection: Any, whole: bool) -> None:
        """Note that a connection has ended, properly or not."""
        brought = self.arrivals.peek(connection)
        if not self._stopping:  # else it is the node that has cut it
            rest = brought.series - brought.spoiled
            if whole:
                rest = {series for series in rest if self.arrivals.speaks_for(connection, series)}
            for series in self.store.connection_ended(rest, WHOLE if whole else CUT):
                LOG.info("series %s: now all of it has come, so it is processed again", series)
            self.store.connection_ended(brought.spoiled, SPOILED)
        self.arrivals.ended(connection, whole)
        title = _title(connection)
        for series in sorted(brought.series):
            new, known = brought.new.get(series, 0), brought.known.get(series, 0)
            again = f", {known} sent again" if known else ""
            cut = "" if whole else ", then the connection was cut"
            LOG.info("series %s: %d images from %s%s%s", series, new, title, again, cut)
        with self._lock:
            counts = self._refused.pop(connection, Counter())
        for reason, count in counts.items():
            if count > 1:
                LOG.warning("refused %d images in all from %s: %s", count, title, reason)

    def _say_once(self, line: str) -> None:
        with self._lock:
            new = line not in self._said
            self._said.add(line)
        if new:
            LOG.warning("%s", line)


def _title(association: Any) -> str:
    return str(association.requestor.ae_title).strip()


def _series(event: Any) -> str | None:
    """Return the series that a refused image says it is of."""
    try:
        return str(event.dataset.SeriesInstanceUID) or None
    except Exception:  # whatever made it unreadable
        return None
