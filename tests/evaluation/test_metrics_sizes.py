"""Volumes of masks, and groups by volume."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from itermask.evaluation.metrics.healthy import mask_volume, share_of_brain
from itermask.evaluation.metrics.sizes import by_size, size_group, size_groups

LIMITS = st.lists(st.floats(0.01, 100, allow_subnormal=False), min_size=1, max_size=4, unique=True).map(sorted)


def test_volume_is_counted_in_millilitres():
    mask = np.zeros((10, 10, 10), dtype=bool)
    assert mask_volume(mask, (1, 1, 1)) == 0
    mask[:, :5] = True
    assert mask_volume(mask, (1, 1, 1)) == pytest.approx(0.5)
    assert mask_volume(mask, (1, 2, 3)) == pytest.approx(3)
    with pytest.raises(ValueError, match="3D"):
        mask_volume(mask[0], (1, 1))
    with pytest.raises(ValueError, match="spacing"):
        mask_volume(mask, (1, 1))


def test_share_of_the_brain_counts_only_the_brain():
    brain, mask = np.array([1, 1, 1, 1, 0, 0], dtype=bool), np.array([1, 0, 0, 0, 1, 1], dtype=bool)
    assert share_of_brain(mask, brain) == 0.25
    assert share_of_brain(~mask & False, brain) == 0
    assert share_of_brain(mask | True, brain) == 1
    assert np.isnan(share_of_brain(mask, brain & False))
    with pytest.raises(ValueError, match="shapes"):
        share_of_brain(mask, brain[1:])


def test_groups_as_the_paper_has_them_for_slices():
    assert size_groups([200, 800], "px") == ["<200 px", "200–800 px", "≥800 px"]
    groups = by_size([0.1, 0.2, 0.3, 0.4, 0.5, 0.6], [1, 199, 200, 799, 800, 10**6], [200, 800], "px")
    assert {name: values.tolist() for name, values in groups.items()} == {
        "<200 px": [0.1, 0.2],
        "200–800 px": [0.3, 0.4],
        "≥800 px": [0.5, 0.6],
    }


@given(limits=LIMITS, volumes=st.lists(st.floats(0, 200), max_size=10))
def test_every_volume_is_in_one_group(limits, volumes):
    groups = by_size(np.arange(len(volumes)), volumes, limits)
    assert sorted(np.concatenate(list(groups.values())).tolist()) == list(range(len(volumes)))
    assert [name for name in groups if name != "no lesion"] == size_groups(limits)
    edges = [0, *limits, np.inf]
    for name, members in groups.items():
        for member in members:
            volume = volumes[int(member)]
            if name == "no lesion":
                assert volume == 0
            else:
                place = size_groups(limits).index(name)
                assert edges[place] <= volume < edges[place + 1]
                assert volume > 0


@pytest.mark.parametrize("limits", [[], [0], [-1, 1], [1, 1], [2, 1], [float("nan")], [1, float("inf")]])
def test_limits_that_part_nothing_are_refused(limits):
    with pytest.raises(ValueError, match="size limits"):
        size_groups(limits)


def test_volumes_that_are_none_are_refused():
    for volume in (-1, float("nan")):
        with pytest.raises(ValueError, match="no size group"):
            size_group(volume, [1])
    with pytest.raises(ValueError, match="do not fit"):
        by_size([1, 2], [1], [1])
