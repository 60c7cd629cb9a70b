"""Damage to files: a flipped bit, missing or additional bytes are refused, or change nothing that is read."""

import gzip
import os

import nibabel as nib
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny_model import affine_of

from itermask.errors import InputError
from itermask.io.nifti import read_brain_mask, read_scan, read_volume

SHAPE = (9, 8, 7)
IMAGE = nib.Nifti1Image(np.random.default_rng(0).integers(0, 500, SHAPE).astype(np.int16), affine_of())
MASK = nib.Nifti1Image((np.indices(SHAPE).sum(0) < 12).astype(np.uint8), affine_of())
FAST = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def packed(image):
    return gzip.compress(image.to_bytes(), mtime=0)


def refused(path):
    with pytest.raises(InputError) as caught:
        read_volume(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert len(message.splitlines()) == 1
    return message


@given(where=st.integers(0, 8 * len(packed(IMAGE)) - 1))
@FAST
def test_a_flipped_bit_of_a_packed_scan_is_refused_or_changes_nothing(tmp_path, where):
    content = bytearray(packed(IMAGE))
    content[where // 8] ^= 1 << where % 8
    path = tmp_path / "scan_T1w.nii.gz"
    path.write_bytes(content)
    try:
        scan = read_scan(path)
    except InputError:
        return
    assert np.array_equal(scan.image, IMAGE.get_fdata(dtype=np.float32))
    assert np.array_equal(scan.affine, IMAGE.affine)
    assert not scan.notes


@given(where=st.integers(0, 8 * len(packed(MASK)) - 1))
@FAST
def test_a_flipped_bit_of_a_packed_mask_is_refused_or_changes_nothing(tmp_path, where):
    content = bytearray(packed(MASK))
    content[where // 8] ^= 1 << where % 8
    path = tmp_path / "mask.nii.gz"
    path.write_bytes(content)
    try:
        mask, notes = read_brain_mask(path, SHAPE, MASK.affine)
    except InputError:
        return
    assert np.array_equal(mask, MASK.get_fdata() > 0)
    assert not notes


@given(kept=st.integers(0, len(packed(IMAGE)) - 1))
@FAST
def test_a_packed_file_that_was_cut_is_refused(tmp_path, kept):
    path = tmp_path / "scan.nii.gz"
    path.write_bytes(packed(IMAGE)[:kept])
    assert "truncated or damaged" in refused(path)


@given(kept=st.integers(0, len(IMAGE.to_bytes()) - 1))
@FAST
def test_a_plain_file_that_was_cut_is_refused(tmp_path, kept):
    path = tmp_path / "scan.nii"
    path.write_bytes(IMAGE.to_bytes()[:kept])
    assert "truncated or damaged" in refused(path) or kept < 4


@given(more=st.binary(min_size=1, max_size=200).filter(lambda more: more.strip(b"\0")))
@FAST
def test_bytes_behind_the_image_are_refused(tmp_path, more):
    plain, inside, behind = tmp_path / "a.nii", tmp_path / "b.nii.gz", tmp_path / "c.nii.gz"
    plain.write_bytes(IMAGE.to_bytes() + more)
    inside.write_bytes(gzip.compress(IMAGE.to_bytes() + more))
    behind.write_bytes(packed(IMAGE) + more)
    for path in (plain, inside, behind):
        refused(path)


def test_much_more_than_the_header_describes_is_refused(tmp_path):
    for name, pack in (("a.nii", bytes), ("b.nii.gz", gzip.compress)):
        (tmp_path / name).write_bytes(pack(IMAGE.to_bytes() + bytes(10_000)))
        assert "holds more than the" in refused(tmp_path / name)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_zeros_behind_the_image_are_padding_and_said(tmp_path, pack):
    path = tmp_path / ("a.nii" if pack is bytes else "a.nii.gz")
    path.write_bytes(pack(IMAGE.to_bytes() + bytes(160)))
    volume = read_volume(path)
    assert volume.notes == ("160 zero bytes behind the image were passed over.",)
    assert np.array_equal(volume.data, IMAGE.get_fdata())


def test_several_gzip_members_and_tape_padding_are_one_file(tmp_path):
    content = IMAGE.to_bytes()
    path = tmp_path / "a.nii.gz"
    path.write_bytes(gzip.compress(content[:100]) + gzip.compress(content[100:]) + bytes(512))
    assert np.array_equal(read_volume(path).data, IMAGE.get_fdata())


def test_a_file_that_grows_beyond_its_header_is_not_unpacked_to_its_end(tmp_path):
    path = tmp_path / "bomb.nii.gz"
    path.write_bytes(gzip.compress(IMAGE.to_bytes() + bytes(300 * 2**20), 9))
    assert "holds more than the" in refused(path)


def test_what_is_no_file_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe.nii")
    (tmp_path / "link.nii").symlink_to(tmp_path / "nowhere.nii")
    (tmp_path / "loop.nii").symlink_to(tmp_path / "loop.nii")
    assert "is a device or pipe" in refused(tmp_path / "pipe.nii")
    assert "is a link to a file that is not there" in refused(tmp_path / "link.nii")
    assert "cannot be read" in refused(tmp_path / "loop.nii")
    assert "cannot be read (File name too long)" in refused(tmp_path / f"{'x' * 300}.nii")


def test_a_packed_name_without_packed_content_is_refused(tmp_path):
    path = tmp_path / "scan.nii.gz"
    path.write_bytes(IMAGE.to_bytes())
    assert "not packed with gzip" in refused(path)
