"""Refinement: masks that settle, and what both phases refuse."""

import numpy as np
import pytest
from tiny import tiny_brain

from itermask.core.error_maps import error_map
from itermask.core.refinement import MAX_PASSES, refine
from itermask.core.stop_rules import stop_threshold
from itermask.core.threshold_curve import threshold_curve


def dice(a, b):
    return 2 * (a & b).sum() / (a.sum() + b.sum())


def test_another_error_measure_is_used_for_curve_and_mask():
    image, brain = tiny_brain((12, 12))

    def absolute(image, reconstruction, brain):
        return np.where(brain, np.abs(image - reconstruction), 0)

    offsets = np.random.default_rng(0).standard_normal(image.shape)
    curve = threshold_curve(image, brain, lambda image, mask: image + offsets, 4, measure=absolute)
    np.testing.assert_allclose(curve[-1], np.abs(offsets[brain]).max(), rtol=1e-6)
    refined = refine(image, brain, lambda image, mask: image + offsets, curve[1], measure=absolute)
    np.testing.assert_array_equal(refined.mask, brain & (np.abs(offsets) > curve[1]))


def scripted(image, brain, sizes):
    """A reconstruction under which the mask has the given sizes, pass after pass, at threshold 1."""
    inside = np.flatnonzero(brain)
    remaining = iter(sizes)

    def reconstruct(image, mask):
        wrong = image.copy()
        wrong.flat[inside[: next(remaining)]] += 2
        wrong[~brain] += 100  # whatever it says outside the brain
        return wrong

    return reconstruct


@pytest.mark.parametrize(
    ("sizes", "min_shrink", "why"),
    [
        ([400, 200, 100, 100], 0.01, "no change"),
        ([400, 300, 298], 0.01, "a shrink of less than 1 %"),
        ([400, 300, 295], 0.02, "a shrink of less than 2 %"),
        ([400, 300, 301], 0.01, "growth"),
        ([400, 50, 0], 0.01, "an empty mask"),
        ([0], 0.01, "an empty mask at once"),
    ],
)
def test_refinement_stops(sizes, min_shrink, why):
    image, brain = tiny_brain((14, 14, 14))
    calls = []
    refined = refine(
        image, brain, scripted(image, brain, sizes), 1.0, None, min_shrink, on_pass=lambda *call: calls.append(call)
    )
    assert refined.trace == [brain.sum(), *sizes], why
    assert refined.passes == len(sizes)
    assert calls == list(enumerate(sizes, start=1))
    assert refined.settled
    assert refined.mask.sum() == sizes[-1]
    assert not (refined.mask & ~brain).any()
    assert (refined.error[~brain] == 0).all()


def test_a_shrink_of_exactly_the_limit_goes_on():
    image, brain = tiny_brain((14, 14, 14))
    assert refine(image, brain, scripted(image, brain, [400, 396, 396]), 1.0).passes == 3


def test_a_mask_that_keeps_shrinking_is_stopped():
    image, brain = tiny_brain((30, 30, 30))
    sizes = [int(brain.sum() * 0.97**n) for n in range(1, 200)]
    refined = refine(image, brain, scripted(image, brain, sizes), 1.0)
    assert refined.passes == MAX_PASSES
    assert not refined.settled


def test_the_last_pass_is_what_is_returned():
    image, brain = tiny_brain((10, 12))
    made = []

    def reconstruct(image, mask):
        made.append(np.where(mask, 0, image))
        return made[-1]

    refined = refine(image, brain, reconstruct, 1.0)
    assert refined.reconstruction is made[-1]
    np.testing.assert_array_equal(refined.error, error_map(image, made[-1], brain))
    np.testing.assert_array_equal(refined.mask, refined.error > 1.0)


def test_a_start_mask_counts_inside_the_brain_only():
    image, brain = tiny_brain((14, 14, 14))
    start = np.zeros(brain.shape, dtype=bool)
    start[:7] = True
    hidden = []

    def reconstruct(image, mask):
        hidden.append(mask)
        return image

    refined = refine(image, brain, reconstruct, 1.0, start)
    np.testing.assert_array_equal(hidden[0], start & brain)
    assert refined.trace == [(start & brain).sum(), 0]
    empty = refine(image, brain, reconstruct, 1.0, np.zeros_like(brain))
    assert (empty.passes, empty.settled) == (1, True)


@pytest.mark.parametrize("shape", [(64, 60), (30, 34, 28)])
@pytest.mark.parametrize("contrast", [-2.0, 2.0])
@pytest.mark.parametrize("steps", [40, 100])
def test_what_is_not_normal_is_found(shape, contrast, steps):
    normal, brain = tiny_brain(shape, seed=3)
    axes = np.meshgrid(*[np.arange(n) / n for n in shape], indexing="ij")
    lesion = brain & (sum((axis - 0.4) ** 2 for axis in axes) < 0.12**2)
    assert 0.01 < lesion.sum() / brain.sum() < 0.1
    image = np.where(lesion, normal + contrast, normal)
    rng = np.random.default_rng(0)

    def reconstruct(image, mask):
        """Knows what is normal where it sees nothing, and repeats what it sees."""
        noise = rng.standard_normal(shape)
        return np.where(mask, normal + 0.2 * noise, image + 0.01 * noise)

    stop = stop_threshold(threshold_curve(image, brain, reconstruct, steps), gamma=0.1)
    assert stop.crossed
    refined = refine(image, brain, reconstruct, stop.value)
    assert dice(refined.mask, lesion) > 0.95
    assert refined.trace[0] == brain.sum()
    assert len(refined.trace) == refined.passes + 1
    nothing = stop_threshold(threshold_curve(normal, brain, reconstruct, steps), gamma=0.5)
    assert not refine(normal, brain, reconstruct, nothing.value).mask.any()


BRAIN = np.ones((4, 5, 6), dtype=bool)


IMAGE = np.arange(120.0).reshape(4, 5, 6)


WRONG = {
    "the brain mask is empty": (IMAGE, ~BRAIN),
    "NaN or infinite": (np.where(IMAGE == 7, np.nan, IMAGE), BRAIN),
    "constant over the brain": (np.ones_like(IMAGE), BRAIN),
    "differ in shape": (IMAGE, BRAIN[:3]),
}


@pytest.mark.parametrize("message", WRONG)
def test_both_phases_refuse(message):
    image, brain = WRONG[message]
    with pytest.raises(ValueError, match=message):
        threshold_curve(image, brain, lambda image, mask: image)
    with pytest.raises(ValueError, match=message):
        refine(image, brain, lambda image, mask: image, 1.0)


def test_a_threshold_or_start_that_is_none_is_refused():
    with pytest.raises(ValueError, match="threshold is NaN"):
        refine(IMAGE, BRAIN, lambda image, mask: image, np.nan)
    with pytest.raises(ValueError, match="start mask"):
        refine(IMAGE, BRAIN, lambda image, mask: image, 1.0, BRAIN[:2])


@pytest.mark.parametrize(
    ("reconstruct", "message"),
    [(lambda image, mask: image[:3], "shape"), (lambda image, mask: image * np.nan, "NaN or infinite")],
)
def test_a_reconstruction_that_is_none_is_refused(reconstruct, message):
    with pytest.raises(ValueError, match=message):
        threshold_curve(IMAGE, BRAIN, reconstruct, 3)
    with pytest.raises(ValueError, match=message):
        refine(IMAGE, BRAIN, reconstruct, 1.0)
