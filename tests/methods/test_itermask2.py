"""IterMask2: what it learns from, how it processes a stack, its three stop rules; and from training to a report."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from tiny_model import ORIENTATIONS, affine_of, oblique, stored_as, turned, write_nifti
from tiny_slices import SHAPE, SPACING, stack_config, stack_grid, tiny_stack, write_stacks

import itermask
from itermask.core.guidance import CUTOFF_2D, high_frequency
from itermask.core.masks import MaskMix
from itermask.io.outputs import OUTPUTS, PASSES, write_finding
from itermask.io.result_folder import MARK
from itermask.methods import build_method
from itermask.methods.itermask2 import IterMask2
from itermask.methods.itermask2.calibration import validation_threshold
from itermask.methods.itermask2.method import EXCEEDING
from itermask.models.folder import load_model
from itermask.networks import build_network
from itermask.prepare.prepare import prepare
from itermask.results.report import pictures
from itermask.runtime.torch_runtime import TorchRuntime
from itermask.training.loop import Trainer
from itermask.training.train import calibrate_model, train_model
from itermask.types import TrainingVolume

QUICK = {"steps": 20, "window": 25.0, "focused": False}
POINTS = {
    "own": {"gamma": 0.05},
    "level": {"multiple": 50.0},
    "validation": {"threshold": 0.5},
    "fixed": {"threshold": 0.5},
}


@pytest.fixture(autouse=True)
def small_pictures(monkeypatch):
    """Large pictures take long to draw."""
    monkeypatch.setattr(pictures, "ROW_WIDTH", 300)


class KnowsSlices:
    """A runtime that knows each slice's normal image by its guidance; it repeats what it sees."""

    description = "knows every slice"

    def __init__(self, prepared, normal, cutoff=CUTOFF_2D, spread=0.1):
        self.normal = np.moveaxis(normal, -1, 0)
        slices = np.moveaxis(prepared.image, -1, 0)
        self.fine = np.stack([high_frequency(one, prepared.spacing[:2], cutoff) for one in slices])
        self.spread, self.seen = spread, []

    def batch(self, role, inputs):
        self.seen.append((role, inputs))
        guidance = inputs[:, 0] if role == "first" else inputs[:, 1]
        places = [int(np.abs(self.fine - one).sum((1, 2)).argmin()) for one in guidance]
        normal = self.normal[places]
        if role == "first":
            return normal[:, None] + 0.3
        image, hidden = inputs[:, 0], inputs[:, 2] > 0
        return np.where(hidden, normal + self.spread * image, image + 0.01 * normal)[:, None]  # noise where hidden


def spoilt(contrast=4.0):
    """A prepared stack with a brighter ball, the ball, and the stack without it."""
    normal = prepare(tiny_stack(2), stack_grid())
    axes = np.meshgrid(*[np.arange(n) - at * n for n, at in zip(normal.image.shape, (0.4, 0.55, 0.5), strict=True)],
                       indexing="ij")  # fmt: skip
    ball = (axes[0] ** 2 + axes[1] ** 2 + (2 * axes[2]) ** 2 < 3.5**2) & normal.brain
    return replace(normal, image=np.where(ball, normal.image + contrast, normal.image).astype(np.float32)), ball, normal


def dice(mask, wanted):
    return 2 * (mask & wanted).sum() / (mask.sum() + wanted.sum())


def found(method, prepared, runtime, seed=0, point=None):
    return method.detect(prepared, runtime, np.random.default_rng(seed), point or POINTS[method.stop])


def tiny_runtime(method):
    """Random networks of a method."""
    torch.manual_seed(0)
    arguments = {"widths": [4, 8], "group_size": 4}
    specs = method.network_specs().items()
    return TorchRuntime(
        {role: build_network(name, given | arguments) for role, (name, given) in specs}, "cpu", torch.float32
    )


# --- training ------------------------------------------------------------------------------------------------


def volume(seed=0):
    prepared = prepare(tiny_stack(seed), stack_grid())
    return TrainingVolume(prepared.image[None], prepared.brain, prepared.spacing, prepared.plane)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(["network", "hidden"]), st.booleans(), st.sampled_from([0.0, 0.5, 1]))
def test_an_example_hides_part_of_some_slices(seed, first, told, squares):
    method = IterMask2(first=first, mask_channel=told, squares=squares, slices=3)
    whole = volume(1)
    example = method.example(whole, np.random.default_rng(seed))
    assert set(example) == {"input", "target", "weight"} | ({"weight_first"} if first == "network" else set())
    assert {value.dtype for value in example.values()} == {np.dtype("float32")}
    assert example["input"].shape == (3, 3 if told else 2, *whole.brain.shape[:2])
    known = np.moveaxis(whole.images[0], -1, 0)
    for inputs, target, weight in zip(example["input"], example["target"], example["weight"], strict=True):
        place = int(np.abs(known - target[0]).sum((1, 2)).argmin())
        brain = whole.brain[..., place]
        np.testing.assert_array_equal(target[0], known[place])
        hidden = weight[0] == method.weights[0]
        assert hidden.any()
        assert not (hidden & ~brain).any()
        np.testing.assert_array_equal(inputs[0][~hidden], target[0][~hidden])
        assert (inputs[0][hidden] != target[0][hidden]).all()
        np.testing.assert_array_equal(inputs[1], high_frequency(target[0], whole.spacing[:2], method.cutoff))
        assert set(np.unique(weight)) <= {np.float32(w) for w in method.weights}
        if told:
            np.testing.assert_array_equal(inputs[2] > 0, hidden)
    if first == "network":
        assert set(np.unique(example["weight_first"])) == {np.float32(method.weights[0]), np.float32(method.weights[2])}


def test_both_networks_learn():
    method = IterMask2(first="network", slices=2)
    networks = torch.nn.ModuleDict(tiny_runtime(method).networks)
    example = method.example(volume(), np.random.default_rng(0))
    method.loss(networks, {key: torch.from_numpy(value)[None] for key, value in example.items()}).backward()
    for role in ("reconstruction", "first"):
        assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in networks[role].parameters())
        assert any((p.grad != 0).any() for p in networks[role].parameters())


# --- processing a stack --------------------------------------------------------------------------------------


@pytest.mark.parametrize("stop", ["own", "level", "validation", "fixed"])
@pytest.mark.parametrize("first", ["network", "hidden"])
def test_what_the_model_cannot_explain_is_found(stop, first):
    prepared, ball, normal = spoilt()
    method = IterMask2(stop=stop, first=first, **QUICK)
    runtime = KnowsSlices(prepared, normal.image)
    detection = found(method, prepared, runtime)
    assert dice(detection.mask, ball) > 0.85
    assert detection.error[ball].mean() > 10 * detection.error[prepared.brain & ~ball].mean()
    assert detection.scores["mask_size"] == pytest.approx(detection.mask.sum() / prepared.brain.sum())
    assert detection.trace["settled"]
    assert detection.trace["slices"] == prepared.brain.any((0, 1)).sum()
    assert detection.trace["mask_voxels"][0] == prepared.brain.sum()
    roles = {role for role, _ in runtime.seen}
    assert roles == ({"first", "reconstruction"} if first == "network" else {"reconstruction"})
    assert all(inputs.shape[1] == 1 for role, inputs in runtime.seen if role == "first")  # the guidance alone
    assert ("curve" in detection.trace) == (stop == "own")


@pytest.mark.parametrize("stop", ["own", "validation"])
def test_without_refinement_the_first_look_decides(stop):
    prepared, ball, normal = spoilt()
    method = IterMask2(stop=stop, iterate=False, **QUICK)
    detection = found(method, prepared, KnowsSlices(prepared, normal.image))
    np.testing.assert_array_equal(detection.mask, (detection.error > detection.threshold) & prepared.brain)
    assert detection.trace["passes"] == 1
    assert detection.mask[ball].mean() > 0.9


def test_without_guidance_the_network_sees_none_of_it():
    prepared, _, normal = spoilt()
    blind = IterMask2(guidance=False, stop="validation")
    assert not blind.example(volume(1), np.random.default_rng(0))["input"][:, 1].any()
    runtime = KnowsSlices(prepared, normal.image)
    blind.explore(prepared, runtime, np.random.default_rng(0))
    assert runtime.seen
    assert not any(inputs[:, 1].any() for _, inputs in runtime.seen)


def test_a_normal_stack_shows_next_to_nothing():
    _, _, normal = spoilt()
    detection = found(IterMask2(stop="fixed"), normal, KnowsSlices(normal, normal.image))
    assert detection.scores["mask_size"] < 0.01


@pytest.mark.parametrize("runtime", ["knows", "network"])
@pytest.mark.parametrize("first", ["network", "hidden"])
def test_a_slice_does_not_depend_on_the_slices_beside_it(runtime, first, monkeypatch):
    prepared, _, normal = spoilt()
    method = IterMask2(stop="fixed", first=first)
    used = KnowsSlices(prepared, normal.image) if runtime == "knows" else tiny_runtime(method)
    whole = found(method, prepared, used)
    monkeypatch.setattr("itermask.methods.itermask2.detection.BATCH", 3)
    parts = np.arange(prepared.brain.shape[2]) % 3
    for part in range(3):
        some = replace(prepared, brain=prepared.brain & (parts == part))
        alone = found(method, some, used)
        here = parts == part
        assert np.array_equal(alone.mask[..., here], whole.mask[..., here])
        np.testing.assert_allclose(alone.error[..., here], whole.error[..., here], rtol=1e-4, atol=1e-5)
        assert not alone.mask[..., ~here].any()
        assert not alone.error[..., ~here].any()


def test_a_search_concludes_the_same_however_often_and_seeds_differ():
    prepared, _, normal = spoilt()
    method = IterMask2(**QUICK)
    runtime = KnowsSlices(prepared, normal.image)
    search = method.explore(prepared, runtime, np.random.default_rng(3))
    one, _, again = (method.finalize(search, {"gamma": gamma}) for gamma in (0.05, 0.5, 0.05))
    assert np.array_equal(one.mask, again.mask)
    assert np.array_equal(one.reconstruction, again.reconstruction)
    other = found(method, prepared, runtime, 4)
    assert not np.array_equal(one.reconstruction, other.reconstruction)
    assert dice(one.mask, other.mask) > 0.9


def test_a_smaller_point_flags_no_less():
    prepared, _, normal = spoilt()
    for stop, name in (("own", "gamma"), ("fixed", "threshold")):
        method = IterMask2(stop=stop, **QUICK)
        search = method.explore(prepared, KnowsSlices(prepared, normal.image), np.random.default_rng(0))
        sizes = [method.finalize(search, {name: level}).scores["mask_size"] for level in (4.0, 0.5, 0.02)]
        assert sizes == sorted(sizes)


@pytest.mark.parametrize("broken", ["empty", "constant", "nan"])
def test_what_cannot_be_looked_at_is_refused(broken):
    prepared, _, normal = spoilt()
    changed = {
        "empty": {"brain": np.zeros_like(prepared.brain)},
        "constant": {"image": np.zeros_like(prepared.image)},
        "nan": {"image": prepared.image * np.nan},
    }[broken]
    with pytest.raises(ValueError, match=r"empty|constant|NaN"):
        found(IterMask2(), replace(prepared, **changed), KnowsSlices(prepared, normal.image))


# --- calibration ---------------------------------------------------------------------------------------------


def test_a_fifth_of_hidden_healthy_pixels_exceeds_the_validation_threshold():
    method = IterMask2(stop="validation", masks=MaskMix(ellipsoid=0, field=1, full=0))
    scans = [prepare(tiny_stack(seed), stack_grid()) for seed in range(3)]
    searches = [method.explore(one, KnowsSlices(one, one.image), np.random.default_rng(0)) for one in scans]
    point = method.calibrate(searches, lambda _point: pytest.fail("masks need no trying out"))
    assert point == {"threshold": validation_threshold(method, searches)}
    # Hidden pixels come back with a tenth of the noise, so a fifth of 0.01·x² is to be above it, x standard normal.
    noise = np.random.default_rng(1).normal(size=100_000)
    assert np.mean(0.01 * noise**2 > point["threshold"]) == pytest.approx(EXCEEDING, abs=0.02)


def test_the_level_rule_is_the_validation_threshold_in_each_scan_s_own_unit():
    method = IterMask2(stop="level", masks=MaskMix(ellipsoid=0, field=1, full=0))
    scans = [prepare(tiny_stack(seed), stack_grid()) for seed in range(3)]
    # The same scans with errors four times as large, from twice the noise.
    searches, noisier = (
        [method.explore(one, KnowsSlices(one, one.image, spread=spread), np.random.default_rng(0)) for one in scans]
        for spread in (0.1, 0.2)
    )
    points = [
        method.calibrate(each, lambda _point: pytest.fail("masks need no trying out")) for each in (searches, noisier)
    ]
    assert points[0] == {"multiple": pytest.approx(points[1]["multiple"], rel=1e-3)}
    thresholds = [method.finalize(each[0], points[0]).threshold for each in (searches, noisier)]
    assert thresholds[1] == pytest.approx(4 * thresholds[0], rel=1e-3)
    looser = replace(method, exceeding=0.4).calibrate(searches, lambda _point: None)
    assert looser["multiple"] < points[0]["multiple"]


def test_blobs_are_seen_and_not_expected():
    scattered = MaskMix(ellipsoid=0, field=1, full=0)
    plain, spoilt_ = (
        IterMask2(blobs=share, slices=3, masks=scattered).example(volume(), np.random.default_rng(0))
        for share in (0.0, 1.0)
    )
    for example, differs in ((plain, False), (spoilt_, True)):
        visible = (example["input"][:, 2] == 0) & np.isclose(example["weight"][:, 0], 0.1)
        assert ((example["input"][:, 0] != example["target"][:, 0])[visible].any()) == differs


def test_without_refinement_the_threshold_is_of_hidden_brains():
    method = IterMask2(stop="validation", iterate=False)
    scans = [prepare(tiny_stack(seed), stack_grid()) for seed in range(3)]
    searches = [method.explore(one, KnowsSlices(one, one.image), np.random.default_rng(0)) for one in scans]
    threshold = method.calibrate(searches, lambda _point: pytest.fail("masks need no trying out"))["threshold"]
    errors = [(one.images - one.first)[one.brains] ** 2 for one in searches]
    assert np.mean(np.concatenate(errors) > threshold) == pytest.approx(EXCEEDING, abs=0.001)


def test_the_own_rule_is_as_strict_as_the_validation_threshold_on_healthy_scans():
    method = IterMask2(**QUICK)
    scans = [prepare(tiny_stack(seed), stack_grid()) for seed in range(3)]
    searches = [method.explore(one, KnowsSlices(one, one.image), np.random.default_rng(0)) for one in scans]

    def sizes(point):
        return np.array([method.finalize(search, point).scores["mask_size"] for search in searches])

    point = method.calibrate(searches, sizes)
    assert set(point) == {"gamma"}
    wanted = validation_threshold(method, searches)

    def distance(gamma):
        own = np.median([method.rule.stop_at(search.curve, gamma).value for search in searches])
        return abs(np.log(max(own, 1e-6) / wanted))

    assert all(distance(point["gamma"]) <= distance(gamma) for gamma in (0.01, 0.1, 1.0, 10.0))
    fixed = replace(method, stop="fixed")
    assert set(fixed.calibrate(searches, lambda p: 0 * sizes({"gamma": 1.0}))) == {"threshold"}


# --- settings ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"first": "both"}, "first is network or hidden"),
        ({"stop": "never"}, "stop is one of own, level, validation, fixed"),
        ({"iterate": 1}, "iterate (is|must be) true or false"),
        ({"first": "network", "guidance": False}, "take first = hidden"),
        ({"slices": 0}, "at least one slice"),
        ({"squares": 1.5}, "squares is a share"),
        ({"blobs": -1}, "blobs is a share"),
        ({"exceeding": 2}, "exceeding is a share"),
        ({"start_share": -0.1}, "start_share is a share"),
        ({"masks": {"full": 0.5}}, "add up to 1"),
        ({"depth": 3}, "depth"),
    ],
)
def test_settings_that_mean_nothing_are_refused(wrong, says):
    with pytest.raises(ValueError, match=says):
        build_method("itermask2", wrong)


def test_settings_survive_a_card():
    method = IterMask2(first="network", squares=0.5, masks=MaskMix(0.5, 0.5, 0.0), weights=(1.0, 0.5, 0.0))
    assert build_method("itermask2", json.loads(json.dumps(method.settings()))) == method
    assert set(method.network_specs()) == {"reconstruction", "first"}


@pytest.mark.parametrize("name", ["flair-2d", "itermask2-published"])
def test_the_settings_that_come_with_the_package_can_be_trained(name, tmp_path):
    from itermask.training.config import read_config

    pytest.importorskip("monai")
    config = read_config(None, preset=name)
    trainer = Trainer(config, config.grid(), tmp_path, "cpu")
    assert trainer.method.name == "itermask2"
    assert config.batch * trainer.method.slices == (12 if name == "flair-2d" else 32)
    with torch.no_grad():
        for role, network in trainer.networks.items():
            channels = trainer.specs[role][1]["in_channels"]
            assert network.eval()(torch.zeros(1, channels, 128, 128)).shape == (1, 1, 128, 128)


# --- end to end ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Two patients to train on and four to validate with, each with lesion in some slices."""
    lesions = {0: [4, 5], 3: [2], 4: [6, 7]}
    return write_stacks(tmp_path_factory.mktemp("stacks"), lesions=lesions)


@pytest.fixture(scope="module")
def folder(data, tmp_path_factory):
    return train_model(data, "FLAIR", tmp_path_factory.mktemp("trained") / "flair", stack_config(), "cpu")


def test_a_trained_folder_is_a_calibrated_model_of_slices(folder):
    model = load_model(folder, device="cpu")
    assert (model.grid.spacing, model.grid.box, model.grid.slice_area) == ((3.0, 3.0, 0.0), (24, 32, 1), 12.0)
    assert set(model.calibration["operating_point"]) == {"gamma"}
    assert model.calibration["planes"] == ["axial"]
    assert (model.calibration["scans"], model.calibration["subjects"]) == (4, 4)
    assert {len(values) for values in model.calibration["healthy"].values()} == {4}


def test_a_model_is_calibrated_anew_with_another_stop_rule(folder, data, tmp_path):
    again = calibrate_model(data, folder, tmp_path / "again", {"stop": "validation"}, "cpu")
    model = load_model(again, device="cpu")
    assert set(model.calibration["operating_point"]) == {"threshold"}
    finding = itermask.run(tiny_stack(9), model, itermask.RunSettings(sensitivity=2.0))
    assert finding.threshold == pytest.approx(model.calibration["operating_point"]["threshold"] / 2)
    assert np.isfinite(finding.scores["profile_distance"]["value"])
    with pytest.raises(itermask.InputError, match="first: not a test-time setting of itermask2"):
        calibrate_model(data, folder, tmp_path / "third", {"first": "network"}, "cpu")


@pytest.mark.parametrize("settings_", [{}, {"first": "network", "stop": "validation", "squares": 0.5}])
def test_an_interrupted_training_goes_on_to_the_same_bits(data, tmp_path, settings_):
    small = {"dims": 2, "widths": [4, 8], "group_size": 4}
    networks = stack_config().networks | (
        {"first": {"name": "block-unet", "arguments": small | {"in_channels": 1}}} if settings_ else {}
    )
    config = stack_config(
        networks=networks, method_settings={"steps": 5, "focused": False, "slices": 2} | settings_, workers=0
    )
    whole = train_model(data, "FLAIR", tmp_path / "whole", config, "cpu")

    def stop(stage, share):
        if stage.startswith("training") and share > 0.7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_model(data, "FLAIR", tmp_path / "parts", config, "cpu", report=stop)
    parts = train_model(data, "FLAIR", tmp_path / "parts", config, "cpu")
    one, other = (load_file(out / "checkpoint.safetensors") for out in (whole, parts))
    assert one.keys() == other.keys()
    assert all(torch.equal(one[key], other[key]) for key in one)
    cards = [load_model(out, device="cpu").calibration | {"seconds": 0} for out in (whole, parts)]
    assert cards[0] == cards[1]


@pytest.mark.parametrize("orientation", [*ORIENTATIONS[::9], ORIENTATIONS[5]])
@pytest.mark.parametrize("tilted", [False, True])
def test_a_stack_is_looked_at_however_it_is_stored(folder, tmp_path, orientation, tilted):
    model = load_model(folder, device="cpu")
    straight = replace(tiny_stack(9, blob=60), affine=oblique(affine_of(SPACING)) if tilted else affine_of(SPACING))
    stored = stored_as(straight, orientation)
    path = write_nifti(tmp_path / "sub_FLAIR.nii.gz", stored)
    finding = itermask.run(path, model)
    expected = itermask.run(straight, model)
    for name in ("anomaly", "error", "reconstruction", "brain"):
        array = getattr(finding, name)
        assert array.shape == stored.image.shape
        np.testing.assert_allclose(array, turned(getattr(expected, name), orientation), atol=1e-2)
    assert finding.score == pytest.approx(expected.score, rel=1e-3)
    assert not (finding.anomaly & ~finding.brain).any()
    assert finding.settings["model_voxel_size_mm"] == pytest.approx(SPACING)


def test_slices_of_another_plane_are_looked_at_with_a_word(folder):
    scan = tiny_stack(9)
    nod = np.array([[1, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 0], [0, 0, 0, 1]])  # axial slices become coronal ones
    upright = replace(scan, affine=nod @ scan.affine)
    finding = itermask.run(upright, load_model(folder, device="cpu"))
    assert "The slices are coronal, but the model has learned axial ones." in finding.warnings
    assert finding.error.any()


def test_a_single_slice_is_looked_at_and_reported(folder, tmp_path):
    whole = tiny_stack(9, blob=60)
    one = replace(whole, image=whole.image[..., 5:6], brain_mask=whole.brain_mask[..., 5:6])
    scan = itermask.read_scan(write_nifti(tmp_path / "one_FLAIR.nii.gz", one))
    finding = itermask.run(scan, load_model(folder, device="cpu"))
    assert finding.anomaly.shape == (*SHAPE[:2], 1)
    assert finding.search["slices"] == 1
    write_finding(scan, finding, tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {*OUTPUTS, PASSES, MARK}


def test_the_report_of_a_stack_shows_its_slices(folder, tmp_path):
    scan = tiny_stack(9, blob=60)
    finding = itermask.run(scan, load_model(folder, device="cpu"))
    write_finding(scan, finding, tmp_path)
    page = (tmp_path / "report.html").read_text()
    held = np.flatnonzero(scan.brain_mask.any((0, 1)))
    assert page.count("<h3>Axial<small>") == -(-len(held) // pictures.STACK_ROW)
    assert "Coronal" not in page
    assert "Sagittal" not in page
    assert "Threshold curve" in page
    skipped = (scan.brain_mask.sum((0, 1))[held] * 9 / 100 < 12).sum()
    assert skipped > 0
    assert f"{skipped} slices with less than 12 cm² of brain were not processed." in page


def test_the_first_network_sees_the_guidance_and_nothing_else():
    """While it learns as well: it would learn nothing of use from the noise-filled slice."""
    method = IterMask2(first="network", squares=1.0, slices=2, mask_channel=False)
    prepared = prepare(tiny_stack(0), stack_grid())
    volume = TrainingVolume(prepared.image[None], prepared.brain, prepared.spacing, "axial")
    example = method.example(volume, np.random.default_rng(0))
    seen = {}

    class Watches(torch.nn.Module):
        def __init__(self, role):
            super().__init__()
            self.role = role

        def forward(self, x):
            seen[self.role] = x
            return x[:, :1]

    batch = {key: torch.from_numpy(value)[None] for key, value in example.items()}
    method.loss({role: Watches(role) for role in ("reconstruction", "first")}, batch)
    np.testing.assert_array_equal(seen["first"].numpy()[:, 0], example["input"][:, 1])
    assert seen["first"].shape[1] == 1
    for fine, target in zip(seen["first"].numpy()[:, 0], example["target"][:, 0], strict=True):
        np.testing.assert_allclose(fine, high_frequency(target, prepared.spacing[:2], method.cutoff), atol=1e-5)
