"""The queue: every closed series one run, every run one end, whatever interrupts it."""

import pytest

from itermask.apps.node import database as database_module
from itermask.apps.node.complete import CUT
from itermask.apps.node.config import Keep
from itermask.apps.node.database import Database
from itermask.apps.node.header import Instance
from itermask.apps.node.runs import Runs
from itermask.apps.node.store import Store


@pytest.fixture
def database(tmp_path):
    opened = Database(tmp_path / "node")
    yield opened
    opened.close()


@pytest.fixture
def store(database):
    return Store(database, Keep(free_gb=0.0))


@pytest.fixture
def runs(database, store):
    return Runs(database, store)


def bring(store, series="1.2", number=1, whole=True, **changes):
    values = {"announced": None, "exact": False} | changes
    what = Instance(
        f"{series}.{number}", "1", series, "1", "series 5", values["announced"], values["exact"], f"{number}.dcm"
    )
    store.add(store.receive([b"image"]), what, "MR", "hash")
    if whole:
        store.connection_ended([series])


def states(database):
    return [(row["series"], row["number"], row["state"]) for row in database.rows("SELECT * FROM run ORDER BY id")]


def finish(runs, run, **result):
    made = run.folder.parent / ".part-1"
    made.mkdir(parents=True)
    (made / "report.html").write_text("report")
    runs.finish(run, made, result, ["PACS", "OTHER"])


def test_from_arrival_to_result(database, store, runs):
    bring(store)
    (arrival,) = runs.arriving().values()
    assert (arrival.images, arrival.transfer, arrival.sending) == (1, "whole", False)
    assert runs.start() is None
    assert runs.close("1.2") == ""
    assert runs.arriving() == {}
    run = runs.start()
    assert (run.series, run.number, run.label, run.notes) == ("1.2", 1, "series 5", ())
    assert [path.name for path in run.source.iterdir()] == ["1.dcm"]
    assert runs.start() is None
    finish(runs, run, verdict="borderline")
    assert states(database) == [("1.2", 1, "done")]
    assert (run.folder / "report.html").exists()
    assert len(database.rows("SELECT * FROM delivery WHERE state = 'waiting'")) == 2
    assert store.used == len("image") + len("report")


def test_runs_wait_in_the_order_in_which_series_were_complete(store, runs):
    for series in ("1.3", "1.1", "1.2"):
        bring(store, series)
        runs.close(series)
    assert [runs.start().series for _ in range(3)] == ["1.3", "1.1", "1.2"]


def test_what_was_under_way_is_done_again_after_a_restart(database, store, runs):
    bring(store)
    runs.close("1.2")
    first = runs.start()
    again = Runs(database, store).start()
    assert again == first
    finish(runs, again)
    assert Runs(database, store).start() is None


def test_a_late_image_opens_a_finished_series_again(database, store, runs):
    bring(store)
    runs.close("1.2")
    finish(runs, runs.start())
    bring(store, number=2)
    assert list(runs.arriving()) == ["1.2"]
    runs.close("1.2")
    assert runs.start().number == 2
    assert states(database) == [("1.2", 1, "done"), ("1.2", 2, "looking")]


def test_an_image_that_comes_before_the_run_starts_is_part_of_it(database, store, runs):
    bring(store)
    runs.close("1.2")
    bring(store, number=2)
    assert runs.start() is None
    runs.close("1.2")
    assert states(database) == [("1.2", 1, "waiting")]
    assert database.row("SELECT images FROM run")["images"] == 2


def test_an_image_that_comes_while_it_is_looked_at_means_another_run(database, store, runs):
    bring(store)
    runs.close("1.2")
    run = runs.start()
    bring(store, number=2)
    finish(runs, run)
    runs.close("1.2")
    assert states(database) == [("1.2", 1, "done"), ("1.2", 2, "waiting")]


def test_a_copy_of_an_image_changes_nothing(database, store, runs):
    bring(store)
    runs.close("1.2")
    finish(runs, runs.start())
    bring(store)
    assert runs.arriving() == {}
    assert states(database) == [("1.2", 1, "done")]


@pytest.mark.parametrize("transfer", ["cut", "interrupted"])
def test_what_may_be_incomplete_is_looked_at_with_a_note_until_all_comes_again(database, store, runs, transfer):
    bring(store, whole=False)
    if transfer == "cut":
        store.connection_ended(["1.2"], CUT)
    runs = Runs(database, Store(database, Keep(free_gb=0.0)))
    assert database.row("SELECT transfer FROM series")["transfer"] == transfer
    assert runs.close("1.2") == ""
    run = runs.start()
    assert run.doubtful
    assert run.notes[0].endswith("while the series was sent, so it may be incomplete; 1 image came.")
    finish(runs, run)
    bring(store, whole=False)  # a copy
    assert runs.arriving() == {}
    assert store.connection_ended(["1.2"]) == ["1.2"]
    assert runs.close("1.2") == ""
    run = runs.start()
    assert (run.number, run.notes, run.doubtful) == (2, (), False)
    finish(runs, run)
    assert store.connection_ended(["1.2"]) == [], "what is whole is not opened again"


def test_a_cut_connection_is_no_matter_where_headers_tell_that_all_came(store, runs):
    bring(store, whole=False, announced=1)
    runs.close("1.2")
    assert not runs.start().doubtful
    assert store.connection_ended(["1.2"]) == []


def test_a_series_whose_sender_stays_connected_is_not_looked_at_twice(store, runs):
    bring(store, whole=False)
    assert runs.close("1.2", sending=True) == ""
    run = runs.start()
    assert run.doubtful
    assert run.notes[0].startswith("Nothing more came for a while")
    finish(runs, run)
    assert store.connection_ended(["1.2"]) == []
    assert runs.arriving() == {}


def test_missing_images(store, runs):
    bring(store, announced=3, exact=True)
    assert runs.close("1.2") == "1 of 3 images came; send the series again"
    bring(store, "1.3", announced=3)
    assert runs.close("1.3") == ""
    assert runs.start().notes == ("The headers announce 3 images in the acquisition; 1 image came.",)
    bring(store, "1.4")
    store.note_refused("1.4", "1.4.2", "no room")
    assert runs.close("1.4") == "1 image came, 1 more is not here (no room); send the series again"


def test_a_process_may_die_once(database, store, runs):
    bring(store)
    runs.close("1.2")
    assert not runs.died(runs.start(), "killed")
    run = runs.start()
    assert runs.died(run, "killed")
    row = database.row("SELECT state, reason FROM run")
    assert tuple(row) == ("failed", "the analysis process died 2 times (killed)")


def test_failed_series_can_be_tried_again(store, runs):
    for series in ("1.2", "1.3"):
        bring(store, series)
        runs.close(series)
    runs.fail(runs.start(), "no model")
    finish(runs, runs.start())
    assert runs.retry_failed() == 1
    assert list(runs.arriving()) == ["1.2"]
    runs.close("1.2")
    assert runs.start().number == 2
    assert runs.retry_failed() == 0


def test_a_series_that_was_closed_in_silence_is_cut_off_when_its_connection_is(store, runs):
    bring(store, whole=False)
    runs.close("1.2", sending=True)
    store.connection_ended(["1.2"], CUT)
    assert runs.start().notes[0].startswith("The connection was cut")
    assert store.connection_ended(["1.2"]) == ["1.2"], "and processed again when it is sent again"


def test_what_is_opened_again_before_its_turn_is_looked_at_once(database, store, runs):
    bring(store, whole=False)
    store.connection_ended(["1.2"], CUT)
    runs.close("1.2")
    assert store.connection_ended(["1.2"]) == ["1.2"]
    assert runs.start() is None
    runs.close("1.2")
    assert states(database) == [("1.2", 1, "waiting")]


def test_a_restart_forgets_the_look_at_a_series_that_goes_on(database, store, runs):
    bring(store)
    runs.close("1.2")
    runs.start()
    bring(store, number=2, whole=False)
    again = Runs(database, store)
    assert again.start() is None
    again.close("1.2")
    assert states(database) == [("1.2", 1, "waiting")]
    assert database.row("SELECT images FROM run")["images"] == 2


def test_results_are_on_the_disk_with_the_names_of_their_folders(store, runs, monkeypatch):
    synced = []
    monkeypatch.setattr(database_module, "sync_folder", synced.append)
    bring(store)
    runs.close("1.2")
    run = runs.start()
    finish(runs, run)
    assert synced == [run.folder.parent, store.results]
