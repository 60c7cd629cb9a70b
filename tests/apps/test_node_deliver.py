"""Results go to a destination that keeps a list; whatever it does not take is told."""

import threading

import pytest
from pynetdicom import AE, evt
from tiny_node import HERE, series

from itermask.apps.node import deliver
from itermask.apps.node.config import Destination
from itermask.apps.node.deliver import NotSentError, files_to_send, send
from itermask.apps.node.extras import shut_down

SECONDARY, MR = "1.2.840.10008.5.1.4.1.1.7", "1.2.840.10008.5.1.4.1.1.4"


class Peer:
    """A destination: takes what its `answer` says."""

    def __init__(self, answer=0x0000, classes=(MR,), title="PACS"):
        self.answer, self.got, self.lock = answer, [], threading.Lock()
        entity = AE(ae_title=title)
        entity.require_called_aet = True
        for uid in classes:
            entity.add_supported_context(uid)
        self.server = entity.start_server((HERE, 0), block=False, evt_handlers=[(evt.EVT_C_STORE, self.take)])
        self.port = self.server.server_address[1]

    def take(self, event):
        with self.lock:
            status = self.answer(len(self.got)) if callable(self.answer) else self.answer
            self.got.append(str(event.request.AffectedSOPInstanceUID))
        if status is None:
            event.assoc.abort()
            return 0xC000
        return status

    def __enter__(self):
        return self

    def __exit__(self, *error):
        shut_down(self.server)


@pytest.fixture
def folder(tmp_path):
    """Results, with small images instead of segmentation, report and overlay."""
    made = tmp_path / "dicom"
    (made / "overlay").mkdir(parents=True)
    names = ("segmentation.dcm", "scores.dcm", "overlay/0001.dcm", "overlay/0002.dcm")
    for name, dataset in zip(names, series(count=4), strict=True):
        dataset.save_as(made / name, enforce_file_format=True)
    return tmp_path


def to(peer, **changes):
    return Destination(**({"title": "PACS", "host": HERE, "port": peer.port} | changes))


def test_what_a_destination_gets(folder):
    peer = Destination("PACS", HERE, 1)
    assert [path.name for path in files_to_send(folder, peer)] == [
        *("segmentation.dcm", "scores.dcm", "0001.dcm", "0002.dcm")
    ]
    only = Destination("PACS", HERE, 1, send=("report",))
    assert [path.name for path in files_to_send(folder, only)] == ["scores.dcm"]
    assert files_to_send(folder / "none", peer) == []
    for name in ("summary-page.dcm", "summary-pdf.dcm"):
        (folder / "dicom" / name).touch()
    assert len(files_to_send(folder, peer)) == 5, "the document only to who asks for it"
    asking = Destination("PACS", HERE, 1, send=("summary pdf", "summary page"))
    assert [path.name for path in files_to_send(folder, asking)] == ["summary-pdf.dcm", "summary-page.dcm"]


def test_everything_is_sent_once(folder):
    with Peer() as peer:
        assert send(folder, to(peer), "ITERMASK") == 4
        assert len(set(peer.got)) == 4
        taken = tuple(peer.got[:3])
        assert send(folder, to(peer), "ITERMASK", taken) == 1
        assert peer.got[4:] == peer.got[3:4]
        assert send(folder, to(peer), "ITERMASK", tuple(peer.got)) == 0


@pytest.mark.parametrize("status", [0x0111, 0xB000, 0xB007])
def test_warnings_and_duplicates_count_as_taken(folder, status):
    with Peer(status) as peer:
        assert send(folder, to(peer), "ITERMASK") == 4


def test_a_refusal_is_told_with_what_was_taken(folder):
    with Peer(lambda nth: 0xA700 if nth == 1 else 0) as peer:
        with pytest.raises(NotSentError, match="refused with status 0xA700") as caught:
            send(folder, to(peer), "ITERMASK")
        assert caught.value.taken == (peer.got[0], *peer.got[2:])


def test_a_cut_connection_is_told_with_what_was_taken(folder, monkeypatch):
    monkeypatch.setattr(deliver, "TIMEOUT", 1.0)
    with Peer(lambda nth: None if nth == 2 else 0) as peer:
        with pytest.raises(NotSentError) as caught:
            send(folder, to(peer), "ITERMASK")
        assert caught.value.taken == tuple(peer.got[:2])


def test_a_destination_that_does_not_take_the_class(folder):
    says = "MR Image Storage: not taken by this destination"
    with Peer(classes=(SECONDARY,)) as peer, pytest.raises(NotSentError, match=says):
        send(folder, to(peer), "ITERMASK")


def test_a_destination_that_is_not_there(folder):
    with Peer() as peer:
        with pytest.raises(NotSentError, match="rejected the association"):
            send(folder, to(peer, title="OTHER"), "ITERMASK")
        gone = to(peer)
    with pytest.raises(NotSentError, match="no connection to PACS"):
        send(folder, gone, "ITERMASK")


def test_results_that_are_gone_are_not_called_sent(folder):
    with pytest.raises(NotSentError, match="gone from the node's disk"):
        send(folder / "none", Destination("PACS", HERE, 1), "ITERMASK")
