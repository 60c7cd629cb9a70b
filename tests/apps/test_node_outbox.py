"""What is to be sent is tried again, ever later, until it is taken or given up."""

from dataclasses import replace

import pytest
from tiny_node import some_config

from itermask.apps.node.config import Deliver, Destination, Keep
from itermask.apps.node.database import Database
from itermask.apps.node.header import Instance
from itermask.apps.node.outbox import Outbox
from itermask.apps.node.runs import Runs
from itermask.apps.node.store import Store

PACS = Destination("PACS", "h", 104)


@pytest.fixture
def database(tmp_path):
    opened = Database(tmp_path / "node")
    yield opened
    opened.close()


def outbox_of(database, **rules):
    store = Store(database, Keep(free_gb=0.0))
    config = some_config(database.folder, destinations=(PACS,))
    return Outbox(database, store, replace(config, deliver=replace(Deliver(), **rules)))


def result(database, series="1.2"):
    """A finished run with results for `PACS`."""
    store = Store(database, Keep(free_gb=0.0))
    runs = Runs(database, store)
    store.add(store.receive([b"x"]), Instance(f"{series}.1", "1", series, "1", "series 5", None, False, "1"), "MR", "h")
    store.connection_ended([series])
    runs.close(series)
    run = runs.start()
    made = run.folder.parent / ".part-1"
    made.mkdir(parents=True)
    runs.finish(run, made, {}, ["PACS"])
    return run


def make_due(database):
    with database.change() as change:
        change.execute("UPDATE delivery SET due = 0")
        change.execute("UPDATE commitment SET due = 0")


def test_a_delivery_is_due_until_it_is_taken(database):
    run = result(database)
    outbox = outbox_of(database)
    delivery = outbox.next_delivery("PACS")
    assert (delivery.run, delivery.folder, delivery.taken) == (run.id, run.folder, ())
    assert outbox.next_delivery("OTHER") is None
    outbox.delivered(delivery)
    assert outbox.next_delivery("PACS") is None
    assert outbox.next_due() is None


def test_waits_double_up_to_the_longest(database):
    result(database)
    outbox = outbox_of(database, first_wait=5.0, longest_wait=30.0)
    words = []
    for _ in range(5):
        make_due(database)
        words.append(outbox.put_off(outbox.next_delivery("PACS"), (), "no answer"))
        assert outbox.next_delivery("PACS") is None
    assert words == [f"again in {seconds} s" for seconds in (5, 10, 20, 30, 30)]
    assert 29 < outbox.next_due() <= 30


def test_what_was_taken_is_remembered_and_survives_a_restart(database):
    result(database)
    outbox_of(database).put_off(outbox_of(database).next_delivery("PACS"), ("1.1", "1.2"), "cut")
    make_due(database)
    delivery = outbox_of(database).next_delivery("PACS")
    assert (delivery.taken, delivery.tries) == (("1.1", "1.2"), 1)


def test_it_is_given_up_in_the_end(database):
    result(database)
    outbox = outbox_of(database, give_up_hours=1.0)
    with database.change() as change:
        change.execute("UPDATE delivery SET since = since - 3601")
    assert outbox.put_off(outbox.next_delivery("PACS"), (), "no answer") == "given up"
    make_due(database)
    assert outbox.next_delivery("PACS") is None
    assert database.row("SELECT reason FROM delivery")["reason"] == "no answer"


def test_destinations_that_are_gone_hold_nothing_up(database):
    result(database)
    config = some_config(database.folder)
    Outbox(database, Store(database, Keep(free_gb=0.0)), config)
    assert database.row("SELECT state FROM delivery")["state"] == "given up"


def test_one_failing_delivery_does_not_hold_up_the_next(database):
    first, second = result(database, "1.2"), result(database, "1.3")
    outbox = outbox_of(database)
    assert outbox.next_delivery("PACS").run == first.id
    outbox.put_off(outbox.next_delivery("PACS"), (), "refused")
    assert outbox.next_delivery("PACS").run == second.id


def test_reports(database):
    outbox = outbox_of(database)
    assert outbox.next_report() is None
    asked = {"transaction": "1.9", "images": [["1", "1.2"]]}
    outbox.add_report(asked, "MR", "10.0.0.5", 104)
    report = outbox_of(database).next_report()
    assert (report.asked, report.title, report.host, report.port) == (asked, "MR", "10.0.0.5", 104)
    assert outbox.put_off_report(report, "no answer") == "again in 5 s"
    assert outbox.next_report() is None
    make_due(database)
    outbox.reported(outbox.next_report())
    assert outbox.next_due() is None
