"""The audit log and what was seen: kept at once, in the same transaction, for every page."""

import http.client
import json
from dataclasses import replace

import pytest
from test_node_state import bring, config, finish, run_of, runs, store  # noqa: F401
from tiny_node import HERE, some_config

from itermask.apps.node.audit import COLUMNS, read_audit
from itermask.apps.node.complete import COMING, WHOLE
from itermask.apps.node.config import Destination
from itermask.apps.node.header import Instance
from itermask.apps.node.outbox import Outbox
from itermask.apps.node.page import PageServer
from itermask.apps.node.state import MOST, snapshot
from itermask.errors import InputError
from itermask.types import VERDICTS


def events(store):  # noqa: F811
    header, *lines = read_audit(store.database.folder)
    assert header == "\t".join(COLUMNS)
    return [(cells[1], cells[3], *cells[5:]) for cells in (line.split("\t") for line in lines)]


def test_from_arrival_to_seen(config, store, runs):  # noqa: F811
    run = run_of(store, runs, "1.2")
    finish(runs, run, VERDICTS[2])
    outbox = Outbox(store.database, store, replace(config, destinations=(Destination("PACS", HERE, 104),)))
    outbox.delivered(outbox.next_delivery("PACS"))
    assert runs.seen(run.id, VERDICTS[2], "anna")
    assert runs.seen(run.id, VERDICTS[2], "ben"), "who saw it first counts"
    assert not runs.seen(99, VERDICTS[2], "anna")
    runs.fail(run_of(store, runs, "1.3"), "1 slice\tis missing")
    assert events(store) == [
        ("received", "series 1.2", "MR", "1 images"),
        ("processed", "series 1.2", "", VERDICTS[2]),
        ("sent", "series 1.2", "PACS", ""),
        ("seen", "series 1.2", "anna", VERDICTS[2]),
        ("received", "series 1.3", "MR", "1 images"),
        ("not processed", "series 1.3", "", "1 slice is missing"),
    ]
    store.keep = type(store.keep)(days=0.0)
    store.remove_old(now=4e9)
    assert not store.database.rows("SELECT * FROM series")
    assert len(events(store)) == 6, "what happened stays known"


def test_events_of_an_earlier_version_are_shown_in_todays_words(config, store, runs):  # noqa: F811
    finish(runs, run_of(store, runs, "1.2"), VERDICTS[0])
    with store.database.change() as change:
        change.execute("UPDATE audit SET event = 'looked at' WHERE event = 'processed'")
    assert [event[0] for event in events(store)] == ["received", "processed"]
    assert [row["event"] for row in store.database.rows("SELECT event FROM audit")] == ["received", "looked at"]


def test_what_was_seen_alarms_again_only_if_something_else_is_said(config, store, runs):  # noqa: F811
    run = run_of(store, runs, "1.2")
    finish(runs, run, VERDICTS[2])
    runs.seen(run.id, VERDICTS[1], "anna")
    (row,) = snapshot(config, store, {})["rows"]
    assert (row["alert"], row["seen"]) == (True, None)
    runs.seen(run.id, VERDICTS[2], "anna")
    (row,) = snapshot(config, store, {})["rows"]
    assert row["seen"]["name"] == "anna"


def test_no_alarm_is_lost_behind_many_series(config, store, runs):  # noqa: F811
    for number in range(3):
        finish(runs, run_of(store, runs, f"1.{number}"), VERDICTS[2])
    with store.database.change() as change:
        for number in range(MOST + 5):
            change.execute(
                """INSERT INTO run (series, number, state, images, received, complete, ended, result)
                   VALUES ('1.0', ?, 'failed', 1, 0, 0, 0, '{}')""",
                (number - 1000,),
            )
    rows = snapshot(config, store, {})["rows"]
    assert sum(row["alert"] for row in rows) == 3
    assert len(rows) == MOST + 3


def test_a_folder_without_a_queue(tmp_path):
    with pytest.raises(InputError, match=r"queue.sqlite: there is none"):
        list(read_audit(tmp_path))


@pytest.fixture
def server(tmp_path):
    made = PageServer(some_config(tmp_path).page, dict, tmp_path, lambda *said: made.said.append(said) or said[0] == 1)
    made.said = []
    made.start()
    yield made
    made.stop()


def see(server, said, **changes):
    told = {"Content-Type": "application/json", "Origin": f"http://{HERE}:{server.port}", "X-Token": server.token}
    connection = http.client.HTTPConnection(HERE, server.port, timeout=60)
    headers = {name: value for name, value in (told | changes).items() if value is not None}
    connection.request("POST", "/seen", said if isinstance(said, bytes) else json.dumps(said).encode(), headers)
    status = connection.getresponse().status
    connection.close()
    return status


def test_only_the_page_itself_can_say_that_something_was_seen(server):
    said = {"run": 1, "verdict": "outside", "name": "anna\n\x00"}
    for changes in (
        {"X-Token": None}, {"X-Token": "wrong"}, {"Origin": "http://evil.example"}, {"Origin": None},
        {"Sec-Fetch-Site": "cross-site"}, {"Content-Type": "text/plain"},
    ):  # fmt: skip
        assert see(server, said, **changes) == 403
    assert server.said == []
    assert see(server, said) == 200
    assert server.said == [(1, "outside", "anna")]
    assert see(server, said | {"run": 2}) == 404
    for wrong in (b"", b"[]", b"{", {}, {"run": "1", "verdict": ""}, {"run": True, "verdict": ""}, {"run": 1}):
        assert see(server, wrong) == 400
    assert see(server, {"run": 1, "verdict": "x" * 5000}) == 413


def test_a_study_that_is_being_acquired_goes_first(config, store, runs):  # noqa: F811
    for study, name, how in (("1", "1.1", WHOLE), ("2", "2.1", WHOLE), ("2", "2.2", COMING)):
        made = Instance(f"{name}.1", "1", name, study, f"series {name}", None, False, "1.dcm")
        store.add(store.receive([b"x"]), made, "MR", "hash")
        if how == WHOLE:
            store.connection_ended([name])
            runs.close(name)
    assert [runs.start().series, runs.start().series] == ["2.1", "1.1"], "its patient still lies there"
