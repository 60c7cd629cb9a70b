"""Reading scans and masks: what is good is read exactly, what is bad is refused in one line."""

import gzip
import re

import nibabel as nib
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny_model import affine_of, oblique

from itermask.errors import InputError
from itermask.io.nifti import read_mask, read_scan
from itermask.io.outputs import on_grid_of

SHAPE = (6, 5, 4)
AFFINE = affine_of((1.0, 2.0, 3.0))


def some_image(shape=SHAPE, dtype=np.float32):
    return np.random.default_rng(0).integers(1, 200, shape).astype(dtype)


def saved(path, data=None, affine=AFFINE, kind=nib.Nifti1Image):
    nib.save(kind(some_image() if data is None else data, affine), path)
    return path


def refusal(call, *arguments):
    """The one line with which a call refuses its input."""
    with pytest.raises(InputError) as caught:
        call(*arguments)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    return message


# --- files that are read -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
@pytest.mark.parametrize("ending", [".nii", ".nii.gz", ".NII"])
def test_every_kind_of_nifti_is_read_exactly(tmp_path, kind, ending):
    path = saved(tmp_path / f"sub-1_T1w{ending}", affine=oblique(AFFINE), kind=kind)
    scan = read_scan(str(path))
    assert np.array_equal(scan.image, some_image())
    assert scan.image.dtype == np.float32
    assert np.array_equal(scan.affine, nib.load(path).affine)
    assert np.allclose(scan.affine, oblique(AFFINE), atol=1e-5)
    assert scan.spacing == pytest.approx((1, 2, 3), abs=1e-5)
    assert (scan.sequence, scan.name, scan.brain_mask) == ("T1w", path.name, None)


@given(
    stored=st.sampled_from([np.uint8, np.int16, np.uint16, np.int32, np.float32, np.float64]),
    slope=st.sampled_from([0.25, 1.0, 3.5, -2.0]),
    offset=st.sampled_from([0.0, -1024.0, 17.5]),
    swapped=st.booleans(),
)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_stored_numbers_are_scaled_by_slope_and_offset(tmp_path, stored, slope, offset, swapped):
    header = nib.Nifti1Header(endianness=">" if swapped else "<")
    header.set_data_dtype(stored)
    header.set_data_shape(SHAPE)
    header.set_sform(AFFINE, 1)
    header["magic"], header["vox_offset"] = b"n+1", 352
    header["scl_slope"], header["scl_inter"] = slope, offset
    raw = some_image(dtype=header.get_data_dtype())
    path = tmp_path / "made.nii"
    path.write_bytes(header.binaryblock + bytes(4) + raw.tobytes(order="F"))
    assert np.array_equal(read_scan(path).image, some_image() * slope + offset)


@pytest.mark.parametrize("shape", [(*SHAPE, 1), (*SHAPE, 1, 1), (6, 5, 1), (6, 5, 1, 1), (6, 5)])
def test_only_axes_of_length_one_may_follow_the_third(tmp_path, shape):
    path = saved(tmp_path / "scan.nii.gz", some_image(shape))
    if len(shape) == 2:
        assert "2D image of shape (6, 5)" in refusal(read_scan, path)
    else:
        scan = read_scan(path)
        assert scan.image.shape == shape[:3]
        assert np.array_equal(scan.image.ravel(), some_image(shape).ravel())


def test_the_sequence_that_is_said_comes_before_name_and_sidecar(tmp_path):
    path = saved(tmp_path / "scan_FLAIR.nii")
    assert read_scan(path).sequence == "FLAIR"
    assert read_scan(path, "t1w").sequence == "T1w"
    other = saved(tmp_path / "scan.nii")
    assert read_scan(other).sequence is None
    (tmp_path / "scan.json").write_text('{"ProtocolName": "MPRAGE"}')
    assert read_scan(other).sequence == "T1w"


def test_a_mask_is_what_is_above_zero(tmp_path):
    data = (some_image() > 100).astype(np.uint8)
    mask = read_mask(saved(tmp_path / "mask.nii.gz", data), SHAPE, AFFINE)
    assert mask.dtype == bool
    assert np.array_equal(mask, data > 0)
    scan = read_scan(saved(tmp_path / "scan.nii"), brain_mask=tmp_path / "mask.nii.gz")
    assert np.array_equal(scan.brain_mask, mask)


@pytest.mark.parametrize(("shift", "good"), [(0.0, True), (0.9, True), (1.1, False), (-40.0, False)])
def test_a_mask_lies_within_a_millimetre_of_its_scan(tmp_path, shift, good):
    affine = AFFINE.copy()
    affine[1, 3] += shift
    path = saved(tmp_path / "mask.nii", affine=affine)
    if good:
        assert read_mask(path, SHAPE, AFFINE).shape == SHAPE
    else:
        assert refusal(read_mask, path, SHAPE, AFFINE).startswith(f"{path}: the mask lies elsewhere")


def test_a_mask_of_other_voxel_size_or_handedness_lies_elsewhere(tmp_path):
    for affine in (AFFINE @ np.diag([1.5, 1, 1, 1]), AFFINE @ np.diag([-1, 1, 1, 1])):
        assert "elsewhere" in refusal(read_mask, saved(tmp_path / "mask.nii", affine=affine), SHAPE, AFFINE)


# --- files that are refused ----------------------------------------------------------------------------------


def bad_bytes(path):
    path.write_bytes(np.random.default_rng(1).bytes(5000))


def bad_gzip_of_noise(path):
    path.write_bytes(gzip.compress(np.random.default_rng(1).bytes(5000)))


def bad_truncated(path):
    saved(path, np.random.default_rng(0).random((20, 20, 20)).astype(np.float32))
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def bad_header_only(path):
    saved(path)
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    path.write_bytes(gzip.compress(content[:100]) if path.suffix == ".gz" else content[:100])


def bad_huge(path):
    header = nib.Nifti1Header()
    header.set_data_shape((32767, 32767, 32767))
    header["magic"], header["vox_offset"] = b"n+1", 352
    content = header.binaryblock + bytes(100)
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def corrupted(path, **fields):
    """A file whose header says something else."""
    header = nib.Nifti1Image(some_image(), AFFINE).header
    header["magic"] = b"n+1"
    header["vox_offset"] = 352
    for field, value in fields.items():
        header[field] = value
    content = header.binaryblock + bytes(4) + some_image().tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def bad_far_away_voxels(path):
    corrupted(path, vox_offset=1e30)


def bad_negative_size(path):
    corrupted(path, dim=[3, -6, 5, 4, 1, 1, 1, 1])


def bad_unknown_codes(path):
    corrupted(path, qform_code=99, sform_code=77, datatype=3, pixdim=[5, -1, 1, 1, 0, 0, 0, 0])


def bad_empty(path):
    path.write_bytes(b"")


def bad_no_voxels(path):
    saved(path, np.zeros((6, 0, 4), np.float32))


def bad_4d(path):
    saved(path, some_image((*SHAPE, 2)))


def bad_nan(path):
    data = some_image()
    data[1, 2, 3], data[0, 0, 0] = np.nan, np.inf
    saved(path, data)


def bad_too_large_numbers(path):
    saved(path, some_image(dtype=np.float64) * 1e300)


def bad_zeros(path):
    saved(path, np.zeros(SHAPE, np.int16))


def bad_constant(path):
    saved(path, np.full(SHAPE, 7.0, np.float32))


def bad_singular(path):
    image = nib.Nifti1Image(some_image(), None)
    image.header["sform_code"] = 1
    image.header["srow_x"], image.header["srow_y"] = [1, 0, 0, 0], [1, 0, 0, 0]
    image.header["srow_z"] = [0, 0, 1, 0]
    nib.save(nib.Nifti1Image(some_image(), None, image.header), path)


def bad_affine_nan(path):
    header = nib.Nifti1Header()
    header["sform_code"] = 1
    header["srow_x"] = header["srow_y"] = header["srow_z"] = np.nan
    nib.save(nib.Nifti1Image(some_image(), None, header), path)


def bad_complex(path):
    saved(path, some_image() * np.complex64(1 + 1j))


def bad_colours(path):
    data = np.zeros(SHAPE, dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    data["R"] = some_image()
    saved(path, data)


def bad_folder(path):
    path.mkdir()


def bad_missing(path):
    pass


REFUSALS = {
    bad_bytes: "truncated or damaged|not a readable NIfTI",
    bad_gzip_of_noise: "not a readable NIfTI",
    bad_truncated: "truncated",
    bad_header_only: "truncated or damaged|not a readable NIfTI",
    bad_huge: "32767 × 32767 × 32767 voxels",
    bad_far_away_voxels: "truncated or damaged",
    bad_negative_size: "truncated or damaged",
    bad_unknown_codes: "not a readable NIfTI",
    bad_empty: "not a readable NIfTI|truncated or damaged",
    bad_no_voxels: r"empty, shape \(6, 0, 4\)",
    bad_4d: r"4D image of shape \(6, 5, 4, 2\)",
    bad_nan: "2 voxels are NaN or infinite",
    bad_too_large_numbers: "NaN or infinite",
    bad_zeros: "every voxel is 0",
    bad_constant: "every voxel is 7",
    bad_singular: "affine is singular",
    bad_affine_nan: "affine is singular",
    bad_complex: "complex numbers",
    bad_colours: "colours",
    bad_folder: "not a NIfTI file",
    bad_missing: "no such file",
}


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
@pytest.mark.parametrize("make", REFUSALS, ids=lambda make: make.__name__.removeprefix("bad_"))
def test_a_bad_file_is_refused_in_one_line_that_names_it_and_nothing_is_printed(tmp_path, capfd, caplog, make, ending):
    path = tmp_path / f"bad_T1w{ending}"
    make(path)
    message = refusal(read_scan, path)
    assert message.startswith(f"{path}: ")
    assert re.search(REFUSALS[make], message), message
    assert capfd.readouterr() == ("", "")
    assert not caplog.records


@pytest.mark.parametrize("name", ["scan.dcm", "scan.mgz", "scan.nii.gz.txt", "nii", "scan.img"])
def test_what_is_no_nifti_by_name_is_refused_whatever_it_holds(tmp_path, name):
    good = saved(tmp_path / "good.nii")
    path = tmp_path / name
    path.write_bytes(good.read_bytes())
    assert refusal(read_scan, path).startswith(f"{path}: not a NIfTI file")


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (np.zeros(SHAPE, np.uint8), "the mask is empty"),
        (-some_image(), "negative values, down to -199"),
        (np.full(SHAPE, np.nan, np.float32), "NaN or infinite"),
        (some_image((6, 5, 5)), r"shape (6, 5, 5) is not the scan's (6, 5, 4)"),
        (some_image((5, 6, 4)), r"shape (5, 6, 4) is not the scan's (6, 5, 4)"),
        (some_image((*SHAPE, 3)), "4D image"),
    ],
)
def test_a_bad_mask_is_refused_in_one_line_that_names_the_mask(tmp_path, data, says):
    scan, mask = saved(tmp_path / "scan.nii"), saved(tmp_path / "mask.nii", data)
    message = refusal(read_scan, scan, None, mask)
    assert message.startswith(f"{mask}: ")
    assert says in message


def test_a_missing_mask_is_named(tmp_path):
    assert (
        refusal(read_scan, saved(tmp_path / "scan.nii"), None, tmp_path / "no.nii")
        == f"{tmp_path}/no.nii: no such file"
    )


@given(
    where=st.lists(st.tuples(st.integers(0, 351), st.integers(0, 255)), min_size=1, max_size=4),
    kept=st.integers(0, 700),
    packed=st.booleans(),
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_damaged_header_gives_a_scan_that_can_be_written_back_or_one_line(tmp_path, where, kept, packed):
    image = nib.Nifti1Image(some_image(dtype=np.int16), AFFINE)
    image.set_qform(AFFINE, 1)
    content = bytearray(image.to_bytes())
    for place, value in where:
        content[place] = value
    content = bytes(content[: 100 + kept])
    path = tmp_path / ("scan.nii.gz" if packed else "scan.nii")
    path.write_bytes(gzip.compress(content, 1) if packed else content)
    try:
        scan = read_scan(path)
    except InputError:
        assert refusal(read_scan, path).startswith(f"{path}: ")
        return
    again = tmp_path / "again.nii"
    nib.save(on_grid_of(scan, scan.image), again)
    assert np.array_equal(nib.load(again).affine, nib.load(path).affine)
