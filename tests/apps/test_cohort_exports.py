"""Lists for other programs, `.bidsignore`, and the group level on a subset and without the scans."""

import csv
import json
import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_cohort import write_bids, write_model

from itermask.apps.cohort.bids import Selection, find_jobs, keeps
from itermask.apps.cohort.exports import EXPORTS, costs, exports, left_out
from itermask.apps.cohort.ignored import ignored_in, matcher
from itermask.apps.cohort.manifest import DONE, FAILED, Record, read_records
from itermask.apps.cohort.rows import Row
from itermask.errors import InputError
from itermask.types import NOT_JUDGED, VERDICTS


def row(subject, verdict="", session="", reason="", name=""):
    name = name or "_".join(filter(None, (f"sub-{subject}", session, "T1w")))
    figures = {"verdict": verdict, "headline": f"{verdict}, as it is"} if verdict else {}
    scan = f"sub-{subject}/anat/{name}.nii.gz"
    state = FAILED if reason else DONE
    return Row(Record(name, state, {}, f"sub-{subject}", session, "T1w", scan, reason, {}, figures), "")


ROWS = [
    row("01", VERDICTS[0], "ses-1"), row("01", VERDICTS[2], "ses-2"), row("02", VERDICTS[1]), row("03", NOT_JUDGED),
    row("04", reason="truncated\tor damaged"), row("05", VERDICTS[0]),
]  # fmt: skip


def test_outside_not_judged_and_failed_scans_are_left_out_with_their_reason():
    texts = exports("T1w", ROWS)
    assert list(texts) == [f"group_T1w_{name}" for name in EXPORTS]
    told = list(csv.DictReader(texts["group_T1w_exclude.tsv"].splitlines(), delimiter="\t"))
    assert [(one["participant_id"], one["session_id"], one["verdict"]) for one in told] == [
        ("sub-01", "ses-2", VERDICTS[2]), ("sub-03", "n/a", NOT_JUDGED), ("sub-04", "n/a", "failed"),
    ]  # fmt: skip
    assert told[2]["reason"] == "truncated or damaged"
    assert texts["group_T1w_keep.txt"] == "02\n05\n"
    assert json.loads(texts["group_T1w_keep.json"])["t1w"]["subject"] == ["02", "05"]


@given(st.permutations(ROWS))
def test_a_participant_is_kept_exactly_if_no_scan_of_it_is_left_out(rows):
    kept = exports("T1w", rows)["group_T1w_keep.txt"].split()
    for one in rows:
        if left_out(one):
            assert one.record.subject.removeprefix("sub-") not in kept
    assert kept == ["02", "05"]


def test_the_filter_keeps_just_these_scans_where_this_program_reads_it(tmp_path):
    tree = write_bids(tmp_path / "tree", 5)
    (tmp_path / "filter.json").write_text(exports("T1w", ROWS)["group_T1w_keep.json"])
    from itermask.apps.cohort.bids import read_filters

    jobs = find_jobs(tree, Selection(("T1w",), filters=read_filters(tmp_path / "filter.json")))
    assert [job.subject for job in jobs] == ["sub-02", "sub-05"]


def test_lines_for_bidsignore_leave_out_just_the_scans_that_they_name(tmp_path):
    odd = row("06", NOT_JUDGED, name="sub-06_acq-a[b] c_T1w")
    lines = exports("T1w", [*ROWS, odd])["group_T1w_bidsignore.txt"].splitlines()
    ignored = matcher(lines)
    assert [ignored(one.record.scan) for one in [*ROWS, odd]] == [bool(left_out(one)) for one in [*ROWS, odd]]


PATTERNS = [
    ("*.html", "sub-01/report.html", True), ("*.html", "report.htm", False), ("/sub-01", "sub-01/anat/a.nii", True),
    ("/anat", "sub-01/anat/a.nii", False), ("anat", "sub-01/anat/a.nii", True), ("anat/", "anat", False),
    ("sub-*/anat/*.nii", "sub-01/anat/a.nii", True), ("sub-*/a.nii", "sub-01/anat/a.nii", False),
    ("**/a.nii", "x/y/a.nii", True), ("sub-01/**", "sub-01/x/y", True), ("sub-0[1-2]", "sub-02/a", True),
    ("sub-0[!1-2]", "sub-02/a", False), ("#x", "#x", False), (r"\#x", "#x", True), ("a?c", "abc", True),
    ("a?c", "a/c", False), ("", "a", False), ("a.c", "abc", False),
]  # fmt: skip


@pytest.mark.parametrize(("pattern", "path", "out"), PATTERNS)
def test_patterns_mean_what_they_mean_in_gitignore(pattern, path, out):
    assert matcher([pattern])(path) is out


def test_what_bidsignore_names_is_not_processed(tmp_path):
    tree = write_bids(tmp_path / "tree", 3)
    assert len(find_jobs(tree, Selection())) == 3
    assert not ignored_in(tree)("sub-02/anat/sub-02_T1w.nii.gz")
    (tree / ".bidsignore").write_text("sub-02/\n")
    assert [job.subject for job in find_jobs(tree, Selection())] == ["sub-01", "sub-03"]


def test_mp2rage_images_are_said_where_there_is_nothing_else(tmp_path):
    tree = write_bids(tmp_path / "tree", 1)
    scan = tree / "sub-01" / "anat" / "sub-01_T1w.nii.gz"
    scan.rename(scan.with_name("sub-01_UNIT1.nii.gz"))
    with pytest.raises(InputError, match="1 images of MP2RAGE"):
        find_jobs(tree, Selection(("T1w",)))


def test_participants_that_have_no_result_are_refused():
    records = [one.record for one in ROWS]
    assert keeps(Selection(), records) is None
    keep = keeps(Selection(participants=("sub-01",), sessions=("2",)), records)
    assert [one.name for one in records if keep(one)] == ["sub-01_ses-2_T1w"]
    with pytest.raises(InputError, match="no participant 09"):
        keeps(Selection(participants=("09",)), records)


def test_the_group_level_respects_labels_and_needs_no_scans(command, tmp_path):
    tree, model, out = write_bids(tmp_path / "tree", 2, ["cut"]), write_model(tmp_path / "model"), tmp_path / "out"
    common = ["--skip-bids-validation", "--model", model, "--workers", "0"]
    code, _, errors = command("bids", tree, out, "participant", *common)
    assert code == 1, errors
    shutil.rmtree(tree)
    code, output, errors = command("bids", tree, out, "group", "--participant-label", "02")
    assert (code, errors) == (0, "itermask: The tables hold 1 of 3 scans of this folder: those asked for.\n")
    assert output.splitlines() == [str(out / "group_T1w.html")]

    def names():
        with open(out / "group_T1w.tsv", newline="") as table:
            return [one["name"] for one in csv.DictReader(table, delimiter="\t")]

    assert names() == ["sub-02_T1w"]
    assert "1 scan was processed" in (out / "methods.md").read_text()
    code, _, _ = command("bids", tree, out, "group")
    assert code == 1  # one scan had failed
    assert names() == ["sub-01_T1w", "sub-02_T1w", "sub-cut_T1w"]
    assert "sub-cut" in (out / "group_T1w_exclude.tsv").read_text()
    told = costs(out)
    assert list(told) == ["sub-01_T1w", "sub-02_T1w"]
    assert all(one["seconds"] > 0 and one["peak_mib"] > 1 and one["detect"] > 0 for one in told.values())
    assert len((out / "logs" / "scans.tsv").read_text().splitlines()) == 3
    assert len(read_records(out)) == 3
    code, _, errors = command("bids", tree, out, "group", "--participant-label", "07")
    assert code == 2
    assert "no participant 07" in errors


def test_a_group_level_without_results_is_refused(command, tmp_path):
    code, _, errors = command("bids", tmp_path / "tree", tmp_path / "out", "group")
    assert code == 2
    assert "run the participant level first" in errors


def test_what_the_logs_hold_half_is_passed_over(tmp_path):
    (tmp_path / "logs").mkdir()
    entry = {"name": "a", "finished": "2", "seconds": 3.5, "peak_bytes": 2**21, "timings": {"detect": 2.0}}
    earlier = entry | {"finished": "1", "seconds": 9.0}
    lines = [json.dumps(entry), '{"started": 1}', '{"name": "b", "rea', json.dumps(earlier), "[]"]
    (tmp_path / "logs" / "run-1of1.jsonl").write_text("\n".join(lines))
    assert costs(tmp_path) == {"a": costs(tmp_path)["a"]}
    assert (costs(tmp_path)["a"]["seconds"], costs(tmp_path)["a"]["peak_mib"]) == (3.5, 2.0)
