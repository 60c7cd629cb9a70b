"""Stop rules as objects: what each asks of a search, its operating point, and the settings that name it."""

from dataclasses import dataclass, field

import numpy as np
import pytest

from itermask.core.stop_rules import bulk_level, stop_threshold
from itermask.methods import build_method
from itermask.methods.calibration import THRESHOLDS
from itermask.methods.itermask2.method import STOPS as STOPS_2D
from itermask.methods.itermask3d.method import STOPS as STOPS_3D
from itermask.methods.stop_rules import CurveThreshold, FixedThreshold

RULES = [("itermask3d", stop) for stop in STOPS_3D] + [("itermask2", stop) for stop in STOPS_2D]


@dataclass
class Curve:
    """A search of which only the curve is known."""

    curve: np.ndarray = field(default_factory=lambda: np.linspace(0, 1, 400) ** 6)
    curve_passes: int = 17


class OwnGamma(CurveThreshold):
    def calibrate(self, searches, sizes):
        return {"gamma": 1.0}


@pytest.mark.parametrize(("name", "stop"), RULES)
def test_a_setting_names_the_rule_and_stays_as_it_is(name, stop):
    method = build_method(name, {"stop": stop})
    assert method.settings()["stop"] == stop
    assert method.published_point() == method.rule.published_point()
    assert method.rule.reads_curve == ("gamma" in method.published_point())
    assert all(value > 0 for value in method.published_point().values())


@pytest.mark.parametrize("name", ["itermask3d", "itermask2"])
def test_the_rule_has_the_methods_settings(name):
    method = build_method(name, {"fit_limit": 3.0, "window": 5.0})
    assert (method.rule.fit_limit, method.rule.window) == (3.0, 5.0)
    found = method.rule.stop_at(Curve().curve, 0.02)
    assert found.step == stop_threshold(Curve().curve, 0.02, 3.0, window=5.0).step


@pytest.mark.parametrize("name", ["itermask3d", "itermask2"])
def test_an_unknown_rule_is_refused_with_those_that_there_are(name):
    with pytest.raises(ValueError, match=r"stop is .*own.*fixed, not 'never'"):
        build_method(name, {"stop": "never"})


def test_a_fixed_threshold_needs_no_search_and_is_the_smallest_that_suits():
    rule = FixedThreshold()
    assert rule.threshold(None, {"threshold": 2.5}) == (2.5, {"threshold": 2.5})
    point = rule.calibrate([], lambda point: np.zeros(3) if point["threshold"] >= THRESHOLDS[100] else np.ones(3))
    assert point == {"threshold": THRESHOLDS[100]}


def test_a_curves_threshold_is_cut_off_at_a_multiple_of_the_bulk_level():
    rule, search = OwnGamma(), Curve()
    free, trace = rule.threshold(search, {"gamma": 0.02})
    assert free == trace["own_threshold"] == rule.stop_at(search.curve, 0.02).value
    assert (trace["threshold_limit"], trace["curve_passes"]) == (None, 17)
    limit = 0.5 * free / bulk_level(search.curve)
    cut, trace = rule.threshold(search, {"gamma": 0.02, "threshold_limit": limit})
    assert cut == pytest.approx(0.5 * free)
    assert trace["own_threshold"] == free
