"""Controlled lesions: in the brain, of the size and brightness asked for, and nothing else changed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from itermask.synth.lesions import KINDS, insert_lesion, load_shapes

SHAPE = (36, 42, 33)


def scan(shape=SHAPE):
    """A brain of two tissues (500, 1000) with fluid (100), and its mask."""
    axes = np.meshgrid(*[(np.arange(n) - (n - 1) / 2) / (0.42 * n) for n in shape], indexing="ij")
    radius = np.sqrt(sum(axis**2 for axis in axes))
    image = np.select([radius < 0.4, radius < 0.75, radius < 1], [100.0, 1000.0, 500.0], 0.0)
    noise = np.random.default_rng(0).normal(0, 10, shape)
    return np.where(radius < 1, image + noise, 0).clip(0).astype(np.float32), radius < 1


def outline(seed=0, shape=(17, 23, 14)):
    """An irregular blob, not symmetric in any axis."""
    field = ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal(shape), 3)
    parts, _ = ndimage.label(field > np.quantile(field, 0.6))
    return parts == np.argmax(np.bincount(parts.ravel())[1:]) + 1


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    kind=st.sampled_from(KINDS),
    fraction=st.floats(0.005, 0.05),
    spacing=st.sampled_from([(1.0, 1.0, 1.0), (2.0, 2.0, 2.0), (1.0, 1.5, 3.0)]),
    softness=st.floats(0, 2),
)
def test_lesion_lies_in_the_brain_with_its_margin_and_volume(seed, kind, fraction, spacing, softness):
    image, brain = scan()
    before = image.copy()
    result, mask = insert_lesion(
        image, brain, outline(seed % 5), kind, np.random.default_rng(seed), 0.5, softness, spacing, fraction, 1.0
    )
    assert result.dtype == np.float32
    assert mask.dtype == bool
    assert result.shape == mask.shape == image.shape
    assert not mask[~brain].any()
    assert ndimage.distance_transform_edt(brain, sampling=spacing)[mask].min() > 1.0
    assert mask.sum() == pytest.approx(fraction * brain.sum(), rel=0.15, abs=2)
    assert np.array_equal(image, before)
    far = ndimage.distance_transform_edt(~mask, sampling=spacing) > 3 * softness + max(spacing)
    assert np.array_equal(result[far], image[far])
    assert np.array_equal(result[~brain], image[~brain])
    assert result[brain].min() >= image[brain].min()
    assert np.isfinite(result).all()


@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_gives_the_same_bytes_and_another_seed_another_place(kind):
    image, brain = scan()
    first, second, third = (insert_lesion(image, brain, outline(), kind, np.random.default_rng(s)) for s in (3, 3, 4))
    assert first[0].tobytes() == second[0].tobytes()
    assert np.array_equal(first[1], second[1])
    assert not np.array_equal(first[1], third[1])


def test_levels_are_what_the_contrast_says():
    image, brain = scan()
    fluid, middle, white = np.percentile(image[brain], [5, 50, 90])
    for contrast in (0.25, 0.5, 1.0):
        expected = {"dark": middle + contrast * (fluid - middle), "bright": white * (1 + contrast)}
        for kind, level in expected.items():
            result, mask = insert_lesion(
                image, brain, outline(), kind, np.random.default_rng(1), contrast, softness=0, fraction=0.03
            )
            assert result[mask].mean() == pytest.approx(level, abs=0.01 * white)
            assert result[mask].std() == pytest.approx(0.02 * white, rel=0.25)


def test_no_lesion_is_darker_than_the_darkest_of_the_brain():
    image, brain = scan()
    result, mask = insert_lesion(image, brain, outline(), "dark", np.random.default_rng(1), contrast=3, softness=0)
    assert (result[mask] >= image[brain].min()).all()
    assert np.median(result[mask]) == image[brain].min()


def test_texture_spans_dark_to_bright_smoothly():
    image, brain = scan()
    fluid, middle, white = np.percentile(image[brain], [5, 50, 90])
    result, mask = insert_lesion(image, brain, outline(), "textured", np.random.default_rng(2), 0.5, 0, (2, 2, 2), 0.04)
    dark, bright = (middle + fluid) / 2, 1.5 * white
    assert result[mask].min() == pytest.approx(dark, abs=0.1 * white)
    assert result[mask].max() == pytest.approx(bright, abs=0.1 * white)
    both = mask[1:] & mask[:-1]
    steps = np.abs(np.diff(result, axis=0))[both]
    assert steps.mean() < 0.25 * (bright - dark)
    assert result[mask].std() > 0.1 * (bright - dark)


def test_softness_blurs_the_edge_and_leaves_the_outline():
    image, brain = scan()
    flat = np.where(brain, image, 0)
    block = np.ones((8, 9, 7), dtype=bool)
    hard, mask = insert_lesion(flat, brain, block, "bright", np.random.default_rng(5), 1, 0, fraction=0.04)
    soft, same = insert_lesion(flat, brain, block, "bright", np.random.default_rng(5), 1, 1.5, fraction=0.04)
    assert np.array_equal(mask, same)
    ring = ndimage.binary_dilation(mask) & ~mask
    core = ndimage.distance_transform_edt(mask) > 3
    assert np.array_equal(hard[ring], flat[ring])
    assert (np.abs(soft - flat)[ring] > 0).all()
    assert core.any()
    assert soft[core].mean() == pytest.approx(hard[core].mean(), rel=0.1)
    edge = mask & ~ndimage.binary_erosion(mask)
    assert soft[edge].mean() < hard[edge].mean()


def test_all_turns_are_drawn():
    image, brain = scan((40, 40, 40))
    shape = np.ones((4, 8, 14), dtype=bool)
    shape[:2, :4, :7] = False
    orders, flips = set(), set()
    for seed in range(60):
        _, mask = insert_lesion(image, brain, shape, "dark", np.random.default_rng(seed), fraction=0.03)
        occupied = np.argwhere(mask)
        orders.add(tuple(np.argsort(np.ptp(occupied, axis=0)).tolist()))
        middle = (occupied.min(axis=0) + occupied.max(axis=0)) / 2
        flips.add(tuple((occupied.mean(axis=0) > middle).tolist()))
    assert len(orders) == 6
    assert len(flips) == 8


def test_a_brain_that_touches_the_volume_keeps_its_margin():
    image = np.random.default_rng(0).uniform(100, 200, (20, 20, 20))
    brain = np.ones(image.shape, dtype=bool)
    for seed in range(10):
        _, mask = insert_lesion(image, brain, outline(), "dark", np.random.default_rng(seed), fraction=0.05, margin=2.0)
        occupied = np.argwhere(mask)
        assert occupied.min() >= 2
        assert occupied.max() <= 17


def test_a_lesion_of_one_voxel():
    image, brain = scan()
    _, mask = insert_lesion(
        image, brain, np.ones((1, 1, 1), dtype=bool), "dark", np.random.default_rng(0), fraction=1.2 / brain.sum()
    )
    assert mask.sum() == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image": np.ones((4, 4))}, "3D"),
        ({"brain": np.ones((3, 3, 3), dtype=bool)}, "fit"),
        ({"shape": np.ones((3, 3), dtype=bool)}, "3D"),
        ({"shape": np.zeros((3, 3, 3), dtype=bool)}, "empty"),
        ({"brain": np.zeros(SHAPE, dtype=bool)}, "empty"),
        ({"image": np.full(SHAPE, np.nan)}, "NaN"),
        ({"image": np.full(SHAPE, -1.0)}, "negative"),
        ({"image": np.ones(SHAPE)}, "constant"),
        ({"kind": "purple"}, "unknown kind"),
        ({"contrast": 0}, "contrast"),
        ({"contrast": float("nan")}, "contrast"),
        ({"softness": -1}, "softness"),
        ({"margin": -1}, "margin"),
        ({"fraction": 0}, "fraction"),
        ({"fraction": 1e-6}, "less than one voxel"),
        ({"fraction": 0.95}, "fits nowhere"),
        ({"margin": 1e3}, "fits nowhere"),
        ({"spacing": (1, 1)}, "spacing"),
        ({"spacing": (1, 1, -1)}, "spacing"),
    ],
)
def test_what_cannot_be_used_is_refused(options, message):
    image, brain = scan()
    arguments = {"image": image, "brain": brain, "shape": outline(), "kind": "dark", **options}
    with pytest.raises(ValueError, match=message):
        insert_lesion(**arguments, rng=np.random.default_rng(0))


def test_shapes_are_read_as_they_were_saved(tmp_path):
    shapes = {"b": outline(1), "a": outline(2, (12, 9, 15))}
    np.savez_compressed(tmp_path / "shapes.npz", **shapes)
    loaded = load_shapes(tmp_path / "shapes.npz")
    assert list(loaded) == ["b", "a"]
    assert all(loaded[name].dtype == bool and np.array_equal(loaded[name], shapes[name]) for name in shapes)


def test_files_that_are_not_shapes_are_refused_by_name(tmp_path):
    (tmp_path / "text.npz").write_text("no")
    np.save(tmp_path / "array.npy", np.ones((3, 3, 3)))
    np.savez(tmp_path / "flat.npz", shape000=np.ones((3, 3)))
    np.savez(tmp_path / "empty.npz", shape000=np.zeros((3, 3, 3)))
    np.savez(tmp_path / "none.npz")
    np.savez(tmp_path / "pickled.npz", shape000=np.array([{"a": 1}], dtype=object))
    (tmp_path / "cut.npz").write_bytes((tmp_path / "flat.npz").read_bytes()[:60])
    for name in ("absent.npz", "text.npz", "array.npy", "flat.npz", "empty.npz", "none.npz", "pickled.npz", "cut.npz"):
        with pytest.raises(ValueError, match=name):
            load_shapes(tmp_path / name)
