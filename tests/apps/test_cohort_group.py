"""The table and the page of a cohort: every scan is in it, the least normal first, and nothing is asked of the net."""

import base64
import csv
import hashlib
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from itermask.apps.cohort import charts
from itermask.apps.cohort.exports import EXPORTS
from itermask.apps.cohort.group import COLUMNS, dictionary, table, write_group
from itermask.apps.cohort.manifest import Record, write_record
from itermask.apps.cohort.page import outliers_first, render
from itermask.apps.cohort.rows import Row, cells, number, rows_of, score_names
from itermask.types import UNKNOWN, VERDICTS

HEALTHY = {"healthy_median": 1.0, "healthy_p95": 2.0}


def record(name, score=None, verdict=VERDICTS[0], reason="", sequence="T1w", **changes):
    figures = {
        "verdict": verdict,
        "score": score,
        "percentile": 90.0,
        "anomaly_fraction": 0.0123,
        "anomaly_ml": 15.0,
        "brain_ml": 1300.0,
        "mean_error": 0.5,
        "threshold": 0.7,
        "default_score": "profile_distance",
        "scores": {"mask_size": 0.01, "profile_distance": score},
        "warnings": ["mind this"] if score == 9.0 else [],
        "model": "tiny",
        "brain_mask": "given",
        "bias_correction": "none",
    } | HEALTHY
    figures = {} if reason else figures | changes
    subject = name.split("_")[0]
    state, scan = "failed" if reason else "done", f"{subject}/anat/{name}.nii.gz"
    return Record(name, state, {}, subject, "", sequence, scan, reason, {}, figures)


@pytest.fixture
def rows():
    people = {"sub-a": ("30", "F"), "sub-b": ("50.5", "M"), "sub-c": ("n/k", "F"), "sub-d": ("70", "")}
    records = [
        record("sub-a_T1w", 1.5),
        record("sub-b_T1w", 9.0, VERDICTS[2]),
        record("sub-c_T1w", reason="sub-c/anat/sub-c_T1w.nii.gz: truncated or damaged <b>; copy\tit again"),
        record("sub-d_T1w", 2.5, VERDICTS[1]),
    ]
    return [Row(one, "" if one.reason else f"{one.name}.html", *people[one.subject]) for one in records]


def read_table(text):
    return list(csv.DictReader(io.StringIO(text), delimiter="\t", quoting=csv.QUOTE_NONE))


def test_the_table_has_every_scan_and_its_dictionary_every_column(rows):
    found = read_table(table(rows))
    assert [row["name"] for row in found] == ["sub-a_T1w", "sub-b_T1w", "sub-c_T1w", "sub-d_T1w"]
    assert [row["status"] for row in found] == ["ok", "ok", "failed", "ok"]
    assert found[1]["score"] == "9"
    assert found[1]["notes"] == "mind this"
    assert found[1]["age"] == "50.5"
    assert found[2]["score"] == found[2]["report"] == found[2]["verdict"] == "n/a"
    assert found[2]["reason"].endswith("copy it again")
    assert None not in found[2], "no cell breaks the row"
    told = json.loads(dictionary(rows))
    assert list(told) == list(found[0])
    assert all(entry["Description"] for entry in told.values())
    assert set(COLUMNS) <= set(told)
    assert told["anomaly_ml"]["Units"] == "mL"


def test_a_table_of_failures_alone(rows):
    bad = [row for row in rows if not row.ok]
    assert len(read_table(table(bad))) == 1
    page = render("T1w", bad)
    assert "could not be processed" in page
    assert "<svg" not in page


def test_the_least_normal_come_first_and_failures_last(rows):
    assert [row.record.name for row in outliers_first(rows)] == ["sub-b_T1w", "sub-d_T1w", "sub-a_T1w", "sub-c_T1w"]
    odd = Row(record("sub-e_T1w", None, UNKNOWN), "")
    assert [row.record.name for row in outliers_first([rows[2], odd])] == ["sub-e_T1w", "sub-c_T1w"]


def test_the_page_is_self_contained_and_links_the_reports(rows):
    page = render("T1w", rows, "2 of 6 scans have not been processed yet.")
    assert page == render("T1w", rows, "2 of 6 scans have not been processed yet.")
    for row in rows:
        assert (f'<a href="{row.record.name}.html">' in page) == row.ok
    assert not re.search(r"https?://|src=|@import|url\(", page)
    assert "&lt;b&gt;; copy" in page
    assert "2 of 6 scans" in page
    assert "research use only" in page
    body = page.split("<tbody>")[1]
    assert body.index("sub-b_T1w") < body.index("sub-d_T1w") < body.index("sub-a_T1w") < body.index("sub-c_T1w")
    script = re.search(r"<script>(.*)</script>", page, re.DOTALL).group(1)
    allowed = re.search(r"script-src 'sha256-([^']+)'", page).group(1)
    assert base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() == allowed
    assert page.count("<svg") == 3


def test_numbers_are_sorted_by_their_value_and_shown_short(rows):
    page = render("T1w", rows)
    assert '<td class="number" data-value="9.0">9.00</td>' in page
    assert '<td class="number" data-value="1.23">1.23</td>' in page, "percent of the brain"
    assert '<td class="number" data-value="50.5">50.5</td>' in page
    assert '<td class="number" data-value="">–</td>' in page


def test_without_ages_and_sexes_there_are_no_charts_of_them(rows):
    plain = [Row(row.record, row.report) for row in rows]
    page = render("T1w", plain)
    assert page.count("<svg") == 1
    assert ">Age<" not in page


def test_scores_of_different_models_are_not_put_into_one_chart(rows):
    other = Row(record("sub-z_T1w", 3.0, model="other"), "")
    assert [len(own) for own in charts.scored([*rows, other]).values()] == [3, 1]


SCORES = st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=40)


@given(SCORES, st.floats(1e-3, 1e3))
def test_every_scan_is_in_the_chart_of_scores(scores, upper):
    some = [Row(record(f"sub-{n}_T1w", score, healthy_median=upper / 2, healthy_p95=upper), "") for n, score in
            enumerate(scores)]  # fmt: skip
    svg = charts.spread(some, "score")
    assert sum(int(count) for count in re.findall(r"<title>(\d+) scans?</title>", svg)) == len(scores)
    for x in re.findall(r'<rect x="([\d.]+)"', svg):
        assert charts.LEFT <= float(x) <= charts.WIDTH


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=10), st.booleans())
def test_axes_hold_all_values_in_order(values, score):
    axis = charts.axis_for(values, 10, 500, score)
    places = [axis.at(value) for value in sorted(values)]
    assert places == sorted(places)
    assert 10 <= places[0] <= places[-1] <= 500
    ticks = axis.ticks()
    assert len(ticks) <= 15
    assert all(axis.low <= tick <= axis.high for tick in ticks)


@pytest.mark.parametrize(("value", "wanted"), [("34", 34.0), ("34+", None), (None, None), ("nan", None), (2, 2.0)])
def test_numbers_of_texts(value, wanted):
    assert number(value) == wanted


def test_a_group_is_made_of_the_records_of_all_shards(tmp_path, rows):
    for row in rows:
        write_record(tmp_path, row.record)
    write_record(tmp_path, record("sub-a_FLAIR", 1.0, sequence="FLAIR"))
    (tmp_path / "manifest" / "sub-q_T1w.json").write_text("half a rec")
    pages = write_group(tmp_path, "bids", lambda one: {"age": "44", "sex": "F"} if one.subject == "sub-a" else {})
    assert [page.name for page in pages] == ["group_FLAIR.html", "group_T1w.html"]
    assert {path.name for path in tmp_path.glob("group_*")} == {
        f"group_{sequence}{rest}"
        for sequence in ("FLAIR", "T1w")
        for rest in (".tsv", ".json", ".html", *(f"_{name}" for name in EXPORTS))
    }
    found = read_table((tmp_path / "group_T1w.tsv").read_text())
    assert [(row["name"], row["age"]) for row in found][:2] == [("sub-a_T1w", "44"), ("sub-b_T1w", "n/a")]
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("group_*")}
    write_group(tmp_path, "bids", lambda one: {"age": "44", "sex": "F"} if one.subject == "sub-a" else {})
    assert {path: path.stat().st_mtime_ns for path in tmp_path.glob("group_*")} == before


def test_cells_are_those_of_the_columns(rows, tmp_path):
    for row in rows:
        write_record(tmp_path, row.record)
    (again,) = rows_of(tmp_path, "folders", lambda one: {}).values()
    assert again[0].report == "sub-a_T1w/report.html"
    assert again[2].report == ""
    assert score_names(again) == ["mask_size", "profile_distance"]
    assert cells(again[0], ["mask_size"])["mask_size"] == 0.01
    assert np.isclose(cells(again[1], [])["score"], 9.0)
    assert Path(cells(again[0], [])["scan"]).name == "sub-a_T1w.nii.gz"
