"""Similarity on normal tissue against its definition window by window; nothing else may matter."""

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from itermask.errors import MissingExtraError
from itermask.evaluation.metrics.similarity import psnr, ssim

SEEDS = st.integers(0, 2**32 - 1)


def case(seed, shape=(10, 9, 8)):
    """Image, reconstruction, a label in a corner, and a brain with a rim around it."""
    rng = np.random.default_rng(seed)
    image = rng.normal(100, 20, shape)
    brain, label = np.zeros((2, *shape), dtype=bool)
    brain[tuple(slice(1, size) for size in shape)] = True
    label[tuple(slice(size - 2, size) for size in shape)] = True
    return image, image + rng.normal(0, 5, shape), label, brain


def naive_ssim(image, reconstruction, normal, peak, window):
    """Wang et al. 2004, unbiased variances, over the windows that lie in normal tissue."""
    values = []
    for start in np.ndindex(*(size - window + 1 for size in image.shape)):
        box = tuple(slice(first, first + window) for first in start)
        if normal[box].all():
            x, y = image[box].ravel(), reconstruction[box].ravel()
            (var_x, cov), (_, var_y) = np.cov(x, y)
            c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
            top = (2 * x.mean() * y.mean() + c1) * (2 * cov + c2)
            values.append(top / ((x.mean() ** 2 + y.mean() ** 2 + c1) * (var_x + var_y + c2)))
    return np.mean(values)


@given(seed=SEEDS, window=st.sampled_from([3, 5, 7]), peak=st.sampled_from([None, 255.0]))
@settings(max_examples=12, deadline=None)
def test_both_equal_their_definitions(seed, window, peak):
    image, reconstruction, label, brain = case(seed)
    normal = brain & ~label
    used = peak or np.ptp(image[normal])
    expected = naive_ssim(image, reconstruction, normal, used, window)
    assert ssim(image, reconstruction, label, brain, peak, window) == pytest.approx(expected)
    squared = np.mean([(a - b) ** 2 for a, b in zip(image[normal], reconstruction[normal], strict=True)])
    assert psnr(image, reconstruction, label, brain, peak) == pytest.approx(10 * np.log10(used**2 / squared))


@given(seed=SEEDS, value=st.sampled_from([np.nan, np.inf, 1e30, -7.0]))
@settings(max_examples=10, deadline=None)
def test_lesion_and_background_do_not_matter(seed, value):
    image, reconstruction, label, brain = case(seed)
    other = label | ~brain
    changed = [np.where(other, value, array).astype(np.float32) for array in (image, reconstruction)]
    for measure in (ssim, psnr):
        before = measure(image.astype(np.float32), reconstruction.astype(np.float32), label, brain)
        assert measure(*changed, label, brain) == before
        assert measure(changed[0], reconstruction.astype(np.float32), label, brain) == before


def test_the_same_image_is_perfect_and_a_worse_one_is_worse():
    image, reconstruction, label, brain = case(0)
    assert ssim(image, image, label, brain) == pytest.approx(1)
    assert psnr(image, image, label, brain) == float("inf")
    worse = image + 3 * (reconstruction - image)
    for measure in (ssim, psnr):
        assert measure(image, worse, label, brain) < measure(image, reconstruction, label, brain)


def test_neither_depends_on_the_unit_of_intensity():
    image, reconstruction, label, brain = case(1)
    for measure in (ssim, psnr):
        before = measure(image, reconstruction, label, brain)
        assert measure(1000 * image, 1000 * reconstruction, label, brain) == pytest.approx(before)


def test_slices_will_do():
    image, reconstruction, label, brain = (array[..., 4] for array in case(2, (14, 14, 9)))
    normal = brain & ~label
    expected = naive_ssim(image, reconstruction, normal, np.ptp(image[normal]), 7)
    assert ssim(image, reconstruction, label, brain) == pytest.approx(expected)


def test_where_there_is_nothing_to_compare():
    image, reconstruction, label, brain = case(0)
    flat, nothing = np.full_like(image, 7.0), np.zeros_like(brain)
    for measure in (ssim, psnr):
        assert np.isnan(measure(image, reconstruction, brain, brain))
        assert np.isnan(measure(image, reconstruction, label, nothing))
        assert np.isnan(measure(flat, reconstruction, label, brain))
    thin = nothing.copy()
    thin[:, :6] = True
    assert np.isnan(ssim(image, reconstruction, nothing, thin))
    assert np.isfinite(psnr(image, reconstruction, nothing, thin))


def test_what_does_not_fit_is_refused():
    image, reconstruction, label, brain = case(0)
    for measure in (ssim, psnr):
        with pytest.raises(ValueError, match="shapes"):
            measure(image, reconstruction[1:], label, brain)
        with pytest.raises(ValueError, match="NaN"):
            measure(image, np.full_like(image, np.nan), label, brain)
        for peak in (0.0, -1.0, float("nan")):
            with pytest.raises(ValueError, match="data_range"):
                measure(image, reconstruction, label, brain, peak)
    for window in (1, 4):
        with pytest.raises(ValueError, match="window"):
            ssim(image, reconstruction, label, brain, None, window)


def test_without_scikit_image_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage.metrics", None)
    with pytest.raises(MissingExtraError, match=r"itermask\[evaluation\]"):
        ssim(*case(0))
