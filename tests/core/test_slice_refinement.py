"""IterMask2's refinement: every slice settles on its own, and nothing but the slice decides how."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from itermask.core.slice_refinement import (
    MAX_PASSES,
    best_thresholds,
    first_iteration,
    hidden_errors,
    largest_errors,
    refine_slices,
    slice_errors,
    threshold_first_pass,
)

seeds = st.integers(0, 2**32 - 1)


def slices(seed, count=3, size=12):
    """Random slices, their brains (all with some), and a model that errs more the more is hidden around a pixel."""
    rng = np.random.default_rng(seed)
    images = rng.normal(size=(count, size, size)).astype(np.float32)
    brains = rng.random((count, size, size)) < 0.7
    brains[:, 0, 0] = True
    wrong = rng.exponential(0.5, images.shape).astype(np.float32)

    def reconstruct(which, masks, number):
        hidden = masks.mean(axis=(1, 2), keepdims=True)
        wobble = np.random.default_rng(number).normal(size=images.shape[1:])
        return images[which] + wrong[which] * (0.2 + hidden) + 0.02 * hidden * wobble

    return images, brains, reconstruct


def refined(seed, threshold, share=0.6, **how):
    images, brains, reconstruct = slices(seed)
    first = reconstruct(np.arange(3), brains, 0)
    start = first_iteration(images, brains, first, share)
    return refine_slices(images, brains, reconstruct, threshold, start, **how), start, (images, brains, reconstruct)


# --- the first iteration -------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(seeds, st.floats(0, 1))
def test_the_largest_errors_of_each_slice_are_hidden(seed, share):
    images, brains, reconstruct = slices(seed)
    errors = slice_errors(images, reconstruct(np.arange(3), brains, 0), brains)
    masks = largest_errors(errors, brains, share)
    assert not (masks & ~brains).any()
    for mask, brain, error in zip(masks, brains, errors, strict=True):
        assert mask.sum() == int(np.ceil(round(share * brain.sum(), 6)))
        if mask.any() and (brain & ~mask).any():
            assert error[mask].min() >= error[brain & ~mask].max()


def test_equal_errors_are_still_shared_out():
    brains = np.ones((1, 4, 5), bool)
    assert largest_errors(np.zeros((1, 4, 5)), brains, 0.6).sum() == 12
    with pytest.raises(ValueError, match="from 0 to 1"):
        largest_errors(np.zeros((1, 4, 5)), brains, 1.2)


# --- refinement ----------------------------------------------------------------------------------------------


@settings(max_examples=80, deadline=None)
@given(seeds, st.floats(0.0, 2.0), st.floats(0.1, 1.0), st.booleans())
def test_masks_only_shrink_and_what_is_visible_is_the_image(seed, threshold, share, visible):
    state, start, (images, brains, _) = refined(seed, threshold, share, copy_visible=visible)
    assert not (state.masks & ~brains).any()
    assert (state.passes <= MAX_PASSES + 1).all()
    assert (state.errors[~brains] == 0).all()
    if visible:
        assert not (state.masks & ~start.masks).any()
        assert state.trace == sorted(state.trace, reverse=True)
        refined_further = state.passes > 1
        seen = ~start.masks & refined_further[:, None, None]
        moved = (state.masks != start.masks).any(axis=(1, 2))[:, None, None]
        np.testing.assert_array_equal(state.reconstructions[seen & moved], images[seen & moved])
        np.testing.assert_array_equal(state.errors[seen], start.errors[seen])  # those of the pass that hid them


@settings(max_examples=60, deadline=None)
@given(seeds, st.floats(0.01, 1.0), st.booleans())
def test_a_mask_is_what_exceeds_the_threshold_in_its_own_error_map(seed, threshold, visible):
    state, start, _ = refined(seed, threshold, copy_visible=visible)
    for index in range(3):
        if (state.masks[index] != start.masks[index]).any():
            could = start.masks[index] if visible else True
            assert np.array_equal(state.masks[index], (state.errors[index] > threshold) & could)


@settings(max_examples=60, deadline=None)
@given(seeds, st.floats(0.01, 1.0))
def test_a_slice_does_not_depend_on_the_others(seed, threshold):
    together, start, (images, brains, reconstruct) = refined(seed, threshold)
    for place in range(3):

        def alone(which, masks, number, place=place):
            return reconstruct(np.full(len(which), place), masks, number)

        one = slice(place, place + 1)
        first = first_iteration(images[one], brains[one], start.reconstructions[one])
        state = refine_slices(images[one], brains[one], alone, threshold, first)
        assert np.array_equal(state.masks[0], together.masks[place])
        assert np.array_equal(state.errors[0], together.errors[place])
        assert np.array_equal(state.reconstructions[0], together.reconstructions[place])
        assert state.passes[0] == together.passes[place]
        assert state.settled[0] == together.settled[place]


def test_every_slice_may_have_its_own_threshold():
    images, brains, reconstruct = slices(4)
    start = first_iteration(images, brains, reconstruct(np.arange(3), brains, 0))
    levels = np.array([0.05, 0.3, 9.0])
    mixed = refine_slices(images, brains, reconstruct, levels, start)
    for index, level in enumerate(levels):
        same = refine_slices(images, brains, reconstruct, float(level), start)
        assert np.array_equal(mixed.masks[index], same.masks[index])
    assert not mixed.masks[2].any()
    assert mixed.settled.all()


def test_the_result_is_the_one_before_the_last_small_shrink():
    """Masks of 80, 40 and 39 of 100 pixels: 39 is a shrink of 2.5 %."""
    images, brains = np.zeros((1, 10, 10), np.float32), np.ones((1, 10, 10), bool)
    order = np.arange(100).reshape(1, 10, 10)
    asked = []

    def reconstruct(which, masks, number):
        asked.append((int(masks.sum()), number))
        left = {60: 40, 40: 39, 39: 39}[int(masks.sum())]
        return np.where(order < left, 2.0, 0.1).astype(np.float32)

    first = np.where(order < 60, 1.0, 0.5).astype(np.float32)
    start = first_iteration(images, brains, first)
    stopped = refine_slices(images, brains, reconstruct, 1.0, start, min_shrink=0.03)
    assert asked == [(60, 1), (40, 2)]
    assert stopped.masks.sum() == 40
    assert stopped.trace == [100, 60, 40, 40]
    further = refine_slices(images, brains, reconstruct, 1.0, start, min_shrink=0.01)
    assert further.masks.sum() == 39
    assert (further.settled.all(), further.passes.tolist()) == (True, [4])


def test_a_model_that_never_settles_is_stopped():
    images, brains = np.zeros((1, 1, 300), np.float32), np.ones((1, 1, 300), bool)
    order = np.arange(300).reshape(1, 1, 300)

    def reconstruct(which, masks, number):
        return np.where(order < 300 - 2 * number, 2.0, 0.0)  # reveals two pixels a pass

    start = first_iteration(images, brains, np.full((1, 1, 300), 2.0), 1.0)
    state = refine_slices(images, brains, reconstruct, 1.0, start, min_shrink=0.0)
    assert (state.passes[0], state.settled[0]) == (MAX_PASSES + 1, False)
    assert state.masks.sum() == 300 - 2 * MAX_PASSES


def test_what_cannot_be_refined_is_refused():
    images, brains, reconstruct = slices(0)
    start = first_iteration(images, brains, reconstruct(np.arange(3), brains, 0))
    with pytest.raises(ValueError, match="NaN"):
        refine_slices(images, brains, reconstruct, float("nan"), start)
    with pytest.raises(ValueError, match="differ in shape"):
        slice_errors(images, images[:1], brains)
    with pytest.raises(ValueError, match="NaN or infinite"):
        first_iteration(images, brains, images * np.nan)


def test_hidden_errors_are_those_of_the_hidden_pixels():
    images, brains, reconstruct = slices(1)
    masks = brains & (np.random.default_rng(0).random(brains.shape) < 0.5)
    found = hidden_errors(images, brains, reconstruct, masks, 7)
    expected = ((images - reconstruct(np.arange(3), masks, 7)) ** 2)[masks]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_one_pass_takes_what_exceeds_the_threshold():
    images, brains, reconstruct = slices(2)
    first = reconstruct(np.arange(3), brains, 0)
    first_pass = threshold_first_pass(images, brains, first, 0.3)
    np.testing.assert_array_equal(first_pass.masks, slice_errors(images, first, brains) > 0.3)
    assert first_pass.trace == [brains.sum(), first_pass.masks.sum()]
    assert first_pass.settled.all()
    with pytest.raises(ValueError, match="NaN"):
        threshold_first_pass(images, brains, first, np.nan)


# --- the bound that sees the labels --------------------------------------------------------------------------


def test_the_best_threshold_is_at_least_as_good_as_any_one_of_them():
    images, brains, reconstruct = slices(2)
    rng = np.random.default_rng(2)
    first = reconstruct(np.arange(3), brains, 0)
    errors = slice_errors(images, first, brains)
    labels = (errors > np.quantile(errors[brains], 0.9)) ^ (rng.random(brains.shape) < 0.02) & brains
    best = best_thresholds(images, brains, labels, reconstruct, first, rise=0.05, highest=0.5)
    for share in (0.9, 0.6):
        start = first_iteration(images, brains, first, share)
        masks = refine_slices(images, brains, reconstruct, 0.05, start).masks
        dice = 2 * (masks & labels).sum((1, 2)) / (masks.sum((1, 2)) + labels.sum((1, 2)))
        assert (best >= dice - 1e-9).all()
    assert ((best > 0) & (best <= 1)).all()


def test_nothing_to_find_and_nothing_found_is_perfect():
    images, brains, reconstruct = slices(3)
    first = reconstruct(np.arange(3), brains, 0)
    nothing = np.zeros_like(brains)
    assert best_thresholds(images, brains, nothing, reconstruct, first, rise=3.0, highest=30.0).tolist() == [1, 1, 1]
    never = best_thresholds(images, brains, nothing, reconstruct, first, rise=1e-5, highest=1e-5)
    assert (never < 1).any()
