"""The guidance keeps the phase everywhere and the amplitude above the cut-off, in cycles per mm."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tiny import tiny_brain

from itermask.core.guidance import CUTOFF_2D, CUTOFF_3D, high_frequency, is_coarse

shapes = st.lists(st.integers(2, 9), min_size=1, max_size=3)
seeds = st.integers(0, 2**32 - 1)
cutoffs = st.floats(0.03, 0.5)


def frequency_radius(shape, spacing):
    """Distance from the origin of every bin of the full transform, in cycles per mm."""
    axes = [np.fft.fftfreq(size, step) for size, step in zip(shape, spacing, strict=True)]
    return np.sqrt(sum(axis**2 for axis in np.meshgrid(*axes, indexing="ij")))


def full_transform(image, spacing, cutoff):
    """The definition, word for word, with the full complex transform in double precision."""
    spectrum = np.fft.fftn(image.astype(np.float64))
    low = frequency_radius(image.shape, spacing) < cutoff
    return np.fft.ifftn(np.where(low, np.exp(1j * np.angle(spectrum)), spectrum)).real


def draw(shape, seed):
    """A noise image without vanishing amplitudes (their phase is arbitrary), and voxel sizes."""
    rng = np.random.default_rng(seed)
    image = (rng.standard_normal(shape) + 2).astype(np.float32)
    assume(np.abs(np.fft.fftn(image)).min() > 1e-2)
    return image, rng.uniform(0.5, 3.0, len(shape))


@settings(max_examples=60, deadline=None)
@given(shapes, seeds, cutoffs)
def test_equals_the_full_complex_transform(shape, seed, cutoff):
    image, spacing = draw(shape, seed)
    assume(np.abs(frequency_radius(shape, spacing) / cutoff - 1).min() > 1e-4)  # no bin on the boundary
    guidance = high_frequency(image, spacing, cutoff)
    assert guidance.shape == image.shape
    assert guidance.dtype == np.float32
    np.testing.assert_allclose(guidance, full_transform(image, spacing, cutoff), atol=1e-3)


@settings(max_examples=60, deadline=None)
@given(shapes, seeds, cutoffs)
def test_phase_kept_low_amplitude_one_high_amplitude_kept(shape, seed, cutoff):
    image, spacing = draw(shape, seed)
    radius = frequency_radius(shape, spacing)
    assume(np.abs(radius / cutoff - 1).min() > 1e-4)
    before, after = np.fft.fftn(image), np.fft.fftn(high_frequency(image, spacing, cutoff))
    low = radius < cutoff
    assert low.flat[0]  # the mean is always removed
    np.testing.assert_allclose(np.abs(after[low]), 1, atol=1e-3)
    np.testing.assert_allclose(after[low], before[low] / np.abs(before[low]), atol=1e-3)
    np.testing.assert_allclose(after[~low], before[~low], atol=1e-3)


@settings(max_examples=30, deadline=None)
@given(shapes, seeds, cutoffs, st.sampled_from([0.25, 0.5, 2.0, 8.0]))
def test_only_cutoff_times_voxel_size_matters(shape, seed, cutoff, factor):
    image, spacing = draw(shape, seed)
    expected = high_frequency(image, spacing, cutoff)
    np.testing.assert_allclose(high_frequency(image, spacing * factor, cutoff / factor), expected, atol=1e-4)


@pytest.mark.parametrize("cutoff", [CUTOFF_3D, CUTOFF_2D])
def test_scaling_the_intensities_scales_only_the_fine_part(cutoff):
    image, _ = tiny_brain(noise=0.5)
    once, tenfold = (high_frequency(image * scale, (2, 2, 2), cutoff) for scale in (1, 10))
    low = frequency_radius(image.shape, (2, 2, 2)) < cutoff
    spectra = np.fft.fftn(once), np.fft.fftn(tenfold)
    np.testing.assert_allclose(spectra[0][low], spectra[1][low], atol=2e-2)
    np.testing.assert_allclose(10 * spectra[0][~low], spectra[1][~low], atol=2e-2)


def test_zero_padding_hardly_changes_the_guidance():
    image, brain = tiny_brain((24, 30, 27), noise=0.3)
    image = np.where(brain, image + 3, 0)
    alone = high_frequency(image, (2, 2, 2))
    padded = high_frequency(np.pad(image, ((20, 13), (6, 31), (17, 17))), (2, 2, 2))[20:44, 6:36, 17:44]
    assert np.corrcoef(alone[brain], padded[brain])[0, 1] > 0.97
    # A cut-off counted in bins would have been another one on the padded field.
    in_bins = high_frequency(np.pad(image, ((20, 13), (6, 31), (17, 17))), (2, 2, 2), CUTOFF_3D * 24 / 57)
    assert np.corrcoef(alone[brain], in_bins[20:44, 6:36, 17:44][brain])[0, 1] < 0.9


@pytest.mark.parametrize("size", [20, 21])
def test_half_the_voxel_size_gives_the_same_guidance_of_a_band_limited_image(size):
    rng = np.random.default_rng(0)
    coarse = np.fft.rfftn(rng.standard_normal((size,) * 3))
    radius = frequency_radius((size,) * 3, (2, 2, 2))[..., : coarse.shape[-1]]
    coarse[radius > 0.2] = 0  # the Nyquist frequency is 0.25 cycles/mm
    image = np.fft.irfftn(coarse, s=(size,) * 3)
    full = np.fft.fftshift(np.fft.fftn(image))
    missing = [((2 * size) // 2 - size // 2, size - ((2 * size) // 2 - size // 2))] * 3
    fine = 8 * np.fft.ifftn(np.fft.ifftshift(np.pad(full, missing))).real
    np.testing.assert_allclose(fine[::2, ::2, ::2], image, atol=1e-6)  # the same image, sampled twice as finely
    guidance = high_frequency(image, (2, 2, 2))
    resampled = high_frequency(fine, (1, 1, 1))[::2, ::2, ::2]
    assert np.abs(resampled - guidance).max() < 0.05 * guidance.std()


@pytest.mark.parametrize(
    ("shape", "spacing", "cutoff", "message"),
    [
        ((4, 4), (1, 1, 1), 0.1, "3 values for an image with 2 axes"),
        ((4, 4), (1, 0), 0.1, "must be positive"),
        ((4, 4), (1, float("nan")), 0.1, "must be positive"),
        ((4, 4), (1, 1), 0.0, "must be positive"),
        ((4, 0), (1, 1), 0.1, "empty"),
    ],
)
def test_refuses_what_has_no_frequency(shape, spacing, cutoff, message):
    with pytest.raises(ValueError, match=message):
        high_frequency(np.ones(shape), spacing, cutoff)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_refuses_voxels_that_are_not_finite(value):
    image = np.ones((4, 4))
    image[1, 2] = value
    with pytest.raises(ValueError, match="NaN or infinite"):
        high_frequency(image, (1, 1))


def test_the_published_grid_has_the_bins_below_its_sphere_and_none_of_it():
    """192 voxels of 1 mm and 15 bins: by whole numbers, i² + j² + k² < 225, along every axis alike."""
    bins = np.rint(np.fft.fftfreq(192) * 192).astype(int)
    squared = bins[:, None, None] ** 2 + bins[:, None] ** 2 + bins**2
    assert (squared == 225).sum() == 150  # as (15, 0, 0), (10, 10, 5), (14, 5, 2)
    low = is_coarse((192,) * 3, (1.0,) * 3, CUTOFF_3D)
    np.testing.assert_array_equal(low, squared < 225)
    np.testing.assert_array_equal(is_coarse((192,) * 3, (1.0,) * 3, CUTOFF_3D, real=True), low[..., :97])
    for order in ((1, 0, 2), (2, 1, 0), (0, 2, 1)):
        np.testing.assert_array_equal(low, low.transpose(order))


@pytest.mark.parametrize(
    ("shape", "spacing", "bins"),
    [((192, 192), (1.25, 1.25), 15), ((96, 96, 96), (2.0, 2.0, 2.0), 15), ((240, 120), (1.0, 2.0), 15)],
)
def test_bins_on_the_sphere_keep_their_amplitude_at_any_voxel_size(shape, spacing, bins):
    field = shape[0] * spacing[0]
    axes = [np.rint(np.fft.fftfreq(size) * size).astype(int) for size in shape]
    squared = sum(axis**2 for axis in np.meshgrid(*axes, indexing="ij"))
    np.testing.assert_array_equal(is_coarse(shape, spacing, bins / field), squared < bins**2)
