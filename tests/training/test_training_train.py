"""From scans to a calibrated model folder, end to end on tiny scans."""

import hashlib
import json

import numpy as np
import pytest
from safetensors.torch import load_file
from tiny import tiny_config, tiny_grid, write_scan
from tiny_slices import BOX, DIVISOR, PIXELS, SPACING, stack_config, write_stacks

from itermask.errors import InputError
from itermask.methods import METHODS
from itermask.methods.baselines.denoising import Denoising
from itermask.methods.calibration import GAMMAS, LIMITS
from itermask.models import load_model
from itermask.models.folder import CARD, WEIGHTS
from itermask.training.cache import read_volume
from itermask.training.calibration import HealthyScan, calibrate, held_out_distances
from itermask.training.loop import Trainer
from itermask.training.table import read_data
from itermask.training.train import calibrate_model, prepare_entry, train_model

ABOUT = {"name": "made", "source": "synthetic", "data_license": "CC0-1.0", "license": "MIT"}


def write_table(folder, validating=4):
    rows = ["participant_id\tpath\tbrain_mask\tsplit\tsequence"]
    for seed in range(2 + validating):
        path, mask = write_scan(folder / "scans", f"s{seed}", seed)
        row = (f"p{seed}", path.relative_to(folder), mask.relative_to(folder), "train" if seed < 2 else "val", "T1w")
        rows.append("\t".join(map(str, row)))
    table = folder / "table.tsv"
    table.write_text("\n".join(rows) + "\n")
    return table


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Table, model folder, and what was reported."""
    folder = tmp_path_factory.mktemp("trained")
    reported = []
    table = write_table(folder)
    config = tiny_config(steps=3, precision="bf16")
    out = train_model(table, "T1w", folder / "model", config, "cpu", ABOUT, lambda *call: reported.append(call))
    return table, out, reported


def healthy(table, model):
    entries = [entry for entry in read_data(table, "T1w") if entry.split == "val"]
    return [HealthyScan(prepare_entry(entry, "T1w", model.grid), entry.subject) for entry in entries]


def test_the_folder_is_a_calibrated_model(trained):
    _, out, _ = trained
    model = load_model(out, device="cpu")
    card = json.loads((out / CARD).read_text())
    assert model.card == card
    assert (model.sequence, model.grid.box, model.grid.divisor) == ("T1w", (16, 16, 16), 4)
    assert card["method_settings"]["steps"] == 5
    assert card["data"]["train_subjects"] == 2
    assert card["data"]["validation_subjects"] == 4
    assert (card["license"], card["data"]["license"]) == ("MIT", "CC0-1.0")
    assert card["training"]["steps"] == 3
    assert np.isfinite(card["metrics"]["validation_loss"])
    calibration = model.calibration
    assert calibration["operating_point"]["gamma"] in GAMMAS
    assert calibration["operating_point"]["threshold_limit"] in LIMITS
    assert calibration["default_score"] == "profile_distance"
    assert (calibration["scans"], calibration["subjects"]) == (4, 4)
    for name in ("mask_size", "mean_error", "profile_distance"):
        assert len(calibration["healthy"][name]) == 4
        assert calibration["healthy"][name] == sorted(calibration["healthy"][name])
        assert card["metrics"][f"healthy_{name}_median"] == pytest.approx(
            np.median(calibration["healthy"][name]), rel=1e-3
        )


def test_the_weights_are_the_average(trained):
    _, out, _ = trained
    stored, checkpoint = load_file(out / WEIGHTS), load_file(out / "checkpoint.safetensors")
    assert stored
    for key, value in stored.items():
        np.testing.assert_array_equal(value, checkpoint[f"average.{key}"].half())


def test_progress_is_told_stage_by_stage(trained):
    _, _, reported = trained
    stages = list(dict.fromkeys(stage.split(",")[0] for stage, _ in reported))
    assert stages == ["preparing scans", "training", "processing healthy scans", "operating point"]
    assert all(0 <= share <= 1 for _, share in reported)
    assert [share for stage, share in reported if stage.startswith("training")] == pytest.approx([1 / 3, 2 / 3, 1])


def test_running_again_changes_no_weight(trained):
    table, out, _ = trained
    before, card = (out / WEIGHTS).read_bytes(), json.loads((out / CARD).read_text())
    train_model(table, "T1w", out, tiny_config(steps=3, precision="bf16"), "cpu", ABOUT)
    assert (out / WEIGHTS).read_bytes() == before
    again = json.loads((out / CARD).read_text())
    assert again["calibration"] | {"seconds": 0} == card["calibration"] | {"seconds": 0}


def test_calibration_follows_from_model_and_scans(trained):
    table, out, _ = trained
    model = load_model(out, device="cpu")
    scans = healthy(table, model)
    one, other = calibrate(model, scans), calibrate(model, scans[::-1])
    assert one["operating_point"] == other["operating_point"] == model.calibration["operating_point"]
    assert one["healthy"]["mask_size"] == other["healthy"]["mask_size"]


def test_a_held_out_distance_does_not_know_its_own_subject():
    rng = np.random.default_rng(0)
    profiles = [{f"f{k}": float(v) for k, v in enumerate(row)} for row in rng.standard_normal((8, 3))]
    profiles[0] = dict.fromkeys(profiles[0], 40.0)
    profiles[1] = dict.fromkeys(profiles[1], 40.0)
    same = held_out_distances(profiles, ["a", "a", *"bcdefg"])
    assert min(same[:2]) > 3 * max(same[2:])
    apart = held_out_distances(profiles, list("abcdefgh"))
    assert apart[0] < same[0]  # a second subject like it makes it less strange


def test_a_model_is_calibrated_anew_with_other_test_time_settings(trained, tmp_path):
    table, out, _ = trained
    again = calibrate_model(table, out, tmp_path / "again", {"steps": 8}, "cpu")
    model = load_model(again, device="cpu")
    assert model.method.settings()["steps"] == 8
    assert model.calibration["subjects"] == 4
    assert (again / WEIGHTS).read_bytes() == (out / WEIGHTS).read_bytes()
    with pytest.raises(InputError, match="guidance: not a test-time setting"):
        calibrate_model(table, out, tmp_path / "third", {"guidance": False}, "cpu")
    with pytest.raises(InputError, match="is the model itself"):
        calibrate_model(table, out, out, None, "cpu")


def test_too_few_validation_subjects_are_refused_before_training(tmp_path):
    table = write_table(tmp_path, validating=3)
    with pytest.raises(InputError, match="at least 4 subjects, not 3") as caught:
        train_model(table, "T1w", tmp_path / "model", tiny_config(), "cpu")
    assert str(caught.value).startswith(str(table))
    assert not (tmp_path / "model").exists()


def test_the_fewest_subjects_that_are_accepted_suffice(trained):
    table, out, _ = trained
    model = load_model(out, device="cpu")
    scans = healthy(table, model)
    assert calibrate(model, scans[:4])["subjects"] == 4
    with pytest.raises(ValueError, match="at least 4 subjects, not 3"):
        calibrate(model, [*scans[:3], scans[0]])


def test_the_cache_holds_what_training_sees(trained):
    _, out, _ = trained
    files = sorted((out / "cache").glob("*.npz"))
    assert len(files) == 6
    trainer = Trainer(tiny_config(), load_model(out, device="cpu").grid, out, "cpu")
    for file in files:
        volume = read_volume(file, trainer.grid)
        example = trainer.method.example(volume, np.random.default_rng(0))
        np.testing.assert_array_equal(example["target"][0], volume.images[0])


def test_training_can_start_from_a_model(trained, tmp_path):
    table, out, _ = trained
    still = tiny_config(steps=1, precision="fp32", learning_rate=1e-12, weight_decay=0.0, start_from=str(out))
    train_model(table, "T1w", tmp_path / "next", still, "cpu", ABOUT)
    before, after = load_file(out / WEIGHTS), load_file(tmp_path / "next" / WEIGHTS)
    assert all(np.array_equal(before[key], after[key]) for key in before)
    origin = json.loads((tmp_path / "next" / CARD).read_text())["training"]["start_from"]
    assert origin["model"] == out.name
    assert origin["weights_sha256"] == hashlib.sha256((out / WEIGHTS).read_bytes()).hexdigest()


def test_a_model_with_other_networks_is_no_start(trained, tmp_path):
    _, out, _ = trained
    wider = {"dims": 3, "in_channels": 3, "widths": [8, 8], "group_size": 4}
    networks = {"reconstruction": {"name": "block-unet", "arguments": wider}}
    other = tiny_config(start_from=str(out), networks=networks)
    with pytest.raises(InputError, match="differ from those to be trained"):
        Trainer(other, tiny_grid(), tmp_path, "cpu")


# --- lesions and pairs ---------------------------------------------------------------------------------------


def test_patients_without_a_healthy_slice_are_left_out(tmp_path):
    data = write_stacks(tmp_path / "data", 3, 5, {0: [4, 5], 1: range(10), 3: range(10)})
    told = []
    out = train_model(data, "FLAIR", tmp_path / "model", stack_config(steps=1), "cpu", note=told.append)
    assert told == ["2 of 8 scans are left out: they have no healthy slice"]
    card = load_model(out, device="cpu").card
    assert (card["data"]["train_subjects"], card["data"]["validation_subjects"]) == (2, 4)
    assert card["calibration"]["subjects"] == 4


def test_a_method_for_volumes_learns_from_no_volume_with_a_lesion(tmp_path):
    data = write_stacks(tmp_path / "data", 2, 4, {0: [4]})
    config = tiny_config(steps=1)
    told = []
    out = train_model(data, "FLAIR", tmp_path / "model", config, "cpu", note=told.append)
    assert told == ["1 of 6 scans are left out: they have a lesion, and itermask3d learns from whole volumes"]
    assert load_model(out, device="cpu").card["data"]["train_subjects"] == 1
    patients = write_stacks(tmp_path / "patients", 2, 4, {0: [4], 1: [5]})
    with pytest.raises(InputError, match="no scan is left to train on: all have a lesion, and itermask3d") as caught:
        train_model(patients, "FLAIR", tmp_path / "other", config, "cpu")
    assert str(caught.value).startswith(str(patients))
    sick = write_stacks(tmp_path / "sick", 2, 4, {2: [4]})
    with pytest.raises(InputError, match="at least 4 subjects, not 3"):
        train_model(sick, "FLAIR", tmp_path / "third", config, "cpu")


class Pairs(Denoising):
    """A method that learns from pairs: the first sequence in, the second one out."""

    name = "pairs"
    sequences = 2

    def seen(self, part, rng):
        assert part.images.shape[0] == 2
        return part.images[0]


@pytest.fixture
def pairs(monkeypatch):
    monkeypatch.setitem(METHODS, "pairs", f"{__name__}:Pairs")
    arguments = {"dims": 2, "in_channels": 1, "widths": [4, 8], "group_size": 4}
    networks = {"reconstruction": {"name": "block-unet", "arguments": arguments}}
    return stack_config("pairs", method_settings={"dims": 2, "slices": 2}, networks=networks, steps=2)


def test_a_method_for_pairs_gets_them_and_calibrates_on_the_first(tmp_path, pairs):
    data = write_stacks(tmp_path / "data", 3, 4, {1: [3]}, "T1w")
    (data / "p2_T1w.nii.gz").unlink()  # without its partner it is not learned from
    (data / "p4_T1w.nii.gz").unlink()  # but calibration needs the first sequence only
    out = train_model(data, "FLAIR", tmp_path / "model", pairs, "cpu", target="T1w")
    card = load_model(out, device="cpu").card
    assert (card["sequence"], card["target"]) == ("FLAIR", "T1w")
    assert card["calibration"]["subjects"] == 4
    sizes = []
    for file in (out / "cache").glob("*.npz"):
        with np.load(file) as stored:
            sizes.append(stored["image"].ndim)
    assert sorted(sizes) == [3, 3, 4, 4, 4, 4, 4]


@pytest.mark.parametrize(
    ("method", "target", "says"),
    [
        ("pairs", None, "the method pairs learns from pairs of scans; name the second sequence with --target"),
        ("pairs", "FLAIR", "--target FLAIR: is the sequence itself"),
        ("itermask2", "T1w", "--target T1w: the method itermask2 learns from one sequence"),
    ],
)
def test_a_second_sequence_only_where_it_is_needed(tmp_path, pairs, method, target, says):
    config = pairs if method == "pairs" else stack_config()
    with pytest.raises(InputError, match=says):
        train_model(tmp_path, "FLAIR", tmp_path / "model", config, "cpu", target=target)


def test_own_slices_are_for_methods_that_take_slices(tmp_path):
    data = write_stacks(tmp_path / "data")
    config = tiny_config(spacing=PIXELS, box=BOX, divisor=DIVISOR)
    with pytest.raises(InputError, match="itermask3d processes volumes, so the third voxel size must not be 0"):
        train_model(data, "FLAIR", tmp_path / "model", config, "cpu")
    intensity = stack_config("intensity", method_settings={}, networks={})
    out = train_model(data, "FLAIR", tmp_path / "bright", intensity, "cpu")  # no network, so any grid will do
    assert load_model(out, device="cpu").grid.spacing == (*SPACING[:2], 0.0)
