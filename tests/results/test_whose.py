"""Whose scan it is: told the same wherever a person looks, and never who the patient is."""

import json
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from tiny_view import write_run

from itermask.apps.view.listing import list_scans
from itermask.results import whose
from itermask.types import Source

SOURCE = Source(
    age=50.0, manufacturer="Maker", model="One", field_strength=3.0, study_date="20260131", study_time="091500",
    accession_number="A7", study_uid="1.2", series_uid="1.2.3", series_number=5, series_description="MPRAGE",
)  # fmt: skip


def test_report_json_and_view_tell_it(tmp_path, monkeypatch):
    import tiny_view

    scan, finding = tiny_view.head()
    monkeypatch.setattr(tiny_view, "head", lambda: (replace(scan, source=SOURCE), finding))
    folder = tmp_path / "0123456789abcdef0123" / "run-2"
    write_run(folder)
    kept = json.loads((folder / "finding.json").read_text())["source"]
    assert (kept["study_uid"], kept["series_uid"], kept["accession_number"]) == ("1.2", "1.2.3", "A7")
    assert "age" not in kept
    report = (folder / "report.html").read_text()
    for text in ("A7", "2026-01-31 09:15", "Maker One, 3 T", "5 &#39;MPRAGE&#39;"):
        assert f"<dd>{text}</dd>" in report
    (entry,) = list_scans(tmp_path)
    assert entry.name == "A7, series 5 'MPRAGE', look 2", "no hash as a name"
    assert entry.about == "2026-01-31 09:15 · Maker One, 3 T"


def test_a_scan_without_source_says_nothing_of_it():
    assert (whose.facts_of(None), whose.as_json(None), whose.named({})) == ([], {}, "")


@given(uid=st.text(min_size=1), other=st.text(min_size=1))
def test_a_code_is_of_the_study(uid, other):
    assert whose.study_code("", uid) == whose.study_code("", uid)
    assert uid not in whose.study_code("", uid) or len(uid) < 10
    assert whose.study_code("A1", uid) == whose.study_code("A1", other) == "A1"
