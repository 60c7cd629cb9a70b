"""Calibration on another scanner: the centre moves by the number of scans, spread stays, large masks are refused."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_profile import healthy as profiles_of
from tiny_model import tiny_card, tiny_model, tiny_scan, write_nifti

from itermask.core.profile import HealthyProfiles, fit_profiles
from itermask.errors import InputError
from itermask.models.card import CARD
from itermask.models.folder import WEIGHTS, load_model
from itermask.prepare.prepare import prepare
from itermask.results.focal import focal_limits
from itermask.results.scoring import limits
from itermask.training import recentre as recentre_module
from itermask.training.calibration import HealthyScan
from itermask.training.recentre import FURTHEST, check_masks, moved, moved_profile, quality_shift, recentre, weight_of
from itermask.training.self_test import ARTIFACTS, KINDS, Tried, as_card, self_test
from itermask.training.train import calibrate_model

positive = st.lists(st.floats(1e-3, 10), min_size=5, max_size=30)


@given(positive, positive, st.floats(0, 1))
def test_the_spread_stays_and_the_centre_moves_towards_the_local_one(values, local, weight):
    found = np.array(moved(values, local, weight))
    kept = np.sort(values)
    np.testing.assert_allclose(found / kept, found[0] / kept[0], rtol=1e-4)
    before, after = np.median(values), np.median(found)
    assert abs(np.log(after / before)) <= np.log(FURTHEST) + 1e-4
    if weight > 0.01 and np.median(local) > before:
        assert after >= before * (1 - 1e-4)


@given(positive, positive)
def test_few_scans_never_widen_a_range_without_end(values, local):
    """The limits rise by the factor that the centre moves, and no further: severe scans stay outside."""
    found = moved(values, local, weight_of(8))
    assert limits(found)[1] <= FURTHEST * limits(values)[1] * 1.01
    assert focal_limits(found)[1] <= FURTHEST * focal_limits(values)[1] * 1.01


def test_the_weight_grows_with_the_scans():
    weights = [weight_of(count) for count in range(1, 60)]
    assert weights == sorted(weights)
    assert 0 < weights[0] < 0.5 < weights[-1] < 1


def test_a_profiles_centre_moves_and_its_spread_stays():
    stored = fit_profiles(profiles_of(20)).to_json()
    local = [{name: value + 3.0 for name, value in profile.items()} for profile in profiles_of(8)]
    found = HealthyProfiles.from_json(moved_profile(stored, local, 0.5))
    before = HealthyProfiles.from_json(stored)
    assert np.array_equal(found.spread, before.spread)
    assert np.array_equal(found.precision, before.precision)
    assert np.all(found.centre > before.centre)
    assert np.median([found.distance(one) for one in local]) < np.median([before.distance(one) for one in local])


def test_quality_limits_rise_to_local_scans_and_never_fall():
    assert quality_shift([], (1, 2), 0) == 0
    assert quality_shift([-5.0] * 8, (1, 2), 8) == 0
    assert quality_shift([1.5] * 8, (1, 2), 8) == 0.5
    assert quality_shift([50.0] * 8, (1, 2), 8) == pytest.approx(2 * weight_of(8), abs=1e-4)


def test_masks_of_much_of_healthy_brains_are_refused():
    check_masks([0.001, 0.004, 0.3])
    with pytest.raises(ValueError, match="30 % of these healthy brains"):
        check_masks([0.3] * 8)


def test_a_model_is_moved_and_keeps_its_operating_point(tmp_path, monkeypatch):
    monkeypatch.setattr(recentre_module, "LARGE", 1.0)  # a network of random weights marks much
    model = tiny_model(tmp_path / "model")
    scans = [HealthyScan(prepare(tiny_scan(seed=seed), model.grid), str(seed)) for seed in range(30, 33)]
    found = recentre(model, scans)
    assert found["operating_point"] == model.calibration["operating_point"]
    assert found["local"]["subjects"] == 3
    assert set(found["healthy"]) == set(model.calibration["healthy"])
    assert found["focal"] == model.calibration["focal"]
    json.dumps(found, allow_nan=False)


def test_a_self_test_says_what_is_still_found(tmp_path):
    tiny_model(tmp_path / "model")
    model = load_model(tmp_path / "model", device="cpu")
    tried = self_test(model, [tiny_scan(seed=seed) for seed in (40, 41)])
    assert [one.what.split(",")[0].split(" lesion")[0] for one in tried] == ["healthy", *ARTIFACTS, *KINDS]
    for one in tried:
        assert 0 <= one.outside <= one.noticed <= one.scans <= 2
        assert str(one.scans) in one.sentence()
    json.dumps(as_card(tried))
    assert tiny_card()["population"] == {"name": "any"}


@pytest.fixture
def own(tmp_path):
    """A table of own healthy scans, and a model that marks much of them."""
    tiny_model(tmp_path / "model")
    paths = [write_nifti(tmp_path / f"sub-{seed}_T1w.nii.gz", tiny_scan(seed=seed)) for seed in range(30, 34)]
    (tmp_path / "own.tsv").write_text("\n".join(["path", *map(str, paths)]) + "\n")
    return tmp_path / "own.tsv"


def test_a_refused_calibration_leaves_no_model_behind(own, monkeypatch):
    folder = own.parent
    monkeypatch.setattr(recentre_module, "LARGE", -1.0)
    with pytest.raises(InputError, match=r"own\.tsv: .* of these healthy brains are marked .*; no model was written"):
        calibrate_model(own, folder / "model", folder / "new", device="cpu")
    assert not (folder / "new").exists()
    with pytest.raises(InputError, match="--threads 0: at least 1"):
        calibrate_model(own, folder / "model", folder / "new", device="cpu", threads=0)
    assert not (folder / "new").exists()
    monkeypatch.setattr(recentre_module, "LARGE", 1.0)
    calibrate_model(own, folder / "model", folder / "new", device="cpu")
    before = {path.name: path.read_bytes() for path in (folder / "new").iterdir()}
    assert set(before) == {WEIGHTS, CARD}
    monkeypatch.setattr(recentre_module, "LARGE", -1.0)
    with pytest.raises(InputError, match="no model was written"):
        calibrate_model(own, folder / "model", folder / "new", device="cpu")
    assert {path.name: path.read_bytes() for path in (folder / "new").iterdir()} == before


def test_the_self_test_is_told_and_stored(own, monkeypatch):
    monkeypatch.setattr(recentre_module, "LARGE", 1.0)
    told = []
    calibrate_model(own, own.parent / "model", own.parent / "new", device="cpu", tell=told.append)
    assert told[0] == "calibrating on 4 scans of 4 subjects"
    assert "fewer than 10 subjects" in told[1]
    stored = json.loads((own.parent / "new" / CARD).read_text())["calibration"]["self_test"]
    assert told[2:] == [Tried(**one).sentence() for one in stored]
    assert len(stored) == 1 + len(ARTIFACTS) + len(KINDS)
