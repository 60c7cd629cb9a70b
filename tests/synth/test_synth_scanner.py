"""itermask.synth.scanner: bias, blur, resolution and noise."""

import numpy as np
import pytest
from tiny_head import tiny_head

from itermask.synth.scanner import Scanner, add_noise, apply_acquisition, draw_scanner, stretched

NOTHING = Scanner(np.zeros((0, 0, 0), np.float32), (0.0, 0.0, 0.0), (0.0, 0.0, 0.0), 0.0, False)
SPACING = (2.0, 2.0, 2.0)


def test_draw_scanner_stays_in_its_ranges():
    for seed in range(200):
        scanner = draw_scanner(np.random.default_rng(seed))
        assert 0.003 <= scanner.noise <= 0.05
        assert max(scanner.blur) <= 5
        assert max(scanner.voxel) <= 7


def test_acquisition_of_nothing_changes_nothing_in_the_brain():
    image, brain, _ = tiny_head()
    assert np.array_equal(apply_acquisition(image, brain, NOTHING, SPACING), np.where(brain, image, 0))


@pytest.mark.parametrize("change", [{"blur": (4.0, 4.0, 4.0)}, {"voxel": (0.0, 0.0, 7.0)}, {"voxel": (3.0, 3.0, 3.0)}])
def test_acquisition_keeps_an_even_brain_even(change):
    _, brain, _ = tiny_head()
    from dataclasses import replace

    made = apply_acquisition(brain.astype(np.float32), brain, replace(NOTHING, **change), SPACING)
    assert np.allclose(made[brain], 1, atol=0.02)
    assert not made[~brain].any()


def test_acquisition_with_thick_slices_smooths_across_them_alone():
    rng = np.random.default_rng(0)
    brain = np.ones((24, 24, 24), bool)
    image = rng.random(brain.shape).astype(np.float32)
    from dataclasses import replace

    made = apply_acquisition(image, brain, replace(NOTHING, voxel=(0.0, 0.0, 6.0)), SPACING)
    rough = [np.abs(np.diff(made, axis=axis)).mean() for axis in range(3)]
    assert rough[2] < 0.5 * min(rough[:2])


def test_bias_is_a_smooth_factor():
    _, brain, _ = tiny_head()
    from dataclasses import replace

    bias = np.array([[[0.0, 0.0]] * 2, [[0.5, 0.5]] * 2], np.float32)
    made = apply_acquisition(brain.astype(np.float32), brain, replace(NOTHING, bias=bias), SPACING)
    assert 0.95 < made[brain].min() < made[brain].max() < np.exp(0.5) + 0.01
    assert np.abs(np.diff(stretched(bias, (32, 8, 8)), axis=0)).max() < 0.05


@pytest.mark.parametrize("rician", [False, True])
def test_noise_has_the_drawn_level(rician):
    brain = np.ones((32, 32, 32), bool)
    scanner = Scanner(np.zeros((0, 0, 0)), (0.0,) * 3, (0.0,) * 3, 0.02, rician)
    made = add_noise(np.full(brain.shape, 10, np.float32), brain, scanner, np.random.default_rng(0))
    assert made.std() == pytest.approx(0.2, rel=0.05)
