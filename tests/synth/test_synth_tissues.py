"""itermask.synth.tissues: from labels or intensities to tissue groups."""

import numpy as np
from tiny_head import tiny_head

from itermask.synth.tissues import (
    GROUPS,
    KIND_OF_GROUP,
    TISSUE_OF_GROUP,
    TISSUES,
    groups_from_intensity,
    groups_from_labels,
)


def test_tables_have_an_entry_for_every_group():
    assert len(KIND_OF_GROUP) == len(TISSUE_OF_GROUP) == len(GROUPS)
    assert TISSUE_OF_GROUP.max() < len(TISSUES)


def test_labels_are_merged_by_name():
    labels = np.array([1, 46, 51, 4, 120, 207, 36, 57, 55, 59, 47, 81, 95, 38, 40, 35, 69, 0])
    names = [GROUPS[group] for group in groups_from_labels(labels, np.ones(labels.size, bool))]
    assert names == (
        ["outer fluid"] * 2
        + ["ventricles"] * 2
        + ["cortex"] * 2
        + ["caudate", "putamen", "pallidum", "thalamus", "hippocampus", "white matter", "inner tracts"]
        + ["cerebellar cortex", "cerebellar white matter", "brainstem", "other", "other"]
    )


def test_labels_outside_the_brain_are_background():
    assert groups_from_labels(np.array([81, 81]), np.array([True, False])).tolist() == [GROUPS.index("white matter"), 0]


def test_intensities_give_fluid_cortex_and_white_matter_of_a_plain_head():
    image, brain, groups = tiny_head()
    guessed = groups_from_intensity(image, brain)
    kinds, expected = KIND_OF_GROUP[guessed][brain], KIND_OF_GROUP[groups][brain]
    assert np.mean(kinds == expected) > 0.99
    assert not guessed[~brain].any()


def test_intensities_in_any_unit_give_the_same_groups():
    image, brain, _ = tiny_head()
    assert np.array_equal(groups_from_intensity(image, brain), groups_from_intensity(1000 * image, brain))
