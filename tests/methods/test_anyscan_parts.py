"""itermask.methods.anyscan: block masks, fine structure, description, training example."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from tiny_head import tiny_head

from itermask.methods import build_method
from itermask.methods.anyscan.description import FEATURES, describe_contrast
from itermask.methods.anyscan.detection import Search, calibrate, threshold_at
from itermask.methods.anyscan.guidance import fine_structure
from itermask.methods.anyscan.maps import above_share_of_region, evidence, weight_of_sign
from itermask.methods.anyscan.masks import block_parts, hidden_blocks
from itermask.methods.anyscan.training import ANOMALY_LOGITS, OUTPUTS
from itermask.prepare.intensity import IntensityScale
from itermask.synth.tissues import TISSUE_OF_GROUP, UNKNOWN
from itermask.types import Prepared, TrainingVolume

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


@given(st.floats(-20, 20), st.floats(0.1, 20), st.floats(0, 5))
def test_evidence_grows_with_logit_and_departure_and_never_exceeds_the_departure(logit, departure, more):
    brain = np.ones(1, bool)

    def of(logit, departure):
        return float(evidence(np.array([logit]), np.array([departure]), brain)[0])

    assert 0 <= of(logit, departure) <= np.float32(departure)
    assert of(logit, departure) <= of(logit + more, departure)
    assert of(logit, departure) <= of(logit, departure + more)
    assert of(logit, -departure) == 0


@pytest.mark.parametrize(
    ("sequence", "bright", "dark"), [("T1w", 1, 1), ("T2w", 1, 0.4), ("FLAIR", 1, 0.4), ("", 1, 1)]
)
def test_dark_evidence_counts_less_where_lesions_are_bright(sequence, bright, dark):
    assert (weight_of_sign(1, sequence), weight_of_sign(-1, sequence)) == (bright, dark)


def test_region_keeps_what_is_near_its_own_top_and_other_regions_are_their_own():
    values = np.zeros((9, 9, 30), np.float32)
    values[3:6, 3:6, 3:8] = 1.5  # a faint margin around a strong core
    values[3:6, 3:6, 5] = 20
    values[3:6, 3:6, 20:24] = 1.5  # as faint, but alone
    found = above_share_of_region(values, 1.0)
    assert found[4, 4].nonzero()[0].tolist() == [5, 20, 21, 22, 23]
    assert not above_share_of_region(values, 30.0).any()


class FlatRuntime:
    """Stands for a network: it expects the middle of the scale, and calls nothing anomalous but what is far from it."""

    def batch(self, role, inputs, description):
        image, hidden = inputs[:, 0], inputs[:, 2] == 1
        output = np.zeros((len(inputs), OUTPUTS, *image.shape[1:]), np.float32)
        output[:, ANOMALY_LOGITS] = -12
        seen = np.where(hidden, 0, image)
        output[:, ANOMALY_LOGITS.start] = np.where(seen > 3, 8, -12)
        output[:, ANOMALY_LOGITS.start + 1] = np.where(seen < -3, 8, -12)
        return output


@pytest.mark.parametrize(("level", "sequence"), [(6.0, "FLAIR"), (-6.0, "T1w")])
def test_lesion_of_either_sign_is_flagged_where_it_lies_and_nothing_else(level, sequence):
    brain = np.zeros((24, 24, 24), bool)
    brain[3:-3, 3:-3, 3:-3] = True
    image = np.where(brain, np.random.default_rng(0).normal(0, 0.3, brain.shape), 0).astype(np.float32)
    lesion = np.zeros_like(brain)
    lesion[5:10, 12:18, 8:14] = True  # on one side: the mirrored pass must come back to it
    image[lesion] = level
    prepared = Prepared(image, brain, SPACING, None, (0.0, 1.0), sequence=sequence)
    method = build_method("anyscan")
    search = method.explore(prepared, FlatRuntime(), np.random.default_rng(0))
    found = method.finalize(search, method.published_point())
    assert found.mask[lesion].mean() > 0.9
    assert not found.mask[~ndimage.binary_dilation(lesion)].any()
    assert found.trace["bright_share"] == float(level > 0)
    assert not found.error[~brain].any()
    again = method.finalize(search, {"evidence": 1e9})
    assert not again.mask.any()


def test_calibration_takes_the_lowest_threshold_that_is_small_enough():
    rng = np.random.default_rng(0)
    brain = np.ones((16, 16, 16), bool)
    prepared = Prepared(np.zeros(brain.shape, np.float32), brain, SPACING, None, (0.0, 1.0))
    searches = [Search(prepared, prepared.image, rng.exponential(size=brain.shape), brain) for _ in range(3)]
    point = calibrate(searches, lambda point: point["evidence"] >= 6.5)
    looser = threshold_at(searches, 0.004)["evidence"]
    assert looser < 6.5 <= point["evidence"] < 8
    assert calibrate(searches, lambda point: True)["evidence"] == pytest.approx(looser)


def test_anomaly_classes_say_the_sign_and_leave_out_what_hardly_changed():
    method = build_method(
        "anyscan", {"mix": {"anomalies": 1.0, "blocks": 0.0, "fields": 0.0, "ellipsoids": 0.0, "full": 0.0}}
    )
    seen = set()
    for seed in range(12):
        example = method.example(volume(), np.random.default_rng(seed))
        classes, change = example["anomaly"], example["input"][0] - example["target"][0]
        assert (classes[~volume().brain] == UNKNOWN).all()
        for value, sign in ((1, 1), (2, -1)):
            if (classes == value).sum() > 20:
                seen.add(value)
                assert np.median(sign * change[classes == value]) > 0  # noise takes part
    assert seen == {1, 2}
