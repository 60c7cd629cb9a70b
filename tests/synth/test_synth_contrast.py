"""itermask.synth.contrast: other contrasts of a normal brain."""

import numpy as np
import pytest
from tiny_head import tiny_head

from itermask.synth.contrast import ORDERS, apply_contrast, bend, draw_contrast, draw_levels
from itermask.synth.tissues import FLUID, GREY, GROUPS, WHITE


def level_of(image, groups, name):
    return float(np.median(image[groups == GROUPS.index(name)]))


def test_draw_levels_keep_grey_and_white_matter_apart():
    for seed in range(200):
        levels, name = draw_levels(np.random.default_rng(seed))
        assert abs(levels[GREY] - levels[WHITE]) >= (0.3 if name == "any" else 0.12) - 1e-9
        if name != "any":
            usual = np.array(ORDERS[name])
            assert np.sign(levels[GREY] - levels[WHITE]) == np.sign(usual[GREY] - usual[WHITE])


@pytest.mark.parametrize("sampled", [False, True])
def test_contrast_brings_tissues_to_the_drawn_order(sampled):
    image, brain, groups = tiny_head()
    found = set()
    for seed in range(30):
        rng = np.random.default_rng(seed)
        contrast = draw_contrast(image, groups, rng, sampled)
        changed = apply_contrast(image, groups, contrast, rng)
        if contrast.name in ("T1w", "T2w"):
            cortex, white = level_of(changed, groups, "cortex"), level_of(changed, groups, "white matter")
            assert (cortex < white) == (contrast.name == "T1w")
            found.add(contrast.name)
        assert changed.dtype == np.float32
        assert np.isfinite(changed).all()
        assert not changed[~brain].any()
    assert found == {"T1w", "T2w"}


def test_contrast_is_repeatable():
    image, _, groups = tiny_head()
    first, second = (
        apply_contrast(image, groups, draw_contrast(image, groups, rng, True), rng)
        for rng in (np.random.default_rng(3), np.random.default_rng(3))
    )
    assert np.array_equal(first, second)


def test_contrast_does_not_depend_on_the_scans_unit():
    image, _, groups = tiny_head()
    changed = []
    for factor in (1.0, 500.0):
        rng = np.random.default_rng(1)
        changed.append(apply_contrast(factor * image, groups, draw_contrast(factor * image, groups, rng), rng))
    assert np.allclose(*changed, atol=2e-3)


def test_contrast_takes_a_brain_without_fluid():
    image, brain, groups = tiny_head()
    groups = np.where(brain, GROUPS.index("white matter"), 0).astype(np.uint8)
    rng = np.random.default_rng(0)
    assert np.isfinite(apply_contrast(image, groups, draw_contrast(image, groups, rng), rng)).all()
    assert FLUID == 0


def test_bend_by_one_is_linear_and_keeps_the_order_otherwise():
    image, brain, _ = tiny_head()
    straight = bend(image, brain, 1.0)
    slope = np.polyfit(image[brain], straight[brain], 1)
    assert np.allclose(np.polyval(slope, image[brain]), straight[brain], atol=1e-4)
    bent = bend(image, brain, 1.7)
    order = np.argsort(image[brain])
    assert (np.diff(bent[brain][order]) >= -1e-6).all()
