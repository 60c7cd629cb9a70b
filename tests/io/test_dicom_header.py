"""itermask.io.dicom.header: what may follow the pixels of a DICOM file."""

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from itermask.io.dicom.header import _are_elements


def element(group, number, value, explicit, kind=b"OB"):
    """One data element, little endian."""
    tag = struct.pack("<HH", group, number)
    if not explicit:
        return tag + struct.pack("<I", len(value)) + value
    return tag + kind + b"\0\0" + struct.pack("<I", len(value)) + value


@pytest.mark.parametrize("explicit", [True, False])
def test_padding_and_later_elements_may_follow(explicit):
    padding = element(0xFFFC, 0xFFFC, bytes(10), explicit)
    private = element(0x7FE1, 0x0010, b"GEMS", explicit)
    for behind in (b"", bytes(8), padding, private, private + padding, padding + bytes(4)):
        assert _are_elements(behind, len(behind), explicit)


@pytest.mark.parametrize("explicit", [True, False])
def test_elements_that_are_cut_off_or_do_not_rise_are_none(explicit):
    padding = element(0xFFFC, 0xFFFC, bytes(10), explicit)
    private = element(0x7FE1, 0x0010, b"GEMS", explicit)
    for behind in (padding[:-1], padding + private, element(0x0028, 0x0010, b"ab", explicit)):
        assert not _are_elements(behind, len(behind), explicit)


@given(st.integers(0, 10**6), st.integers(9, 400), st.booleans())
def test_junk_is_told_from_elements(seed, length, explicit):
    junk = np.random.default_rng(seed).bytes(length)
    assert not _are_elements(b"\x00\x10" + junk, length + 2, explicit)
