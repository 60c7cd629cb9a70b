"""Lesions found and false ones, against growing each part voxel by voxel."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from itermask.evaluation.metrics.lesionwise import match_lesions


def naive_parts(mask, connectivity):
    """Sets of connected voxels."""
    steps = [
        step for step in itertools.product((-1, 0, 1), repeat=mask.ndim) if 0 < np.count_nonzero(step) <= connectivity
    ]
    left = {index for index in np.ndindex(mask.shape) if mask[index]}
    parts = []
    while left:
        part, waiting = set(), [min(left)]
        while waiting:
            voxel = waiting.pop()
            if voxel in left:
                left.remove(voxel)
                part.add(voxel)
                waiting += [tuple(np.add(voxel, step).tolist()) for step in steps]
        parts.append(part)
    return parts


def naive(prediction, label, connectivity, overlap):
    """Sizes and detection of lesions, sizes of false parts."""

    def covered(part, mask):
        hits = sum(bool(mask[voxel]) for voxel in part)
        return hits >= 1 and hits / len(part) >= overlap - 1e-12

    lesions, parts = naive_parts(label, connectivity), naive_parts(prediction, connectivity)
    return (
        [len(part) for part in lesions],
        [covered(part, prediction) for part in lesions],
        [len(part) for part in parts if not covered(part, label)],
    )


@given(
    data=st.data(), shape=array_shapes(min_dims=2, max_dims=3, max_side=5), overlap=st.sampled_from([0, 0.1, 0.5, 1])
)
@settings(max_examples=80, deadline=None)
def test_any_two_masks(data, shape, overlap):
    prediction, label = (data.draw(arrays(bool, shape)) for _ in range(2))
    connectivity = data.draw(st.integers(1, len(shape)))
    match = match_lesions(prediction, label, [10.0] * len(shape), connectivity, overlap)
    sizes, detected, false = naive(prediction, label, connectivity, overlap)
    scale = 10.0 ** len(shape) / 1000
    assert match.volumes / scale == pytest.approx(sizes)
    assert match.detected.tolist() == detected
    assert match.false_volumes / scale == pytest.approx(false)
    assert match.f1 == pytest.approx(
        2 * sum(detected) / (2 * sum(detected) + detected.count(False) + len(false)) if sizes or false else 1
    )
    assert match.detection_rate == pytest.approx(np.mean(detected) if detected else np.nan, nan_ok=True)
    full = match_lesions(prediction, label, [10.0] * len(shape))
    assert full.volumes.sum() == pytest.approx(label.sum() * scale)


@pytest.mark.parametrize("connectivity", [1, 2, 3])
def test_voxels_that_touch_at_a_corner_or_an_edge(connectivity):
    label = np.zeros((6, 3, 3), dtype=bool)
    label[0, 0, 0] = label[1, 1, 1] = True  # a corner
    label[4, 0, 0] = label[5, 1, 0] = True  # an edge
    assert len(match_lesions(label, label, (1, 1, 1), connectivity).volumes) == {1: 4, 2: 3, 3: 2}[connectivity]
    assert len(match_lesions(label, label, (1, 1, 1)).volumes) == 2


def test_one_part_finds_two_lesions_and_two_parts_find_one():
    bar = np.ones((1, 7, 1), dtype=bool)
    pieces = np.array([1, 0, 0, 1, 0, 0, 1], dtype=bool).reshape(bar.shape)
    over, under = match_lesions(bar, pieces, (1, 1, 1)), match_lesions(pieces, bar, (1, 1, 1))
    assert (over.detected.tolist(), len(over.false_volumes), over.f1) == ([True] * 3, 0, 1.0)
    assert (under.detected.tolist(), len(under.false_volumes), under.f1) == ([True], 0, 1.0)


def test_the_overlap_asked_for_decides():
    label, prediction = np.zeros((2, 30), dtype=bool)
    label[:10] = prediction[7:17] = True  # 3 of 10 voxels
    for overlap, found in ((0, True), (0.3, True), (0.31, False)):
        match = match_lesions(prediction, label, [1.0], overlap=overlap)
        assert match.detected.tolist() == [found]
        assert len(match.false_volumes) == (not found)


def test_nothing_to_find():
    empty, full = np.zeros((3, 3, 3), dtype=bool), np.ones((3, 3, 3), dtype=bool)
    both, false, missed = (match_lesions(*pair, (2, 2, 2)) for pair in ((empty, empty), (full, empty), (empty, full)))
    assert (both.f1, false.f1, missed.f1) == (1.0, 0.0, 0.0)
    assert np.isnan(both.detection_rate)
    assert np.isnan(false.detection_rate)
    assert missed.detection_rate == 0.0
    assert false.false_volumes == pytest.approx([0.216])
    assert missed.volumes == pytest.approx([0.216])


@pytest.mark.parametrize("wrong", [{"connectivity": 0}, {"connectivity": 4}, {"overlap": -0.1}, {"overlap": 1.1}])
def test_what_is_out_of_range_is_refused(wrong):
    mask = np.ones((2, 2, 2), dtype=bool)
    with pytest.raises(ValueError, match="must be"):
        match_lesions(mask, mask, (1, 1, 1), **wrong)
    with pytest.raises(ValueError, match="shapes"):
        match_lesions(mask, mask[1:], (1, 1, 1))
