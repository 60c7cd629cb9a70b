"""All artifacts: reproducible, stronger with severity, and only where they claim to be; how one is put on a scan."""

import json
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from itermask.errors import MissingExtraError
from itermask.synth.artifacts import ARTIFACTS, Artifact, corrupt, register, replay, summary
from itermask.synth.artifacts.base import SEVERITIES

NAMES = sorted(ARTIFACTS)
LOCAL = ["line_shift", "missing_chunk", "missing_chunk_middle", "susceptibility", "zipper"]
GLOBAL = sorted(set(NAMES) - set(LOCAL))
CHUNKS = ["missing_chunk", "missing_chunk_middle"]
FIXED = ["missing_chunk", "smoothing"]  # nothing is random
COARSE = ["folding", "gibbs", "line_shift", "missing_chunk_middle"]  # random are whole slices, or the axis alone
WITHOUT_AXIS = ["bias_field", "gaussian_noise", "noise", "smoothing", "spike"]
TORCHIO = ["bias_field", "motion"]
SHAPE, SPACING = (28, 34, 26), (5.0, 4.5, 5.0)
CUBES = (6.0, 6.0, 6.0)
OTHER_SHAPE, OTHER_SPACING = (17, 41, 13), (8.0, 3.5, 10.0)


def head(shape=SHAPE, seed=0):
    """A stripped head: an ellipsoid with smooth structure in an empty volume, and its mask."""
    axes = np.meshgrid(*[(np.arange(n) - (n - 1) / 2) / (0.4 * n) for n in shape], indexing="ij")
    brain = sum(axis**2 for axis in axes) < 1
    texture = ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal(shape), 1)
    return np.where(brain, 100 + 40 * np.clip(texture / texture.std() / 2, -1, 1), 0).astype(np.float32), brain


def corrupted(name, severity=5, seed=0, shape=SHAPE, spacing=SPACING, **options):
    image, brain = head(shape)
    return image, brain, corrupt(image, name, severity, seed, brain=brain, spacing=spacing, **options)


def damage(image, brain, result):
    return np.abs(result.image - image)[brain].mean()


def test_the_suite_is_complete():
    wanted = {
        *("bias_field", "folding", "gaussian_noise", "ghosting", "gibbs", "kspace_empty_line", "kspace_line"),
        *("kspace_point", "line_shift", "missing_chunk", "missing_chunk_middle", "motion", "noise", "smoothing"),
        *("spike", "susceptibility", "zipper"),
    }
    assert wanted <= set(ARTIFACTS)
    assert all(name == artifact.name for name, artifact in ARTIFACTS.items())


@pytest.mark.parametrize("name", NAMES)
def test_every_artifact_says_in_a_line_what_it_is(name):
    line = summary(name)
    assert 40 < len(line) <= 120
    assert ":" in line
    assert line.endswith(".")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("axis", [None, 0, 1, 2])
@pytest.mark.parametrize(("shape", "spacing"), [(SHAPE, SPACING), (OTHER_SHAPE, OTHER_SPACING)])
def test_result_is_another_magnitude_image_of_the_same_shape(name, axis, shape, spacing):
    image, brain, result = corrupted(name, shape=shape, spacing=spacing, axis=axis)
    assert result.image.shape == shape
    assert result.image.dtype == np.float32
    assert np.isfinite(result.image).all()
    assert result.image.min() >= 0
    assert damage(image, brain, result) > 0.005 * image[brain].mean()
    assert result.parameters["severity"] == 5
    if name not in WITHOUT_AXIS:
        assert result.parameters["axis"] in ((0, 1, 2) if axis is None else (axis,))


@pytest.mark.parametrize("name", NAMES)
def test_the_image_given_is_left_alone(name):
    image, brain = head()
    before = image.copy(), brain.copy()
    for severity in (0, 5):
        result = corrupt(image, name, severity, 0, brain=brain, spacing=SPACING)
        assert not np.shares_memory(result.image, image)
    assert np.array_equal(image, before[0])
    assert np.array_equal(brain, before[1])


@pytest.mark.parametrize("name", NAMES)
def test_severity_0_is_the_scan_itself(name):
    image, _, result = corrupted(name, 0, spacing=(1, 1, 1))  # so small that no artifact of some size would fit
    assert result.image.tobytes() == image.tobytes()
    assert result.parameters == {"severity": 0.0}
    assert replay(image, name, json.loads(json.dumps(result.parameters))).tobytes() == image.tobytes()
    if name in LOCAL:
        assert result.damaged.shape == image.shape
        assert not result.damaged.any()
    else:
        assert result.damaged is None


@pytest.mark.parametrize("name", NAMES)
def test_a_seed_gives_the_same_bytes_and_parameters_replay_through_json(name):
    image, _, first = corrupted(name, seed=7)
    _, _, again = corrupted(name, seed=7)
    _, _, generator = corrupted(name, seed=np.random.default_rng(7))
    assert first.image.tobytes() == again.image.tobytes() == generator.image.tobytes()
    assert first.parameters == again.parameters
    replayed = replay(image, name, json.loads(json.dumps(first.parameters, allow_nan=False)))
    assert replayed.tobytes() == first.image.tobytes()


@pytest.mark.parametrize("name", NAMES)
def test_another_seed_gives_another_artifact(name):
    results = [corrupted(name, seed=seed)[2] for seed in range(6)]
    different = len({result.image.tobytes() for result in results})
    if name in FIXED:
        assert different == 1
    elif name in COARSE:
        assert different > 1
    else:
        assert different == 6


@pytest.mark.parametrize("name", NAMES)
def test_severity_increases_the_damage(name):
    for seed in range(2):
        damages = [damage(*corrupted(name, severity, seed)) for severity in (0, 1, 3, 5, 7, 10)]
        assert np.all(np.diff(damages) > 0)


@pytest.mark.parametrize("name", NAMES)
def test_artifacts_scale_with_the_image(name):
    image, brain = head()
    small = corrupt(image, name, 5, 3, brain=brain, spacing=SPACING).image
    large = corrupt(100 * image, name, 5, 3, brain=brain, spacing=SPACING).image
    np.testing.assert_allclose(large, 100 * small, rtol=1e-4, atol=0.05)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize(
    "name", ["folding", "ghosting", "gibbs", "kspace_empty_line", "line_shift", "smoothing", *CHUNKS]
)
def test_an_artifact_along_another_axis_is_the_same_artifact(name, axis):
    """Axes are renamed in a circle, so that of the others the next is still the next."""
    image, brain = head()
    plain = corrupt(image, name, 5, 4, axis, brain, SPACING)
    order = [2, 0, 1]
    spacing = [SPACING[a] for a in order]
    turned = corrupt(image.transpose(order), name, 5, 4, order.index(axis), brain.transpose(order), spacing)
    np.testing.assert_allclose(turned.image, plain.image.transpose(order), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("name", LOCAL)
@pytest.mark.parametrize("seed", range(4))
def test_damaged_voxels_lie_in_the_brain_and_no_other_of_its_voxels_changes(name, seed):
    for shape, spacing in ((SHAPE, SPACING), (OTHER_SHAPE, OTHER_SPACING)):
        image, brain, result = corrupted(name, 5, seed, shape, spacing)
        assert result.damaged.dtype == bool
        assert not result.damaged[~brain].any()
        assert 0 < result.damaged.sum() < brain.sum()
        assert np.array_equal(result.image[brain & ~result.damaged], image[brain & ~result.damaged])
        assert (result.image != image)[result.damaged].mean() > 0.9


@pytest.mark.parametrize("name", TORCHIO)
def test_without_torchio_the_extra_is_named_and_the_rest_works(name, monkeypatch):
    monkeypatch.setitem(sys.modules, "torchio", None)
    with pytest.raises(MissingExtraError, match=r"itermask\[artifacts\]"):
        corrupted(name)
    assert corrupted(name, 0)[2].parameters == {"severity": 0.0}
    assert corrupted("gibbs")[2].image.any()


@pytest.mark.parametrize("name", TORCHIO)
def test_no_random_number_of_torch_is_used(name):
    torch = pytest.importorskip("torch")
    before = torch.get_rng_state()
    corrupted(name)
    assert torch.equal(torch.get_rng_state(), before)


@settings(max_examples=40, deadline=None)
@given(
    name=st.sampled_from(CHUNKS),
    severity=st.floats(0.01, SEVERITIES[1]),
    seed=st.integers(0, 2**32 - 1),
    axis=st.integers(0, 2),
    direction=st.sampled_from([1, -1]),
    shape=st.tuples(*[st.integers(15, 26)] * 3),
)
def test_missing_chunk_destroys_its_slab_and_nothing_else(name, severity, seed, axis, direction, shape):
    image, brain, result = corrupted(name, severity, seed, shape, CUBES, axis=axis, direction=direction)
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
    _, brain, up = corrupted("missing_chunk", axis=axis, direction=1)
    _, _, down = corrupted("missing_chunk", axis=axis, direction=-1)
    _, _, middle = corrupted("missing_chunk_middle", 2, axis=axis)
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
    with_ball = corrupt(image, "missing_chunk", 5, 0, brain=brain, spacing=(1, 1, 3)).image
    assert (with_ball[:, :, result.parameters["start"] :] == 2).all()


@pytest.mark.parametrize("up", [0, 1, 2])
def test_missing_chunk_lies_on_top_of_the_head_unless_told_otherwise(up):
    assert corrupted("missing_chunk", up=up)[2].parameters["axis"] == up
    assert corrupted("missing_chunk", up=up, axis=1)[2].parameters["axis"] == 1


def test_missing_chunk_larger_than_the_brain_is_refused():
    image, brain = head((21, 24, 18))
    with pytest.raises(ValueError, match="leaves nothing"):
        corrupt(image, "missing_chunk", 5, 0, brain=brain, spacing=(1, 1, 1))


def test_without_a_brain_mask_the_foreground_is_used():
    image, brain = head()
    known = corrupt(image, "missing_chunk", 3, 0, brain=brain, spacing=SPACING)
    guessed = corrupt(image, "missing_chunk", 3, 0, spacing=SPACING)
    assert np.array_equal(known.damaged, guessed.damaged)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"artifact": "earthquake"}, "unknown artifact"),
        ({"severity": -0.1}, "severity"),
        ({"severity": 10.5}, "severity"),
        ({"severity": float("nan")}, "severity"),
        ({"axis": 3}, "axis"),
        ({"axis": -1}, "axis"),
        ({"up": 3}, "up"),
        ({"up": None}, "up"),
        ({"direction": 0}, "direction"),
        ({"spacing": (1, 1)}, "spacing"),
        ({"spacing": (1, 1, 0)}, "spacing"),
        ({"spacing": (1, 1, float("inf"))}, "spacing"),
        ({"image": np.ones((4, 4))}, "3 axes"),
        ({"image": np.full(SHAPE, np.nan)}, "NaN"),
        ({"image": np.full(SHAPE, -1.0)}, "negative"),
        ({"brain": np.ones((3, 3, 3), dtype=bool)}, "does not fit"),
        ({"brain": np.zeros(SHAPE, dtype=bool)}, "empty"),
        ({"image": np.zeros(SHAPE), "brain": None}, "foreground"),
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
    with pytest.raises(ValueError, match="negative"):
        replay(np.full((4, 4, 4), -1.0), "noise", {"severity": 0.0})
    with pytest.raises(ValueError, match="unknown artifact"):
        summary("earthquake")


def test_a_name_is_registered_once():
    with pytest.raises(ValueError, match="already"):
        register(Artifact("noise", ARTIFACTS["noise"].draw, ARTIFACTS["noise"].apply))
