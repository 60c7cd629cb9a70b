"""Shading in the image quality: when it decides, and when it must not."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from itermask.core.shading import SHADING
from itermask.results.quality.assess import Quality
from itermask.results.quality.uneven import BORDERLINE, OUTSIDE, UNEVEN, odds_of, with_shading

HEALTHY = [0.06, 0.08, 0.1]
LIMITS = (1.5, 6.0)


def quality(score=-1.0, likely=None):
    level = sum(score >= limit for limit in LIMITS)
    return Quality(score, LIMITS, ("within", "borderline", "outside")[level], likely, {}, {})


@pytest.mark.parametrize(("times", "expected"), [(1.0, "within"), (3.0, "borderline"), (5.0, "outside")])
def test_a_clean_image_is_judged_by_its_shading(times, expected):
    found = with_shading(quality(), times * 0.08, HEALTHY)
    assert found.range == expected
    assert found.likely == (None if expected == "within" else UNEVEN)
    assert found.numbers[SHADING].value == times * 0.08


def test_the_limits_are_reached_at_their_multiples():
    assert odds_of(BORDERLINE * 0.08, HEALTHY, LIMITS) == pytest.approx(LIMITS[0])
    assert odds_of(OUTSIDE * 0.08, HEALTHY, LIMITS) == pytest.approx(LIMITS[1])


def test_another_fault_that_leads_keeps_its_name():
    found = with_shading(quality(9.0, "noise"), 3 * 0.08, HEALTHY)
    assert found.range == "outside" and found.likely == "noise"


@given(score=st.floats(-5, 10), value=st.floats(0, 1))
def test_shading_never_makes_an_image_look_cleaner(score, value):
    assert with_shading(quality(score), value, HEALTHY).score >= score


@pytest.mark.parametrize(("value", "healthy"), [(0.5, []), (0.5, [0.0]), (float("nan"), HEALTHY)])
def test_unknown_shading_changes_nothing(value, healthy):
    before = quality()
    assert with_shading(before, value, healthy) is before
    assert odds_of(value, healthy, LIMITS) == -np.inf
