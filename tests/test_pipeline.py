"""From a scan to a finding: the scan's own grid, reproducible, and the same whichever way the scan is stored."""

import json
import subprocess
import sys
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
from tiny_model import (
    ORIENTATIONS,
    affine_of,
    oblique,
    stored_as,
    tiny_card,
    tiny_head,
    tiny_model,
    tiny_scan,
    turned,
    write_nifti,
)

from itermask import pipeline
from itermask.errors import InputError, MissingExtraError
from itermask.io.outputs import write_finding
from itermask.models.folder import CARD, WEIGHTS, bundled_models, load_model
from itermask.models.suits import check_sequence
from itermask.pipeline import RunSettings, analyze, refused_by_name
from itermask.results.report import pictures
from itermask.run_scans import run
from itermask.types import UNKNOWN, VERDICTS, Scan

MAPS = ("anomaly", "error", "reconstruction", "brain")
STAGES = {"read", "find brain", "plausibility", "prepare", "detect", "restore", "quality"}
SENSITIVE = RunSettings(gamma=0.005)  # flags something in any scan


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("models") / "tiny"


@pytest.fixture(scope="module")
def model(folder):
    return tiny_model(folder)


def same(one, other):
    """Whether two findings agree in everything but the time they took."""
    maps = all(np.array_equal(getattr(one, name), getattr(other, name)) for name in MAPS)
    summaries = [json.dumps(replace(finding, timings={}).summary()) for finding in (one, other)]
    return maps and summaries[0] == summaries[1]


SCANS = {
    "straight": tiny_scan(blob=60.0),
    "oblique": tiny_scan(affine=oblique(affine_of()), blob=60.0),
    "thick slices": tiny_scan((72, 100, 14), (1.0, 1.0, 5.0), blob=60.0),
    "fine": tiny_scan((80, 100, 72), (0.9, 1.0, 1.0), blob=60.0),
    "coarse": tiny_scan((8, 11, 8), (9.0, 9.0, 9.0), blob=60.0),
    "larger than the box": replace(tiny_scan(), affine=affine_of((4.0, 5.0, 6.0))),
    "skull": tiny_scan(skull=True, blob=60.0),
    "stripped": tiny_scan(given=False, blob=60.0),
}
_IMAGE, _BRAIN = tiny_head((36, 40, 1), (2.0, 2.5, 5.0), blob=60.0)
SCANS["single slice"] = Scan(_IMAGE, affine_of((2.0, 2.5, 5.0)), "T1w", _BRAIN, "slice")
SCANS["thin single slice"] = Scan(_IMAGE, affine_of((2.0, 2.5, 1.0)), "T1w", _BRAIN, "slice")


@pytest.mark.parametrize("name", ["straight", "oblique", "skull"])
def test_quality_measured_beside_is_that_of_one_call(model, name):
    scan = SCANS[name]
    finding = run(scan, model, SENSITIVE)
    scan = replace(scan, brain_mask=finding.brain)
    residual = np.where(finding.brain, scan.image - finding.reconstruction, 0).astype(np.float32)
    waited = pipeline.awaited_quality(pipeline.beside(pipeline.assess_quality, scan), scan, finding)
    assert waited == pipeline.assess_quality(scan, residual)


@pytest.mark.parametrize("name", SCANS)
def test_a_finding_is_on_the_scans_grid_and_inside_the_brain(model, name):
    scan = SCANS[name]
    finding = run(scan, model, SENSITIVE)
    for field in MAPS:
        assert getattr(finding, field).shape == scan.image.shape
    assert np.array_equal(finding.affine, scan.affine)
    assert (finding.anomaly.dtype, finding.brain.dtype) == (bool, bool)
    assert (finding.error.dtype, finding.reconstruction.dtype) == (np.float32, np.float32)
    wanted = tiny_head()[1] if scan.brain_mask is None else scan.brain_mask
    assert np.array_equal(finding.brain, wanted)
    assert finding.anomaly.any()
    assert not (finding.anomaly & ~finding.brain).any()
    assert (finding.error[~finding.brain] == 0).all()
    assert (finding.error >= 0).all()
    assert (finding.reconstruction[~finding.brain] == 0).all()
    assert np.isfinite(finding.error).all()
    assert np.isfinite(finding.reconstruction).all()
    assert finding.anomaly_fraction == finding.anomaly.sum() / finding.brain.sum()
    assert finding.verdict in VERDICTS
    assert 0 <= finding.percentile <= 100
    assert finding.score == finding.scores["profile_distance"]["value"]
    assert finding.settings["brain_mask"] == ("stripped" if name == "stripped" else "given")
    assert finding.settings["voxel_size_mm"] == pytest.approx(scan.spacing)
    assert all(seconds >= 0 for seconds in finding.timings.values())
    json.dumps(finding.summary(), allow_nan=False)


@pytest.mark.parametrize("orientation", ORIENTATIONS[::6], ids=lambda orientation: str(orientation.ravel()))
@pytest.mark.parametrize("name", ["straight", "oblique", "single slice"])
def test_every_way_to_store_a_scan_gives_the_same_finding(model, name, orientation):
    scan = SCANS[name]
    wanted, finding = run(scan, model, SENSITIVE), run(stored_as(scan, orientation), model, SENSITIVE)
    for field in MAPS:
        kept = turned(getattr(wanted, field), orientation)
        np.testing.assert_allclose(getattr(finding, field), kept, rtol=2e-2, atol=2e-2)
    assert finding.score == pytest.approx(wanted.score, rel=1e-2)
    assert finding.verdict == wanted.verdict


def test_the_error_is_the_squared_difference_of_what_is_there_and_what_is_expected(model):
    """On the model's own grid nothing is interpolated, so the maps must fit together."""
    scan = tiny_scan((12, 16, 12), (6.0, 6.0, 6.0), blob=60.0)
    finding = run(scan, model, SENSITIVE)
    low, high = np.percentile(scan.image[scan.brain_mask], [2, 90])
    difference = 6 * (scan.image - finding.reconstruction) / (high - low)
    inside = finding.brain
    np.testing.assert_allclose(finding.error[inside], difference[inside] ** 2, rtol=1e-2, atol=1e-3)
    assert np.array_equal(finding.anomaly, (finding.error > finding.threshold) & inside)
    assert finding.mean_error == pytest.approx(finding.error[inside].mean(), rel=1e-4)


# --- reproducible --------------------------------------------------------------------------------------------


def test_two_runs_are_the_same_down_to_the_files_bytes(model, tmp_path, monkeypatch):
    monkeypatch.setattr(pictures, "ROW_WIDTH", 300)
    path = write_nifti(tmp_path / "sub-1_T1w.nii.gz", SCANS["stripped"])
    scan = replace(SCANS["stripped"], name=path.name)
    folders = [tmp_path / "a", tmp_path / "b"]
    findings = [run(path, model, SENSITIVE) for _ in folders]
    assert same(*findings)
    for finding, folder in zip(findings, folders, strict=True):
        write_finding(scan, finding, folder)
    for name in MAPS:
        first, second = ((folder / f"{name}.nii.gz").read_bytes() for folder in folders)
        assert first == second
    summaries = [json.loads((folder / "finding.json").read_text()) for folder in folders]
    for summary in summaries:
        assert set(summary.pop("timings")) == STAGES
    assert summaries[0] == summaries[1]


def test_a_finding_does_not_depend_on_what_was_processed_before(model, folder):
    first = run(SCANS["straight"], model)
    run(SCANS["larger than the box"], model, RunSettings(seed=9, gamma=0.1))
    run(SCANS["single slice"], model)
    assert same(run(SCANS["straight"], model), first)
    assert same(run(SCANS["straight"], load_model(folder, device="cpu")), first)


def test_the_seed_changes_the_noise_and_little_else(model):
    one, other = (run(SCANS["straight"], model, RunSettings(seed=seed)) for seed in (0, 1))
    assert not np.array_equal(one.error, other.error)
    assert np.array_equal(one.brain, other.brain)
    assert other.mean_error == pytest.approx(one.mean_error, rel=0.2)
    assert (one.settings["seed"], other.settings["seed"]) == (0, 1)


def test_the_scan_itself_is_not_changed(model):
    scan = tiny_scan(blob=60.0)
    run(scan, model)
    assert np.array_equal(scan.image, SCANS["straight"].image)
    assert np.array_equal(scan.brain_mask, SCANS["straight"].brain_mask)


# --- settings ------------------------------------------------------------------------------------------------


def test_the_operating_point_is_the_models_unless_said_otherwise(model):
    own = model.calibration["operating_point"]
    assert RunSettings().point_for(model) == own
    assert RunSettings(sensitivity=2.0).point_for(model) == {name: value / 2 for name, value in own.items()}
    assert RunSettings(gamma=0.3).point_for(model) == {"gamma": 0.3}  # no calibrated limit is left: the published rule
    settings = run(SCANS["straight"], model, RunSettings(sensitivity=4.0)).settings
    assert settings["operating_point"]["gamma"] == own["gamma"] / 4
    plain = replace(model, card=tiny_card())
    assert RunSettings(sensitivity=2.0).point_for(plain) == {"gamma": 0.005}  # half the published


def test_a_higher_sensitivity_gives_no_higher_threshold(model):
    thresholds = [
        run(SCANS["straight"], model, RunSettings(sensitivity=sensitivity)).threshold
        for sensitivity in (0.1, 1.0, 10.0, 1000.0)
    ]
    assert thresholds == sorted(thresholds, reverse=True)
    assert thresholds[-1] < thresholds[0]


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"gamma": 0.1, "sensitivity": 2.0}, "gamma or sensitivity"),
        ({"gamma": -0.1}, "gamma must be a positive number, not -0.1"),
        ({"gamma": 0.0}, "gamma must be"),
        ({"gamma": float("nan")}, "gamma must be"),
        ({"sensitivity": 0.0}, "sensitivity must be"),
        ({"sensitivity": float("inf")}, "sensitivity must be"),
        ({"seed": -1}, "seed must not be negative"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings, says):
    with pytest.raises(InputError, match=says):
        RunSettings(**settings)


def test_a_model_without_calibration_gives_no_percentile(model):
    finding = run(SCANS["straight"], replace(model, card=tiny_card()))
    assert np.isnan(finding.percentile)
    assert finding.verdict == UNKNOWN
    assert finding.score == finding.scores["mask_size"]["value"]


def test_progress_is_told_and_never_falls_back_within_a_stage(model):
    told = []
    run(SCANS["straight"], model, progress=lambda stage, share: told.append((stage, share)))
    stages = [stage for stage, _ in told]
    assert stages == sorted(stages, key=["threshold", "refinement"].index)
    for stage in set(stages):
        shares = [share for name, share in told if name == stage]
        assert shares == sorted(shares)
        assert 0 < shares[0] <= shares[-1] <= 1


# --- refusals ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("sequence", "says"), [("FLAIR", "takes T1w"), ("T2w", "is T2w"), (None, "--sequence")])
def test_a_sequence_that_the_model_has_not_learned_is_refused(model, sequence, says):
    scan = replace(SCANS["straight"], sequence=sequence)
    for call in (lambda: check_sequence(scan, model.name, model.card), lambda: run(scan, model)):
        with pytest.raises(InputError, match=says) as caught:
            call()
        assert str(caught.value).startswith("tiny_T1w: ")
        assert len(str(caught.value).splitlines()) == 1


def test_an_unknown_sequence_is_asked_for_before_a_model_is_loaded():
    with pytest.raises(InputError, match=r"^tiny_T1w: the sequence is unknown; give it with --sequence"):
        run(replace(SCANS["straight"], sequence=None), "no-such-model")


def test_a_sequence_without_a_bundled_model_is_refused():
    assert "PDW" not in [name.split("-")[0].upper() for name in bundled_models()]
    with pytest.raises(InputError, match="no bundled model for sequence PDw"):
        run(replace(SCANS["straight"], sequence="PDw"))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"brain_mask": np.zeros((36, 40, 24), bool)}, "empty"),
        ({"image": np.full((36, 40, 24), 5.0, np.float32)}, "constant"),
        ({"image": np.full((36, 40, 24), np.nan, np.float32)}, "NaN"),
        ({"affine": np.zeros((4, 4))}, "0 × 0 × 0 mm"),
    ],
)
def test_what_cannot_be_processed_is_refused_by_name_in_one_line(model, changes, says):
    with pytest.raises(InputError, match=rf"^tiny_T1w: .*{says}.*$"):
        run(replace(SCANS["straight"], **changes), model)


def test_run_takes_paths_of_a_scan_and_of_a_model(model, folder, tmp_path):
    path = write_nifti(tmp_path / "sub-1_T1w.nii.gz", SCANS["stripped"])
    finding = run(str(path), folder)
    assert set(finding.timings) == STAGES | {"load model"}
    assert np.array_equal(finding.affine, nib.load(path).affine)
    assert {file.name for file in folder.iterdir()} == {CARD, WEIGHTS}


def test_notes_on_the_scan_stand_first_among_the_warnings(model):
    scan = tiny_scan().noted("Voxel sizes were given in metres.", "Another sentence.")
    finding = run(scan, model)
    assert finding.warnings[:2] == scan.notes
    plain = run(tiny_scan(), model)
    assert plain.warnings == finding.warnings[2:]
    assert np.array_equal(plain.anomaly, finding.anomaly)


@pytest.mark.parametrize(("count", "says"), [(1, "a single slice, 3 mm thick"), (3, "only 3 slices, 9 mm thick")])
def test_a_few_slices_are_refused_in_words_by_a_model_of_volumes(model, count, says):
    whole = tiny_scan(given=False)
    scan = replace(whole, image=whole.image[:, :, 10 : 10 + count])
    with pytest.raises(InputError, match=f"{says}, but the model .* needs a whole brain"):
        run(scan, model)


@pytest.mark.parametrize(
    ("error", "kind", "says"),
    [
        (ValueError("is odd"), InputError, "tiny_T1w: is odd; check the scan and its brain mask"),
        (ValueError("tiny_T1w: is odd"), InputError, "tiny_T1w: is odd; check the scan and its brain mask"),
        (InputError("install it"), InputError, "tiny_T1w: install it"),
        (InputError("tiny_T1w: install it"), InputError, "tiny_T1w: install it"),
        (MissingExtraError("install it"), MissingExtraError, "tiny_T1w: install it"),
        (KeyError("a defect"), KeyError, "'a defect'"),
    ],
)
def test_a_refusal_carries_the_scans_name_once(error, kind, says):
    with pytest.raises(kind) as caught, refused_by_name(tiny_scan()):
        raise error
    assert type(caught.value) is kind
    assert str(caught.value) == says


@pytest.mark.parametrize("step", ["with_brain", "assess", "prepare"])
def test_a_refusal_of_any_step_carries_the_scans_name(model, step, monkeypatch):
    def refuse(*_arguments, **_named):
        raise ValueError(f"{step} cannot")

    monkeypatch.setattr(pipeline, step, refuse)
    with pytest.raises(InputError, match=f"^tiny_T1w: {step} cannot; check the scan and its brain mask$"):
        analyze(tiny_scan(), model)


def test_analyze_imports_nothing_that_reads_files():
    code = "import sys, itermask.pipeline; sys.exit(any(name.startswith('itermask.io') for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
