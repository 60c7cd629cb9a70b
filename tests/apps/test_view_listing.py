"""The list of scans: whichever command wrote them, the least normal first, each once, failures with a reason."""

import json
import os
import random

import nibabel as nib
import numpy as np
import pytest
from tiny_view import copy_run, record, write_cohort, write_run

from itermask.apps.view.listing import FAILED, HERE, list_scans
from itermask.errors import InputError
from itermask.types import UNKNOWN, VERDICTS


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Results of one scan."""
    return write_run(tmp_path_factory.mktemp("run") / "sub-01")


def test_a_run(run):
    (entry,) = list_scans(run)
    mask = nib.load(run / "anomaly.nii.gz")
    assert (entry.scan, entry.name, entry.title) == (HERE, "sub-01", "head_T1w.nii.gz")
    assert (entry.verdict, entry.tone, entry.model) == (VERDICTS[2], "red", "box-model")
    assert (entry.score, entry.percentile, entry.healthy_median, entry.healthy_p95) == (3.2, 97.5, 1.0, 1.7)
    assert entry.anomaly_ml == pytest.approx(np.asanyarray(mask.dataobj).sum() * 6**3 / 1000)
    assert (entry.report, entry.reason) == ("report.html", "")
    json.dumps(entry.values(), allow_nan=False)


def test_the_volume_is_that_of_the_mask_where_not_all_regions_are_listed(run, tmp_path):
    expected = list_scans(run)[0].anomaly_ml
    copy_run(run, tmp_path / "a", regions={"count": 600, "listed": []})
    assert list_scans(tmp_path)[0].anomaly_ml == pytest.approx(expected)
    (tmp_path / "a" / "anomaly.nii.gz").write_bytes(b"cut")
    assert list_scans(tmp_path)[0].anomaly_ml is None


def test_a_cohort_of_folders_lists_each_scan_once(run, tmp_path):
    copy_run(run, tmp_path / "x")
    out = write_cohort(tmp_path, record("x", 1.5, outputs=["x/report.html"]), record("y", reason="y.nii: truncated"))
    first, second = list_scans(out)
    assert (first.scan, first.score, first.report, first.notes) == ("x", 1.5, "x/report.html", ("mind this",))
    assert (second.scan, second.verdict, second.tone, second.reason) == ("y", FAILED, "failed", "y.nii: truncated")


def test_bids_results_and_results_in_folders_below(run, tmp_path):
    one = record("sub-1_T1w", 1.0, outputs=["sub-1/anat/sub-1_mask.json", "sub-1_T1w.html"])
    write_cohort(tmp_path / "study", one)
    copy_run(run, tmp_path / "node" / "27a4" / "run-1", score=0.5)
    entries = {entry.scan: entry for entry in list_scans(tmp_path)}
    assert set(entries) == {"study/sub-1_T1w", "node/27a4/run-1"}
    assert entries["study/sub-1_T1w"].report == "study/sub-1_T1w.html"
    assert entries["node/27a4/run-1"].report == "node/27a4/run-1/report.html"
    assert entries["node/27a4/run-1"].title == "head_T1w.nii.gz"


def test_the_least_normal_come_first_and_failures_last(tmp_path):
    ordered = [
        record("c", 1.0, VERDICTS[2]), record("d", 9.0, VERDICTS[1]), record("b", 2.0), record("a", 1.0),
        record("e", None), record("f", 5.0, UNKNOWN), record("g", reason="no"), record("h", reason="no"),
    ]  # fmt: skip
    mixed = random.Random(0).sample(ordered, len(ordered))
    assert [entry.scan for entry in list_scans(write_cohort(tmp_path, *mixed))] == [one.name for one in ordered]


def test_what_cannot_be_read_is_a_scan_with_a_reason(run, tmp_path):
    copy_run(run, tmp_path / "none", scores=[])
    (tmp_path / "cut").mkdir()
    (tmp_path / "cut" / "finding.json").write_text('{"score": 1')
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "finding.json").symlink_to(run / "finding.json")
    entries = list_scans(tmp_path)
    assert [entry.scan for entry in entries] == ["cut", "none", "out"]
    assert "cut/finding.json: cannot be read" in entries[0].reason
    assert "none/finding.json: cannot be read" in entries[1].reason
    assert "out/finding.json: leads out" in entries[2].reason


def test_a_report_that_is_missing_or_leads_out(run, tmp_path):
    copy_run(run, tmp_path / "a")
    (tmp_path / "a" / "report.html").unlink()
    copy_run(run, tmp_path / "b")
    (tmp_path / "b" / "report.html").unlink()
    (tmp_path / "b" / "report.html").symlink_to(run / "report.html")
    write_cohort(tmp_path, record("c", 1.0, outputs=[]), record("d", 1.0, outputs=[]))
    for entry in list_scans(tmp_path):
        assert (entry.report, entry.notes[-1]) == ("", "Its report is missing.")


def test_what_is_hidden_or_behind_a_link_is_not_listed(run, tmp_path):
    copy_run(run, tmp_path / "shown" / ".part-1")
    (tmp_path / "shown" / "link").symlink_to(run)
    assert list_scans(tmp_path / "shown") == []


def test_a_name_in_no_encoding_is_refused_with_words(run, tmp_path):
    name = os.fsdecode(b"sub-\xff")
    try:
        copy_run(run, tmp_path / name)
    except OSError:
        pytest.skip("this file system knows only names in UTF-8")
    (entry,) = list_scans(tmp_path)
    assert entry.reason == "its name is not in UTF-8; rename it"
    json.dumps(entry.values(), ensure_ascii=False).encode()


def test_no_such_folder(tmp_path):
    with pytest.raises(InputError, match="none: no such folder"):
        list_scans(tmp_path / "none")
