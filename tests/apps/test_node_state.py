"""What the live page says of every kind of series."""

import json

import pytest
from tiny_node import some_config

from itermask.apps.node.complete import COMING, CUT, WHOLE
from itermask.apps.node.database import Database
from itermask.apps.node.header import Instance
from itermask.apps.node.runs import Runs
from itermask.apps.node.state import snapshot
from itermask.apps.node.store import Store
from itermask.types import VERDICTS


@pytest.fixture
def config(tmp_path):
    return some_config(tmp_path / "node")


@pytest.fixture
def store(config):
    database = Database(config.folder)
    yield Store(database, config.keep)
    database.close()


@pytest.fixture
def runs(store):
    return Runs(store.database, store)


def bring(store, series, announced=None, how=WHOLE):
    instance = Instance(f"{series}.1", "1", series, "1", f"series {series}", announced, False, "1.dcm")
    store.add(store.receive([b"x"]), instance, "MR", "hash")
    if how != COMING:
        store.connection_ended([series], how)


def doubtful_look(runs, series, sending=False):
    runs.close(series, sending)
    run = runs.start()
    assert run.doubtful
    made = run.folder.parent / ".part-1"
    made.mkdir(parents=True)
    runs.finish(run, made, {"verdict": VERDICTS[0], "doubtful": run.doubtful}, [])


def run_of(store, runs, series):
    bring(store, series)
    runs.close(series)
    return runs.start()


def finish(runs, run, verdict):
    made = run.folder.parent / ".part-1"
    made.mkdir(parents=True)
    result = {"verdict": verdict, "score": 1.5, "percentile": 97.5, "anomaly_fraction": 0.01, "notes": ["Note."]}
    runs.finish(run, made, result | {"told": 1e9}, ["PACS"])


def test_from_arrival_to_verdict(config, store, runs):
    bring(store, "1.2", announced=5)
    state = snapshot(config, store, {})
    (coming,) = state["receiving"]
    assert coming.items() >= {"label": "series 1.2", "sender": "MR", "images": 1, "announced": 5}.items()
    assert (state["rows"], state["waiting"]) == ([], 0)
    runs.close("1.2")
    (row,) = snapshot(config, store, {})["rows"]
    assert (row["state"], row["verdict"], row["report"]) == ("waiting for its turn", "", None)
    run = runs.start()
    (row,) = snapshot(config, store, {run.id: {"stage": "threshold", "share": 0.42}})["rows"]
    assert row["state"] == "looking for anomalies, 42 %"
    now = {"stage": "writing", "verdict": {"verdict": VERDICTS[2], "notes": [], "told": row["received"] + 4.2}}
    state = snapshot(config, store, {run.id: now})
    (row,) = state["rows"]
    assert (row["verdict"], row["tone"], row["alert"], row["seconds"]) == (VERDICTS[2], "red", True, 4.2)
    assert (row["state"], row["report"], state["waiting"]) == ("writing the report", None, 1)
    finish(runs, run, VERDICTS[2])
    (row,) = snapshot(config, store, {})["rows"]
    assert (row["state"], row["notes"], row["score"]) == ("finished", ["Note."], 1.5)
    assert row["report"] == f"results/{run.folder.relative_to(store.results).as_posix()}/report.html"
    assert row["deliveries"] == [{"state": "waiting", "words": "PACS: waiting to be sent"}]


@pytest.mark.parametrize(("verdict", "tone"), list(zip(VERDICTS, ("green", "amber", "red"), strict=True)))
def test_a_verdict_has_a_colour_and_words(config, store, runs, verdict, tone):
    finish(runs, run_of(store, runs, "1.2"), verdict)
    (row,) = snapshot(config, store, {})["rows"]
    assert (row["verdict"], row["tone"], row["alert"]) == (verdict, tone, tone == "red")


def test_what_may_be_incomplete_is_never_green(config, store, runs):
    bring(store, "1.2", how=CUT)
    doubtful_look(runs, "1.2")
    (row,) = snapshot(config, store, {})["rows"]
    assert (row["verdict"], row["tone"], row["alert"]) == (f"{VERDICTS[0]}, perhaps incomplete", "amber", True)


def test_what_was_closed_in_silence_is_doubtful_until_its_connection_ends(config, store, runs):
    bring(store, "1.2", how=COMING)
    doubtful_look(runs, "1.2", sending=True)
    (row,) = snapshot(config, store, {})["rows"]
    assert (row["verdict"], row["tone"], row["alert"]) == (f"{VERDICTS[0]}, perhaps incomplete", "amber", False)
    store.connection_ended(["1.2"])
    (row,) = snapshot(config, store, {})["rows"]
    assert (row["verdict"], row["tone"], row["alert"]) == (VERDICTS[0], "green", False)
    assert row["notes"][-1] == "Since then the sender has ended the connection, and no more came."


def test_what_was_closed_in_silence_and_then_cut_alarms(config, store, runs):
    bring(store, "1.2", how=COMING)
    doubtful_look(runs, "1.2", sending=True)
    store.connection_ended(["1.2"], CUT)
    (row,) = snapshot(config, store, {})["rows"]
    assert (row["tone"], row["alert"]) == ("amber", True)


def test_what_could_not_be_looked_at_is_never_green(config, store, runs):
    runs.fail(run_of(store, runs, "1.2"), "a localiser", alert=False)
    runs.fail(run_of(store, runs, "1.3"), "1 slice is missing")
    new, old = snapshot(config, store, {})["rows"]
    assert (new["verdict"], new["tone"], new["alert"]) == ("could not be processed", "failed", True)
    assert (old["notes"], old["alert"]) == (["a localiser"], False)


def test_an_earlier_look_points_to_the_newer_one_and_does_not_alarm(config, store, runs):
    finish(runs, run_of(store, runs, "1.2"), VERDICTS[2])
    instance = Instance("1.2.2", "1", "1.2", "1", "series 1.2", None, False, "2.dcm")
    store.add(store.receive([b"x"]), instance, "MR", "hash")
    runs.close("1.2")
    new, old = snapshot(config, store, {})["rows"]
    assert (new["id"], old["id"]) == (2, 1)
    assert old["notes"][0] == "More images came later; a newer result stands above."
    assert not old["alert"]


def test_deliveries_in_words(config, store, runs):
    finish(runs, run_of(store, runs, "1.2"), VERDICTS[0])
    for change, words in (
        ("state = 'sent'", "sent to PACS"),
        (
            "state = 'waiting', tries = 2, reason = 'no answer', due = 0",
            "PACS: not taken yet (no answer); again in less",
        ),
        ("state = 'given up'", "PACS: given up (no answer)"),
    ):
        with store.database.change() as transaction:
            transaction.execute(f"UPDATE delivery SET {change}")
        (row,) = snapshot(config, store, {})["rows"]
        assert row["deliveries"][0]["words"].startswith(words)
    assert json.dumps(snapshot(config, store, {}), allow_nan=False)
