"""Strips: together they hide every pixel, those that share a sample lie apart, and errors count where hidden only."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from itermask.core.strips import (
    group_strips,
    mean_where_hidden,
    random_strip,
    strip_mask,
    strip_offsets,
    strip_schedule,
)

sizes = st.integers(1, 60)
widths = st.integers(1, 24)
counts = st.integers(1, 80)


def runs(line):
    """Lengths of the stretches of equal values in a boolean line, with the value."""
    ends = np.flatnonzero(np.diff(line.astype(int))) + 1
    return [(bool(part[0]), len(part)) for part in np.split(line, ends)]


def test_the_papers_strips():
    assert strip_offsets(128, 16, 64).tolist() == list(range(0, 128, 2))
    papers = strip_schedule((128, 128), 16, 64)
    assert len(papers) == 128
    assert [hiding.axis for hiding in papers] == [0] * 64 + [1] * 64
    assert {len(hiding.offsets) for hiding in papers} == {1}
    for hiding in papers:
        cut = max(0, hiding.offsets[0] + 16 - 128)
        assert hiding.mask.sum() == (16 - cut) * 128
        assert hiding.mask.any(axis=hiding.axis).all()  # over the whole other axis
    times = sum(hiding.mask.astype(int) for hiding in papers)
    assert (times[16:, 16:] == 16).all()
    assert times.min() == 2


@settings(max_examples=150, deadline=None)
@given(sizes, sizes, widths, counts, st.integers(0, 40))
def test_every_pixel_is_hidden_in_both_directions(first, second, width, count, gap):
    found = strip_schedule((first, second), width, count, gap)
    for axis in (0, 1):
        masks = [hiding.mask for hiding in found if hiding.axis == axis]
        assert np.any(masks, axis=0).all()
    assert all(hiding.mask.shape == (first, second) and hiding.mask.dtype == bool for hiding in found)


@settings(max_examples=150, deadline=None)
@given(sizes, widths, counts)
def test_offsets_rise_from_zero_and_are_as_many_as_asked_where_that_is_enough(size, width, count):
    offsets = strip_offsets(size, width, count)
    assert offsets[0] == 0
    assert offsets[-1] < size
    assert (np.diff(offsets) > 0).all()
    assert (np.diff(offsets) <= width).all()
    assert len(offsets) == min(max(count, int(np.ceil(size / width))), size)


@settings(max_examples=150, deadline=None)
@given(sizes, widths, counts, st.integers(0, 40))
def test_strips_that_share_a_sample_lie_apart(size, width, count, gap):
    offsets = strip_offsets(size, width, count)
    groups = group_strips(offsets, width, gap)
    assert sorted(np.concatenate(groups).tolist()) == offsets.tolist()
    for group in groups:
        assert (np.diff(group) >= width + gap).all()
        line = strip_mask((size, 3), 0, group, width)[:, 0]
        inner = runs(line)[1:-1]
        assert all(length >= gap for hidden, length in inner if not hidden)
    if gap == 0:
        assert len(groups) == len(offsets)


def test_sharing_saves_what_it_can():
    offsets = strip_offsets(128, 16, 16)
    assert len(group_strips(offsets, 16, 48)) == 8  # 64 pixels from strip to strip
    assert len(group_strips(offsets, 16, 16)) == 4
    assert len(group_strips(offsets, 16, 200)) == 16


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32 - 1), sizes, sizes, widths, st.none() | st.integers(1, 40))
def test_a_random_strip_starts_at_an_even_offset_or_is_a_comb(seed, first, second, width, gap):
    mask = random_strip((first, second), width, np.random.default_rng(seed), gap)
    assert mask.shape == (first, second)
    lines = [line for line, same in ((mask[:, 0], mask[:, :1]), (mask[0], mask[:1])) if (mask == same).all()]
    if gap is None:
        wanted = [[range(at, min(at + width, len(line))) for at in range(0, len(line), 2)] for line in lines]
        assert any(range(*_ends(line)) in starts for line, starts in zip(lines, wanted, strict=True))
    else:
        assert any(all(length == (width if hidden else gap) for hidden, length in runs(line)[1:-1]) for line in lines)


def _ends(line):
    """First hidden pixel, and the one after the last; they are all there is between."""
    indices = np.flatnonzero(line)
    assert len(indices) == indices[-1] - indices[0] + 1
    return int(indices[0]), int(indices[-1]) + 1


def test_training_draws_every_strip_of_the_paper():
    rng = np.random.default_rng(0)
    drawn = {random_strip((128, 128), 16, rng).tobytes() for _ in range(2000)}
    assert drawn == {hiding.mask.tobytes() for hiding in strip_schedule((128, 128), 16, 64)}


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 3), st.integers(1, 6), st.integers(1, 6), st.integers(0, 12))
def test_the_average_is_that_of_a_plain_loop(seed, slices, first, second, count):
    rng = np.random.default_rng(seed)
    parts = [
        (int(rng.integers(slices)), rng.standard_normal((2, first, second)), rng.random((first, second)) < 0.5)
        for _ in range(count)
    ]
    means, times = mean_where_hidden((slices, 2, first, second), iter(parts))
    for index in range(slices):
        for x in range(first):
            for y in range(second):
                values = [part[1][:, x, y] for part in parts if part[0] == index and part[2][x, y]]
                assert times[index, x, y] == len(values)
                wanted = np.mean(values, axis=0) if values else np.zeros(2)
                np.testing.assert_allclose(means[index, :, x, y], wanted, atol=1e-12)


def test_what_is_visible_does_not_count_whatever_it_is():
    hidden = np.array([[True, False]])
    values = np.array([[[3.0, np.nan]]])
    means, times = mean_where_hidden((1, 1, 1, 2), [(0, values, hidden)])
    assert means.tolist() == [[[[3.0, 0.0]]]]
    assert times.tolist() == [[[1, 0]]]


@pytest.mark.parametrize("numbers", [(0, 16, 4), (128, 0, 4), (128, 16, 0)])
def test_strips_that_cannot_be_are_refused(numbers):
    with pytest.raises(ValueError, match="must be at least 1"):
        strip_offsets(*numbers)
