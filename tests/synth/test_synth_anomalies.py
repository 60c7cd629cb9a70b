"""itermask.synth.anomalies: what training puts into normal brains."""

import numpy as np
from tiny_head import tiny_head

from itermask.synth.anomalies import apply_anomalies, draw_anomalies, move_piece, robust_scale

SPACING = (4.0, 4.0, 4.0)


def test_anomalies_change_the_brain_where_their_weights_are_and_nowhere_else():
    image, brain, groups = tiny_head()
    for seed in range(30):
        drawn = draw_anomalies(image, groups, SPACING, np.random.default_rng(seed))
        made, where = apply_anomalies(image, brain, drawn)
        assert drawn
        assert np.array_equal(made[where == 0], image[where == 0])
        assert 0 <= where.min() <= where.max() <= 1
        assert not where[~brain].any()
        assert np.isfinite(made).all()


def test_anomalies_are_drawn_at_random_and_repeatable():
    image, brain, groups = tiny_head()
    made = [
        apply_anomalies(image, brain, draw_anomalies(image, groups, SPACING, np.random.default_rng(seed)))[0]
        for seed in (1, 1, 2)
    ]
    assert np.array_equal(made[0], made[1])
    assert not np.array_equal(made[0], made[2])


def test_anomalies_follow_the_scans_unit():
    image, brain, groups = tiny_head()
    made = [
        apply_anomalies(f * image, brain, draw_anomalies(f * image, groups, SPACING, np.random.default_rng(5)))[0]
        for f in (1.0, 100.0)
    ]
    assert np.allclose(100 * made[0], made[1], rtol=1e-3, atol=0.1)


def test_anomalies_are_both_brighter_and_darker_over_many_draws():
    image, brain, groups = tiny_head()
    signs = set()
    for seed in range(40):
        made, where = apply_anomalies(image, brain, draw_anomalies(image, groups, SPACING, np.random.default_rng(seed)))
        if (where > 0.5).any():
            signs.add(float(np.sign((made - image)[where > 0.5].mean())))
    assert {-1.0, 1.0} <= signs


def test_move_piece_keeps_the_brains_range_and_the_rest():
    image, brain, _ = tiny_head()
    made, where = move_piece(image, brain, np.random.default_rng(2), SPACING)
    assert where.max() > 0.3
    assert np.array_equal(made[where == 0], image[where == 0])


def test_robust_scale_is_that_of_a_normal_distribution():
    values = 3 + 2 * np.random.default_rng(0).standard_normal(20_000)
    middle, spread = robust_scale(values)
    assert abs(middle - 3) < 0.1
    assert abs(spread - 2) < 0.1
