"""Artifacts: reproducible, physical, stronger with severity, and only where they claim to be."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from itermask.artifacts import ARTIFACTS, Artifact, corrupt, register, replay
from itermask.artifacts.base import SEVERITIES

NAMES = sorted(ARTIFACTS)
CHUNKS = ["missing_chunk", "missing_chunk_middle"]
GLOBAL = ["ghosting", "noise", "spike"]


def head(shape=(21, 24, 18), seed=0):
    """An ellipsoid with structure in an empty volume, and its mask."""
    axes = np.meshgrid(*[(np.arange(n) - (n - 1) / 2) / (0.4 * n) for n in shape], indexing="ij")
    brain = sum(axis**2 for axis in axes) < 1
    texture = np.random.default_rng(seed).uniform(60, 140, size=shape)
    return np.where(brain, texture, 0).astype(np.float32), brain


def spoil(name, severity=5, seed=0, shape=(21, 24, 18), spacing=(6.0, 6.0, 6.0), **options):
    image, brain = head(shape)
    return image, brain, corrupt(image, name, severity, seed, brain=brain, spacing=spacing, **options)


def test_the_suite_is_complete():
    assert {*CHUNKS, *GLOBAL} <= set(ARTIFACTS)
    assert all(name == artifact.name for name, artifact in ARTIFACTS.items())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("axis", [None, 0, 1, 2])
@pytest.mark.parametrize(("shape", "spacing"), [((21, 24, 18), (6.0, 6.0, 6.0)), ((17, 30, 11), (8.0, 4.5, 12.0))])
def test_result_is_another_magnitude_image_of_the_same_shape(name, axis, shape, spacing):
    image, brain, result = spoil(name, shape=shape, spacing=spacing, axis=axis)
    assert result.image.shape == shape
    assert result.image.dtype == np.float32
    assert np.isfinite(result.image).all()
    assert result.image.min() >= 0
    assert np.abs(result.image - image)[brain].mean() > 0.005 * image[brain].mean()


@pytest.mark.parametrize("name", NAMES)
def test_the_image_given_is_left_alone(name):
    image, brain = head()
    before = image.copy()
    corrupt(image, name, 5, 0, brain=brain, spacing=(6, 6, 6))
    assert np.array_equal(image, before)


@pytest.mark.parametrize("name", NAMES)
def test_a_seed_gives_the_same_bytes_and_parameters_replay_through_json(name):
    image, _, first = spoil(name, seed=7)
    _, _, again = spoil(name, seed=7)
    _, _, generator = spoil(name, seed=np.random.default_rng(7))
    assert first.image.tobytes() == again.image.tobytes() == generator.image.tobytes()
    assert first.parameters == again.parameters
    replayed = replay(image, name, json.loads(json.dumps(first.parameters)))
    assert replayed.tobytes() == first.image.tobytes()


@pytest.mark.parametrize("name", [*GLOBAL, "missing_chunk_middle"])
def test_another_seed_gives_another_artifact(name):
    _, _, first = spoil(name, seed=1)
    _, _, second = spoil(name, seed=2)
    assert first.parameters != second.parameters
    assert not np.array_equal(first.image, second.image)


@pytest.mark.parametrize("name", NAMES)
def test_severity_increases_the_damage(name):
    for seed in range(5):
        damage = []
        for severity in (1, 3, 5, 8, 10):
            image, brain, result = spoil(name, severity, seed)
            damage.append(np.sqrt(np.mean((result.image - image)[brain] ** 2)))
        assert np.all(np.diff(damage) > 0)


@pytest.mark.parametrize("name", GLOBAL)
def test_artifacts_scale_with_the_image(name):
    image, brain = head()
    small = corrupt(image, name, 5, 3, brain=brain, spacing=(6, 6, 6)).image
    large = corrupt(100 * image, name, 5, 3, brain=brain, spacing=(6, 6, 6)).image
    np.testing.assert_allclose(large, 100 * small, rtol=1e-4, atol=0.05)


@settings(max_examples=40, deadline=None)
@given(
    name=st.sampled_from(CHUNKS),
    severity=st.floats(*SEVERITIES),
    seed=st.integers(0, 2**32 - 1),
    axis=st.integers(0, 2),
    direction=st.sampled_from([1, -1]),
    shape=st.tuples(*[st.integers(15, 26)] * 3),
)
def test_missing_chunk_destroys_its_slab_and_nothing_else(name, severity, seed, axis, direction, shape):
    image, brain, result = spoil(name, severity, seed, shape, axis=axis, direction=direction)
    slices = np.moveaxis(result.damaged, axis, 0).any(axis=(1, 2))
    start, stop = result.parameters["start"], result.parameters["stop"]
    assert not result.damaged[~brain].any()
    assert np.array_equal(np.moveaxis(result.damaged, axis, 0)[start:stop], np.moveaxis(brain, axis, 0)[start:stop])
    assert np.array_equal(result.image[brain & ~result.damaged], image[brain & ~result.damaged])
    assert (result.image[result.damaged] == 0).all()
    assert slices.sum() == max(1, round(severity))  # 6 mm a step, 6 mm slices
    assert result.parameters["thickness_mm"] == pytest.approx(6 * slices.sum())


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_top_and_middle_lie_where_they_say(axis):
    _, brain, up = spoil("missing_chunk", axis=axis, direction=1)
    _, _, down = spoil("missing_chunk", axis=axis, direction=-1)
    _, _, middle = spoil("missing_chunk_middle", 2, axis=axis)
    extent = np.flatnonzero(np.moveaxis(brain, axis, 0).any(axis=(1, 2)))
    where = [np.flatnonzero(np.moveaxis(r.damaged, axis, 0).any(axis=(1, 2))) for r in (up, down, middle)]
    assert where[0].max() == extent.max()
    assert where[0].min() > extent.min()
    assert where[1].min() == extent.min()
    assert where[1].max() < extent.max()
    assert extent.min() < where[2].min()
    assert where[2].max() < extent.max()


def test_missing_chunk_is_measured_in_millimetres_and_takes_the_scalp_above():
    image, brain = head((40, 40, 40))
    image = image + 5
    result = corrupt(image, "missing_chunk", 5, 0, brain=brain, spacing=(1, 1, 3))
    assert result.parameters["stop"] - np.flatnonzero(brain.any(axis=(0, 1)))[-1] > 1
    assert np.flatnonzero(result.damaged.any(axis=(0, 1))).size == 10
    image[0, 0, 0] = 2
    spoilt = corrupt(image, "missing_chunk", 5, 0, brain=brain, spacing=(1, 1, 3)).image
    assert (spoilt[:, :, result.parameters["start"] :] == 2).all()


def test_missing_chunk_larger_than_the_brain_is_refused():
    image, brain = head()
    with pytest.raises(ValueError, match="leaves nothing"):
        corrupt(image, "missing_chunk", 5, 0, brain=brain, spacing=(1, 1, 1))


def test_noise_is_rician():
    image = np.zeros((40, 40, 40), dtype=np.float32)
    image[20:] = 1000
    result = corrupt(image, "noise", 5, 0, brain=image > 0)
    sigma = result.parameters["deviation"]
    assert sigma == pytest.approx(75)
    air, tissue = result.image[:20], result.image[20:]
    assert air.mean() == pytest.approx(sigma * np.sqrt(np.pi / 2), rel=0.02)
    assert tissue.std() == pytest.approx(sigma, rel=0.02)
    assert (tissue.astype(float) ** 2).mean() == pytest.approx(1000**2 + 2 * sigma**2, rel=0.002)


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


@pytest.mark.parametrize("axis", [0, 1, 2])
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
    for seed in range(5):
        image, brain, result = spoil("ghosting", 5, seed)
        assert result.image[brain].mean() == pytest.approx(image[brain].mean(), rel=0.1)


def test_without_a_brain_mask_the_foreground_is_used():
    image, brain = head()
    known = corrupt(image, "missing_chunk", 3, 0, brain=brain, spacing=(6, 6, 6))
    guessed = corrupt(image, "missing_chunk", 3, 0, spacing=(6, 6, 6))
    assert np.array_equal(known.damaged, guessed.damaged)


@pytest.mark.parametrize("name", GLOBAL)
def test_artifacts_everywhere_have_no_damaged_set(name):
    assert spoil(name)[2].damaged is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"artifact": "earthquake"}, "unknown artifact"),
        ({"severity": 0}, "severity"),
        ({"severity": 10.5}, "severity"),
        ({"severity": float("nan")}, "severity"),
        ({"axis": 3}, "axis"),
        ({"axis": -1}, "axis"),
        ({"direction": 0}, "direction"),
        ({"spacing": (1, 1)}, "spacing"),
        ({"spacing": (1, 1, 0)}, "spacing"),
        ({"spacing": (1, 1, float("inf"))}, "spacing"),
        ({"image": np.ones((4, 4))}, "3 axes"),
        ({"image": np.full((21, 24, 18), np.nan)}, "NaN"),
        ({"image": np.full((21, 24, 18), -1.0)}, "negative"),
        ({"brain": np.ones((3, 3, 3), dtype=bool)}, "does not fit"),
        ({"brain": np.zeros((21, 24, 18), dtype=bool)}, "empty"),
        ({"image": np.zeros((21, 24, 18)), "brain": None}, "foreground"),
    ],
)
def test_what_cannot_be_used_is_refused(options, message):
    image, brain = head()
    arguments = {"image": image, "artifact": "noise", "severity": 5, "rng": 0, "brain": brain, **options}
    with pytest.raises(ValueError, match=message):
        corrupt(**arguments)


def test_replay_checks_its_image_too():
    with pytest.raises(ValueError, match="negative"):
        replay(np.full((4, 4, 4), -1.0), "noise", {"deviation": 1.0, "seed": 0})
    with pytest.raises(ValueError, match="unknown artifact"):
        replay(np.ones((4, 4, 4)), "earthquake", {})


def test_a_name_is_registered_once():
    with pytest.raises(ValueError, match="already"):
        register(Artifact("noise", ARTIFACTS["noise"].draw, ARTIFACTS["noise"].apply))
