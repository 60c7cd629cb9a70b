"""Where a scan lies: the unit is used, contradictions are said, what cannot be is refused."""

import gzip
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny_model import affine_of, oblique

from itermask.errors import InputError
from itermask.io.nifti import read_scan
from itermask.io.outputs import on_grid_of

SHAPE = (30, 28, 26)
DATA = np.random.default_rng(0).integers(1, 200, SHAPE).astype(np.int16)
AFFINE = oblique(affine_of((2.0, 2.5, 3.0), (-30.0, -40.0, -35.0)))


def written(path, sform=AFFINE, qform=AFFINE, codes=(1, 1), unit="mm", **fields):
    image = nib.Nifti1Image(DATA, None)
    image.set_qform(qform, codes[0])
    image.set_sform(sform, codes[1])
    image.header.set_xyzt_units(unit)
    content = bytearray(image.to_bytes())
    header = np.frombuffer(bytes(content[:348]), nib.nifti1.header_dtype).copy()
    for name, value in fields.items():
        header[name] = value
    content[:348] = header.tobytes()
    path.write_bytes(gzip.compress(content, 1) if path.suffix == ".gz" else content)
    return path


def refusal(path):
    with pytest.raises(InputError) as caught:
        read_scan(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def test_one_place_said_twice_needs_no_note(tmp_path):
    scan = read_scan(written(tmp_path / "a.nii"))
    assert not scan.notes
    assert np.allclose(scan.affine, AFFINE, atol=1e-5)


@pytest.mark.parametrize(("unit", "scale", "word"), [("meter", 1e-3, "metre"), ("micron", 1e3, "micrometre")])
def test_other_units_are_converted_and_said_and_results_lie_on_the_file(tmp_path, unit, scale, word):
    affine = AFFINE.copy()
    affine[:3] *= scale
    path = written(tmp_path / "a_T1w.nii", affine, affine, unit=unit)
    scan = read_scan(path)
    assert scan.notes == (f"The header's unit is the {word}; sizes were converted to millimetres.",)
    assert np.allclose(scan.affine, AFFINE, atol=1e-4)
    made = on_grid_of(scan, scan.image)
    assert np.array_equal(made.affine, nib.load(path).affine)
    assert made.header.get_xyzt_units()[0] == unit


def test_a_wrong_unit_is_refused(tmp_path):
    assert "unit or voxel size is wrong" in refusal(written(tmp_path / "a.nii", unit="meter"))
    assert "voxels of 0.002 × 0.0025 × 0.003 mm are not possible" in refusal(written(tmp_path / "b.nii", unit="micron"))


def test_a_bare_sform_gives_way_to_the_qform(tmp_path):
    path = written(tmp_path / "a.nii", sform=np.diag([2.0, 2.5, 3.0, 1.0]), codes=(1, 2))
    scan = read_scan(path)
    assert np.allclose(scan.affine, AFFINE, atol=1e-4)
    (note,) = scan.notes
    assert "contradict each other" in note
    assert "the qform was used, as the sform is a bare scaling" in note
    assert np.array_equal(on_grid_of(scan, scan.image).affine, nib.load(path).affine), "lies on the file in any viewer"


def test_an_sform_of_other_voxel_size_gives_way_to_the_qform(tmp_path):
    scan = read_scan(written(tmp_path / "a.nii", sform=AFFINE @ np.diag([1.3, 1.3, 1.3, 1]), codes=(1, 4)))
    assert scan.spacing == pytest.approx((2.0, 2.5, 3.0), abs=1e-4)
    assert "other voxel sizes" in scan.notes[0]


def test_two_rigid_places_are_said_and_the_sform_is_used(tmp_path):
    moved = AFFINE.copy()
    moved[:3, 3] += (0, 12.0, 0)
    scan = read_scan(written(tmp_path / "a.nii", sform=moved, codes=(1, 2)))
    assert np.allclose(scan.affine, moved, atol=1e-4)
    assert "up to 12 mm apart); the sform was used" in scan.notes[0]


def test_places_that_swap_left_and_right_are_said_to(tmp_path):
    scan = read_scan(written(tmp_path / "a.nii", sform=np.diag([-1, 1, 1, 1]) @ AFFINE))
    assert "swap left and right" in scan.notes[0]


def test_a_header_without_orientation_is_said(tmp_path):
    scan = read_scan(written(tmp_path / "a.nii", codes=(0, 0)))
    assert scan.notes[0].startswith("The header tells no orientation")
    assert scan.spacing == pytest.approx((2.0, 2.5, 3.0))


def test_voxel_sizes_that_contradict_the_sform_are_said(tmp_path):
    scan = read_scan(written(tmp_path / "a.nii", qform=None, codes=(0, 1), pixdim=[1, 1, 1, 1, 0, 0, 0, 0]))
    assert "are not those of its sform" in scan.notes[0]


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"qform_code": 0, "sform_code": 0, "pixdim": [1, 0, 0, 0, 0, 0, 0, 0]}, "has no voxel size"),
        ({"pixdim": [1, np.nan, 1, 1, 0, 0, 0, 0]}, "voxel sizes are not numbers"),
        ({"qform_code": 0, "sform_code": 0, "pixdim": [1, 500, 1, 1, 0, 0, 0, 0]}, "not possible"),
        ({"sform_code": 77}, "sform_code is 77"),
        ({"sform_code": 0, "pixdim": [4, 2, 2, 2, 0, 0, 0, 0]}, "left and right cannot be told"),
        ({"srow_x": [2, 0, 0, 9e9], "qform_code": 0}, "off the scanner"),
        ({"scl_slope": np.inf}, "scaled by inf"),
        ({"scl_slope": 1e21}, "scaled by 1e+21"),
        ({"scl_slope": 2.0, "scl_inter": np.nan}, "scaled by 2 and nan"),
        ({"vox_offset": 100}, "begin at byte 100"),
        ({"vox_offset": 353}, "truncated or damaged: holds"),
        ({"bitpix": 32}, "so it is damaged"),
        ({"datatype": 3}, "voxel type 3 is none"),
        ({"dim": [3, 15, 28, 26, 1, 1, 1, 1]}, "holds more than"),
        ({"dim": [9, 30, 28, 26, 1, 1, 1, 1]}, "9 axes"),
        ({"magic": b"ni1"}, "pair of files"),
    ],
)
@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_a_header_that_cannot_be_is_refused(tmp_path, fields, says, ending):
    assert says in refusal(written(tmp_path / f"a{ending}", **fields))


def test_sheared_axes_are_said_or_refused(tmp_path):
    for shear, says in ((0.001, None), (0.05, "sheared"), (0.5, "stand at")):
        affine = AFFINE @ np.array([[1, shear, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])
        sizes = np.linalg.norm(affine[:3, :3], axis=0)
        path = written(tmp_path / "a.nii", affine, None, (0, 1), pixdim=[1, *sizes, 0, 0, 0, 0])
        if shear == 0.5:
            assert says in refusal(path)
        else:
            assert any(says in note for note in read_scan(path).notes) if says else not read_scan(path).notes


def test_an_offset_of_zero_is_the_headers_end_and_said(tmp_path):
    scan = read_scan(written(tmp_path / "a.nii", vox_offset=0))
    assert np.array_equal(scan.image, DATA)
    assert "vox_offset 0" in scan.notes[0]


def test_a_moved_scan_is_written_where_it_was_moved_to(tmp_path):
    scan = read_scan(written(tmp_path / "a.nii"))
    moved = replace(scan, affine=np.diag([2.0, 2.0, 2.0, 1.0]))
    assert np.allclose(on_grid_of(moved, moved.image).affine, moved.affine)


@given(
    rotation=st.tuples(*[st.floats(-40, 40)] * 3),
    spacing=st.tuples(*[st.floats(0.5, 5)] * 3),
    origin=st.tuples(*[st.floats(-200, 200)] * 3),
    codes=st.sampled_from([(1, 1), (1, 0), (0, 1), (2, 4)]),
    flip=st.booleans(),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_honest_header_is_read_as_nibabel_reads_it_and_needs_no_note(
    tmp_path, rotation, spacing, origin, codes, flip
):
    affine = oblique(affine_of(spacing, origin), rotation) @ np.diag([-1 if flip else 1, 1, 1, 1])
    path = written(tmp_path / "a.nii", affine, affine, codes)
    scan = read_scan(path)
    assert np.array_equal(scan.affine, nib.load(path).affine)
    assert not scan.notes


def test_a_place_far_off_the_scanner_is_said(tmp_path):
    for offset, said in ((500, True), (-30, False)):
        path = written(tmp_path / f"{offset}.nii", sform_code=0, qform_code=1, qoffset_x=offset)
        assert any("from the scanner's centre" in note for note in read_scan(path).notes) == said
