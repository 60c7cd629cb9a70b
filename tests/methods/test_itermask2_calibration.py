"""IterMask2: its three stop rules, chosen on healthy stacks."""

from dataclasses import replace

import numpy as np
import pytest
from tiny_itermask2 import QUICK, KnowsSlices
from tiny_slices import stack_grid, tiny_stack

from itermask.core.masks import MaskMix
from itermask.methods.itermask2 import IterMask2
from itermask.methods.itermask2.calibration import validation_threshold
from itermask.methods.itermask2.method import EXCEEDING
from itermask.prepare.prepare import prepare


def test_a_fifth_of_hidden_healthy_pixels_exceeds_the_validation_threshold():
    method = IterMask2(stop="validation", masks=MaskMix(ellipsoid=0, field=1, full=0))
    scans = [prepare(tiny_stack(seed), stack_grid()) for seed in range(3)]
    searches = [method.explore(one, KnowsSlices(one, one.image), np.random.default_rng(0)) for one in scans]
    point = method.calibrate(searches, lambda _point: pytest.fail("masks need no trying out"))
    assert point == {"threshold": validation_threshold(method, searches)}
    # Hidden pixels come back with a tenth of the noise, so a fifth of 0.01·x² is to be above it, x standard normal.
    noise = np.random.default_rng(1).normal(size=100_000)
    assert np.mean(0.01 * noise**2 > point["threshold"]) == pytest.approx(EXCEEDING, abs=0.02)


def test_the_level_rule_is_the_validation_threshold_in_each_scan_s_own_unit():
    method = IterMask2(stop="level", masks=MaskMix(ellipsoid=0, field=1, full=0))
    scans = [prepare(tiny_stack(seed), stack_grid()) for seed in range(3)]
    # The same scans with errors four times as large, from twice the noise.
    searches, noisier = (
        [method.explore(one, KnowsSlices(one, one.image, spread=spread), np.random.default_rng(0)) for one in scans]
        for spread in (0.1, 0.2)
    )
    points = [
        method.calibrate(each, lambda _point: pytest.fail("masks need no trying out")) for each in (searches, noisier)
    ]
    assert points[0] == {"multiple": pytest.approx(points[1]["multiple"], rel=1e-3)}
    thresholds = [method.finalize(each[0], points[0]).threshold for each in (searches, noisier)]
    assert thresholds[1] == pytest.approx(4 * thresholds[0], rel=1e-3)
    looser = replace(method, exceeding=0.4).calibrate(searches, lambda _point: None)
    assert looser["multiple"] < points[0]["multiple"]


def test_without_refinement_the_threshold_is_of_hidden_brains():
    method = IterMask2(stop="validation", iterate=False)
    scans = [prepare(tiny_stack(seed), stack_grid()) for seed in range(3)]
    searches = [method.explore(one, KnowsSlices(one, one.image), np.random.default_rng(0)) for one in scans]
    threshold = method.calibrate(searches, lambda _point: pytest.fail("masks need no trying out"))["threshold"]
    errors = [(one.images - one.first)[one.brains] ** 2 for one in searches]
    assert np.mean(np.concatenate(errors) > threshold) == pytest.approx(EXCEEDING, abs=0.001)


def test_the_own_rule_is_as_strict_as_the_validation_threshold_on_healthy_scans():
    method = IterMask2(**QUICK)
    scans = [prepare(tiny_stack(seed), stack_grid()) for seed in range(3)]
    searches = [method.explore(one, KnowsSlices(one, one.image), np.random.default_rng(0)) for one in scans]

    def sizes(point):
        return np.array([method.finalize(search, point).scores["mask_size"] for search in searches])

    point = method.calibrate(searches, sizes)
    assert set(point) == {"gamma"}
    wanted = validation_threshold(method, searches)

    def distance(gamma):
        own = np.median([method.rule.stop_at(search.curve, gamma).value for search in searches])
        return abs(np.log(max(own, 1e-6) / wanted))

    assert all(distance(point["gamma"]) <= distance(gamma) for gamma in (0.01, 0.1, 1.0, 10.0))
    fixed = replace(method, stop="fixed")
    assert set(fixed.calibrate(searches, lambda p: 0 * sizes({"gamma": 1.0}))) == {"threshold"}
