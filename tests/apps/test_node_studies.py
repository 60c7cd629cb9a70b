"""Series by study: one colour and one line, and nothing is green before all of it was processed."""

import json

from hypothesis import given
from hypothesis import strategies as st
from tiny_dicom import uid
from tiny_node import series

from itermask.apps.node.header import read_instance
from itermask.apps.node.studies import WORST, about_row, summaries


def row(number, tone="green", verdict="within the healthy range", study="s1", **changes):
    told = {"study": study, "code": study, "when": "", "scanner": "", "patient": "", "newest": True, "alert": False}
    return (
        told
        | {"id": number, "label": f"series {number}", "tone": tone, "verdict": verdict, "state": "finished"}
        | changes
    )


def test_the_worst_series_speaks_for_its_study():
    rows = [row(3, "red", "outside the healthy range"), row(2, study="s2"), row(1)]
    first, second = summaries(rows, [])
    assert (first["study"], first["tone"], first["rows"], first["ended"]) == ("s1", "red", [3, 1], True)
    assert first["words"] == "outside the healthy range: series 3; within the healthy range: series 1"
    assert second["tone"] == "green"


def test_what_nobody_minds_has_no_say():
    (study,) = summaries([row(2, "failed", "could not be processed"), row(1)], [])
    assert (study["tone"], study["words"]) == (
        "green", "within the healthy range: series 1; 1 not meant to be processed",
    )  # fmt: skip
    (study,) = summaries([row(2, "failed", "could not be processed", alert=True), row(1)], [])
    assert study["tone"] == "failed"


def test_nothing_is_green_while_more_comes_or_waits():
    (study,) = summaries([row(1)], [row(0)])
    assert (study["tone"], study["ended"]) == ("grey", False)
    assert study["words"].endswith("1 being received")
    (study,) = summaries([row(2, "grey", "", state="waiting for its turn"), row(1)], [])
    assert (study["tone"], study["words"]) == ("grey", "within the healthy range: series 1; 1 waiting")


def test_an_earlier_look_has_no_say():
    (study,) = summaries([row(2), row(1, "red", "outside the healthy range", newest=False)], [])
    assert study["tone"] == "green"


@given(tones=st.lists(st.sampled_from(["red", "amber", "green", "grey"]), min_size=1))
def test_the_colour_is_that_of_the_worst(tones):
    (study,) = summaries([row(number, tone) for number, tone in enumerate(tones)], [])
    assert study["tone"] == min(tones, key=WORST.index)


def test_patients_are_told_only_where_that_is_asked_for(tmp_path):
    series()[0].save_as(tmp_path / "1.dcm")
    for patient, shown in (("off", ""), ("id", "id-1"), ("both", "id-1, Müller Anna")):
        instance = read_instance(tmp_path / "1.dcm", patient=patient)
        told = json.dumps(dict(instance.about))
        assert ("id-1" in told, "Anna" in told) == (patient != "off", patient == "both")
        found = about_row({"study": instance.study, "key": "k", "about": told})
        assert (found["code"], found["when"], found["scanner"]) == ("A1", "2020-01-02 10:11", "Maker")
        assert found["patient"] == shown
        assert uid("study") not in json.dumps(found)
