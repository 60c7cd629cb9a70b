"""A cohort run: finished work is kept, changed work is done again, and the bytes are the same whatever happened."""

import errno
import json
import shutil
from dataclasses import replace

import pytest
from tiny_cohort import BAD, contents, scan_of, write_bad, write_bids, write_model

from itermask.apps.cohort import run as run_module
from itermask.apps.cohort.bids import Selection, find_jobs
from itermask.apps.cohort.job import Outcome, Plan
from itermask.apps.cohort.manifest import read_record, read_records
from itermask.apps.cohort.run import not_processed, run_cohort, shard_of, states
from itermask.apps.cohort.work import carry_out
from itermask.apps.cohort.workers import work_here
from itermask.errors import InputError
from itermask.pipeline import RunSettings
from itermask.results.report import pictures

COUNT = 3


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A tree with good and bad scans, a model, and the results of one run over them."""
    folder = tmp_path_factory.mktemp("cohort")
    tree, model = write_bids(folder / "tree", COUNT, BAD), write_model(folder / "model")
    before, pictures.ROW_WIDTH = pictures.ROW_WIDTH, 300
    jobs = find_jobs(tree, Selection(("T1w",)))
    plan = Plan(folder / "whole", "bids", RunSettings(), str(model))
    tally = run_cohort(jobs, plan, engine=work_here)
    yield tree, plan, jobs, tally
    pictures.ROW_WIDTH = before


@pytest.fixture
def again(made, tmp_path):
    """The same tree and results, copied, so that a test may change them."""
    tree, plan, _, _ = made
    shutil.copytree(tree, tmp_path / "tree")
    shutil.copytree(plan.out, tmp_path / "out")
    return find_jobs(tmp_path / "tree", Selection(("T1w",))), replace(plan, out=tmp_path / "out")


def counted(jobs, plan, **how):
    """Run, and give the names of the scans that were processed."""
    seen = []

    def engine(tasks, plan):
        for task in tasks:
            seen.append(task.job.name)
            yield carry_out(task, plan)

    tally = run_cohort(jobs, plan, engine=engine, **how)
    return sorted(seen), tally


def test_every_scan_has_a_record_and_bad_ones_a_reason(made):
    _, plan, jobs, tally = made
    assert (tally.total, tally.done, tally.failed) == (COUNT + len(BAD), COUNT, len(BAD))
    records = {record.name: record for record in read_records(plan.out)}
    assert set(records) == {job.name for job in jobs}
    for kind, reason in BAD.items():
        bad = records[f"sub-{kind}_T1w"]
        assert bad.state == "failed"
        assert reason in bad.reason
        assert not bad.outputs
        assert not (plan.out / f"sub-{kind}").exists()
    for name, record in records.items():
        if record.state == "done":
            assert {(plan.out / path).stat().st_size for path in record.outputs} <= set(record.outputs.values())
            assert len(record.outputs) == 11, name
    assert not (plan.out / ".part").exists()


def test_outputs_hold_nothing_that_differs_from_run_to_run(made, tmp_path):
    _, plan, jobs, _ = made
    other = replace(plan, out=tmp_path)
    backwards = sorted(jobs, key=lambda job: job.name, reverse=True)

    def engine(tasks, plan):
        yield from work_here(reversed(list(tasks)), plan)

    run_cohort(backwards, other, engine=engine)
    assert contents(tmp_path) == contents(plan.out)
    sidecar = json.loads((tmp_path / "sub-01/anat/sub-01_space-T1w_desc-anomaly_mask.json").read_text())
    assert sidecar["Finding"]["timings"] == {}
    assert "Timings" not in (tmp_path / "sub-01_T1w.html").read_text()
    log = [json.loads(line) for line in (tmp_path / "logs" / "run-1of1.jsonl").read_text().splitlines() if line]
    assert all(entry["timings"]["detect"] > 0 for entry in log if entry.get("state") == "done")


def test_finished_work_is_kept_and_failures_are_tried_again_when_asked(again):
    jobs, plan = again
    before = contents(plan.out)
    seen, tally = counted(jobs, plan)
    assert seen == []
    assert (tally.kept, tally.failed_before, tally.finished) == (COUNT, len(BAD), 0)
    seen, tally = counted(jobs, plan, retry_failed=True)
    assert seen == sorted(f"sub-{kind}_T1w" for kind in BAD)
    assert (tally.kept, tally.failed) == (COUNT, len(BAD))
    assert contents(plan.out) == before


def test_a_scan_that_was_fixed_or_changed_is_processed_again(again):
    jobs, plan = again
    by_name = {job.name: job for job in jobs}
    write_bad(by_name["sub-cut_T1w"].scan, "good", scan_of(77))
    write_bad(by_name["sub-01_T1w"].scan, "good", scan_of(78))
    write_bad(by_name["sub-02_T1w"].scan, "zeros", scan_of(79))
    assert {job.name: state for job, state in states(jobs, plan) if state not in ("done", "failed")} == {
        "sub-01_T1w": "changed", "sub-02_T1w": "changed", "sub-cut_T1w": "changed",
    }  # fmt: skip
    seen, tally = counted(jobs, plan)
    assert seen == ["sub-01_T1w", "sub-02_T1w", "sub-cut_T1w"]
    assert (tally.done, tally.failed) == (2, 1)
    assert read_record(plan.out, "sub-cut_T1w").state == "done"
    assert not list((plan.out / "sub-02").rglob("*.*")), "no result of the earlier scan is left"
    assert not (plan.out / "sub-02_T1w.html").exists()


def test_what_a_result_depends_on_makes_it_change(again, monkeypatch):
    jobs, plan = again
    good = [job for job in jobs if job.name == "sub-01_T1w"]

    def state(plan, job=good[0]):
        ((_, state),) = states([job], plan)
        return state

    assert state(plan) == "done"
    assert state(replace(plan, settings=RunSettings(seed=1))) == "changed"
    assert state(replace(plan, settings=RunSettings(sensitivity=2.0))) == "changed"
    assert state(plan, replace(good[0], sequence="T2w")) == "changed"
    assert state(plan, replace(good[0], brain_mask=good[0].scan)) == "changed"
    assert state(replace(plan, device="cuda")) == "done"
    monkeypatch.setattr("itermask.apps.cohort.manifest.__version__", "99")
    assert state(plan) == "changed"


@pytest.mark.parametrize("harm", ["removed", "cut", "record"])
def test_results_that_were_harmed_are_made_again(again, harm):
    jobs, plan = again
    before = contents(plan.out)
    path = plan.out / "sub-02" / "anat" / "sub-02_desc-error_T1w.nii.gz"
    if harm == "removed":
        path.unlink()
    elif harm == "cut":
        path.write_bytes(path.read_bytes()[:-1])
    else:
        (plan.out / "manifest" / "sub-02_T1w.json").write_text('{"name": "sub-')
    seen, _ = counted(jobs, plan)
    assert seen == ["sub-02_T1w"]
    assert contents(plan.out) == before


def test_shards_part_the_scans_and_come_to_the_same_bytes(made, tmp_path):
    _, plan, jobs, _ = made
    parts = [shard_of(jobs, (number, 4)) for number in range(1, 5)]
    assert sorted(job.name for part in parts for job in part) == sorted(job.name for job in jobs)
    other = replace(plan, out=tmp_path)
    for number in (2, 1, 4, 3):
        assert run_cohort(jobs, other, (number, 4), work_here).total == len(parts[number - 1])
        if number == 2:
            assert not_processed(jobs, tmp_path) == "4 of 6 scans have not been processed yet."
    assert contents(tmp_path) == contents(plan.out)
    assert not_processed(jobs, tmp_path) == ""
    assert {path.name for path in (tmp_path / "logs").glob("run-*")} == {f"run-{n}of4.jsonl" for n in range(1, 5)}


def test_reports_are_drawn_again_to_the_bit_and_nothing_else_is_done(again):
    jobs, plan = again
    before = contents(plan.out)
    for number in range(1, COUNT + 1):
        (plan.out / f"sub-{number:02d}_T1w.html").write_text("an earlier page")
    later = replace(plan, settings=RunSettings(seed=9), reports_only=True)
    seen, tally = counted(jobs, later)
    assert seen == [f"sub-{number:02d}_T1w" for number in range(1, COUNT + 1)]
    assert (tally.done, tally.failed) == (COUNT, 0)
    assert contents(plan.out) == before


def test_two_runs_over_the_same_scans_are_refused(again):
    jobs, plan = again
    with run_module._working_in(plan.out, "1of1"):
        for shard in ((1, 1), (1, 2)):
            with pytest.raises(InputError, match="another run is working on the same scans"):
                run_cohort(jobs, plan, shard, work_here)
    with run_module._working_in(plan.out, "1of2"):
        assert run_cohort(jobs, plan, (2, 2), work_here).finished == 0


def test_two_scans_of_one_name_are_refused(made):
    _, plan, jobs, _ = made
    with pytest.raises(InputError, match="have the same name, sub-01_T1w; keep one"):
        run_cohort([jobs[0], jobs[0], replace(jobs[0], scan=jobs[1].scan)], plan, engine=work_here)


def test_a_full_disk_ends_the_run_and_the_next_one_goes_on(made, tmp_path, monkeypatch):
    _, plan, jobs, _ = made
    other, real = replace(plan, out=tmp_path), carry_out.__globals__["layouts"].write
    count = []

    def write(*arguments):
        count.append(1)
        if len(count) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(*arguments)

    monkeypatch.setattr("itermask.apps.cohort.layouts.write", write)
    with pytest.raises(InputError, match=r"No space left on device; fix it and run again"):
        run_cohort(jobs, other, engine=work_here)
    assert [record.name for record in read_records(tmp_path)] == ["sub-01_T1w"]
    run_cohort(jobs, other, engine=work_here)
    assert contents(tmp_path) == contents(plan.out)


def test_what_nobody_expects_is_a_failure_with_its_trace_in_the_log(made, tmp_path, monkeypatch):
    _, plan, jobs, _ = made
    monkeypatch.setattr("itermask.apps.cohort.work.figures_of", lambda *_: 1 / 0)
    tally = run_cohort(jobs[:1], replace(plan, out=tmp_path), engine=work_here)
    assert tally.failed == 1
    assert (
        read_record(tmp_path, "sub-01_T1w").reason == "unexpected ZeroDivisionError: division by zero; the log has more"
    )
    assert "ZeroDivisionError" in (tmp_path / "logs" / "run-1of1.jsonl").read_text()
    assert not (tmp_path / ".part").exists()


def test_a_results_folder_that_is_a_file_is_refused(made, tmp_path):
    _, plan, jobs, _ = made
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match="cannot be used as results folder"):
        run_cohort(jobs, replace(plan, out=tmp_path / "file"), engine=work_here)
    assert (tmp_path / "file").read_text() == "mine"


def test_progress_is_told_and_an_outcome_of_one_task_is_one_record(made, tmp_path):
    _, plan, jobs, _ = made
    told = []
    run_cohort(jobs, replace(plan, out=tmp_path), engine=lambda tasks, plan: (
        Outcome(task.job, reason="as made up") for task in tasks
    ), report=lambda tally: told.append((tally.finished, tally.to_do)))  # fmt: skip
    assert told[-1] == (len(jobs), len(jobs))
    assert [finished for finished, _ in told] == sorted(finished for finished, _ in told)
    assert {record.reason for record in read_records(tmp_path)} == {"as made up"}
