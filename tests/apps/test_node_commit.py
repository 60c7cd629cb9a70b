"""Storage commitment: the answer is what is on the disk, and it reaches a sender that listens."""

import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from tiny_node import HERE, files_of

from itermask.apps.node.commit import ALL_SAFE, PUSH_MODEL, SOME_NOT, answer, read_request, send_report
from itermask.apps.node.config import Keep
from itermask.apps.node.database import Database
from itermask.apps.node.deliver import NotSentError
from itermask.apps.node.extras import shut_down
from itermask.apps.node.header import Instance
from itermask.apps.node.outbox import Report
from itermask.apps.node.store import Store

MR, OTHER = "1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.4.1"


@pytest.fixture
def store(tmp_path):
    opened = Database(tmp_path / "node")
    store = Store(opened, Keep(free_gb=0.0))
    for number in (1, 2):
        instance = Instance(f"1.2.{number}", MR, "1.2", "1", "series 5", None, False, str(number))
        store.add(store.receive([b"x"]), instance, "MR", "hash")
    yield store
    opened.close()


def request(*images, transaction="1.9"):
    asked = Dataset()
    asked.TransactionUID = transaction
    asked.ReferencedSOPSequence = [Dataset() for _ in images]
    for item, (kind, uid) in zip(asked.ReferencedSOPSequence, images, strict=True):
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = kind, uid
    return asked


def test_all_safe(store):
    event, report = answer(store, read_request(request((MR, "1.2.1"), (MR, "1.2.2"))))
    assert event == ALL_SAFE
    assert report.TransactionUID == "1.9"
    assert [item.ReferencedSOPInstanceUID for item in report.ReferencedSOPSequence] == ["1.2.1", "1.2.2"]
    assert "FailedSOPSequence" not in report


def test_some_not(store):
    event, report = answer(store, read_request(request((MR, "1.2.1"), (MR, "1.2.9"), (OTHER, "1.2.2"))))
    assert event == SOME_NOT
    failed = {item.ReferencedSOPInstanceUID: item.FailureReason for item in report.FailedSOPSequence}
    assert failed == {"1.2.9": 0x0112, "1.2.2": 0x0119}


@pytest.mark.parametrize("asked", [request(), request((MR, "1.2"), transaction=""), Dataset()])
def test_requests_that_name_nothing(asked):
    with pytest.raises(ValueError, match="names no transaction or no images"):
        read_request(asked)


def listener(got, status=0x0000):
    """A sender that takes reports in its role as user of the service."""
    entity = AE(ae_title="SCANNER")
    entity.add_supported_context(PUSH_MODEL, scu_role=False, scp_role=True)

    def take(event):
        got.append((event.event_type, event.event_information))
        return status, None

    return entity.start_server((HERE, 0), block=False, evt_handlers=[(evt.EVT_N_EVENT_REPORT, take)])


def test_a_report_reaches_the_sender(store):
    got = []
    server = listener(got)
    asked = {"transaction": "1.9", "images": [[MR, "1.2.1"], [MR, "1.2.9"]]}
    report = Report(1, asked, "SCANNER", HERE, server.server_address[1], 0)
    try:
        assert send_report(store, report, "ITERMASK", None) == 1
    finally:
        shut_down(server)
    ((event, information),) = got
    assert event == SOME_NOT
    assert information.FailedSOPSequence[0].ReferencedSOPInstanceUID == "1.2.9"
    with pytest.raises(NotSentError, match="no connection to SCANNER"):
        send_report(store, report, "ITERMASK", None)


def test_a_report_that_is_not_taken(store):
    server = listener([], status=0x0110)
    report = Report(1, {"transaction": "1.9", "images": [[MR, "1.2.1"]]}, "SCANNER", HERE, server.server_address[1], 0)
    try:
        with pytest.raises(NotSentError, match="did not take the report"):
            send_report(store, report, "ITERMASK", None)
    finally:
        shut_down(server)


def test_what_is_gone_from_the_disk_is_not_safe(store):
    for path in files_of(store.images):
        path.unlink()
    event, report = answer(store, read_request(request((MR, "1.2.1"))))
    assert event == SOME_NOT
    assert report.FailedSOPSequence[0].FailureReason == 0x0112
