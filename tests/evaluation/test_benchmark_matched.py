"""The protocol at matched false alarms: thresholds from healthy brains, methods from settings, maps that are kept."""

import json

import nibabel as nib
import numpy as np
import pytest
from tiny_model import tiny_head, tiny_model, tiny_scan, write_nifti

from itermask.errors import InputError
from itermask.evaluation.benchmark.conditions import AS_IS, Condition, conditions_for, conditions_of
from itermask.evaluation.benchmark.maps import has_map, read_map
from itermask.evaluation.benchmark.matched import CURVE, found_at, healthy_brain, lesion_groups
from itermask.evaluation.benchmark.models import Models
from itermask.evaluation.benchmark.plan import read_plan
from itermask.evaluation.benchmark.processing import map_path, process_all, rows_in, subjects_of
from itermask.evaluation.benchmark.results import Results
from itermask.evaluation.benchmark.roc import comparisons, pooled, roc_section
from itermask.evaluation.benchmark.tables import sections_of
from itermask.evaluation.benchmark.write import markdown, page
from itermask.evaluation.metrics.overlap import dice

CONFIG = """
method = "robust-z"
spacing = [4.0, 4.0, 4.0]
box = [16, 16, 16]
divisor = 4
"""
PLAN = """
[[methods]]
name = "tiny"
model = "model"
data = ["heads", "patients"]

[[methods]]
name = "bright"
config = "robust-z.toml"
settings = { smoothing = 0.0 }

[[methods]]
name = "dark"
config = "robust-z.toml"
settings = { smoothing = 0.0, side = "dark" }

[[data]]
name = "heads"
root = "heads"
sequence = "T1w"

[[data]]
name = "patients"
root = "patients"
sequence = "T1w"

[[data]]
name = "flair"
root = "patients"
sequence = "FLAIR"

[[protocols]]
kind = "matched"
data = ["patients"]
healthy = ["heads"]
shares = [0.01, 0.05]
reference = "bright"

[[protocols]]
kind = "matched"
data = ["flair"]
title = "In lesion-free slices"

[[protocols]]
kind = "matched"
data = ["heads"]
healthy = ["heads"]
lesions = { dark = 1.0, bright = 1.0 }
shapes = "shapes.npz"
fractions = [0.03, 0.05]
title = "Inserted"

[[protocols]]
kind = "severity"
data = ["heads"]
artifacts = ["noise", "spike"]
severities = [3, 9]
"""


def write_case(folder, seed, blob=0.0):
    folder.mkdir(parents=True)
    scan = tiny_scan(seed=seed, blob=blob)
    write_nifti(folder / "T1w.nii.gz", scan)
    nib.save(nib.Nifti1Image(scan.brain_mask.astype(np.uint8), scan.affine), folder / "brain.nii.gz")
    if blob:
        write_nifti(folder / "FLAIR.nii.gz", scan)
        lesion = tiny_head(seed=seed, blob=blob)[0] != tiny_head(seed=seed)[0]
        nib.save(nib.Nifti1Image(lesion.astype(np.uint8), scan.affine), folder / "lesion.nii.gz")


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("matched")
    (folder / "plan.toml").write_text(PLAN)
    (folder / "robust-z.toml").write_text(CONFIG)
    tiny_model(folder / "model")
    for seed in range(4):
        write_case(folder / "heads" / f"head{seed}", seed)
    for seed in (5, 6):
        write_case(folder / "patients" / f"patient{seed}", seed, blob=90.0)
    np.savez(folder / "shapes.npz", ball=np.linalg.norm(np.indices((9, 9, 9)) - 4, axis=0) < 4.5)
    plan = read_plan(folder / "plan.toml")
    rows = process_all(plan, folder / "out", device="cpu")
    return Results(plan, subjects_of(plan), rows, folder / "out")


def protocol(done, title="", kind="matched"):
    return next(p for p in done.plan.protocols if p.kind == kind and p.title == title)


def test_each_method_processes_its_data_and_no_artifact_s_map_is_kept(done):
    assert not [row for row in done.rows if "problem" in row]
    assert {row["data"] for row in done.rows if row["method"] == "tiny"} == {"heads", "patients"}
    assert {row["data"] for row in done.rows if row["method"] == "dark"} == {"heads", "patients", "flair"}
    kept = {row["kind"] for row in done.rows if has_map(map_path(done.out, row))}
    assert kept == {"as is", "lesion"}
    assert {row["kind"] for row in done.rows} == {"as is", "lesion", "artifact"}


def test_every_method_flags_the_same_share_of_healthy_heads(done):
    one = protocol(done)
    for method in ("tiny", "bright", "dark"):
        found = healthy_brain(done, one, method, "patients")
        assert (found.scans, found.subjects) == (4, 4)
        maps = [
            read_map(map_path(done.out, row))
            for row in done.rows
            if (row["method"], row["data"], row["condition"]) == (method, "heads", "as is")
        ]
        for share in one.shares:
            flagged = np.mean([(one_map.error > found.thresholds[share]).mean() for one_map in maps])
            assert flagged == pytest.approx(found.flagged[share])
            assert flagged <= share
            assert flagged > 0.5 * share


def test_what_is_found_is_what_the_mask_at_that_threshold_finds(done):
    one = protocol(done)
    healthy = healthy_brain(done, one, "bright", "patients")
    found = found_at(done, one, "bright", "patients", [AS_IS], healthy)
    for row in done.rows:
        if (row["method"], row["data"]) == ("bright", "patients"):
            stored = read_map(map_path(done.out, row))
            mask = stored.brain & (stored.volume() > healthy.thresholds[0.05])
            key = (("patients", row["subject"]), f"{row['subject']} as is")
            assert found.measures[0.05][key]["dice"] == pytest.approx(dice(mask, stored.lesion))
    assert found.cell(0.05, "dice", 0).interval.mean > 0.3
    dark = found_at(done, one, "dark", "patients", [AS_IS], healthy_brain(done, one, "dark", "patients"))
    gain = dark.gain(0.05, found, 0).interval
    assert gain.mean == pytest.approx(
        dark.cell(0.05, "dice", 0).interval.mean - found.cell(0.05, "dice", 0).interval.mean
    )
    assert gain.mean < 0
    assert [x for x, _ in found.points()] == pytest.approx([100 * share for share in CURVE])


def test_lesion_free_slices_stand_for_healthy_scans(done):
    one = protocol(done, "In lesion-free slices")
    found = healthy_brain(done, one, "bright", "flair")
    rows = [row for row in done.rows if (row["method"], row["data"]) == ("bright", "flair")]
    maps = [read_map(map_path(done.out, row)) for row in rows]
    for stored in maps:
        slices = stored.volume()  # axial slices are the scan's last axis
        free = ~stored.lesion.any((0, 1))
        assert 0 < free.sum() < len(free)
        assert np.array_equal(stored.error[stored.free], slices[..., free][stored.brain[..., free]])
    flagged = np.mean([(m.error[m.free] > found.thresholds[0.01]).mean() for m in maps])
    assert flagged == pytest.approx(found.flagged[0.01])
    assert flagged <= 0.01


def test_inserted_lesions_have_a_table_for_each_kind(done):
    one = protocol(done, "Inserted")
    assert list(lesion_groups(one)) == ["dark", "bright", "all kinds"]
    assert conditions_for(one, "heads") == [AS_IS, *conditions_of(one)]
    healthy = healthy_brain(done, one, "bright", "heads")
    groups = {
        name: found_at(done, one, "bright", "heads", conditions, healthy)
        for name, conditions in lesion_groups(one).items()
    }
    assert len(groups["all kinds"].measures[0.01]) == 2 * len(groups["dark"].measures[0.01]) == 8
    mean = {name: found.cell(0.01, "dice", 0).interval.mean for name, found in groups.items()}
    assert mean["all kinds"] == pytest.approx((mean["dark"] + mean["bright"]) / 2)


def test_artifacts_of_one_severity_make_one_curve(done):
    one = protocol(done, kind="severity")
    parts = comparisons(done, one, "bright", "heads", 9.0)
    assert list(parts) == ["noise", "spike"]
    assert len(pooled(parts).anomalous) == 8
    assert len(pooled(parts).healthy) == 4
    section = roc_section(done, one, "heads")
    assert list(section.curves.panels) == ["severity 3", "severity 9"]
    for points in section.curves.panels["severity 9"].values():
        assert points[0] == (0, 0)
        assert points[-1] == (1, 1)
    assert len(section.rows) == 2 * 3


def test_tables_and_figures_have_every_method(done):
    sections = sections_of(done)
    text = markdown(done, sections, pictures=".")
    for words in (
        "At matched false alarms: patients",
        "Dice gained over bright",
        "the brain in 4 scans of 4 subjects (heads)",
        "the lesion-free slices of the same data, 2 scans of 2 subjects",
        "Inserted: dark, heads",
        "not trained, `robust-z.toml`, smoothing 0.0, side dark",
        "Severity curves, ROC: heads",
    ):
        assert words in text
    overview = next(section for section in sections if section.title == "Inserted: heads")
    assert [row[0] for row in overview.rows] == ["tiny", "bright", "dark"]
    assert list(overview.curves.panels) == ["dark", "bright", "all kinds"]
    assert page(done, sections).count("<svg") == 5


def test_a_map_that_is_missing_is_made_anew(done):
    before = [json.dumps(row | {"seconds": 0}, sort_keys=True) for row in done.rows]
    lines = len(rows_in(done.out))
    row = next(row for row in done.rows if (row["method"], row["condition"]) == ("bright", "as is"))
    path = map_path(done.out, row)
    with np.load(path) as stored:
        old = {name: stored[name] for name in ("error", "label", "outside")}  # as earlier versions kept it
    np.savez_compressed(path, **old)
    again = process_all(done.plan, done.out, device="cpu")
    assert len(rows_in(done.out)) == lines + 1
    assert has_map(path)
    assert sorted(json.dumps(row | {"seconds": 0}, sort_keys=True) for row in again) == sorted(before)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('model = "model"', 'model = "model"\nconfig = "robust-z.toml"', "a model and a config"),
        ('model = "model"', 'model = "model"\nsettings = { side = "dark" }', "only go with a config"),
        ('model = "model"\n', "", "model is missing"),
        ('data = ["heads", "patients"]', 'data = ["head"]', "method tiny: data head"),
        ('healthy = ["heads"]', 'healthy = ["head"]', "data head"),
        ('data = ["patients"]\nhealthy', 'data = ["flair"]\nhealthy', "several sequences"),
        ("[0.01, 0.05]", "[0.01, 5]", "between 0 and 1"),
        ('reference = "bright"', 'reference = "brightest"', "no method is called 'brightest'"),
        ("dark = 1.0, bright", "black = 1.0, bright", "lesions black"),
        ('shapes = "shapes.npz"\n', "", "needs shapes"),
    ],
)
def test_settings_that_mean_nothing_are_one_line(tmp_path, old, new, says):
    assert old in PLAN
    (tmp_path / "plan.toml").write_text(PLAN.replace(old, new, 1))
    with pytest.raises(InputError, match=says) as refused:
        read_plan(tmp_path / "plan.toml")
    assert "\n" not in str(refused.value)


def test_only_methods_without_networks_need_no_model(tmp_path):
    bundled = PLAN.replace('model = "model"', 'model = "t1w-2mm"')
    (tmp_path / "plan.toml").write_text("\n".join(line for line in bundled.splitlines() if "settings" not in line))
    (tmp_path / "robust-z.toml").write_text('method = "denoising"\n')
    with pytest.raises(InputError, match="denoising has a network"):
        Models(read_plan(tmp_path / "plan.toml"))
    (tmp_path / "robust-z.toml").write_text('method = "robust-z"\n')
    (tmp_path / "plan.toml").write_text(bundled.replace('side = "dark"', 'side = "grey"'))
    with pytest.raises(InputError, match=r"robust-z.toml: method dark: .*side is bright, dark or either"):
        Models(read_plan(tmp_path / "plan.toml"))


def test_a_model_s_mark_changes_with_its_settings(tmp_path):
    (tmp_path / "plan.toml").write_text(PLAN.replace('model = "model"', 'model = "t1w-2mm"'))
    (tmp_path / "robust-z.toml").write_text(CONFIG)
    first = Models(read_plan(tmp_path / "plan.toml"))
    (tmp_path / "robust-z.toml").write_text(CONFIG.replace("4.0]", "3.0]"))
    other = Models(read_plan(tmp_path / "plan.toml"))
    assert first.digests["bright"] != first.digests["dark"]
    assert first.digests["bright"] != other.digests["bright"]
    assert first.digests["tiny"] == other.digests["tiny"]
    model = first.model(first.plan.methods[2], "FLAIR")
    assert (model.sequence, model.method.side, model.calibration) == ("FLAIR", "dark", {})
    assert Condition().label == "as is"
