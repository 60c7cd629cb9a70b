"""Files against files: the numbers are the measures', nothing is dropped, and one bad scan stops no other."""

import json
import sys

import nibabel as nib
import numpy as np
import pytest

from itermask.errors import InputError, MissingExtraError
from itermask.evaluation.evaluate import METRICS, WRITTEN, evaluate, write_evaluation
from itermask.evaluation.metrics.scan import best_shared_threshold, match_lesions, scan_metrics
from itermask.io.result_folder import MARK

SHAPE, AFFINE = (10, 9, 8), np.diag([2.0, 2.0, 3.0, 1.0])
SPACING = (2.0, 2.0, 3.0)
TO_LPS = np.array([[0, -1], [1, -1], [2, 1]])


def save(path, data, affine=AFFINE):
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = np.uint8 if np.asarray(data).dtype == bool else np.float32
    nib.save(nib.Nifti1Image(np.asarray(data).astype(kind), affine), path)
    return path


def turned(data, orientation=TO_LPS):
    """Array and affine of the same volume, stored along other axes."""
    return nib.orientations.apply_orientation(data, orientation), AFFINE @ nib.orientations.inv_ornt_aff(
        orientation, SHAPE
    )


def case(seed):
    """Prediction, label, brain, error, reconstruction and image of one scan."""
    rng = np.random.default_rng(seed)
    brain, label = np.zeros((2, *SHAPE), dtype=bool)
    brain[1:-1, 1:-1, :-1] = True
    label[2 : 4 + seed % 3, 3:6, 2:5] = seed > 0  # the first is healthy
    error = (rng.random(SHAPE) + label).astype(np.float32) * brain
    image = rng.normal(100, 10, SHAPE).astype(np.float32)
    reconstruction = (image + rng.normal(0, 3, SHAPE)).astype(np.float32)
    return error > 0.95, label, brain, error, reconstruction, image


CASES = {f"sub-{seed:02d}": case(seed) for seed in range(4)}


@pytest.fixture
def folders(tmp_path):
    """Masks, maps, labels, brains and run folders of four scans; every second label stored along other axes."""
    for number, (name, (prediction, label, brain, error, reconstruction, image)) in enumerate(CASES.items()):
        save(tmp_path / "masks" / f"{name}_pred.nii.gz", prediction)
        save(tmp_path / "maps" / f"{name}_error.nii.gz", error)
        save(tmp_path / "labels" / f"{name}_label.nii.gz", *(turned(label) if number % 2 else (label, AFFINE)))
        save(tmp_path / "brains" / f"{name}_brain.nii.gz", brain)
        save(tmp_path / "images" / f"{name}_T1w.nii.gz", *turned(image))
        for file, data in (
            ("anomaly", prediction),
            ("error", error),
            ("brain", brain),
            ("reconstruction", reconstruction),
        ):
            save(tmp_path / "runs" / name / f"{file}.nii.gz", data)
        (tmp_path / "runs" / name / "finding.json").write_text(json.dumps({"score": number + 0.5}))
    return tmp_path


def numbers(row):
    return {key: value for key, value in row.items() if key in METRICS}


def test_masks(folders):
    found = evaluate(folders / "masks", folders / "labels")
    assert [row["scan"] for row in found.rows] == [f"{name}_pred" for name in CASES]
    for row, (prediction, label, *_) in zip(found.rows, CASES.values(), strict=True):
        assert row["problem"] == ""
        assert numbers(row) == pytest.approx(scan_metrics(prediction, label, None, SPACING), nan_ok=True)
    values = [row["dice"] for row in found.rows]
    assert found.summary["metrics"]["dice"]["mean"] == pytest.approx(np.mean(values))
    assert found.summary["scans"] == 4
    assert "shared_threshold" not in found.summary


def test_maps_with_brain_masks(folders):
    found = evaluate(folders / "maps", folders / "labels", maps=True, brain_mask=folders / "brains")
    cases = list(CASES.values())
    shared = best_shared_threshold(*([one[index] for one in cases] for index in (3, 1, 2)))
    assert found.summary["shared_threshold"] == pytest.approx(shared.threshold)
    for row, (_, label, brain, error, *_), dice in zip(found.rows, cases, shared.dice, strict=True):
        expected = scan_metrics(None, label, brain, SPACING, error) | {"best_shared_threshold_dice": dice}
        assert numbers(row) == pytest.approx(expected, nan_ok=True)
        assert row["best_shared_threshold_dice"] <= row["best_threshold_dice"]
    assert set(found.summary["detection"]) == {"mean_error"}


def test_one_brain_mask_for_all(folders):
    brain = folders / "brains" / "sub-00_brain.nii.gz"
    found = evaluate(folders / "maps", folders / "labels", maps=True, brain_mask=brain)
    apart = evaluate(folders / "maps", folders / "labels", maps=True, brain_mask=folders / "brains")
    assert found.summary["metrics"] == apart.summary["metrics"]


def test_run_folders_have_everything(folders):
    found = evaluate(folders / "runs", folders / "labels", images=folders / "images", size_limits=(0.3, 100))
    for row, number, (prediction, label, brain, error, reconstruction, image) in zip(
        found.rows, range(4), CASES.values(), strict=True
    ):
        expected = scan_metrics(prediction, label, brain, SPACING, error, reconstruction, image)
        assert {key: row[key] for key in expected} == pytest.approx(expected, nan_ok=True)
        assert row["score"] == number + 0.5
    assert found.summary["detection"]["score"]["auroc"] == 1
    assert (found.summary["detection"]["score"]["healthy"], found.summary["detection"]["score"]["anomalous"]) == (1, 3)
    matches = [match_lesions(one[0], one[1], SPACING) for one in CASES.values()]
    assert sum(group["lesions"] for group in found.summary["lesions"].values()) == 3
    assert sum(group["detected"] for group in found.summary["lesions"].values()) == sum(
        m.detected.sum() for m in matches
    )
    sizes = {name: group["scans"] for name, group in found.summary["sizes"].items()}
    assert sizes == {"no lesion": 1, "<0.3 mL": 1, "0.3–100 mL": 2}


def test_a_given_brain_mask_goes_before_a_run_folders_own(folders):
    save(folders / "whole.nii", np.ones(SHAPE, dtype=bool))
    found = evaluate(folders / "runs", folders / "labels", brain_mask=folders / "whole.nii")
    error = CASES["sub-01"][3]
    assert found.rows[1]["mean_error"] == pytest.approx(error.mean())


def test_one_scan_by_itself(folders):
    expected = scan_metrics(*CASES["sub-02"][:2], None, SPACING)
    label = folders / "labels" / "sub-02_label.nii.gz"
    for prediction in (folders / "masks" / "sub-02_pred.nii.gz", save(folders / "other.nii", CASES["sub-02"][0])):
        [row] = evaluate(prediction, label).rows
        assert numbers(row) == pytest.approx(expected, nan_ok=True)
    for labels in (label, folders / "labels"):
        [row] = evaluate(folders / "runs" / "sub-02", labels).rows
        assert (row["scan"], row["dice"]) == ("sub-02", expected["dice"])


def write_table(path, rows):
    columns = list(dict.fromkeys(key for row in rows for key in row))
    separator = "," if path.suffix == ".csv" else "\t"
    lines = [columns, *([str(row.get(column, "")) for column in columns] for row in rows)]
    path.write_text("\n".join(separator.join(line) for line in lines) + "\n")
    return path


@pytest.mark.parametrize("ending", ["tsv", "csv"])
def test_a_table_names_all_files_and_groups(folders, ending):
    rows = [
        {
            "prediction": f"masks/{name}_pred.nii.gz",
            "label": folders / "labels" / f"{name}_label.nii.gz",
            "brain_mask": f"brains/{name}_brain.nii.gz",
            "error": f"maps/{name}_error.nii.gz",
            "reconstruction": f"runs/{name}/reconstruction.nii.gz",
            "image": f"images/{name}_T1w.nii.gz",
            "group": "old" if number > 1 else "young",
            "score": number,
        }
        for number, name in enumerate(CASES)
    ]
    found = evaluate(write_table(folders / f"table.{ending}", rows))
    for row, (prediction, label, *rest) in zip(found.rows, CASES.values(), strict=True):
        expected = scan_metrics(prediction, label, rest[0], SPACING, *rest[1:])
        assert {key: row[key] for key in expected} == pytest.approx(expected, nan_ok=True)
    groups = found.summary["groups"]
    assert {name: group["scans"] for name, group in groups.items()} == {"young": 2, "old": 2}
    dice = [row["dice"] for row in found.rows]
    assert groups["old"]["metrics"]["dice"]["mean"] == pytest.approx(np.mean(dice[2:]))
    assert found.summary["detection"]["score"]["auroc"] == 1


def test_a_table_of_maps_and_of_run_folders(folders):
    maps = [{"prediction": f"maps/{name}_error.nii.gz", "label": f"labels/{name}_label.nii.gz"} for name in CASES]
    table = write_table(folders / "maps.tsv", maps)
    brain = folders / "brains" / "sub-00_brain.nii.gz"
    found = evaluate(table, maps=True, brain_mask=brain)
    assert [row["scan"] for row in found.rows] == [row["prediction"] for row in maps]
    assert np.isfinite([row["mean_error"] for row in found.rows]).all()
    runs = [{"prediction": f"runs/{name}", "label": f"labels/{name}_label.nii.gz", "name": name} for name in CASES]
    again = evaluate(write_table(folders / "runs.tsv", runs))
    assert [row["scan"] for row in again.rows] == list(CASES)
    assert [row["mean_error"] for row in again.rows] == [row["mean_error"] for row in found.rows]


def test_one_bad_scan_stops_no_other(folders):
    moved = AFFINE.copy()
    moved[0, 3] = 1.0
    save(folders / "masks" / "sub-00_pred.nii.gz", CASES["sub-00"][0], moved)
    save(folders / "masks" / "sub-01_pred.nii.gz", CASES["sub-01"][0][1:])
    (folders / "masks" / "sub-02_pred.nii.gz").write_bytes(b"nothing")
    found = evaluate(folders / "masks", folders / "labels")
    assert [bool(row["problem"]) for row in found.rows] == [True, True, True, False]
    problems = [row["problem"] for row in found.rows]
    assert "lies elsewhere in space" in problems[0]
    assert "shape (9, 9, 8) is not (10, 9, 8)" in problems[1]
    assert "sub-02_pred.nii.gz: " in problems[2]
    assert not any("\n" in problem for problem in problems)
    assert [name for name, _ in found.failed] == ["sub-00_pred", "sub-01_pred", "sub-02_pred"]
    alone = evaluate(folders / "masks" / "sub-03_pred.nii.gz", folders / "labels")
    np.testing.assert_equal(found.summary["metrics"], alone.summary["metrics"])
    assert (found.summary["scans"], len(found.summary["failed"])) == (1, 3)


def test_other_ways_to_fail(folders):
    bad = np.full(SHAPE, np.nan)
    rows = [
        {"prediction": "maps/sub-01_error.nii.gz", "label": "labels/sub-01_label.nii.gz"},
        {"prediction": "masks/none.nii.gz", "label": "labels/sub-01_label.nii.gz"},
        {"prediction": "masks", "label": "labels/sub-01_label.nii.gz"},
        {"prediction": "masks/sub-01_pred.nii.gz", "label": "images/sub-01_T1w.nii.gz"},
        {"prediction": "", "label": "labels/sub-01_label.nii.gz"},
        {"prediction": "masks/sub-01_pred.nii.gz", "label": "labels/sub-01_label.nii.gz", "score": "high"},
        {"prediction": "masks/sub-01_pred.nii.gz", "label": "labels/sub-01_label.nii.gz",
         "error": save(folders / "nan.nii", bad)},
        {"prediction": "masks/sub-01_pred.nii.gz", "label": "labels/sub-01_label.nii.gz",
         "brain_mask": save(folders / "empty.nii", 0 * CASES["sub-01"][3])},
    ]  # fmt: skip
    found = evaluate(write_table(folders / "bad.tsv", rows))
    expected = ("--maps", "no such file", "anomaly.nii.gz", "no mask", "missing", "no number", "NaN", "mask is empty")
    for row, word in zip(found.rows, expected, strict=True):
        assert word in row["problem"], row["problem"]
    assert found.summary["scans"] == 0


def test_what_has_no_partner_is_listed(folders):
    (folders / "labels" / "sub-01_label.nii.gz").unlink()
    save(folders / "labels" / "sub-09_label.nii.gz", CASES["sub-01"][1])
    save(folders / "masks" / "sub-02_other_pred.nii.gz", CASES["sub-02"][0])
    found = evaluate(folders / "masks", folders / "labels")
    assert [row["scan"] for row in found.rows] == ["sub-00_pred", "sub-02_pred", "sub-03_pred"]
    lone = dict(map(tuple, found.summary["predictions_without_label"]))
    assert set(lone) == {"sub-01_pred", "sub-02_other_pred"}
    assert lone["sub-01_pred"] == "no label has its name"
    assert found.summary["labels_without_prediction"] == ["sub-09_label"]


def test_a_brain_mask_that_is_asked_for_and_missing_is_a_problem(folders):
    (folders / "brains" / "sub-03_brain.nii.gz").unlink()
    found = evaluate(folders / "maps", folders / "labels", maps=True, brain_mask=folders / "brains")
    assert [bool(row["problem"]) for row in found.rows] == [False, False, False, True]
    assert "no brain mask has its name" in found.rows[3]["problem"]


def test_labels_inside_the_folder_of_predictions(folders):
    (folders / "labels").rename(folders / "masks" / "labels")
    found = evaluate(folders / "masks", folders / "masks" / "labels")
    assert len(found.rows) == 4
    assert found.summary["predictions_without_label"] == []
    turned_round = evaluate(folders / "masks" / "labels", folders / "masks")
    assert len(turned_round.rows) == 4
    assert turned_round.summary["metrics"]["dice"] == found.summary["metrics"]["dice"]


def test_what_cannot_be_evaluated_at_all_is_refused(folders, tmp_path):
    masks, labels = folders / "masks", folders / "labels"
    other = save(tmp_path / "else" / "unlike.nii", CASES["sub-01"][1]).parent
    empty = tmp_path / "nothing"
    empty.mkdir()
    table = write_table(folders / "table.tsv", [{"prediction": "a", "truth": "b"}])
    good = write_table(folders / "good.tsv", [{"prediction": "masks/sub-01_pred.nii.gz", "label": "x"}])
    for arguments, words in (
        ((masks, other), "nothing pairs by name"),
        ((masks, folders / "none"), "no such file"),
        ((masks, empty), "no NIfTI file"),
        ((masks, masks), "as predictions and as labels"),
        ((masks,), "LABELS is missing"),
        ((table,), "columns prediction and label"),
        ((folders / "none.csv",), "not a readable table"),
        ((good, labels), "leave LABELS"),
        ((good, None, False, masks), "one brain mask for all"),
        ((masks, labels, False, None, None, (2, 1)), "--size-limits"),
        ((masks, labels, False, None, None, (1,), -1), "--seed"),
    ):
        with pytest.raises(InputError, match=words) as refused:
            evaluate(*arguments)
        assert "\n" not in str(refused.value)


def test_without_the_extra_maps_are_refused_at_once(folders, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(MissingExtraError, match=r"itermask\[evaluation\]"):
        evaluate(folders / "maps", folders / "labels", maps=True, brain_mask=folders / "brains")
    assert evaluate(folders / "masks", folders / "labels").summary["scans"] == 4


def test_progress_and_seed(folders):
    told = []
    first = evaluate(folders / "masks", folders / "labels", seed=1, progress=lambda *step: told.append(step))
    assert told == [(f"{name}_pred", number / 4) for number, name in enumerate(CASES)]
    np.testing.assert_equal(evaluate(folders / "masks", folders / "labels", seed=1).summary, first.summary)
    assert first.summary["seed"] == 1


def test_what_is_written_can_be_read_again(folders, tmp_path):
    (folders / "masks" / "sub-03_pred.nii.gz").write_bytes(b"")
    found = evaluate(folders / "masks", folders / "labels")
    out = write_evaluation(found, tmp_path / "new" / "out")
    assert sorted(path.name for path in out.iterdir()) == sorted([MARK, *WRITTEN])
    lines = [line.split("\t") for line in (out / "metrics.tsv").read_text().splitlines()]
    rows = [dict(zip(lines[0], line, strict=True)) for line in lines[1:]]
    assert [row["scan"] for row in rows] == [row["scan"] for row in found.rows]
    for row, original in zip(rows, found.rows, strict=True):
        assert row["problem"] == original["problem"]
        for metric in ("dice", "assd_mm", "label_ml"):
            value = original.get(metric, float("nan"))
            assert (row[metric] == "n/a") if np.isnan(value) else float(row[metric]) == pytest.approx(value, rel=1e-5)
    summary = json.loads((out / "summary.json").read_text())
    assert summary["metrics"]["dice"]["mean"] == found.summary["metrics"]["dice"]["mean"]
    assert summary["failed"] == [list(one) for one in found.failed]
    assert "| dice |" in (out / "summary.md").read_text()
    write_evaluation(found, out)
    assert sorted(path.name for path in out.iterdir()) == sorted([MARK, *WRITTEN])


def test_a_folder_that_cannot_be_written_to_is_refused(folders, tmp_path):
    found = evaluate(folders / "masks", folders / "labels")
    (tmp_path / "file").touch()
    (tmp_path / "taken" / "summary.md").mkdir(parents=True)
    for out in (tmp_path / "file", tmp_path / "file" / "below", tmp_path / "taken"):
        with pytest.raises(InputError):
            write_evaluation(found, out)
