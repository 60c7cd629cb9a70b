"""`itermask.run` on whatever Python holds: one finding for one scan, whichever way it is given."""

import json
import subprocess
import sys
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
from tiny_model import affine_of, oblique, tiny_model, tiny_scan, write_nifti

import itermask
from itermask import run_scans
from itermask.errors import InputError

MAPS = ("anomaly", "error", "reconstruction", "brain")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def scan():
    return tiny_scan(given=False, blob=60.0, affine=oblique(affine_of()))


@pytest.fixture(scope="module")
def file(scan, tmp_path_factory):
    return write_nifti(tmp_path_factory.mktemp("scans") / "tiny_T1w.nii.gz", scan)


@pytest.fixture(scope="module")
def expected(file, model):
    return itermask.run(file, model)


def same(one, other):
    """Whether two findings have the same maps and numbers; names of the scan and times may differ."""
    told = [
        json.dumps(replace(f, timings={}, settings=f.settings | {"scan": ""}).summary(), sort_keys=True)
        for f in (one, other)
    ]
    return told[0] == told[1] and all(np.array_equal(getattr(one, name), getattr(other, name)) for name in MAPS)


def forms(file):
    """The same scan in every form."""
    image = nib.load(file)
    return {
        "text": (str(file), {}),
        "Scan": (itermask.read_scan(file), {}),
        "image of a file": (image, {}),
        "image in memory": (nib.Nifti1Image(image.get_fdata(dtype=np.float32), image.affine), {"sequence": "T1w"}),
        "image with a fourth axis": (
            nib.Nifti1Image(image.get_fdata(dtype=np.float32)[..., None], image.affine),
            {"sequence": "t1"},
        ),
        "array": (image.get_fdata(dtype=np.float64), {"affine": image.affine, "sequence": "T1w"}),
    }


@pytest.mark.parametrize("form", ["text", "Scan", "image of a file", "image in memory", "array"])
def test_every_form_of_a_scan_gives_the_same_finding(form, file, model, expected):
    scan, how = forms(file)[form]
    assert same(itermask.run(scan, model, **how), expected)


def test_a_fourth_axis_of_length_one_is_dropped_and_the_image_is_left_as_it_was(file):
    image, how = forms(file)["image with a fourth axis"]
    before = image.get_fdata().copy()
    scan = run_scans.as_scan(image, **how)
    assert scan.image.shape == before.shape[:3]
    scan.image[:] = -1
    assert np.array_equal(image.get_fdata(), before)


def test_an_image_with_another_affine_than_its_header_lies_where_the_image_says(file):
    image = nib.load(file)
    moved = nib.Nifti1Image(image.dataobj, image.affine + np.eye(4)[:, [3]] @ np.array([[0, 0, 0, 5.0]]), image.header)
    assert np.allclose(run_scans.as_scan(moved, sequence="T1w").affine, moved.affine)


def test_an_mgh_image_is_taken_too(file):
    image = nib.load(file)
    mgh = nib.MGHImage(image.get_fdata(dtype=np.float32), image.affine)
    scan = run_scans.as_scan(mgh, sequence="T1w")
    assert scan.header is None
    assert np.allclose(scan.affine, image.affine, atol=1e-3)


def test_a_list_gives_findings_one_by_one_with_one_model(file, expected, monkeypatch, model, tmp_path):
    loads = []
    monkeypatch.setattr(run_scans, "find", lambda *_: itermask.models.choice.Choice(tmp_path, "chosen"))
    monkeypatch.setattr(run_scans, "load_model", lambda folder: loads.append(folder) or model)
    findings = itermask.run([file, itermask.read_scan(file)])
    assert not loads  # nothing is done before it is asked for
    first, second = findings
    assert loads == [tmp_path]
    assert first.settings["model_choice"] == second.settings["model_choice"] == "chosen"
    for finding in (first, second):
        assert np.array_equal(finding.error, expected.error)


def test_a_bad_scan_in_a_list_raises_or_is_told_and_skipped(file, model, tmp_path):
    scans = [tmp_path / "none_T1w.nii.gz", file]
    with pytest.raises(InputError, match="none_T1w"):
        list(itermask.run(scans, model))
    told = []
    found = list(itermask.run(scans, model, on_refusal=lambda scan, why: told.append((scan, str(why)))))
    assert len(found) == 1
    assert told[0][0] == scans[0]
    assert "none_T1w" in told[0][1]


@pytest.mark.parametrize("kind", ["file", "image", "array", "numbers"])
def test_a_brain_mask_in_any_form(kind, file, model, tmp_path):
    scan = itermask.read_scan(file)
    brain = scan.image > 0
    image = nib.Nifti1Image(brain.astype(np.uint8), scan.affine)
    nib.save(image, tmp_path / "brain.nii.gz")
    mask = {"file": tmp_path / "brain.nii.gz", "image": image, "array": brain, "numbers": brain.astype(float)}[kind]
    for source in (file, scan):
        found = run_scans.as_scan(source, brain_mask=mask)
        assert np.array_equal(found.brain_mask, brain)
    assert itermask.run(file, model, brain_mask=mask).settings["brain_mask"] == "given"


CUBE = np.arange(64.0).reshape(4, 4, 4)
WRONG = {
    "no affine": (CUBE, {}, "affine="),
    "an affine too many": ("a.nii", {"affine": np.eye(4)}, "for an array"),
    "a flat affine": (CUBE, {"affine": np.zeros((4, 4))}, "4×4"),
    "a slice": (CUBE[0], {"affine": np.eye(4)}, "3 axes"),
    "a series": (np.stack([CUBE, CUBE], -1), {"affine": np.eye(4)}, "3 axes"),
    "complex": (CUBE * 1j, {"affine": np.eye(4)}, "magnitude"),
    "text": (np.full((2, 2, 2), "a"), {"affine": np.eye(4)}, "real numbers"),
    "constant": (np.ones((4, 4, 4)), {"affine": np.eye(4)}, "every voxel"),
    "infinite": (np.where(CUBE == 3, np.inf, CUBE), {"affine": np.eye(4)}, "infinite"),
    "no sequence": (CUBE, {"affine": np.eye(4)}, "sequence"),
    "a number": (3, {}, "is not a scan"),
    "a dictionary": ({"scan": CUBE}, {}, "is not a scan"),
    "another shape of mask": (CUBE, {"affine": np.eye(4), "brain_mask": np.ones((3, 3, 3), bool)}, "shape"),
    "an empty mask": (CUBE, {"affine": np.eye(4), "brain_mask": np.zeros((4, 4, 4), bool)}, "empty"),
    "labels": (CUBE, {"affine": np.eye(4), "brain_mask": CUBE}, "0 and 1"),
    "a mask for many": ([CUBE], {"brain_mask": CUBE}, "a single scan"),
    "a callback for one": (CUBE, {"affine": np.eye(4), "on_refusal": print}, "several"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_used_is_refused_in_one_line(case, model):
    scan, how, said = WRONG[case]
    with pytest.raises(InputError, match=said) as refusal:
        itermask.run(scan, model, **how)
    assert "\n" not in str(refusal.value)


def test_a_mask_elsewhere_is_refused(file):
    scan = itermask.read_scan(file)
    image = nib.Nifti1Image((scan.image > 0).astype(np.uint8), scan.affine + 3 * np.eye(4)[:, [0]] @ np.eye(4)[[3]])
    with pytest.raises(InputError, match="grid"):
        run_scans.as_scan(scan, brain_mask=image)


def test_the_public_names_are_there_and_importing_the_package_brings_none_of_their_libraries():
    code = (
        "import sys, itermask; heavy = {'torch', 'matplotlib', 'nibabel', 'scipy', 'pandas'} & set(sys.modules); "
        "assert not heavy, heavy; "
        "assert set(itermask.__all__) <= set(dir(itermask)); "
        "[getattr(itermask, name) for name in itermask.__all__]; "
        "assert 'torch' not in sys.modules; "
        "assert itermask.metrics.dice and itermask.corrupt and itermask.refine and callable(itermask.run)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_the_former_module_gives_the_same_functions_with_a_warning():
    from itermask import look

    with pytest.warns(DeprecationWarning, match="run_scans"):
        assert look.run is itermask.run
