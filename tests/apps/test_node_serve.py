"""The whole node, with a small look instead of the model: from the socket to the page and to a destination."""

import http.client
import json
import logging
import sqlite3
from contextlib import contextmanager
from dataclasses import replace

import pydicom
import pytest
from test_node_deliver import Peer
from tiny_dicom import save
from tiny_looks import VERDICT, by_name, light_look, no_dicom
from tiny_node import HERE, associate, files_of, finished, looks, send, series, some_config, until

from itermask.apps.node.config import Complete, Destination, Look, Page, Watch
from itermask.apps.node.header import series_key
from itermask.apps.node.serve import Node
from itermask.errors import InputError


@contextmanager
def running(folder, function=light_look, **changes):
    """A node that listens."""
    with Node(some_config(folder, **changes), function, warm=None) as node:
        yield node


def test_from_the_scanner_to_the_page_and_the_archive(tmp_path):
    with Peer() as peer:
        to = Destination("PACS", HERE, peer.port)
        with running(tmp_path / "node", destinations=(to,)) as node:
            sent = series()
            send(node.receiver.port, sent)
            (row,) = finished(node)
            assert (row["verdict"], row["tone"], row["images"]) == (VERDICT, "amber", 3)
            assert row["seconds"] >= 0
            until(lambda: all(each["state"] == "sent" for each in node.state()["rows"][0]["deliveries"]))
            made = files_of(node.store.results)
            uids = {str(pydicom.dcmread(path).SOPInstanceUID) for path in made if path.suffix == ".dcm"}
            assert sorted(peer.got) == sorted(uids), "each result once"
            connection = http.client.HTTPConnection(HERE, node.page.port, timeout=300)
            connection.request("GET", "/state.json")
            shown = json.loads(connection.getresponse().read())
            assert shown["rows"][0]["verdict"] == VERDICT
            connection.request("GET", f"/{row['report']}")
            assert connection.getresponse().read() == b"<p>report</p>"
            connection.close()


def test_a_destination_that_comes_late_gets_everything_once(tmp_path):
    refusing = [True]
    with Peer(lambda nth: 0xA700 if refusing[0] else 0) as peer:
        to = Destination("PACS", HERE, peer.port, ("segmentation", "report"))
        with running(tmp_path / "node", destinations=(to,)) as node:
            send(node.receiver.port, series())
            until(lambda: any("0xA700" in each["words"] for row in node.state()["rows"] for each in row["deliveries"]))
            peer.got.clear()
            refusing[0] = False
            until(lambda: all(each["state"] == "sent" for each in node.state()["rows"][0]["deliveries"]))
            assert len(peer.got) == len(set(peer.got)) == 2


def test_a_restart_goes_on_where_the_node_was(tmp_path):
    folder = tmp_path / "node"
    with running(folder, by_name) as node:
        send(node.receiver.port, series(1, SeriesDescription="hangs"))
        until(lambda: any("looking" in row["state"] or "starting" in row["state"] for row in node.state()["rows"]))
        send(node.receiver.port, series(2))
        until(lambda: len(node.state()["rows"]) == 2)
        association = associate(node.receiver.port)
        association.send_c_store(series(3)[0])
    assert looks(node.config) == []
    with running(folder) as node:
        finished(node, count=3)
        rows = {row["label"]: row for row in node.state()["rows"]}
        doubtful = rows["series 3 'MPRAGE sag'"]
        assert (doubtful["verdict"], doubtful["alert"]) == (f"{VERDICT}, perhaps incomplete", True)
        assert doubtful["notes"] == [
            "The node was started anew while the series was sent, so it may be incomplete; 1 image came."
        ]
    assert sorted(looks(node.config)) == ["series 1 'hangs'", "series 2 'MPRAGE sag'", "series 3 'MPRAGE sag'"]
    with running(folder) as node:
        assert [row["state"] for row in node.state()["rows"]] == ["finished"] * 3
    assert len(looks(node.config)) == 3, "what is finished is not processed again"


def test_a_look_that_dies_or_breaks_costs_its_series_only(tmp_path, caplog):
    caplog.set_level(logging.INFO, logger="itermask.node")
    with running(tmp_path / "node", by_name) as node:
        for number, what in enumerate(("dies-once", "dies", "breaks", "is refused", "fine"), 1):
            send(node.receiver.port, series(number, SeriesDescription=what))
        rows = {row["label"].split("'")[1]: row for row in finished(node, count=5)}
    failed = "could not be processed"
    assert {name: (row["verdict"], row["alert"]) for name, row in rows.items()} == {
        "dies-once": (VERDICT, False),
        "dies": (failed, True),
        "breaks": (failed, True),
        "is refused": (failed, False),
        "fine": (VERDICT, False),
    }
    assert "died 2 times (killed, or out of memory)" in rows["dies"]["notes"][0]
    assert rows["breaks"]["notes"] == ["unexpected ValueError: a broken part; traces.log in the node's folder has more"]
    assert rows["is refused"]["notes"] == ["a localiser"]
    assert any("Traceback" in record.getMessage() for record in caplog.records)


def test_a_look_that_takes_too_long_is_stopped(tmp_path):
    with running(tmp_path / "node", by_name) as node:
        send(node.receiver.port, series(1))
        finished(node)  # so that its process runs
        node.config = replace(node.config, look=Look(minutes=0.001))
        send(node.receiver.port, series(2, SeriesDescription="hangs"))
        row = finished(node, count=2)[0]
    assert row["notes"] == ["took longer than 0.001 minutes and was stopped"]


def test_failed_series_are_tried_again_when_asked_to(tmp_path):
    with running(tmp_path / "node", by_name) as node:
        send(node.receiver.port, series(SeriesDescription="breaks"))
        finished(node)
    with Node(some_config(tmp_path / "node"), light_look, None, retry_failed=True) as node:
        new, old = finished(node, count=2)
        assert (new["verdict"], old["verdict"]) == (VERDICT, "could not be processed")


def test_an_image_that_comes_late_means_another_look(tmp_path):
    with running(tmp_path / "node") as node:
        sent = series(count=4)
        send(node.receiver.port, sent[:3])
        finished(node)
        send(node.receiver.port, sent)
        new, old = finished(node, count=2)
        assert (new["images"], old["images"]) == (4, 3)
        send(node.receiver.port, sent)
        assert len(finished(node, count=2)) == 2, "copies change nothing"


def test_scans_that_appear_in_a_folder(tmp_path):
    (tmp_path / "in").mkdir()
    with running(tmp_path / "node", senders=(), watch=Watch(tmp_path / "in", 0.05)) as node:
        save(tmp_path / "in" / "study", series())
        (row,) = finished(node)
        assert (row["sender"], row["verdict"]) == ("(folder)", VERDICT)


def test_no_patient_in_log_or_page(tmp_path, caplog):
    caplog.set_level(logging.DEBUG, logger="itermask.node")
    with running(tmp_path / "node") as node:
        send(node.receiver.port, series())
        finished(node)
        page = json.dumps(node.state(), ensure_ascii=False)
    log = "\n".join(record.getMessage() for record in caplog.records)
    assert "A1" not in log  # the page tells studies apart by their accession numbers
    for text in (page, log):
        assert not any(word in text for word in ("Müller", "Anna", "id-1", "19700102"))


def test_something_unexpected_in_the_queue_is_logged_and_gone_on_from(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr("itermask.apps.node.serve.PAUSE", 0.1)
    with running(tmp_path / "node") as node:
        finish, failing = node.runs.finish, [True]

        def full(*arguments):
            if failing.pop() if failing else False:
                raise sqlite3.OperationalError("database or disk is full")
            finish(*arguments)

        node.runs.finish = full
        send(node.receiver.port, series())
        (row,) = finished(node)
        assert row["verdict"] == VERDICT
    assert any("database or disk is full" in record.getMessage() for record in caplog.records)


def test_a_node_that_cannot_start_leaves_the_folder_free(tmp_path):
    with running(tmp_path / "a") as node:
        config = some_config(tmp_path / "b", page=Page(port=node.page.port))
        with pytest.raises(InputError, match="the page cannot be served there"):
            Node(config, light_look, None).start()
        with pytest.raises(InputError, match="another node works in this folder"):
            Node(some_config(tmp_path / "a"), light_look, None)
    with running(tmp_path / "b"):
        pass


def test_what_is_looked_at_in_silence_says_so(tmp_path):
    quick = Complete(quiet=0.3, released=0.05, patience=1.0)
    with running(tmp_path / "node", complete=quick) as node:
        association = associate(node.receiver.port)
        association.send_c_store(series(count=1)[0])
        (row,) = finished(node)
        assert row["verdict"] == f"{VERDICT}, perhaps incomplete"
        assert "so it may be incomplete; 1 image came." in row["notes"][0]
        association.release()
        until(lambda: node.state()["rows"][0]["verdict"] == VERDICT)


def test_a_full_disk_before_a_look_is_gone_on_from(tmp_path, monkeypatch):
    monkeypatch.setattr("itermask.apps.node.serve.PAUSE", 0.1)
    with running(tmp_path / "node") as node:
        sent = series()
        blocked = node.store.results / series_key(sent[0].SeriesInstanceUID)
        blocked.write_text("in the way")
        send(node.receiver.port, sent)
        until(lambda: node.database.rows("SELECT 1 FROM run"))
        until(lambda: node._stale)
        blocked.unlink()
        assert finished(node)[0]["verdict"] == VERDICT


def test_a_scan_without_dicom_results_is_not_called_sent(tmp_path):
    to = Destination("PACS", HERE, 1)
    with running(tmp_path / "node", no_dicom, destinations=(to,)) as node:
        send(node.receiver.port, series())
        assert finished(node)[0]["deliveries"] == []
