"""When a study has ended, what its one summary says and holds, and where it goes."""

import json
import shutil
import subprocess
import time
from dataclasses import replace

import pydicom
import pytest
from test_node_deliver import MR, SECONDARY, Peer
from test_node_steps import begin, goes_on
from tiny_dicom import save, uid
from tiny_looks import by_name, light_look
from tiny_node import HERE, finished, send, series, some_config
from tiny_node import until as wait_until

from itermask.apps.node.audit import read_audit
from itermask.apps.node.complete import IN_PROGRESS, study_waiting_time
from itermask.apps.node.config import Complete, Destination
from itermask.apps.node.serve import Node
from itermask.apps.node.steps import COMPLETED, DISCONTINUED
from itermask.apps.node.sum_up import study_task
from itermask.io.dicom.summary import PDF

SOON = Complete(quiet=120.0, released=0.05, patience=1.0, study=0.5)
LATE = replace(SOON, study=3600.0)
SEND = ("segmentation", "summary page", "summary pdf")


def test_how_long_is_waited():
    rules = Complete(released=3.0, study=600.0)
    assert study_waiting_time((), 0, rules) == 600
    assert study_waiting_time((COMPLETED,), 0, rules) == 3
    assert study_waiting_time((COMPLETED,), 1, rules) == 600, "a series that was announced may still come"
    assert study_waiting_time((DISCONTINUED, COMPLETED), 0, rules) == 3
    assert study_waiting_time((COMPLETED, IN_PROGRESS), 0, rules) == 3600


def until(look):
    return wait_until(look, 60.0)


def ended(node, count=1):
    """The studies on the page, once so many have ended."""
    return until(lambda: (found := node.state()["studies"]) and sum(each["over"] for each in found) == count and found)


def summaries_of(node):
    return {path.name: pydicom.dcmread(path) for path in node.store.results.glob("study-*/summary-*/dicom/*.dcm")}


def test_one_summary_of_all_series_goes_to_the_archive(tmp_path):
    one, two, aside = series(1), series(2, 2), series(3, 1, SeriesDescription="is refused")
    with Peer(classes=(MR, SECONDARY, PDF)) as peer:
        config = some_config(
            tmp_path / "node", complete=SOON, destinations=(Destination("PACS", HERE, peer.port, SEND),)
        )
        with Node(config, by_name, None) as node:
            send(node.receiver.port, [*one, *two, *aside])
            finished(node, 3)
            (study,) = ended(node)
            assert (study["tone"], study["ended"], len(study["judged"])) == ("amber", True, 2)
            assert study["words"] == "borderline: 2 series; 1 not meant to be processed"
            assert study["closing"] == "study ended"
            until(lambda: [each["state"] for each in node.state()["studies"][0]["deliveries"]] == ["sent"])
            found = summaries_of(node)
            assert found.keys() == {"summary-page.dcm", "summary-pdf.dcm"}
            assert len(peer.got) == 2 + 2, "a segmentation a series, and one summary of both kinds"
            assert {str(each.SOPInstanceUID) for each in found.values()} <= set(peer.got)
            sources = {str(image.SOPInstanceUID) for image in (*one, *two, *aside)}
            page, document = found["summary-page.dcm"], found["summary-pdf.dcm"]
            assert {str(each.ReferencedSOPInstanceUID) for each in page.SourceImageSequence} == sources
            assert {str(each.ReferencedSOPInstanceUID) for each in document.SourceInstanceSequence} == sources
            assert {each.StudyInstanceUID for each in found.values()} == {uid("study")}
            assert {(each.PatientID, each.SeriesNumber // 100) for each in found.values()} == {("id-1", 3)}
            assert "Research use" in page.SeriesDescription
            assert document.EncapsulatedDocument.startswith(b"%PDF")
            told = "\n".join(read_audit(config.folder))
            assert "study ended\tA1" in told
            assert "the study's summary" in told


def test_what_comes_later_makes_another_summary_of_the_same_series(tmp_path):
    with Node(some_config(tmp_path / "node", complete=SOON), light_look, None) as node:
        send(node.receiver.port, series(1))
        ended(node)
        first = {
            name: (str(each.SeriesInstanceUID), str(each.SOPInstanceUID)) for name, each in summaries_of(node).items()
        }
        send(node.receiver.port, series(2))
        until(lambda: len(list(node.store.results.glob("study-*/summary-2"))) == 1)
        ended(node)
        for name, each in summaries_of(node).items():
            if each.InstanceNumber == 2:
                assert str(each.SeriesInstanceUID) == first[name][0]
                assert str(each.SOPInstanceUID) != first[name][1]
        assert node.state()["studies"][0]["summary"].endswith("summary-2/summary.pdf")


def test_a_study_in_which_nothing_was_meant_to_be_looked_at_sends_nothing(tmp_path):
    with Node(some_config(tmp_path / "node", complete=SOON), by_name, None) as node:
        send(node.receiver.port, series(1, SeriesDescription="is refused"))
        (study,) = ended(node)
        assert (study["tone"], study["summary"], study["deliveries"]) == ("grey", None, [])
        assert not list(node.store.results.glob("study-*"))


def test_the_scanner_may_say_that_the_study_has_ended(tmp_path):
    with Node(some_config(tmp_path / "node", complete=LATE), light_look, None) as node:
        assert node.steps.create("1.1", begin(uid("study"))) == 0
        send(node.receiver.port, series(1))
        finished(node)
        time.sleep(1.5)
        assert node.state()["studies"][0]["closing"] == "more may come"
        node.steps.change("1.1", goes_on(DISCONTINUED))
        (study,) = ended(node)
        assert study["summary"]


def test_a_summary_says_what_the_scanner_has_made_and_what_did_not_come(tmp_path):
    with Node(some_config(tmp_path / "node", complete=LATE), light_look, None) as node:
        send(node.receiver.port, series(1))
        finished(node)
        assert node.studies.next_due(LATE) is None
        node.steps.create("1.1", begin(uid("study")))
        node.steps.change("1.1", goes_on(DISCONTINUED, s1_7="1.2.840.10008.5.1.4.1.1.4"))
        due = node.studies.next_due(LATE, time.time() + 3601)
        assert due.missing == 1
        notes = study_task(node.store, due, tmp_path / "out").notes
        assert "discontinued" in notes[0]
        assert "one series more than came" in notes[1]


def test_a_summary_that_cannot_be_made_is_told_and_tried_again(tmp_path, monkeypatch):
    config = some_config(tmp_path / "node", complete=SOON)
    with monkeypatch.context() as patch:
        patch.setattr("itermask.apps.node.serve.sum_up", json.loads)
        with Node(config, light_look, None) as node:
            send(node.receiver.port, series(1))
            (study,) = ended(node)
            assert "could not be made" in study["closing"]
    with Node(config, light_look, None, retry_failed=True) as node:
        until(lambda: node.state()["studies"][0]["summary"])


def test_it_survives_a_restart_and_goes_with_its_series(tmp_path):
    config = some_config(tmp_path / "node", complete=SOON)
    with Node(config, light_look, None) as node:
        send(node.receiver.port, series(1))
        ended(node)
    with Node(config, light_look, None) as node:
        assert summaries_of(node).keys() == {"summary-page.dcm", "summary-pdf.dcm"}
        assert node.state()["studies"][0]["over"]
        assert node.store.remove_old(time.time() + 8 * 86400) == 1
        assert not list(node.store.results.glob("study-*/*"))
        assert node.database.rows("SELECT * FROM summary") == []
        assert node.store.used == 0


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy (dicom3tools) is not installed")
def test_the_validator_finds_no_error(tmp_path):
    with Node(some_config(tmp_path / "node", complete=SOON), light_look, None) as node:
        send(node.receiver.port, [*series(1), *series(2)])
        ended(node)
        for name, found in summaries_of(node).items():
            (path,) = save(tmp_path / name, [found])
            done = subprocess.run(["dciodvfy", path], capture_output=True, text=True, check=False, timeout=60)
            assert [line for line in done.stderr.splitlines() if line.startswith("Error")] == [], name
