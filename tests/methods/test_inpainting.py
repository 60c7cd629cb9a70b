"""IterMask3D with less: one pass, or a fixed threshold, of the same network and without new training."""

import json

import numpy as np
import pytest
from tiny_method import KnowsNormal, bare_model, check_run, dice, healthy_scan, train_tiny, with_ball
from typer.testing import CliRunner

from itermask.cli.main import app
from itermask.core.profile import error_profile
from itermask.core.stop_rules import stop_threshold
from itermask.errors import InputError
from itermask.methods import build_method
from itermask.methods.baselines.inpainting import Inpainting
from itermask.methods.itermask3d import IterMask3D
from itermask.models.folder import CARD, WEIGHTS, load_model, save_card
from itermask.training.calibration import calibrate
from itermask.training.train import calibrate_model

NETWORKS = {
    "reconstruction": {
        "name": "block-unet",
        "arguments": {"dims": 3, "in_channels": 3, "widths": [4, 8], "group_size": 4},
    }
}


def found_by(method, point=None, contrast=-4.0):
    """Detection, ball and runtime of a scan with a lesion."""
    prepared, ball, normal = with_ball(contrast)
    runtime = KnowsNormal(normal.image)
    return method.detect(prepared, runtime, np.random.default_rng(0), point), ball, runtime


# One pass, fixed threshold


@pytest.mark.parametrize("contrast", [-4.0, 4.0])
def test_a_lesion_is_found_in_one_pass(contrast):
    found, ball, runtime = found_by(Inpainting(), {"threshold": 2.0}, contrast)
    prepared, _, _ = with_ball(contrast)
    assert len(runtime.seen) == 1
    np.testing.assert_array_equal(runtime.seen[0][2] > 0, prepared.brain)
    assert dice(found.mask, ball) > 0.95
    np.testing.assert_array_equal(found.mask, (found.error > 2.0) & prepared.brain)
    assert found.profile == error_profile(found.error[prepared.brain])
    assert found.scores["mask_size"] == pytest.approx(found.mask.sum() / prepared.brain.sum())
    sizes = [int(prepared.brain.sum()), int(found.mask.sum())]
    assert found.trace == {"threshold": 2.0, "mask_voxels": sizes, "passes": 1, "settled": True}
    assert json.loads(json.dumps(found.trace)) == found.trace


def test_it_is_itermask3d_with_two_settings():
    one, _, _ = found_by(Inpainting(), {"threshold": 0.5})
    other, _, _ = found_by(IterMask3D(iterate=False, stop="fixed"), {"threshold": 0.5})
    assert one.error.tobytes() == other.error.tobytes()
    assert one.trace == other.trace
    assert Inpainting().published_point() == IterMask3D(stop="fixed").published_point() == {"threshold": 1.0}
    assert IterMask3D(iterate=False).published_point() == IterMask3D().published_point() == {"gamma": 0.01}


def test_smoothing_and_specks_work_as_in_itermask3d():
    plain, _, _ = found_by(Inpainting(), {"threshold": 0.5})
    smooth, _, _ = found_by(Inpainting(smoothing=4.0), {"threshold": 0.5})
    assert smooth.error.max() < plain.error.max()
    none, _, _ = found_by(Inpainting(smallest=1e6), {"threshold": 0.5})
    assert plain.mask.any()
    assert not none.mask.any()


def test_the_threshold_rises_with_the_errors_of_healthy_scans():
    scan = healthy_scan(2)
    scans = [type(scan)(scan.prepared, str(number)) for number in range(4)]
    levels = []
    for spread in (0.1, 0.4):
        model = bare_model(Inpainting(), KnowsNormal(scan.prepared.image, spread))
        calibration = calibrate(model, scans)
        assert calibration["default_score"] == "profile_distance"
        levels.append(calibration["operating_point"]["threshold"])
    assert levels[1] == pytest.approx(16 * levels[0], rel=0.03)


# Own threshold without refinement, and a fixed one with refinement


def test_without_refinement_the_curve_is_read_off_the_one_pass():
    found, ball, runtime = found_by(IterMask3D(iterate=False, steps=50), {"gamma": 0.02})
    prepared, _, _ = with_ball()
    assert len(runtime.seen) == 1
    errors = np.sort(found.error[prepared.brain])
    curve = errors[np.ceil(len(errors) * np.arange(1, 51) / 50 - 1e-6).astype(int) - 1]
    np.testing.assert_allclose(found.trace["curve"], curve, rtol=1e-6)
    assert found.threshold == stop_threshold(curve, 0.02).value == found.trace["own_threshold"]
    np.testing.assert_array_equal(found.mask, (found.error > found.threshold) & prepared.brain)
    assert (found.trace["curve_passes"], found.trace["passes"]) == (1, 1)
    assert (found.mask & ball).sum() > 0.9 * ball.sum()
    lower, _, _ = found_by(IterMask3D(iterate=False, steps=50), {"gamma": 0.02, "threshold_limit": 1.0})
    assert lower.threshold < found.threshold
    assert json.loads(json.dumps(found.trace)) == found.trace


def test_refinement_at_a_fixed_threshold_is_refinement_at_the_same_own_one():
    same = {"steps": 20, "window": 25.0, "focused": False, "min_shrink": 0.01}
    own, ball, _ = found_by(IterMask3D(**same), {"gamma": 0.2})
    fixed, _, runtime = found_by(IterMask3D(**same, stop="fixed"), {"threshold": own.threshold})
    assert fixed.error.tobytes() == own.error.tobytes()
    assert fixed.mask.tobytes() == own.mask.tobytes()
    assert fixed.profile == own.profile  # so the curve was run
    assert fixed.scores == own.scores
    assert fixed.trace == {key: own.trace[key] for key in ("threshold", "mask_voxels", "passes", "settled")}
    assert len(runtime.seen) == 20 + 1 + fixed.trace["passes"]
    assert dice(fixed.mask, ball) > 0.9


def test_one_pass_gives_another_profile_than_many():
    once, _, _ = found_by(Inpainting(), {"threshold": 1.0})
    many, _, _ = found_by(Inpainting(iterate=True), {"threshold": 1.0})
    assert once.profile.keys() != many.profile.keys()
    assert "hidden_mean" in many.profile


@pytest.mark.parametrize("method", [IterMask3D, Inpainting])
@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"stop": "sometimes"}, "own or fixed, not 'sometimes'"),
        ({"stop": None}, "own or fixed"),
        ({"iterate": "yes"}, "true or false, not 'yes'"),
        ({"iterate": 1}, "true or false"),
    ],
)
def test_settings_that_mean_nothing_are_refused(method, chosen, message):
    with pytest.raises(ValueError, match=message):
        method(**chosen)


# Of a trained model


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    settings = {"steps": 5, "focused": False, "smoothing": 1.0}
    return train_tiny(tmp_path_factory.mktemp("itermask3d"), "itermask3d", settings, NETWORKS)


@pytest.fixture(scope="module")
def table(folder):
    return folder.parent / "table.tsv"


@pytest.fixture(scope="module")
def inpainting(folder, table, tmp_path_factory):
    return calibrate_model(table, folder, tmp_path_factory.mktemp("used") / "as", device="cpu", method="inpainting")


def test_training_is_the_same(folder, tmp_path):
    trained = train_tiny(tmp_path, "inpainting", {"steps": 5, "focused": False}, NETWORKS)
    assert (trained / WEIGHTS).read_bytes() == (folder / WEIGHTS).read_bytes()
    model, finding = check_run(trained, tmp_path)
    assert model.card["method"] == "inpainting"
    assert finding.search["passes"] == 1
    page = (tmp_path / "found" / "report.html").read_text()
    assert "after 1 pass," in page


def test_a_trained_model_is_used_for_inpainting(folder, inpainting):
    model = load_model(inpainting, device="cpu")
    assert isinstance(model.method, Inpainting)
    assert (model.method.iterate, model.method.stop) == (False, "fixed")
    assert (model.method.smoothing, model.method.steps, model.method.focused) == (1.0, 5, False)  # kept
    assert set(model.calibration["operating_point"]) == {"threshold"}
    assert (inpainting / WEIGHTS).read_bytes() == (folder / WEIGHTS).read_bytes()


def test_and_back_again(folder, inpainting, table, tmp_path):
    back = load_model(calibrate_model(table, inpainting, tmp_path / "back", None, "cpu", None, "itermask3d"))
    first = load_model(folder)
    assert back.method.settings() == first.method.settings()
    assert back.calibration | {"seconds": 0} == first.calibration | {"seconds": 0}


def test_settings_come_after_the_methods_own(folder, table, tmp_path):
    changed = {"iterate": True, "smoothing": 0.0}
    method = load_model(calibrate_model(table, folder, tmp_path / "new", changed, "cpu", None, "inpainting")).method
    assert (method.name, method.iterate, method.stop, method.smoothing) == ("inpainting", True, "fixed", 0.0)


@pytest.mark.parametrize(
    ("method", "settings", "message"),
    [
        ("autoencoder", {}, "trained with itermask3d cannot be used with autoencoder"),
        ("intensity", {}, "cannot be used with intensity"),
        ("paintin", {}, "unknown method 'paintin'"),
        ("inpainting", {"guidance": False}, "guidance: not a test-time setting of inpainting"),
        (None, {"stop": "never"}, "own or fixed, not 'never'"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_written(folder, table, tmp_path, method, settings, message):
    with pytest.raises(InputError, match=message) as caught:
        calibrate_model(table, folder, tmp_path / "new", settings, "cpu", None, method)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "new").exists()


def test_methods_without_a_family_are_used_as_themselves_only(folder, table, tmp_path):
    assert build_method("autoencoder").family is None
    card = json.loads((folder / CARD).read_text()) | {"method": "autoencoder", "method_settings": {}}
    (tmp_path / "other").mkdir()
    save_card(tmp_path / "other", card)
    with pytest.raises(InputError, match="trained with autoencoder cannot be used with denoising"):
        calibrate_model(table, tmp_path / "other", tmp_path / "new", None, "cpu", None, "denoising")


def test_the_command_takes_method_and_settings(folder, table, tmp_path):
    command = ["calibrate", str(table), "--model", str(folder), "--device", "cpu", "--out"]
    runner = CliRunner()
    told = runner.invoke(app, [*command, str(tmp_path / "one"), "--method", "inpainting"])
    assert told.exit_code == 0, told.output
    chosen = ["--setting", "iterate=false", "--setting", 'stop="fixed"']
    told = runner.invoke(app, [*command, str(tmp_path / "two"), *chosen])
    assert told.exit_code == 0, told.output
    one, two = (load_model(tmp_path / name) for name in ("one", "two"))
    assert (one.card["method"], two.card["method"]) == ("inpainting", "itermask3d")
    assert one.calibration | {"seconds": 0} == two.calibration | {"seconds": 0}
    told = runner.invoke(app, [*command, str(tmp_path / "three"), "--setting", "stop=fixed"])
    assert isinstance(told.exception, InputError)
    assert "in double quotes" in str(told.exception)
