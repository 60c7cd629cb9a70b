"""A benchmark: from a settings file over tiny data sets to tables, resumable, one bad scan reported and skipped."""

import json
import re
import shutil
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
from tiny_model import SPACING, tiny_head, tiny_model, tiny_scan, write_nifti

from itermask.errors import InputError
from itermask.evaluation.benchmark.conditions import AS_IS, Condition, conditions_of, corrupt_scan, seed_for
from itermask.evaluation.benchmark.plan import ProtocolSpec, read_plan
from itermask.evaluation.benchmark.processing import map_path, process_all, rows_in, subjects_of
from itermask.evaluation.benchmark.results import (
    Results,
    detection,
    healthy,
    segmentation,
    severity_curves,
    slice_results,
)
from itermask.evaluation.benchmark.slices import as_slice_row
from itermask.evaluation.benchmark.tables import sections_of, with_interval
from itermask.evaluation.benchmark.write import insert, markdown, page, write_all
from itermask.evaluation.metrics.overlap import dice

PLAN = """
seed = 3

[[methods]]
name = "tiny"
model = "model"

[[methods]]
name = "keen"
model = "model"
sensitivity = 4.0

[[data]]
name = "heads"
root = "heads"
sequence = "T1w"

[[data]]
name = "patients"
root = "patients"
sequence = "T1w"

[[protocols]]
kind = "healthy"
data = ["heads"]

[[protocols]]
kind = "detection"
data = ["heads"]
artifacts = ["noise", "spike"]
severity = 8

[[protocols]]
kind = "severity"
data = ["heads"]
artifacts = ["noise"]
severities = [2, 8]
limit = 2

[[protocols]]
kind = "segmentation"
data = ["patients"]

[[protocols]]
kind = "slices"
data = ["patients"]

[[protocols]]
kind = "detection"
data = ["heads"]
corrupted = ["patients"]
title = "Patients"

[[protocols]]
kind = "lesions"
data = ["heads"]
lesions = { dark = 1.0, bright = 0.5 }
shapes = "shapes.npz"
fractions = [0.02, 0.03]
limit = 2
"""


def write_case(folder, seed, blob=0.0):
    folder.mkdir(parents=True)
    scan = tiny_scan(seed=seed, blob=blob)
    write_nifti(folder / "T1w.nii.gz", scan)
    nib.save(nib.Nifti1Image(scan.brain_mask.astype(np.uint8), scan.affine), folder / "brain.nii.gz")
    if blob:
        lesion = tiny_head(seed=seed, blob=blob)[0] != tiny_head(seed=seed)[0]
        nib.save(nib.Nifti1Image(lesion.astype(np.uint8), scan.affine), folder / "lesion.nii.gz")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Settings, a model, three healthy heads, two patients, lesion outlines."""
    folder = tmp_path_factory.mktemp("benchmark")
    (folder / "plan.toml").write_text(PLAN)
    tiny_model(folder / "model")
    for seed in range(3):
        write_case(folder / "heads" / f"head{seed}", seed)
    for seed in (5, 6):
        write_case(folder / "patients" / f"patient{seed}", seed, blob=70.0)
    np.savez(folder / "shapes.npz", ball=np.linalg.norm(np.indices((9, 9, 9)) - 4, axis=0) < 4.5)
    return folder


@pytest.fixture(scope="module")
def done(place):
    plan = read_plan(place / "plan.toml")
    rows = process_all(plan, place / "out")
    return Results(plan, subjects_of(plan), rows, place / "out")


def test_every_run_is_made_once(done):
    per_method = 3 * (1 + 2) + 2 * 1 + 2 * 2 + 2  # as it is and severity 8, severity 2, lesions, patients
    assert len(done.rows) == 2 * per_method
    assert not [row for row in done.rows if "problem" in row]
    assert len(rows_in(done.out)) == len(done.rows)


def test_a_second_run_processes_nothing_and_the_same_tables(done, place):
    before = (done.out / "scans.jsonl").read_bytes()
    again = process_all(done.plan, done.out)
    assert (done.out / "scans.jsonl").read_bytes() == before
    other = Results(done.plan, done.subjects, again, done.out)
    assert markdown(other, sections_of(other)) == markdown(done, sections_of(done))


def test_an_interrupted_run_goes_on_and_parts_add_up(done, place):
    plan, out = done.plan, place / "parts"
    process_all(plan, out, (2, 2))
    first = process_all(plan, out, (1, 2))
    assert {row["subject"] for row in rows_in(out)} == {row["subject"] for row in done.rows}
    strip = lambda rows: {json.dumps(row | {"seconds": 0}, sort_keys=True) for row in rows}  # noqa: E731
    assert strip(first) == strip(done.rows)  # what a scan gives does not depend on the order
    lines = (out / "scans-1of2.jsonl").read_text().splitlines()
    (out / "scans-1of2.jsonl").write_text("\n".join(lines[:-2]) + "\n" + lines[-2][:40])
    assert strip(process_all(plan, out, (1, 2))) == strip(done.rows)


def test_another_model_is_processed_anew(place, tmp_path):
    shutil.copytree(place, tmp_path / "copy")
    plan = read_plan(tmp_path / "copy" / "plan.toml")
    before = len(rows_in(tmp_path / "copy" / "out"))
    card = tmp_path / "copy" / "model" / "card.json"
    card.write_text(json.dumps(json.loads(card.read_text()) | {"version": "another"}))
    rows = process_all(plan, tmp_path / "copy" / "out")
    assert len(rows) == before
    assert len(rows_in(tmp_path / "copy" / "out")) == 2 * before


def test_a_bad_scan_is_reported_and_the_rest_goes_on(place, tmp_path):
    shutil.copytree(place / "heads", tmp_path / "heads")
    (tmp_path / "heads" / "head1" / "T1w.nii.gz").write_bytes(b"no image")
    text = PLAN.split("[[protocols]]")
    (tmp_path / "plan.toml").write_text(
        "[[protocols]]".join([text[0].split('[[data]]\nname = "patients"')[0], text[1]])
    )
    shutil.copytree(place / "model", tmp_path / "model")
    rows = process_all(read_plan(tmp_path / "plan.toml"), tmp_path / "out")
    problems = [row for row in rows if "problem" in row]
    assert {row["subject"] for row in problems} == {"head1"}
    assert all("T1w.nii.gz" in row["problem"] for row in problems)
    assert len(rows) - len(problems) == 4
    assert len(rows_in(tmp_path / "out")) == 4  # a failed look is tried again next time


def test_the_numbers_are_those_of_the_runs(done):
    protocols = {(p.kind, p.title): p for p in done.plan.protocols}
    found = healthy(done, protocols["healthy", ""], "tiny", "heads")
    clean = [row for row in done.rows if (row["method"], row["data"], row["condition"]) == ("tiny", "heads", "as is")]
    assert found["scans"] == 3
    assert found["median"] == np.median([row["anomaly_share"] for row in clean])
    seg, count = segmentation(done, protocols["segmentation", ""], "keen", "patients", [AS_IS])
    dices = [row["metrics"]["dice"] for row in done.rows if row["method"] == "keen" and row["data"] == "patients"]
    assert count == seg["dice"].scans == seg["dice"].defined == len(dices) == 2
    assert seg["dice"].interval.mean == pytest.approx(np.mean(dices))
    assert seg["best_shared_dice"].interval.mean <= seg["best_threshold_dice"].interval.mean + 1e-6
    spiked = detection(done, protocols["detection", ""], "tiny", "heads", Condition("artifact", "spike", 8.0))
    scores = [row["scores"]["profile_distance"] for row in clean]
    corrupted = [
        row["scores"]["profile_distance"]
        for row in done.rows
        if (row["method"], row["condition"]) == ("tiny", "artifact spike 8")
    ]
    assert spiked["auroc"] == pytest.approx(np.mean([a > b for a in corrupted for b in scores]))
    curves = severity_curves(done, protocols["severity", ""], "tiny", "heads")
    assert [severity for severity, _ in curves["noise"]] == [2.0, 8.0]
    assert detection(done, protocols["detection", "Patients"], "tiny", "heads", AS_IS)


def test_a_scan_s_largest_slice_is_measured_as_if_it_were_all(done):
    row = next(row for row in done.rows if (row["method"], row["subject"]) == ("keen", "patient5"))
    with np.load(map_path(done.out, row)) as whole, np.load(map_path(done.out, as_slice_row(row))) as part:
        assert 0 < part["label"].sum() < whole["label"].sum()
        assert set(part["error"]) <= set(whole["error"])
        assert row["slice"]["label_cm2"] == pytest.approx(
            (part["label"].sum() + part["outside"]) * SPACING[0] * SPACING[1] / 100
        )
    protocol = next(p for p in done.plan.protocols if p.kind == "slices")
    found, count, sizes, free = slice_results(done, protocol, "keen", "patients")
    rows = [row for row in done.rows if row["method"] == "keen" and row["data"] == "patients"]
    assert count == 2
    assert found["dice"].interval.mean == pytest.approx(np.mean([row["slice"]["dice"] for row in rows]))
    assert np.isfinite([size.interval.mean for size in sizes]).any()
    assert 0 <= free["flagged_share"] <= 1


def test_tables_have_every_method_and_protocol(done):
    sections = sections_of(done)
    text = markdown(done, sections)
    for word in ("Anomaly volume", "Severity curves: heads", "Inserted lesions: dark and bright, heads", "Patients"):
        assert word in text
    assert text.count("| tiny |") >= 6
    written = page(done, sections)
    assert "<svg" in written
    assert "not a diagnosis" in written
    assert "http" not in written.replace("http://www.w3.org", "").replace("http://purl.org", "").replace(
        "http://creativecommons.org", ""
    )


def test_tables_go_between_the_marks_of_a_document(done, tmp_path):
    document = tmp_path / "results.md"
    document.write_text("before\n<!-- benchmark plan: start -->\nold\n<!-- benchmark plan: end -->\nafter\n")
    insert(done, sections_of(done), document, "plan")
    text = document.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "\nold\n" not in text
    assert "label-free Dice" in text
    assert (tmp_path / "pictures" / "severity-curves-heads.svg").read_text().startswith("<svg")
    insert(done, sections_of(done), document, "plan")
    assert document.read_text() == text
    with pytest.raises(InputError, match="has no lines"):
        insert(done, sections_of(done), document, "other")


def test_results_are_written_into_the_folder(done, tmp_path):
    write_all(done, sections_of(done), tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        "results.md",
        "results.html",
        "severity-curves-heads.svg",
        "severity-curves-roc-heads.svg",
    }


def test_a_condition_does_the_same_whoever_asks_and_more_when_severer():
    scan = tiny_scan(seed=1)
    shapes = {"ball": np.ones((4, 4, 4), dtype=bool)}
    clean, nothing = corrupt_scan(scan, AS_IS, "a", shapes)
    assert clean is scan
    assert nothing is None
    mild, strong = (corrupt_scan(scan, Condition("artifact", "noise", s), "a", shapes)[0].image for s in (2.0, 8.0))
    assert np.abs(strong - scan.image).mean() > 2 * np.abs(mild - scan.image).mean()
    condition = Condition("lesion", "dark", 1.0, (0.02, 0.03))
    (one, lesion), (two, same) = (corrupt_scan(scan, condition, "a", shapes) for _ in range(2))
    assert np.array_equal(one.image, two.image)
    assert np.array_equal(lesion, same)
    assert 0.015 < lesion.sum() / scan.brain_mask.sum() < 0.035
    elsewhere = [corrupt_scan(scan, condition, *who)[1] for who in (("b", shapes), ("a", shapes, 1))]
    assert all(dice(lesion, other) < 1 for other in elsewhere)
    assert len({seed_for(0, "a"), seed_for(1, "a"), seed_for(0, "b"), seed_for(0, "a", "b")}) == 4


def test_a_protocol_asks_for_what_it_compares():
    severe = ProtocolSpec("severity", ("d",), artifacts=("noise",), severities=(1.0, 2.0))
    assert [c.label for c in conditions_of(severe)] == ["as is", "artifact noise 1", "artifact noise 2"]
    assert conditions_of(ProtocolSpec("detection", ("d",), corrupted=("e",))) == [AS_IS]
    every = conditions_of(ProtocolSpec("detection", ("d",)))
    assert len(every) > 10  # all artifacts there are, and the scan as it is
    assert every[0] == AS_IS


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("seed = 3", "seed = -1", "seed must be"),
        ("seed = 3", "seed = 3.5", "seed must be a whole number, not 3.5"),
        ("seed = 3", 'seed = 3\nfolder = "x"', "unknown setting folder"),
        ("sensitivity = 4.0", "sensitivity = 0.0", r"\[\[methods\]\] number 2: sensitivity must be above 0"),
        ("sensitivity = 4.0", 'sensitivity = "4"', r"methods\[2\].sensitivity must be a number, not '4'"),
        ("severity = 8", 'severity = "8"', "severity must be a number, not '8'"),
        ("seed = 3", "sead = 3", "unknown setting sead"),
        ("seed = 3", "seed = ", "not valid TOML"),
        ('model = "model"\n\n', "\n\n", "model is missing"),
        ('name = "keen"', 'name = "tiny"', "duplicate names"),
        ('kind = "healthy"', 'kind = "healthiness"', "unknown protocol"),
        ('data = ["patients"]', 'data = ["patient"]', "data patient"),
        ('data = ["patients"]', 'data = "patients"', "must be a list, not 'patients'"),
        ('"spike"]', '"spikes"]', "unknown artifact spikes"),
        ("severity = 8", "severity = 80", "between 0 and 10"),
        ("dark = 1.0", "black = 1.0", "lesions black"),
        ('shapes = "shapes.npz"\n', "", "needs shapes"),
        ('root = "heads"', 'root = "heads"\nkind = "head"', "kind must be auto.*not 'head'"),
        ("sensitivity = 4.0", "sensitivty = 4.0", "unknown setting sensitivty, did you mean sensitivity"),
    ],
)
def test_settings_that_mean_nothing_are_one_line(tmp_path, old, new, says):
    path = tmp_path / "plan.toml"
    assert old in PLAN
    path.write_text(PLAN.replace(old, new, 1))
    with pytest.raises(InputError, match=says) as refused:
        read_plan(path)
    assert "\n" not in str(refused.value)
    assert str(path) in str(refused.value)


def test_data_without_the_sequence_are_one_line(place, tmp_path):
    (place / "other.toml").write_text(PLAN.replace('sequence = "T1w"', 'sequence = "FLAIR"', 1))
    with pytest.raises(InputError, match="no FLAIR scan"):
        subjects_of(read_plan(place / "other.toml"))
    with pytest.raises(InputError, match="cannot be read"):
        read_plan(tmp_path / "nowhere.toml")


def test_the_former_name_of_corrupted_is_read(place):
    path = place / "former.toml"
    path.write_text((place / "plan.toml").read_text().replace("\ncorrupted =", "\nspoiled ="))
    assert read_plan(path).protocols == read_plan(place / "plan.toml").protocols


def test_a_protocols_limit_leaves_scans_out_that_others_processed(done):
    protocols = {p.kind: p for p in done.plan.protocols}
    assert len(done.of(protocols["healthy"], "tiny", "heads", AS_IS)) == 3
    limited = done.of(protocols["severity"], "tiny", "heads", AS_IS)
    assert {row["subject"] for row in limited} == {"head0", "head1"}
    corrupted = [row for row in done.rows if row["condition"] == "artifact noise 2"]
    assert {row["subject"] for row in corrupted} == {"head0", "head1"}  # not even processed
    (done.plan.folder / "few.toml").write_text(PLAN.replace('root = "heads"', 'root = "heads"\nlimit = 1', 1))
    few = subjects_of(read_plan(done.plan.folder / "few.toml"))
    assert [one.name for one in few if one.data.name == "heads"] == ["head0"]


def test_scans_without_a_lesion_are_no_lesion_scans(done):
    """A healthy scan among the patients would count as a Dice of 0 or 1."""
    protocol = next(p for p in done.plan.protocols if p.kind == "segmentation")
    rows = [
        row | {"metrics": {**row["metrics"], "label_ml": 0.0, "dice": 1.0}}
        if (row["data"], row["subject"]) == ("patients", "patient5")
        else row
        for row in done.rows
    ]
    found, count = segmentation(replace(done, rows=rows), protocol, "keen", "patients", [AS_IS])
    (other,) = [row for row in rows if (row["method"], row["subject"]) == ("keen", "patient6")]
    assert count == found["dice"].scans == 1
    assert found["dice"].interval.mean == other["metrics"]["dice"]


def test_a_cell_says_how_many_scans_it_is_of(done):
    """An empty mask has no precision and no border: it must not look as if it had improved them."""
    protocol = next(p for p in done.plan.protocols if p.kind == "segmentation")
    rows = [dict(row) for row in done.rows]
    for row in rows:
        if (row["method"], row["subject"]) == ("keen", "patient5"):
            row["metrics"] = {k: v for k, v in row["metrics"].items() if k not in ("precision", "assd_mm")}
    found, count = segmentation(replace(done, rows=rows), protocol, "keen", "patients", [AS_IS])
    assert (found["precision"].defined, found["precision"].scans, count) == (1, 2, 2)
    assert with_interval(found["precision"]).endswith("; n = 1)")
    assert "n =" not in with_interval(found["dice"])
    (section,) = [one for one in sections_of(replace(done, rows=rows)) if one.title == "Lesions: patients"]
    assert any("n = 1" in cell for row in section.rows for cell in row)


def test_intervals_of_a_benchmark_are_drawn_by_subject(done):
    """Kinds of lesion put into two heads are of two subjects: the interval is that of two, not of four scans."""
    protocol = next(p for p in done.plan.protocols if p.kind == "lesions")
    rows = [
        row | {"metrics": row["metrics"] | {"dice": {"head0": 0.2, "head1": 0.6}[row["subject"]]}}
        for row in done.rows
        if row["condition"].startswith("lesion") and row["method"] == "tiny"
    ]
    found, count = segmentation(replace(done, rows=rows), protocol, "tiny", "heads", conditions_of(protocol))
    assert count == 4
    assert tuple(found["dice"].interval) == pytest.approx((0.4, 0.2, 0.6))


def test_aurocs_stand_with_their_intervals(done):
    section = next(one for one in sections_of(done) if "every score" in one.title)
    place = section.header.index("AUROC")
    assert all(re.fullmatch(r"[01]\.\d{3} \(\d\.\d\d–\d\.\d\d\)", row[place]) for row in section.rows)


def test_size_groups_may_be_the_papers_pixels(place, tmp_path, done):
    path = place / "pixels.toml"
    path.write_text(PLAN.replace('kind = "slices"\n', 'kind = "slices"\nsizes = [200, 800]\npixel = 1.875\n'))
    plan = read_plan(path)
    sections = [one for one in sections_of(replace(done, plan=plan)) if "by size" in one.title]
    assert sections[0].header[1:4] == ["<200 px", "200–800 px", "≥800 px"]
