"""Shading and distortion in the image quality: when it decides, and when it must not."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from itermask.results.quality.assess import Quality
from itermask.results.quality.model_faults import MODEL_FAULTS, fault_odds, with_model_faults

MIDDLE = {"shading": 0.08, "distortion": 3.5}
HEALTHY = {name: [0.8 * value, value, 1.3 * value] for name, value in MIDDLE.items()}
LIMITS = (1.5, 6.0)


def quality(score=-1.0, likely=None):
    level = sum(score >= limit for limit in LIMITS)
    return Quality(score, LIMITS, ("within", "borderline", "outside")[level], likely, {}, {})


@pytest.mark.parametrize("name", MODEL_FAULTS)
@pytest.mark.parametrize(("between", "expected"), [(-1.0, "within"), (0.5, "borderline"), (1.5, "outside")])
def test_a_clean_image_is_judged_by_what_the_model_sees(name, between, expected):
    fault = MODEL_FAULTS[name]
    value = MIDDLE[name] * fault.borderline * (fault.outside / fault.borderline) ** between
    found = with_model_faults(quality(), {name: value}, HEALTHY)
    assert found.range == expected
    assert found.likely == (None if expected == "within" else fault.name)
    assert found.numbers[name].value == value


@pytest.mark.parametrize("name", MODEL_FAULTS)
def test_the_limits_are_reached_at_their_multiples(name):
    for times, limit in zip((MODEL_FAULTS[name].borderline, MODEL_FAULTS[name].outside), LIMITS, strict=True):
        assert fault_odds(name, times * MIDDLE[name], HEALTHY[name], LIMITS) == pytest.approx(limit)


def test_another_fault_that_leads_keeps_its_name():
    found = with_model_faults(quality(9.0, "noise"), {"shading": 3 * 0.08}, HEALTHY)
    assert found.range == "outside"
    assert found.likely == "noise"


@given(score=st.floats(-5, 10), shading=st.floats(0, 1), distortion=st.floats(0, 20))
def test_a_model_never_makes_an_image_look_cleaner(score, shading, distortion):
    scores = {"shading": shading, "distortion": distortion, "mask_size": 0.1}
    assert with_model_faults(quality(score), scores, HEALTHY).score >= score


@pytest.mark.parametrize(
    ("scores", "healthy"),
    [({}, HEALTHY), ({"shading": 0.5}, {}), ({"shading": 0.5}, {"shading": [0.0]}), ({"shading": np.nan}, HEALTHY)],
)
def test_unknown_scores_change_nothing(scores, healthy):
    before = quality()
    assert with_model_faults(before, scores, healthy) is before
