"""itermask.methods.anyscan: block masks, fine structure, description, training example."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_head import tiny_head

from itermask.methods import build_method
from itermask.methods.anyscan.description import FEATURES, describe_contrast
from itermask.methods.anyscan.guidance import fine_structure
from itermask.methods.anyscan.masks import block_parts, hidden_blocks
from itermask.prepare.intensity import IntensityScale
from itermask.synth.tissues import TISSUE_OF_GROUP, UNKNOWN
from itermask.types import TrainingVolume

SPACING = (4.0, 4.0, 4.0)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10**6), st.integers(2, 4))
def test_block_parts_are_of_about_one_size(seed, parts):
    found = block_parts((40, 48, 40), (2.0, 2.0, 2.0), np.random.default_rng(seed), parts)
    assert found.shape == (40, 48, 40)
    shares = np.bincount(found.ravel(), minlength=parts) / found.size
    assert np.abs(shares - 1 / parts).max() < 0.25 / parts + 0.1


def test_block_parts_are_blocks():
    found = block_parts((40, 40, 40), (2.0, 2.0, 2.0), np.random.default_rng(0))
    changes = np.count_nonzero(np.diff(found.astype(int), axis=0), axis=0)
    assert changes.max() <= 8  # edges of at least 12 mm


def test_hidden_blocks_lie_in_the_brain_and_hide_the_share():
    _, brain, _ = tiny_head()
    hidden = hidden_blocks(brain, SPACING, np.random.default_rng(0), 0.5)
    assert not hidden[~brain].any()
    assert 0.3 < hidden.sum() / brain.sum() < 0.7


def test_fine_structure_removes_an_even_brain():
    _, brain, _ = tiny_head()
    assert np.abs(fine_structure(brain.astype(np.float32), brain, SPACING)).max() < 1e-4


def test_fine_structure_does_not_know_the_coarse_level():
    image, brain, _ = tiny_head()
    slope = np.linspace(0, 1, image.shape[0])[:, None, None] * brain
    plain, tilted = (fine_structure(one, brain, SPACING) for one in (image, image + slope))
    inner = np.zeros_like(brain)
    inner[8:-8, 8:-8, 8:-8] = brain[8:-8, 8:-8, 8:-8]
    assert np.abs(plain - tilted)[inner].mean() < 0.2 * np.abs(slope - slope[inner].mean())[inner].mean()


def test_fine_structure_is_zero_outside_and_linear():
    image, brain, _ = tiny_head()
    made = fine_structure(image, brain, SPACING)
    assert not made[~brain].any()
    assert np.allclose(fine_structure(3 * image, brain, SPACING), 3 * made, atol=1e-4)


def test_description_tells_contrasts_apart_and_not_positions():
    image, brain, _ = tiny_head()
    scale = IntensityScale(kind="robust", background=0.0)
    scaled = scale.apply(image, brain, scale.limits(image, brain))
    turned = scale.apply(-image, brain, scale.limits(-image, brain))
    told = describe_contrast(scaled, brain)
    assert told.shape == (FEATURES,)
    assert np.abs(told - describe_contrast(turned, brain)).max() > 1.0
    assert np.abs(told - describe_contrast(np.flip(scaled, 1), np.flip(brain, 1))).max() < 0.6


def volume(known=True, seed=0):
    image, brain, groups = tiny_head((32, 48, 32), seed)
    return TrainingVolume(image[None], brain, SPACING, "", groups if known else None)


@pytest.mark.parametrize("known", [True, False])
def test_example_has_what_the_loss_takes(known):
    torch = pytest.importorskip("torch")
    from itermask.networks import build_network

    method = build_method("anyscan")
    example = method.example(volume(known), np.random.default_rng(0))
    assert example["input"].shape == (3, 32, 48, 32)
    tissue = example["tissue"]
    assert (tissue == UNKNOWN).all() != known
    if known:
        assert set(np.unique(tissue)) <= {*TISSUE_OF_GROUP.tolist(), UNKNOWN}
    name, arguments = method.network_specs()["restoration"]
    network = build_network(name, arguments | {"widths": [8, 8, 8]})
    batch = {key: torch.from_numpy(value)[None] for key, value in example.items()}
    loss = method.loss({"restoration": network}, batch)
    loss.backward()
    assert torch.isfinite(loss)


def test_example_is_the_same_for_the_same_seed():
    method = build_method("anyscan")
    first, second = (method.example(volume(), np.random.default_rng(4)) for _ in range(2))
    assert all(np.array_equal(first[key], second[key]) for key in first)


def test_example_hides_what_it_says_and_keeps_the_rest_but_anomalies():
    method = build_method("anyscan", {"mix": {"anomalies": 0.0}})
    for seed in range(6):
        example = method.example(volume(), np.random.default_rng(seed))
        image, _, where = example["input"]
        seen = where == 0
        if seen.any():
            off = np.abs(image - example["target"][0])[seen]
            assert np.median(off) < 1.5  # the scanner's noise is not in the target


def test_network_description_changes_nothing_before_training():
    torch = pytest.importorskip("torch")
    from itermask.networks import FilmUNet

    network = FilmUNet(in_channels=1, widths=(8, 8), features=3)
    x = torch.randn(1, 1, 8, 8, 8)
    assert torch.equal(network(x, torch.zeros(1, 3)), network(x, torch.ones(1, 3)))
