"""Before a training: what would fail is refused with nothing written, and a plan suits the data."""

import tomllib
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_training_stopping import SETTINGS
from test_training_train import write_table
from tiny import tiny_config
from tiny_slices import write_stacks

from itermask.errors import InputError
from itermask.training.check import ROOM, Fingerprint, check_training, fingerprint, plan_text, planned
from itermask.training.config import TrainingConfig
from itermask.training.table import read_data


@pytest.fixture
def table(tmp_path):
    return write_table(tmp_path / "data")


def checked(table, tmp_path, **changes):
    return check_training(read_data(table, "T1w"), "T1w", tiny_config(**changes), tmp_path / "model")


def test_what_can_begin_is_told_in_numbers_with_notes_on_few_subjects(table, tmp_path):
    found = checked(table, tmp_path)
    assert (found.training, found.validation) == (2, 4)
    assert found.fingerprint.spacing == (4.0, 4.0, 4.0)
    assert found.fingerprint.seen == found.fingerprint.scans == 2
    assert any("Only 2 subjects in split 'train'" in note for note in found.notes)
    assert any("Only 4 subjects in split 'val'" in note for note in found.notes)
    assert not (tmp_path / "model").exists()


def test_a_box_that_the_networks_cannot_take_is_refused(table, tmp_path):
    with pytest.raises(InputError, match="multiples of"):
        checked(table, tmp_path, box=(15, 16, 16))


def test_a_box_smaller_than_the_brains_is_noted_or_refused_where_a_batch_needs_one_size(table, tmp_path):
    assert any("but the box is 32 × 64 × 64 mm" in note for note in checked(table, tmp_path, box=(8, 16, 16)).notes)
    with pytest.raises(InputError, match="batch of 2"):
        checked(table, tmp_path, box=(8, 16, 16), batch=2)
    assert not any("box" in note for note in checked(table, tmp_path).notes)


def test_a_mask_that_is_missing_or_of_another_shape_is_refused(table, tmp_path):
    entries = read_data(table, "T1w")
    mask = entries[0].brain_mask
    nib.save(nib.Nifti1Image(np.ones((4, 5, 6), np.uint8), np.eye(4)), mask)
    with pytest.raises(InputError, match="shape"):
        check_training(entries, "T1w", tiny_config(), tmp_path / "model")
    mask.unlink()
    with pytest.raises(InputError, match="no such file"):
        check_training(entries, "T1w", tiny_config(), tmp_path / "model")
    entries[0].path.write_bytes(b"no image")
    with pytest.raises(InputError, match="cannot be read"):
        check_training(entries, "T1w", tiny_config(), tmp_path / "model")


def test_scans_without_masks_are_noted(table, tmp_path):
    entries = [replace(entry, brain_mask=None) for entry in read_data(table, "T1w")]
    assert any("6 of 6 scans have no brain mask" in note for note in
               check_training(entries, "T1w", tiny_config(), tmp_path / "model").notes)  # fmt: skip


def test_thick_slices_are_seen(tmp_path):
    entries = [one for one in read_data(write_stacks(tmp_path / "data", 3, 4), "FLAIR") if one.split == "train"]
    found = fingerprint(entries, "FLAIR")
    assert found.thick == 1.0
    plan = planned(found, 4)
    assert plan["spacing"][2] == 0
    assert plan["box"][2] == 1


sizes = st.floats(0.5, 3.0)
brains = st.floats(100.0, 200.0)


@given(st.tuples(sizes, sizes, sizes), st.tuples(brains, brains, brains))
def test_a_planned_box_holds_the_brain_within_the_room_and_is_a_setting(spacing, brain):
    found = Fingerprint(10, spacing, brain, 0.0, 10)
    plan = planned(found)
    assert np.prod(plan["box"]) <= ROOM
    assert all(
        size * edge >= extent + 16 for size, edge, extent in zip(plan["spacing"], plan["box"], brain, strict=True)
    )
    assert plan["spacing"][0] >= np.exp(np.log(spacing).mean()) - 1e-6
    written = tomllib.loads(plan_text(found, plan))
    TrainingConfig(**{key: tuple(value) if isinstance(value, list) else value for key, value in written.items()})


def test_no_brain_no_plan():
    with pytest.raises(InputError, match="brain mask"):
        planned(Fingerprint(3, (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), 0.0, 0))


def test_the_command_checks_and_plans_and_writes_nothing_else(command, table, tmp_path):
    (tmp_path / "tiny.toml").write_text(SETTINGS)
    plan = tmp_path / "plan.toml"
    words = ["train", table, "--out", tmp_path / "model", "--sequence", "T1w", "--config", tmp_path / "tiny.toml"]
    code, output, errors = command(*words, "--check", "--plan", plan)
    assert code == 0, errors
    assert output.splitlines()[-1] == "training can begin: 2 subjects to train on, 4 to validate on"
    assert "Only 2 subjects" in errors
    assert tomllib.loads(plan.read_text())["divisor"] == 4
    assert not (tmp_path / "model").exists()
    code, _, errors = command(*words, "--plan", plan)
    assert code == 2
    assert "exists already" in errors


def test_the_command_refuses_too_few_subjects(command, tmp_path):
    (tmp_path / "tiny.toml").write_text(SETTINGS)
    few = write_table(tmp_path / "data", validating=3)
    words = ["train", few, "--out", tmp_path / "model", "--sequence", "T1w", "--config", tmp_path / "tiny.toml"]
    code, _, errors = command(*words, "--check")
    assert code == 2
    assert "at least 4 subjects, not 3" in errors
