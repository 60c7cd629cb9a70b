"""The receiving side on a real socket: who is let in, what is taken, and with which status the rest is refused."""

import logging
import socket
import threading
import time
from dataclasses import replace

import pydicom
import pytest
from pydicom.dataset import Dataset
from tiny_dicom import ENHANCED_MR, MR, SECONDARY, enhanced, save
from tiny_node import HERE, associate, files_of, no_image, send, series, some_config, until

from itermask.apps.node import receive
from itermask.apps.node.arrivals import Arrivals
from itermask.apps.node.commit import PUSH_INSTANCE, PUSH_MODEL
from itermask.apps.node.config import Keep, Sender
from itermask.apps.node.database import Database
from itermask.apps.node.outbox import Outbox
from itermask.apps.node.receive import Receiver
from itermask.apps.node.store import GIB, Store
from itermask.errors import InputError

VERIFICATION = "1.2.840.10008.1.1"
SENDERS = (Sender("SCANNER", (HERE,), 104), Sender("FAR", ("10.0.0.5",)), Sender("QUIET", (HERE,)))


class Side:
    """A receiver and what it works on."""

    def __init__(self, folder, **changes):
        self.config = some_config(folder, **({"senders": SENDERS} | changes))
        self.database = Database(self.config.folder)
        self.store = Store(self.database, self.config.keep)
        self.arrivals = Arrivals()
        self.outbox = Outbox(self.database, self.store, self.config)
        self.receiver = Receiver(self.config, self.store, self.arrivals, self.outbox)
        self.receiver.start()
        self.port = self.receiver.port

    def end(self):
        self.receiver.stop()
        self.database.close()

    def series(self):
        return {row["uid"]: dict(row) for row in self.database.rows("SELECT * FROM series")}


@pytest.fixture
def start(tmp_path):
    started = []

    def begin(**changes):
        started.append(Side(tmp_path / "node", **changes))
        return started[-1]

    yield begin
    for side in started:
        side.end()


@pytest.fixture
def side(start):
    return start()


@pytest.fixture
def lines(caplog):
    caplog.set_level(logging.INFO, logger="itermask.node")
    return lambda: [record.getMessage() for record in caplog.records if record.name == "itermask.node"]


def ended(side):
    """Wait until no connection is known any more."""
    until(lambda: not side.arrivals._open)


def test_images_are_on_the_disk_as_they_were_sent(side, lines):
    sent = series(count=3)
    assert send(side.port, sent) == [0, 0, 0]
    stored = {each.SOPInstanceUID: each for each in map(pydicom.dcmread, files_of(side.store.images))}
    assert stored.keys() == {each.SOPInstanceUID for each in sent}
    for each in sent:
        assert stored[each.SOPInstanceUID].PixelData == each.PixelData
    ended(side)
    (row,) = side.series().values()
    assert (row["label"], row["sender"], row["transfer"]) == ("series 1 'MPRAGE sag'", "SCANNER", "whole")
    assert lines()[-1] == f"series {sent[0].SeriesInstanceUID}: 3 images from SCANNER"
    assert not any("Anna" in line or "Müller" in line for line in lines())


def test_an_enhanced_image(side):
    assert send(side.port, [enhanced()], classes=(ENHANCED_MR,)) == [0]


def test_copies_are_answered_with_success_and_kept_once(side, lines):
    sent = series(count=2)
    other = series(count=2)
    other[1].PixelData = bytes(len(other[1].PixelData))
    assert send(side.port, [*sent, sent[0], other[1]]) == [0, 0, 0, 0]
    assert len(files_of(side.store.images)) == 2
    ended(side)
    assert any("sent again with other content; the first one is kept" in line for line in lines())
    assert lines()[-1].endswith("2 images from SCANNER, 2 sent again")


def test_two_series_at_a_time_in_one_connection_and_in_two(side):
    one, two, three = (series(number, 4, study) for number, study in ((1, "a"), (1, "b"), (2, "b")))
    mixed = [image for pair in zip(one, two, strict=True) for image in pair]
    side_by_side = threading.Thread(target=send, args=(side.port, three))
    side_by_side.start()
    assert send(side.port, mixed) == [0] * 8
    side_by_side.join()
    assert len(side.series()) == 3
    counts = side.database.rows("SELECT count(*) AS images FROM instance GROUP BY series")
    assert [row["images"] for row in counts] == [4, 4, 4]


@pytest.mark.parametrize(
    ("title", "called", "reason", "says"),
    [
        ("STRANGER", "ITERMASK", 3, "rejected 'STRANGER' from 127.0.0.1: calling AE title not recognised"),
        ("FAR", "ITERMASK", 3, "rejected 'FAR' from 127.0.0.1: calling AE title not recognised at this address"),
        ("SCANNER", "OTHER", 7, "rejected 'SCANNER' from 127.0.0.1: called AE title 'OTHER' not recognised"),
    ],
)
def test_who_is_not_let_in(side, lines, title, called, reason, says):
    association = associate(side.port, title=title, called=called)
    assert association.is_rejected
    answer = association.acceptor.primitive
    assert (answer.result, answer.result_source, answer.diagnostic) == (1, 1, reason)
    assert says in lines()
    assert associate(side.port).is_established, "others are not held up"


def test_an_echo(side, lines):
    association = associate(side.port, classes=(VERIFICATION,))
    assert association.send_c_echo().Status == 0
    association.release()
    assert "echo from SCANNER" in lines()


def test_other_classes_are_not_agreed_on(side, lines):
    association = associate(side.port, classes=(MR, SECONDARY))
    (rejected,) = association.rejected_contexts
    assert (rejected.abstract_syntax, rejected.result) == (SECONDARY, 3)
    association.release()
    says = "not taken from SCANNER: Secondary Capture Image Storage (abstract syntax not supported)"
    assert until(lambda: says in lines())


def test_what_is_no_image_is_refused_and_leaves_no_gap(side, lines):
    sent = series(9, 1)
    assert send(side.port, [no_image(), *sent]) == [0xA900, 0]
    assert any("no Rows and no Columns (status 0xA900)" in line for line in lines())
    ended(side)
    assert side.series()[sent[0].SeriesInstanceUID]["transfer"] == "whole"


def test_a_class_that_was_not_agreed_on(side):
    association = associate(side.port, classes=(MR, ENHANCED_MR))
    context = next(each for each in association.accepted_contexts if each.abstract_syntax == MR)
    association.accepted_contexts[0].abstract_syntax = MR
    (dataset,) = series(count=1)
    dataset.SOPClassUID = SECONDARY
    context._abstract_syntax = SECONDARY  # the sender breaks the agreement
    assert association.send_c_store(dataset).Status == 0x0122
    association.release()
    assert not files_of(side.store.images)


def test_a_damaged_image_is_refused_and_the_series_is_not_whole(side, lines):
    sent = series(count=3)
    sent[1].PixelData = sent[1].PixelData[:50]
    assert send(side.port, sent) == [0, 0xC000, 0]
    ended(side)
    assert side.series()[sent[0].SeriesInstanceUID]["transfer"] != "whole"
    assert [row["uid"] for row in side.database.rows("SELECT uid FROM refused")] == [sent[1].SOPInstanceUID]


def test_over_the_quota(start, lines):
    side = start(keep=Keep(quota_gb=2500 / GIB, free_gb=0.0))
    sent = series(count=4)
    statuses = send(side.port, sent)
    assert statuses[0] == 0
    assert set(statuses[2:]) == {0xA700}
    ended(side)
    refused = [line for line in lines() if "over the quota" in line]
    assert len(refused) == 2, "the first, and the sum at the end"
    assert "(status 0xA700)" in refused[0]
    assert side.series()[sent[0].SeriesInstanceUID]["transfer"] != "whole"


def test_a_cut_connection_leaves_what_was_acknowledged(side, lines):
    sent = series(count=4)
    association = associate(side.port)
    assert [association.send_c_store(each).Status for each in sent[:2]] == [0, 0]
    association.dul.socket.socket.shutdown(socket.SHUT_RDWR)
    until(lambda: side.receiver.look_for_dead() or not side.arrivals._open)
    association.abort()
    assert len(files_of(side.store.images)) == 2
    assert side.series()[sent[0].SeriesInstanceUID]["transfer"] == "cut"
    assert any(line.endswith("2 images from SCANNER, then the connection was cut") for line in lines())
    assert send(side.port, sent) == [0] * 4
    ended(side)
    assert side.series()[sent[0].SeriesInstanceUID]["transfer"] == "whole"


def action(side, title="SCANNER", kind=1, **values):
    association = associate(side.port, classes=(PUSH_MODEL,), title=title)
    asked = Dataset()
    for name, value in values.items():
        setattr(asked, name, value)
    status, _ = association.send_n_action(asked, kind, PUSH_MODEL, PUSH_INSTANCE)
    association.release()
    return status.Status


def test_requests_of_storage_commitment(side):
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = MR, "1.2.3"
    good = {"TransactionUID": "1.9", "ReferencedSOPSequence": [item]}
    assert action(side, **good) == 0
    report = side.outbox.next_report()
    assert (report.title, report.host, report.port) == ("SCANNER", HERE, 104)
    assert report.asked == {"transaction": "1.9", "images": [[MR, "1.2.3"]]}
    assert action(side, title="QUIET", **good) == 0x0124
    assert action(side, kind=2, **good) == 0x0123
    assert action(side, TransactionUID="1.9") == 0x0115


def test_a_port_that_is_taken(side, start, tmp_path):
    config = replace(side.config, port=side.port)
    with pytest.raises(InputError, match=f"port {side.port}: cannot be listened at"):
        Receiver(config, side.store, side.arrivals, side.outbox).start()


def test_files_are_whole_dicom_files(side, tmp_path):
    sent = series(count=1)
    send(side.port, sent)
    (path,) = files_of(side.store.images)
    again = pydicom.dcmread(path)
    (saved,) = save(tmp_path, [again])
    assert pydicom.dcmread(saved).file_meta.TransferSyntaxUID == sent[0].file_meta.TransferSyntaxUID


def test_a_damaged_copy_of_an_image_that_is_here_does_not_spoil_its_series(side):
    sent, damaged = series(count=2), series(count=2)[1]
    damaged.PixelData = damaged.PixelData[:50]
    assert send(side.port, [*sent, damaged]) == [0, 0, 0xC000]
    ended(side)
    assert side.series()[sent[0].SeriesInstanceUID]["transfer"] == "whole"
    assert side.database.rows("SELECT * FROM refused") == []


def test_an_unreadable_image_spoils_the_series_that_come_with_it(side):
    (unreadable,), sent = series(2, 1), series(1, 2)
    unreadable.SeriesInstanceUID = None
    assert send(side.port, [unreadable, *sent]) == [0xC000, 0, 0]
    ended(side)
    assert side.series()[sent[0].SeriesInstanceUID]["transfer"] == "spoiled"
    assert send(side.port, sent) == [0, 0]
    ended(side)
    assert side.series()[sent[0].SeriesInstanceUID]["transfer"] == "whole", "all of it came again"


def test_too_many_connections_are_rejected_and_logged(side, lines):
    entity = side.receiver._server.ae
    entity.maximum_associations = 1
    first = associate(side.port)
    assert first.is_established
    assert associate(side.port).is_rejected
    first.release()
    assert any(line.startswith("rejected 'SCANNER' from 127.0.0.1: more than") for line in lines())


def test_connections_that_say_nothing_keep_no_scanner_waiting(side):
    idle = [socket.create_connection((HERE, side.port)) for _ in range(25)]
    began = time.monotonic()
    association = associate(side.port)
    assert association.is_established
    assert time.monotonic() - began < 10.0, "it took 26 s when each of them was waited for"
    association.release()
    until(lambda: sum(each.fileno() != -1 for each in side.receiver._silent) <= receive.FEW)
    for each in idle:
        each.close()


def test_a_connection_that_says_nothing_is_ended_soon(start, monkeypatch):
    monkeypatch.setattr(receive, "PROPOSED", 0.5)
    port = start().port
    with socket.create_connection((HERE, port)) as idle:
        idle.settimeout(60.0)
        assert b"" in iter(lambda: idle.recv(64), None), "it is ended; an abort may come first"


def test_more_than_can_be_served_are_rejected_for_now(side, lines, monkeypatch):
    monkeypatch.setattr(receive, "MOST", 1)
    first = associate(side.port)
    second = associate(side.port)
    assert (first.is_established, second.is_rejected) == (True, True)
    assert (second.acceptor.primitive.result, second.acceptor.primitive.result_source) == (2, 3)
    first.release()
    assert any("connections at once" in line for line in lines())
