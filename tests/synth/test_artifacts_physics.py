"""Each artifact is physically what its module says, in its units."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from itermask.synth.artifacts import corrupt, replay
from itermask.synth.artifacts.susceptibility import DISPLACEMENT, RADII

AXES = [0, 1, 2]


def cuboid(shape=(40, 44, 36), margin=8, level=100.0):
    """A uniform cuboid in an empty volume, and its mask."""
    brain = np.zeros(shape, dtype=bool)
    brain[tuple(slice(margin, size - margin) for size in shape)] = True
    return np.where(brain, level, 0).astype(np.float32), brain


def profile(volume, axis, places):
    """The row along `axis` through the given places of the other axes."""
    return volume[tuple(slice(None) if a == axis else place for a, place in enumerate(places))]


# --- noise ---------------------------------------------------------------------------------------------------


def bright_half():
    image = np.zeros((40, 40, 40), dtype=np.float32)
    image[20:] = 1000
    return image


@pytest.mark.parametrize("artifact", ["noise", "gaussian_noise"])
@pytest.mark.parametrize("edge", [0.5, 1])
def test_noise_in_a_slice_looks_alike_on_any_voxels(artifact, edge):
    """Averaged over pixels of 2 mm, noise of one severity has one standard deviation."""
    count = round(2 / edge)
    image = np.full((16 * count, 16 * count, 24), 1000, dtype=np.float32)
    result = corrupt(image, artifact, 0.5, 0, brain=image > 0, spacing=(edge, edge, 2.5))
    pixels = result.image.reshape(16, count, 16, count, 24).mean(axis=(1, 3))
    assert pixels.std() == pytest.approx(7.5, rel=0.05)


def test_noise_is_rician():
    image = bright_half()
    result = corrupt(image, "noise", 5, 0, brain=image > 0, spacing=(2, 2, 2))
    sigma = result.parameters["deviation"]
    assert sigma == pytest.approx(75)
    air, tissue = result.image[:20], result.image[20:]
    assert air.mean() == pytest.approx(sigma * np.sqrt(np.pi / 2), rel=0.02)
    assert tissue.std() == pytest.approx(sigma, rel=0.02)
    assert (tissue.astype(float) ** 2).mean() == pytest.approx(1000**2 + 2 * sigma**2, rel=0.002)


def test_gaussian_noise_is_unbiased_in_tissue_and_cut_off_in_air():
    image = bright_half()
    result = corrupt(image, "gaussian_noise", 5, 0, brain=image > 0, spacing=(2, 2, 3))
    sigma = result.parameters["deviation"]
    assert sigma == pytest.approx(75)
    air, tissue = result.image[:20], result.image[20:].astype(float)
    assert (air == 0).mean() == pytest.approx(0.5, abs=0.01)
    assert air[air > 0].mean() == pytest.approx(sigma * np.sqrt(2 / np.pi), rel=0.02)
    assert tissue.mean() == pytest.approx(1000, abs=2)
    assert tissue.std() == pytest.approx(sigma, rel=0.02)


# --- k-space -------------------------------------------------------------------------------------------------


def test_spike_is_points_of_k_space():
    image = np.full((24, 30, 20), 1000, dtype=np.float32)
    result = corrupt(image, "spike", 5, 4, spacing=(4, 4, 4))
    assert sum(result.parameters["amplitudes"]) == pytest.approx(150)
    extent = 4 * np.array(image.shape)
    for point in result.parameters["points"]:
        assert 4 < 1 / np.linalg.norm(point / extent) < 26
    spectrum = np.abs(np.fft.fftn(result.image)) / image.size
    spectrum[0, 0, 0] = 0
    count = 2 * len(result.parameters["points"])  # a magnitude image has each point and its mirror image
    strongest = np.argsort(spectrum, axis=None)[-count:]
    found = {tuple(int(i) for i in np.unravel_index(index, image.shape)) for index in strongest}
    points = np.array(result.parameters["points"])
    wanted = {tuple(int(i) for i in point) for point in np.concatenate([points, -points]) % image.shape}
    assert found == wanted


def test_one_spike_lifts_empty_space_evenly():
    parameters = {"points": [[3, -2, 1]], "amplitudes": [40.0], "phases": [0.7]}
    result = replay(np.zeros((13, 16, 9)), "spike", parameters)
    np.testing.assert_allclose(result, 40, rtol=1e-4)


@pytest.mark.parametrize("axis", AXES)
def test_ghosts_are_displaced_copies_along_the_phase_axis_only(axis):
    shape = [12, 12, 12]
    shape[axis] = 40
    image = np.zeros(shape, dtype=np.float32)
    middle = tuple(n // 2 for n in shape)
    image[middle] = 100
    parameters = {"axis": axis, "period": 4.0, "phase": 0.0, "depth": 0.4, "spared_lines": 1e-6}
    result = replay(image, "ghosting", parameters)
    places = np.argwhere(result > 5)
    assert {int(i) for i in places[:, axis]} == {10, 20, 30}
    assert all((places[:, a] == middle[a]).all() for a in range(3) if a != axis)
    assert result[result > 5].min() == pytest.approx(100 * 0.4 / 2, abs=1.1)  # the spared centre line is worth 1


def test_ghosting_keeps_the_level_of_tissue():
    image, brain = cuboid()
    for seed in range(5):
        result = corrupt(image, "ghosting", 5, seed, brain=brain, spacing=(4, 4, 4))
        assert result.image[brain].mean() == pytest.approx(100, rel=0.1)


@pytest.mark.parametrize("axis", AXES)
def test_kspace_point_is_one_wave_in_every_slice_with_a_phase_of_its_own(axis):
    image = np.full((24, 30, 21), 1000, dtype=np.float32)
    result = corrupt(image, "kspace_point", 5, 3, axis, spacing=(2, 2, 2))
    point = np.array(result.parameters["point"])
    assert point[axis] == 0
    assert 2.5 < 1 / np.linalg.norm(point / (2 * np.array(image.shape))) < 9  # mm, on the grid of k-space
    inplane = tuple(np.delete(point, axis))
    spectra = np.fft.fft2(np.moveaxis(result.image, axis, 0)) / np.delete(image.shape, axis).prod()
    peaks = spectra[:, inplane[0], inplane[1]]
    np.testing.assert_allclose(np.abs(peaks), 150 / 2, rtol=0.02)  # the mirror image has the other half
    spectra[:, 0, 0] = 0
    assert np.abs(spectra).max() == pytest.approx(np.abs(peaks).max())
    assert np.abs(np.mean(peaks / np.abs(peaks))) < 0.6  # phases do not agree
    np.testing.assert_allclose(replay(np.zeros(image.shape), "kspace_point", result.parameters), 150, rtol=1e-4)


@pytest.mark.parametrize("axis", AXES)
def test_kspace_line_adds_one_wavelength_of_random_strength_and_phase(axis):
    shape, spacing = (32, 36, 40), (3.0, 2.5, 2.0)
    air = np.zeros(shape, dtype=np.float32)
    result = corrupt(air + 1000, "kspace_line", 4, 1, axis, spacing=spacing)
    line = result.parameters["line"]
    assert 5.5 < shape[axis] * spacing[axis] / abs(line) < 27
    finest = min(size for a, size in enumerate(spacing) if a != axis)
    strength = 80 * np.sqrt(2 / finest)
    assert result.parameters["strength"] == pytest.approx(strength)
    rows = np.moveaxis(replay(air, "kspace_line", result.parameters), axis, 0)
    np.testing.assert_allclose(rows, np.broadcast_to(rows[0], rows.shape), rtol=1e-4)
    assert np.sqrt(np.mean(rows**2)) == pytest.approx(strength, rel=0.05)
    assert rows[0].std() > 20
    spectrum = np.abs(np.fft.fft(np.moveaxis(result.image, axis, 0), axis=0)).mean(axis=(1, 2))
    assert set(np.argsort(spectrum)[-3:]) == {0, abs(line), shape[axis] - abs(line)}


@pytest.mark.parametrize("axis", AXES)
def test_an_empty_line_takes_its_wave_out_of_the_image(axis):
    shape = (16, 18, 20)
    phase = 2 * np.pi * np.arange(shape[axis]) / shape[axis]
    rows = 100 + 20 * np.cos(3 * phase) + 10 * np.sin(5 * phase)
    image = np.broadcast_to(rows.reshape([-1 if a == axis else 1 for a in range(3)]), shape)
    result = replay(image, "kspace_empty_line", {"axis": axis, "lines": [3, -3, -5, 5], "losses": [1, 1, 0.4, 0.4]})
    wanted = 100 + 6 * np.sin(5 * phase)
    np.testing.assert_allclose(profile(result, axis, (2, 2, 2)), wanted, rtol=1e-5)
    np.testing.assert_allclose(result.std(axis=axis), wanted.std(), rtol=1e-4)


@pytest.mark.parametrize("severity", [0.5, 1, 4, 10])
def test_as_many_lines_are_lost_as_the_severity_says_and_the_centre_is_spared(severity):
    image, brain = cuboid()
    losses, earlier = [], set()
    for seed in range(3):
        drawn = corrupt(image, "kspace_empty_line", severity, seed, 1, brain, (4, 4, 4)).parameters
        assert sum(drawn["losses"]) == pytest.approx(0.06 * severity * 44)
        assert len(set(drawn["lines"])) == len(drawn["lines"])
        assert min(np.abs(drawn["lines"])) > 4 * 44 / 80
        worse = corrupt(image, "kspace_empty_line", 10, seed, 1, brain, (4, 4, 4)).parameters
        assert worse["lines"][: len(drawn["lines"])] == drawn["lines"]
        losses.append(drawn["losses"])
        earlier.add(tuple(drawn["lines"]))
    assert losses[0] == losses[1] == losses[2]
    assert len(earlier) == 3


@pytest.mark.parametrize("axis", AXES)
def test_gibbs_ringing_overshoots_an_edge_by_9_percent_and_ripples_with_two_acquired_voxels(axis):
    shape = [6, 6, 6]
    shape[axis] = 480
    image = np.zeros(shape, dtype=np.float32)
    image[tuple(slice(120, 360) if a == axis else slice(None) for a in range(3))] = 1000
    result = corrupt(image, "gibbs", 10, 0, axis, spacing=[0.5 if a == axis else 1.0 for a in range(3)])
    assert result.parameters["acquired_mm"] == pytest.approx(6.5)
    rows = profile(result.image, axis, (2, 2, 2))
    assert rows.max() / 1000 == pytest.approx(1.0895, abs=0.005)
    inside = rows[121:235] - 1000
    crossings = np.flatnonzero(np.diff(np.sign(inside)))
    assert 0.5 * np.mean(np.diff(crossings)) == pytest.approx(6.5, rel=0.05)  # half a ripple
    np.testing.assert_allclose(
        result.image, np.broadcast_to(np.expand_dims(rows, [a for a in AXES if a != axis]), shape)
    )


def test_gibbs_ringing_keeps_the_level_even_where_hardly_a_line_is_left():
    image = np.full((4, 4, 4), 100, dtype=np.float32)
    np.testing.assert_allclose(corrupt(image, "gibbs", 10, 0, spacing=(1, 1, 1)).image, 100, rtol=1e-5)


# --- resolution and level ------------------------------------------------------------------------------------


@pytest.mark.parametrize("axis", [None, *AXES])
def test_smoothing_spreads_a_point_to_its_width_in_mm(axis):
    spacing = (1.0, 1.5, 2.0)
    image = np.zeros((41, 37, 33), dtype=np.float32)
    middle = (20, 18, 16)
    image[middle] = 1e4
    result = corrupt(image, "smoothing", 10, 0, axis, image > 0, spacing).image
    for a in AXES:
        row = profile(result, a, middle)
        if axis not in (None, a):
            assert np.count_nonzero(row > 1) == 1
            continue
        places = spacing[a] * (np.arange(row.size) - middle[a])
        fine = np.interp(np.linspace(-12, 12, 4801), places, row)
        assert 24 / 4800 * np.count_nonzero(fine > row.max() / 2) == pytest.approx(8, abs=0.15)
        assert np.sqrt(np.sum(row * places**2) / row.sum()) == pytest.approx(8 / 2.3548, rel=0.01)
    assert result.sum() == pytest.approx(1e4, rel=1e-3)


def test_bias_field_is_a_smooth_factor_with_its_ratio_between_dark_and_bright_places():
    for seed, severity in ((0, 2), (1, 5), (2, 10)):
        image, brain = cuboid((41, 30, 27), 5)
        image = image + 50 * np.random.default_rng(0).random(image.shape, dtype=np.float32) + 1
        result = corrupt(image, "bias_field", severity, seed, brain=brain)
        field = np.log(result.image.astype(float) / image)
        dark, bright = np.percentile(field[brain], [5, 95])
        assert np.exp(bright - dark) == pytest.approx(1.2**severity, rel=1e-3)
        assert result.parameters["ratio"] == pytest.approx(1.2**severity)
        assert field[brain].mean() == pytest.approx(0, abs=1e-4)
        for axis in AXES:  # a polynomial of third order
            assert np.abs(np.diff(field, 4, axis=axis)).max() < 1e-5


# --- motion --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("axis", AXES)
def test_motion_takes_lines_from_the_displaced_head_after_it_moved(axis):
    """A displacement by whole voxels is one of k-space's phase."""
    image, brain = cuboid((20, 24, 16), 6)
    image = np.where(brain, ndimage.gaussian_filter(np.random.default_rng(0).random(image.shape) * 900, 1), 0)
    spacing, moved, time = [2.0, 1.5, 3.0], [2, -1, 1], 0.75
    parameters = {
        "axis": axis,
        "times": [time],
        "translations_mm": [[m * s for m, s in zip(moved, spacing, strict=True)]],
        "rotations_deg": [[0.0, 0.0, 0.0]],
        "spacing_mm": spacing,
    }
    result = replay(image, "motion", parameters)
    late = np.arange(image.shape[axis]) >= int(time * image.shape[axis])
    late = late.reshape([-1 if a == axis else 1 for a in range(3)])
    found = []
    for signs in itertools.product((1, -1), repeat=3):
        shifted = np.roll(image, [s * m for s, m in zip(signs, moved, strict=True)], axis=(0, 1, 2))
        spectra = [np.fft.fftshift(np.fft.fftn(volume)) for volume in (image, shifted)]
        mixed = np.fft.ifftn(np.fft.ifftshift(np.where(late, spectra[1], spectra[0])))
        found.append(np.allclose(result, np.abs(mixed.real), rtol=1e-3, atol=0.05))
    assert sum(found) == 1
    assert not np.allclose(result, image, atol=1)


def test_motion_turns_the_head_about_the_middle_of_the_volume():
    """Lines from rest and lines after a quarter turn, half of them each; the middle is voxel 12 of 24."""
    image = np.zeros((24, 24, 24), dtype=np.float32)
    image[12, 18, 12] = image[8, 12, 12] = 1000
    image = ndimage.gaussian_filter(image, 1)
    parameters = {
        "axis": 2,
        "times": [0.5],
        "translations_mm": [[0.0, 0.0, 0.0]],
        "rotations_deg": [[0.0, 0.0, 90.0]],
        "spacing_mm": [3.0, 3.0, 3.0],
    }
    result = replay(image, "motion", parameters)
    turns = [np.roll(np.rot90(image, turn), step, axis=(0, 1)) for turn, step in ((1, (1, 0)), (-1, (0, 1)))]
    differences = [np.abs((image + turned) / 2 - result)[:, :, 12].max() / image.max() for turned in turns]
    assert min(differences) < 0.2
    assert max(differences) > 0.4


def test_motion_stays_within_what_the_severity_says():
    image, brain = cuboid((8, 8, 8), 2)
    for seed in range(5):
        drawn = corrupt(image, "motion", 4, seed, brain=brain).parameters
        for key in ("translations_mm", "rotations_deg"):
            sizes = np.linalg.norm(drawn[key], axis=1)
            assert sizes.min() >= 1 - 1e-9
            assert sizes.max() <= 2 + 1e-9
        assert 4 <= len(drawn["times"]) <= 8
        assert (np.diff([0, *drawn["times"], 1]) > 0).all()


# --- places --------------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(shape=st.tuples(*[st.integers(1, 12)] * 3), axis=st.integers(0, 2), seed=st.integers(0, 99), ends=st.data())
def test_folding_keeps_all_signal_and_adds_copies_shifted_by_the_field_of_view(shape, axis, seed, ends):
    start = ends.draw(st.integers(0, shape[axis] - 1))
    stop = ends.draw(st.integers(start + 1, shape[axis]))
    image = np.random.default_rng(seed).random(shape).astype(np.float32)
    parameters = {"axis": axis, "start": start, "stop": stop, "background": 0.25}
    result = np.moveaxis(replay(image, "folding", parameters), axis, 0)
    rows, field = np.moveaxis(image, axis, 0), stop - start
    for index in range(shape[axis]):
        copies = [rows[j] for j in range(shape[axis]) if (j - index) % field == 0]
        wanted = sum(copies) if start <= index < stop else np.full(rows[0].shape, 0.25)
        np.testing.assert_allclose(result[index], wanted, rtol=1e-5)
    assert result[start:stop].sum() == pytest.approx(image.sum(), rel=1e-4)


@pytest.mark.parametrize("axis", AXES)
def test_the_wrapped_part_reaches_as_far_into_the_brain_as_the_severity_says(axis):
    image, brain = cuboid((60, 64, 68), 16)
    image = np.where(ndimage.binary_dilation(brain, iterations=4), 100, 0)  # a scalp of four voxels
    result = corrupt(image, "folding", 6, 0, axis, brain, (2, 2, 2))
    row = profile(result.image, axis, (30, 32, 34))
    inside = np.flatnonzero(profile(brain, axis, (30, 32, 34)))
    doubled = np.flatnonzero(row > 150)
    low, high = doubled[doubled < 30], doubled[doubled > 30]
    assert (low.max() - inside[0] + 1, inside[-1] - high.min() + 1) == (12, 12)  # 24 mm
    assert result.parameters["field_mm"] == 2 * (inside.size + 4 - 12)


def test_folding_without_a_field_of_view_is_refused():
    image, brain = cuboid((20, 20, 20), 5)
    with pytest.raises(ValueError, match="no field of view"):
        corrupt(image, "folding", 10, 0, brain=brain)


@pytest.mark.parametrize("axis", AXES)
def test_line_shift_moves_a_band_by_its_thickness(axis):
    image = np.random.default_rng(0).uniform(50, 150, (40, 36, 44)).astype(np.float32)
    result = corrupt(image, "line_shift", 3, 5, axis, np.ones(image.shape, dtype=bool), (2, 2, 2))
    drawn = result.parameters
    assert drawn["stop"] - drawn["start"] == 3  # 6 mm
    assert abs(drawn["shift_mm"]) == 6
    rows = np.moveaxis(image, (axis, drawn["along"]), (0, 1))
    moved = np.moveaxis(result.image, (axis, drawn["along"]), (0, 1))
    band = slice(drawn["start"], drawn["stop"])
    source, target = (slice(None, -3), slice(3, None)) if drawn["shift"] > 0 else (slice(3, None), slice(None, -3))
    np.testing.assert_allclose(moved[band, target], rows[band, source], rtol=1e-6)
    empty = moved[band, :3] if drawn["shift"] > 0 else moved[band, -3:]
    assert (empty == image.min()).all()
    assert drawn["along"] != axis


@pytest.mark.parametrize("axis", AXES)
def test_zipper_is_lines_of_noise_that_run_along_the_phase_axis(axis):
    image, brain = cuboid()
    for seed in range(4):
        result = corrupt(image, "zipper", 5, seed, axis, brain)
        drawn = result.parameters
        assert drawn["readout"] != axis
        changed = result.image != image
        lines = sorted({i for start, stop in drawn["lines"] for i in range(start, stop)})
        assert np.flatnonzero(changed.any(axis=tuple(a for a in AXES if a != drawn["readout"]))).tolist() == lines
        assert changed.take(lines, axis=drawn["readout"]).mean() > 0.99  # through the whole volume
        assert all(1 <= stop - start <= 3 for start, stop in drawn["lines"])
        noise = replay(np.zeros_like(image), "zipper", drawn).take(drawn["lines"][0][0], axis=drawn["readout"])
        assert np.sqrt(np.mean(noise**2)) == pytest.approx(drawn["strength"], rel=0.1)
        assert drawn["strength"] == pytest.approx(60 * np.sqrt(2))
        rows = np.moveaxis(noise, axis - (axis > drawn["readout"]), 0)
        neighbours = np.corrcoef(rows[1:].ravel(), rows[:-1].ravel())[0, 1]
        assert abs(neighbours) < 0.15  # bright and dark dots


@pytest.mark.parametrize("axis", AXES)
def test_susceptibility_displaces_by_its_mm_and_keeps_the_signal(axis):
    shape, spacing = (60, 64, 56), (2.0, 1.5, 2.0)
    centre = [30, 32, 28]
    parameters = {"axis": axis, "centre": centre, "radius_mm": 34.0, "displacement_mm": 9.0, "spacing_mm": spacing}
    ramp = np.moveaxis(np.zeros([*np.delete(shape, axis), shape[axis]]) + np.arange(shape[axis]), -1, axis) + 100
    result = replay(ramp, "susceptibility", parameters)
    assert result[tuple(centre)] == pytest.approx(ramp[tuple(centre)] + 9.0 / spacing[axis], rel=1e-5)
    away = np.sqrt(sum(((index - c) * s) ** 2 for index, c, s in zip(np.indices(shape), centre, spacing, strict=True)))
    assert np.array_equal(result[away >= 34], ramp[away >= 34].astype(np.float32))
    assert (np.abs(result - ramp)[away < 30] > 0.01).mean() > 0.99
    blobs = 100 + ndimage.gaussian_filter(np.random.default_rng(0).standard_normal(shape), 3) * 500
    blobs = blobs - blobs.min()
    before, after = blobs.sum(axis=axis), replay(blobs, "susceptibility", parameters).sum(axis=axis)
    np.testing.assert_allclose(after, before, rtol=2e-3)
    assert np.abs(replay(blobs, "susceptibility", parameters) - blobs).max() > 0.1 * blobs.max()


def test_susceptibility_never_folds_tissue_over():
    steepest = 16 / (3 * np.sqrt(3)) / 2  # of (1 − u²)², at u² = 1/3
    assert steepest == pytest.approx(1.5396, abs=1e-4)
    assert 10 * DISPLACEMENT * steepest < RADII[0]
