"""One verdict from three questions: the worst decides, the headline says which, and more never ranks lower."""

from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from itermask.prepare.plausibility import Plausibility
from itermask.results.verdict import answer_focal, answer_judged, answer_quality, combine, extent, plain_answers
from itermask.types import NOT_JUDGED, UNKNOWN, VERDICTS

WITHIN, BORDERLINE, OUTSIDE = VERDICTS
HEALTHY = {"focal": [0.5, 1.0], "mask_size": [0.001, 0.002, 0.003, 0.004]}  # borderline 1, outside 3; and 0.4 %


@dataclass(frozen=True)
class Image:
    score: float
    limits: tuple[float, float] = (1.0, 2.0)
    likely: str | None = "ghosting along the front–back axis"


JUDGED = answer_judged(Plausibility(numbers={"brain_ml": 1400.0}))


def focal(score, share=0.001, volume=2.234, where="left frontal white matter", **missing):
    placed = {"focal": {"value": score}, "mask_size": {"value": share}}
    return answer_focal(placed, HEALTHY, volume, volume, where, **missing)


def verdict(quality=0.0, score=0.5, **how):
    return combine(JUDGED, answer_quality(Image(quality), {}, {}), focal(score, **how))


def test_nothing_stands_out():
    found = verdict()
    assert (found.word, found.decided_by) == (WITHIN, "")
    assert found.headline == "Nothing stands out, and the image is clean"
    assert [answer.level for answer in found.answers] == [0, 0, 0]


def test_the_headline_says_what_decided():
    assert verdict(score=4.0).headline == "A region in the left frontal white matter stands out: 2.2 mL"
    assert verdict(score=2.0).headline == "A region in the left frontal white matter perhaps stands out: 2.2 mL"
    assert verdict(score=4.0, where="").headline == "A region stands out: 2.2 mL"
    assert verdict(quality=3.0).headline == "The image looks spoiled: ghosting along the front–back axis"
    assert verdict(share=0.5).headline.startswith("More of the brain is marked")


@pytest.mark.parametrize(
    ("quality", "score", "word", "decided"),
    [
        (0, 2, BORDERLINE, "focal"),
        (1.5, 0, BORDERLINE, "quality"),
        (1.5, 9, OUTSIDE, "focal"),
        (9, 2, OUTSIDE, "quality"),
    ],
)
def test_the_worst_decides(quality, score, word, decided):
    found = verdict(quality, score)
    assert (found.word, found.decided_by) == (word, decided)


def test_a_corrupt_image_explains_regions():
    assert "which may come of that" in verdict(9.0, 9.0).headline


def test_missing_tissue_is_outside_however_small_the_scores():
    found = verdict(0.0, 0.0, missing_ml=20.0, missing="left parietal cortex")
    assert found.word == OUTSIDE
    assert found.headline == "Tissue is missing: left parietal cortex, 20 mL"
    assert verdict(9.0, 0.0, missing_ml=20.0, missing="x").headline.startswith("Tissue is missing")
    assert verdict(0.0, 0.0, missing_ml=2.0, missing="x").word == BORDERLINE


def test_what_cannot_be_judged_has_no_verdict():
    judged = answer_judged(Plausibility(("The person is 3 years old.",)))
    found = combine(judged, answer_quality(Image(9.0), {}, {}), focal(9.0))
    assert found.word == NOT_JUDGED
    assert found.headline == "Not judged. The person is 3 years old."


def test_without_a_healthy_range_nothing_is_known():
    nothing = answer_focal({"mask_size": {"value": 0.1}}, {}, 1.0, 1.0, "")
    assert nothing.level is None
    assert combine(JUDGED, answer_quality(None, {}, {}), nothing).word == UNKNOWN
    assert combine(JUDGED, answer_quality(Image(9.0), {}, {}), nothing).word == OUTSIDE


@given(st.floats(-5, 5), st.floats(0, 50), st.floats(0, 50))
def test_a_region_more_never_ranks_lower(quality, one, other):
    lower, higher = (verdict(quality, score) for score in sorted((one, other)))
    assert lower.stands_out <= higher.stands_out
    assert VERDICTS.index(lower.word) <= VERDICTS.index(higher.word)


def test_extents_are_one_and_two_at_the_limits():
    for borderline, outside in ((verdict(1.0, 0.0), verdict(2.0, 0.0)),):
        assert borderline.stands_out == pytest.approx(1)
        assert outside.stands_out == pytest.approx(2)
    assert extent(focal(1.0)) == pytest.approx(1)
    assert extent(focal(3.0)) == pytest.approx(2)


def test_the_profile_answers_where_quality_was_not_measured():
    placed, healthy = {"profile_distance": {"value": 9.0}}, {"profile_distance": [0.9, 1.0, 1.1, 1.2]}
    answer = answer_quality(None, placed, healthy)
    assert answer.level == 2
    assert "another kind of scanner" in answer.sentence


def test_answers_are_plain():
    told = plain_answers(verdict().answers)
    assert [one["question"] for one in told] == ["judged", "quality", "focal"]
    assert told[2]["borderline"] == 1.0
    assert replace(JUDGED) == JUDGED
