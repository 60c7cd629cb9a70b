"""A finding on disk: the scan's own geometry to the last bit, strict JSON, and nothing half there."""

import json
import os
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_model import affine_of, oblique

from itermask.errors import InputError
from itermask.io import outputs
from itermask.io.nifti import read_scan
from itermask.io.outputs import OUTPUTS, check_out, on_grid_of, plain, write_finding
from itermask.io.result_folder import MARK
from itermask.results.report import pictures
from itermask.types import VERDICTS, Finding, Scan

SHAPE = (7, 6, 5)
GEOMETRY = ("dim", "pixdim", "xyzt_units", "qform_code", "sform_code", "quatern_b", "quatern_c", "quatern_d")
GEOMETRY += ("qoffset_x", "qoffset_y", "qoffset_z", "srow_x", "srow_y", "srow_z", "dim_info")
MAPS = ("anomaly", "brain", "error", "reconstruction")


@pytest.fixture(autouse=True)
def small_pictures(monkeypatch):
    """Large pictures take long to draw."""
    monkeypatch.setattr(pictures, "ROW_WIDTH", 300)


def some_scan(**changes):
    image = np.random.default_rng(0).uniform(1, 9, SHAPE).astype(np.float32)
    return Scan(**({"image": image, "affine": affine_of(), "sequence": "T1w", "name": "made_T1w.nii"} | changes))


def some_finding(scan, seed=0, **changes):
    rng = np.random.default_rng(seed)
    brain = np.zeros(scan.image.shape, bool)
    brain[1:-1, 1:-1, 1:-1] = True
    parts = {
        "anomaly": brain & (rng.random(brain.shape) < 0.3),
        "error": np.where(brain, rng.random(brain.shape), 0).astype(np.float32),
        "reconstruction": np.where(brain, rng.random(brain.shape) * 9, 0).astype(np.float32),
        "brain": brain,
        "affine": scan.affine,
        "score": 1.5,
        "anomaly_fraction": 0.3,
        "mean_error": 0.5,
        "percentile": 97.0,
        "verdict": VERDICTS[1],
        "threshold": 0.7,
        "scores": {"mask_size": {"value": 0.3}},
        "search": {"curve": [0.1, 0.2, 0.5, 0.7, 2.0], "step": 3, "mask_voxels": [60, 20], "passes": 1},
        "profile": {},
        "warnings": (),
        "timings": {"read": 0.1},
        "settings": {"seed": 0},
        "versions": {},
    }
    return Finding(**(parts | changes))


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def forms(qform, sform, kind=nib.Nifti1Image, data=None):
    """An image whose header has these codes, an oblique place, and units."""
    affine = oblique(affine_of((0.9, 1.1, 1.3)), (12.3, -7.7, 17.1))
    image = kind(some_scan().image if data is None else data, affine)
    image.set_sform(affine if sform else None, sform)
    image.set_qform(affine if qform else None, qform)
    image.header.set_xyzt_units("mm", "sec")
    image.header.set_dim_info(0, 1, 2)
    return image


@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
@pytest.mark.parametrize(("qform", "sform"), [(1, 0), (0, 2), (1, 1), (3, 4), (0, 0)])
def test_outputs_have_the_scans_affine_and_header_geometry_exactly(tmp_path, qform, sform, kind):
    source = tmp_path / "scan_T1w.nii.gz"
    nib.save(forms(qform, sform, kind), source)
    wanted = nib.load(source)
    assert (int(wanted.header["qform_code"]), int(wanted.header["sform_code"])) == (qform, sform)
    scan = read_scan(source)
    finding = some_finding(scan)
    out = write_finding(scan, finding, tmp_path / "out")
    for name in MAPS:
        image = nib.load(out / f"{name}.nii.gz")
        assert np.array_equal(image.affine, wanted.affine)
        assert type(image) is kind
        for field in GEOMETRY:
            assert np.array_equal(image.header[field], wanted.header[field]), field
        assert np.array_equal(np.asanyarray(image.dataobj), getattr(finding, name))
        assert image.get_data_dtype() == (np.uint8 if name in ("anomaly", "brain") else np.float32)


@pytest.mark.parametrize("endianness", ["<", ">"])
def test_a_scaled_4d_scan_gives_plain_3d_maps(tmp_path, endianness):
    header = nib.Nifti1Header(endianness=endianness)
    header.set_data_dtype(np.int16)
    header.set_slope_inter(0.01, -3)
    source = tmp_path / "scan_T1w.nii"
    nib.save(nib.Nifti1Image(some_scan().image[..., None], oblique(affine_of()), header), source)
    scan = read_scan(source)
    finding = some_finding(scan)
    out = write_finding(scan, finding, tmp_path / "out")
    image = nib.load(out / "error.nii.gz")
    assert image.shape == SHAPE
    assert np.array_equal(np.asanyarray(image.dataobj), finding.error)
    assert np.array_equal(image.affine, nib.load(source).affine)


def test_notes_inside_the_scans_file_are_not_carried_over(tmp_path):
    image = forms(1, 1)
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"NAME OF A PATIENT"))
    image.header["descrip"], image.header["db_name"] = b"NAME OF A PATIENT", b"NAME OF A PATIENT"
    nib.save(image, tmp_path / "scan_T1w.nii")
    scan = read_scan(tmp_path / "scan_T1w.nii")
    made = on_grid_of(scan, scan.image)
    assert b"PATIENT" not in made.to_bytes()
    assert np.array_equal(made.affine, scan.affine)


def test_a_scan_without_a_file_keeps_its_affine_to_float_precision(tmp_path):
    scan = some_scan(affine=oblique(affine_of()))
    write_finding(scan, some_finding(scan), tmp_path)
    assert np.allclose(nib.load(tmp_path / "brain.nii.gz").affine, scan.affine, rtol=1e-6, atol=1e-5)


def test_six_files_are_written_and_others_left_alone(tmp_path):
    scan = some_scan()
    (tmp_path / "notes.txt").write_text("mine")
    write_finding(scan, some_finding(scan, score=7.0), tmp_path)
    assert write_finding(scan, some_finding(scan), str(tmp_path)) == tmp_path
    assert set(contents(tmp_path)) == {*OUTPUTS, MARK, "notes.txt"}
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert json.loads((tmp_path / "finding.json").read_text())["score"] == 1.5


def test_the_same_finding_gives_the_same_bytes(tmp_path):
    scan = some_scan()
    first = contents(write_finding(scan, some_finding(scan), tmp_path / "a"))
    assert contents(write_finding(scan, some_finding(scan), tmp_path / "b")) == first
    assert contents(write_finding(scan, some_finding(scan, seed=1), tmp_path / "c")) != first


# --- failures ------------------------------------------------------------------------------------------------


def fail_at(monkeypatch, number, out):
    """Make the `number`-th rename into `out` fail, once."""
    real, seen = os.replace, []

    def replace(source, target):
        if Path(target).parent == out:
            seen.append(target)
            if len(seen) == number:
                raise OSError(28, "No space left on device")
        real(source, target)

    monkeypatch.setattr(os, "replace", replace)


@pytest.mark.parametrize("number", [1, 2, 4, 6])
@pytest.mark.parametrize("earlier", [True, False])
def test_a_rename_that_fails_midway_leaves_the_earlier_finding_whole(tmp_path, monkeypatch, number, earlier):
    scan = some_scan()
    if earlier:
        write_finding(scan, some_finding(scan, seed=5), tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    before = contents(tmp_path)
    fail_at(monkeypatch, number, tmp_path)
    with pytest.raises(InputError, match=r"^\S+: cannot be written to \(No space left on device\)$"):
        write_finding(scan, some_finding(scan), tmp_path)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("error", [ValueError("no"), OSError(5, "Input/output error"), KeyboardInterrupt()])
def test_a_report_that_fails_leaves_the_earlier_finding_whole(tmp_path, monkeypatch, error):
    scan = some_scan()
    write_finding(scan, some_finding(scan, seed=5), tmp_path)
    before = contents(tmp_path)

    def fail(_scan, _finding, path):
        path.write_text("<html>half a rep")
        raise error

    monkeypatch.setattr(outputs, "write_report", fail)
    with pytest.raises(InputError if isinstance(error, OSError) else type(error)):
        write_finding(scan, some_finding(scan), tmp_path)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("below", [(), ("sub",), ("sub", "deeper")])
def test_a_file_in_the_place_of_the_folder_is_refused_and_kept(tmp_path, below):
    taken = tmp_path / "results"
    taken.write_text("mine")
    scan = some_scan()
    for call in (check_out, lambda out: write_finding(scan, some_finding(scan), out)):
        with pytest.raises(InputError, match=r"^\S+/results: is a file.*$"):
            call(taken.joinpath(*below))
    assert taken.read_text() == "mine"


def test_a_folder_in_the_place_of_a_result_is_refused_and_kept(tmp_path):
    (tmp_path / "report.html").mkdir()
    (tmp_path / "report.html" / "mine").write_text("mine")
    scan = some_scan()
    with pytest.raises(InputError, match=r"^\S+report\.html: is a folder.*$"):
        write_finding(scan, some_finding(scan), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
    assert (tmp_path / "report.html" / "mine").read_text() == "mine"


def test_checking_a_folder_makes_none(tmp_path):
    check_out(tmp_path / "a" / "b")
    assert not list(tmp_path.iterdir())


# --- JSON ----------------------------------------------------------------------------------------------------

NUMBERS = st.floats() | st.integers() | st.floats(width=32).map(np.float32) | st.booleans().map(np.bool_)
VALUES = st.recursive(
    NUMBERS | st.none() | st.text() | st.integers(-(2**31), 2**31).map(np.int64),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text() | st.integers(), inner, max_size=4)
    ),
    max_leaves=15,
)


@given(VALUES)
def test_anything_becomes_strict_json(value):
    def forbidden(constant):
        raise AssertionError(constant)

    text = json.dumps(plain(value), allow_nan=False)
    loaded = json.loads(text, parse_constant=forbidden)
    assert json.dumps(plain(loaded), allow_nan=False) == text


@given(st.dictionaries(st.text(), NUMBERS | st.text(), max_size=5))
def test_json_keeps_every_finite_value(values):
    loaded = json.loads(json.dumps(plain({"values": (values,)})))["values"][0]
    assert set(loaded) == set(values)
    for key, value in values.items():
        finite = isinstance(value, (str, bool, int, np.bool_)) or np.isfinite(value)
        assert loaded[key] == (value if finite else None)


def test_finding_json_has_no_nan(tmp_path):
    scan = some_scan()
    finding = some_finding(
        scan,
        percentile=float("nan"),
        scores={"mask_size": {"value": np.float32(0.25), "healthy_p95": np.inf}},
        search={"curve": [np.float64(1.0), -np.inf], "step": np.int64(1), "crossed": np.bool_(True)},
    )
    write_finding(scan, finding, tmp_path)

    def forbidden(constant):
        raise AssertionError(constant)

    found = json.loads((tmp_path / "finding.json").read_text(), parse_constant=forbidden)
    assert found["percentile"] is None
    assert found["scores"]["mask_size"] == {"value": 0.25, "healthy_p95": None}
    assert found["search"] == {"curve": [1.0, None], "step": 1, "crossed": True}
    assert "research use only" in found["notice"]
