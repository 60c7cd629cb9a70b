"""Alignment: known places are found again, what cannot be right is refused, and a run says what was done."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny_align import angle, apart, moved, rigid, template_head
from tiny_cohort import write_model
from tiny_model import ORIENTATIONS, oblique, stored_as, tiny_scan, write_nifti
from tiny_slices import tiny_stack

import itermask
from itermask.errors import InputError, MissingExtraError
from itermask.io.nifti import read_scan
from itermask.prepare import align
from itermask.prepare.brain import with_brain
from itermask.prepare.grid import Grid
from itermask.prepare.prepare import prepare
from itermask.results.regions import regions_of
from itermask.training.cache import cache_key, prepare_entry
from itermask.training.config import TrainingConfig
from itermask.training.table import Entry
from itermask.training.train import calibrate_model

pytest.importorskip("SimpleITK")
pytest.importorskip("nilearn")
DEMO = Path(align.__file__).parents[1] / "demo_data"
DEGREE, MM = 1.2, 1.0


@pytest.fixture(scope="module")
def head():
    return template_head()


@pytest.fixture(scope="module")
def found(head):
    return align.align(head)


@pytest.fixture(scope="module")
def demo():
    """The demo's healthy head and where it lies."""
    scan = read_scan(DEMO / "healthy_T1w.nii.gz", "T1w", DEMO / "healthy_brain.nii.gz")
    return scan, align.align(scan)


def test_a_head_along_mni_axes_stays_where_it_is(head, found):
    """A smaller head of another contrast; a rigid transform moves its centre to the template's."""
    assert angle(found.to_mni) < DEGREE
    assert found.rotation == pytest.approx(angle(found.to_mni), abs=1e-3)
    centre = head.affine[:3, :3] @ np.argwhere(head.brain_mask).mean(axis=0) + head.affine[:3, 3]
    there = found.to_mni[:3, :3] @ centre + found.to_mni[:3, 3]
    np.testing.assert_allclose(there, centre / 0.9, atol=1.0)
    assert found.size == pytest.approx(0.9, abs=0.02)
    assert found.overlap > 0.95
    assert np.linalg.det(found.to_mni) == pytest.approx(1)
    np.testing.assert_array_equal(found.to_mni[3], [0, 0, 0, 1])


def test_the_same_scan_gives_the_same_bits(head, found):
    again = align.align(head)
    assert again.to_mni.tobytes() == found.to_mni.tobytes()
    assert again.summary() == found.summary()


@pytest.mark.parametrize("degrees", [(0.0, 25.0, -30.0)])
def test_a_known_place_is_found_again(head, found, degrees):
    place = rigid(degrees, (12.0, 40.0, -30.0))
    other = align.align(moved(head, place))
    together = other.to_mni @ place
    assert angle(together @ np.linalg.inv(found.to_mni)) < DEGREE
    assert apart(together, found.to_mni) < MM


def test_a_known_place_of_the_demo_scan_is_found_again(demo):
    scan, straight = demo
    place = rigid((-15.0, 10.0, 8.0), (5.0, -20.0, 15.0))
    together = align.align(moved(scan, place)).to_mni @ place
    assert angle(together @ np.linalg.inv(straight.to_mni)) < DEGREE
    assert apart(together, straight.to_mni) < MM


@pytest.mark.parametrize(("orientation", "tilt"), [(ORIENTATIONS[13], True), (ORIENTATIONS[42], False)])
def test_it_does_not_matter_how_a_scan_is_stored(head, found, orientation, tilt):
    stored = stored_as(head, orientation)
    place = oblique(np.eye(4)) if tilt else np.eye(4)
    together = align.align(moved(stored, place)).to_mni @ place
    assert angle(together @ np.linalg.inv(found.to_mni)) < (DEGREE if tilt else 0.05)
    assert apart(together, found.to_mni) < (MM if tilt else 0.05)


def test_long_voxels_are_no_hindrance():
    turn = rigid((10.0, 6.0, -8.0))
    together = align.align(moved(template_head((1.5, 2.0, 5.0)), turn)).to_mni @ turn
    assert angle(together) < 1.5


def test_a_part_of_the_head_is_placed_like_the_whole(head, found):
    """Of a head without its lowest 5 cm only what was scanned is compared."""
    cut = replace(head, image=head.image[..., 24:], brain_mask=head.brain_mask[..., 24:])
    affine = head.affine.copy()
    affine[:3, 3] += 24 * affine[:3, 2]
    part = align.align(replace(cut, affine=affine))
    assert angle(part.to_mni @ np.linalg.inv(found.to_mni)) < 4
    assert apart(part.to_mni, found.to_mni) < 6


@pytest.mark.parametrize("degrees", [(0.0, 0.0, 180.0)])
def test_a_head_that_lies_as_none_does_in_a_scanner_is_refused(head, degrees):
    with pytest.raises(ValueError, match=r"turns the head by \d+°, more than the 60° .* leave alignment out"):
        align.align(moved(head, rigid(degrees)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda scan: replace(scan, brain_mask=None), "needs a brain mask"),
        (lambda scan: replace(scan, brain_mask=np.zeros_like(scan.brain_mask)), "needs a brain mask"),
        (lambda scan: replace(scan, image=np.ones_like(scan.image)), "intensities are constant"),
        (lambda scan: replace(scan, image=np.full_like(scan.image, np.nan)), "NaN or infinite"),
        (lambda scan: replace(scan, affine=np.diag([0.5, 0.5, 0.5, 1.0])), "the registration .* leave alignment out"),
        (lambda scan: replace(scan, affine=np.diag([1.0, 1.0, 0.0, 1.0])), "not invertible"),
    ],
)
def test_scans_that_cannot_be_aligned(change, message):
    with pytest.raises(ValueError, match=message):
        align.align(change(tiny_scan()))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"similarity": float("nan")}, "gives no number"),
        ({"rotation": 75.0}, "turns the head by 75°"),
        ({"size": 0.5}, "0.50 times as long"),
        ({"overlap": 0.4}, "only 40 % of the brain"),
        ({"similarity": 0.3}, r"no more similar to the template than it began \(0.300 after 0.500\)"),
    ],
)
def test_what_no_registration_should_end_with(change, message):
    good = align.Alignment(np.eye(4), 0.0, 0.9, 0.6, 0.5, 0.95)
    align._check(good)
    with pytest.raises(ValueError, match=message):
        align._check(replace(good, **change))


def test_a_run_says_how_it_aligned_and_tells_the_sides(tmp_path, head, found):
    """The model has learned nothing, so its mask is of no matter; its places are."""
    model = itermask.load_model(write_model(tmp_path / "model"), device="cpu")
    place = rigid((10.0, -5.0, 12.0), (10.0, 5.0, -20.0))
    scan = replace(moved(head, place), sequence="T1w")
    plain = itermask.run(scan, model)
    assert plain.settings["alignment"] == "none"
    assert "aligned" not in plain.settings
    finding = itermask.run(scan, model, itermask.RunSettings(align=True))
    assert finding.settings["alignment"].startswith("rigid, to MNI152 axes (SimpleITK ")
    assert "align" in finding.timings
    assert finding.anomaly.shape == scan.image.shape
    assert np.array_equal(finding.affine, scan.affine)
    assert not finding.anomaly[~finding.brain].any()
    assert finding.settings["aligned"]["rotation_degrees"] == pytest.approx(angle(place), abs=DEGREE)

    marked = np.zeros_like(finding.anomaly)
    right, left = (48, 40, 30), (18, 40, 30)  # along the head's own axes, 2.5 mm voxels from −84 mm
    marked[right], marked[left] = True, True
    written = json.loads(json.dumps(finding.settings))
    regions, _ = regions_of(scan, replace(finding, anomaly=marked, settings=written))
    assert [region.side for region in regions] == ["left", "right"]
    for region in regions:
        wanted = found.to_mni @ head.affine @ [*region.voxel, 1]
        np.testing.assert_allclose(region.position_mni_mm, wanted[:3], atol=1.5)
    regions, _ = regions_of(scan, replace(plain, anomaly=marked))
    assert all(region.side is None and region.position_mni_mm is None for region in regions)


def test_a_model_that_was_calibrated_with_it_aligns_without_being_told(tmp_path, head):
    folder = write_model(tmp_path / "model")
    card = json.loads((folder / "card.json").read_text())
    (folder / "card.json").write_text(json.dumps(card | {"align": True}))
    model = itermask.load_model(folder, device="cpu")
    assert model.grid.align
    finding = itermask.run(replace(head, sequence="T1w"), model)
    assert finding.settings["alignment"] == align.align_name()
    (folder / "card.json").write_text(json.dumps(card | {"align": "yes"}))
    with pytest.raises(InputError, match=r"card.json: align is true or false"):
        itermask.load_model(folder, device="cpu")


def test_a_scan_that_cannot_be_aligned_is_one_line_of_a_run(tmp_path, command, head):
    model = write_model(tmp_path / "model")
    lying = write_nifti(tmp_path / "lying_T1w.nii.gz", moved(head, rigid((85.0, 0.0, 0.0))))
    code, _, error = command("run", lying, tmp_path / "out", "--model", model, "--align")
    assert code == 2
    assert error.count("\n") == 1
    assert "lying_T1w" in error
    assert "turns the head by" in error


def test_a_model_for_slices_cannot_be_aligned(tmp_path):
    model = itermask.load_model(write_model(tmp_path / "model"), device="cpu")
    slices = replace(model.grid, spacing=(6.0, 6.0, 0.0), box=(16, 16, 1))
    with pytest.raises(InputError, match=r"^.*: cannot be aligned, as the model model takes the scan's own slices; "):
        itermask.run(
            replace(tiny_stack(1), sequence="T1w"), replace(model, grid=slices), itermask.RunSettings(align=True)
        )


def test_without_the_extra_one_line_says_what_to_install(tmp_path, monkeypatch):
    write_nifti(tmp_path / "scan_T1w.nii.gz", tiny_scan())
    model = write_model(tmp_path / "model")
    monkeypatch.setattr(align.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'itermask\[align\]'"):
        itermask.run(tmp_path / "scan_T1w.nii.gz", model, itermask.RunSettings(align=True))


def test_importing_the_package_imports_neither_library():
    import subprocess
    import sys

    code = "import sys, itermask.pipeline; sys.exit(any(name in sys.modules for name in ('nilearn', 'SimpleITK')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_training_scans_are_aligned_where_the_grid_wants_it(tmp_path, head):
    entry = Entry(write_nifti(tmp_path / "a_T1w.nii.gz", head), None, "train", "a")
    plain = Grid((6.0, 6.0, 6.0), (32, 32, 32), 4)
    grid = replace(plain, align=True)
    assert cache_key(entry, "T1w", grid) != cache_key(entry, "T1w", plain)
    prepared = prepare_entry(entry, "T1w", grid)
    scan, _ = with_brain(read_scan(entry.path, "T1w"))
    assert np.array_equal(prepared.image, prepare(scan, plain, align.align(scan)).image)
    assert not np.array_equal(prepared.image, prepare_entry(entry, "T1w", plain).image)


def test_a_model_that_is_calibrated_with_it_says_so_on_its_card(tmp_path, head):
    rows = ["path\tsplit\tparticipant_id"]
    for number in range(4):
        path = write_nifti(tmp_path / f"{number}_T1w.nii.gz", moved(head, rigid((5.0 * number, 0.0, 0.0))))
        rows.append(f"{path}\tval\t{number}")
    (tmp_path / "table.tsv").write_text("\n".join(rows) + "\n")
    source = write_model(tmp_path / "model")
    out = calibrate_model(tmp_path / "table.tsv", source, tmp_path / "out", device="cpu", align=True)
    assert itermask.load_model(out, device="cpu").grid.align
    assert not itermask.load_model(source, device="cpu").grid.align
    card = json.loads((source / "card.json").read_text())
    slices = {"spacing": [6.0, 6.0, 0.0], "box": [16, 16, 1]}
    (source / "card.json").write_text(json.dumps(card | slices))
    with pytest.raises(InputError, match="own slices, which cannot be aligned; leave --align out"):
        calibrate_model(tmp_path / "table.tsv", source, tmp_path / "other", device="cpu", align=True)


def test_a_training_file_may_want_it():
    assert TrainingConfig(align=True).grid().align
    assert not TrainingConfig().grid().align
