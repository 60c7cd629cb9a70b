"""A slice tells the same whether it is a file of its own or a frame of an enhanced image."""

from dataclasses import replace

import pytest
from pydicom.uid import ImplicitVRLittleEndian
from tiny_dicom import enhanced, group, position, save, slices, some_affine

from itermask.io.dicom.files import read_headers
from itermask.io.dicom.frames import frames_of


def read(tmp_path, datasets):
    headers, left_out = read_headers(save(tmp_path, datasets))
    assert left_out == []
    return [frame for header in headers for frame in frames_of(header)]


def test_classic_and_enhanced_frames_agree(tmp_path):
    classic, multi = read(tmp_path / "a", slices()), read(tmp_path / "b", enhanced())
    assert len(classic) == len(multi) == 5
    for one, other in zip(classic, multi, strict=True):
        for name in ("position", "orientation", "pixel", "size", "thickness", "reference", "component", "colour"):
            assert getattr(one, name) == getattr(other, name), name
        for name in ("repetition_time", "echo_time", "inversion_time", "flip_angle", "description"):
            assert getattr(one.header, name) == getattr(other.header, name), name
    assert [frame.number for frame in multi] == [0, 1, 2, 3, 4]
    assert (classic[0].multiframe, multi[0].multiframe) == (False, True)
    assert (multi[0].header.contrast, multi[0].header.kinds) == ("T1", ("GR",))


def test_a_frames_own_value_goes_before_the_shared_one(tmp_path):
    dataset = enhanced(RescaleSlope=None)
    shared = dataset.SharedFunctionalGroupsSequence[0]
    shared.update(group(PixelValueTransformationSequence={"RescaleSlope": 2, "RescaleIntercept": 1}))
    own = group(PixelValueTransformationSequence={"RescaleSlope": 3, "RescaleIntercept": 0})
    dataset.PerFrameFunctionalGroupsSequence[1].update(own)
    frames = read(tmp_path, dataset)
    assert [(frame.slope, frame.intercept) for frame in frames[:3]] == [(2, 1), (3, 0), (2, 1)]


@pytest.mark.parametrize(
    ("changes", "component"),
    [
        ({}, "MAGNITUDE"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "P", "ND"]}, "PHASE"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "R"]}, "REAL"),
        ({"ImageType": ["ORIGINAL", "PRIMARY"]}, "MAGNITUDE"),
        ({"ImageType": None}, "MAGNITUDE"),
        ({"ComplexImageComponent": "PHASE"}, "PHASE"),
        ({"ComplexImageComponent": "MIXED"}, "MAGNITUDE"),
    ],
)
def test_what_the_values_are(tmp_path, changes, component):
    assert read(tmp_path, slices(**changes)[:1])[0].component == component


def test_b_values_of_makers(tmp_path):
    standard, siemens, ge, none = (slices()[0] for _ in range(4))
    standard.DiffusionBValue = 800.0
    siemens.Manufacturer, ge.Manufacturer = "SIEMENS", "GE MEDICAL SYSTEMS"
    siemens.private_block(0x0019, "SIEMENS MR HEADER", create=True).add_new(0x0C, "IS", "1000")
    ge.private_block(0x0043, "GEMS_PARM_01", create=True).add_new(0x39, "IS", ["1000000700", "8", "0", "0"])
    found = [
        read(tmp_path / str(number), [dataset])[0].header.b_value
        for number, dataset in enumerate((standard, siemens, ge, none))
    ]
    assert found == [800, 1000, 700, None]


def test_missing_values_are_none(tmp_path):
    absent = {"ImagePositionPatient": None, "ImageOrientationPatient": None, "PixelSpacing": None, "EchoTime": None}
    frame = read(tmp_path, slices(**absent)[:1])[0]
    assert (frame.position, frame.orientation, frame.pixel, frame.header.echo_time) == (None,) * 4
    assert frame.unknown == set()


def test_values_that_cannot_be_read_cost_an_image_only_if_it_needs_them(tmp_path):
    path = save(tmp_path / "a", slices(EchoTime="2.98")[:1])[0]
    path.write_bytes(path.read_bytes().replace(b"2.98", b"ab.c"))
    (frame,) = frames_of(read_headers(path)[0][0])
    assert (frame.header.echo_time, frame.unknown) == (None, {"EchoTime"})
    path = save(tmp_path / "b", slices(RescaleSlope="1.25", RescaleIntercept="0")[:1])[0]
    path.write_bytes(path.read_bytes().replace(b"1.25", b"ab.c"))
    with pytest.raises(ValueError, match=r"an unusable value in its header \(RescaleSlope\)"):
        frames_of(read_headers(path)[0][0])
    path = save(tmp_path / "c", slices(RescaleSlope="0", RescaleIntercept="0")[:1])[0]
    with pytest.raises(ValueError, match=r"an unusable value in its header \(RescaleSlope\)"):
        frames_of(read_headers(path)[0][0])


@pytest.mark.parametrize(
    ("raw", "b"),
    [
        (b"0\\0\\0\\0 ", 0),
        (b"1000000700\\8\\0\\0", 700),
        (b"\0\0\0\0\0\0\0\1", None),
        (b"none", None),
        (b"\xff\xfe", None),
    ],
)
def test_private_b_values_as_bytes(tmp_path, raw, b):
    """In implicit VR a private element has no kind, so its value comes as bytes."""
    dataset = slices(Manufacturer="GE MEDICAL SYSTEMS")[0]
    dataset.private_block(0x0043, "GEMS_PARM_01", create=True).add_new(0x39, "UN", raw)
    dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    (frame,) = read(tmp_path, dataset)
    assert frame.header.b_value == b
    assert frame.unknown == (set() if b is not None else {"DiffusionBValue"})


def test_the_position_is_that_of_the_frame(tmp_path):
    frames = read(tmp_path, enhanced(order=[3, 0, 4, 1, 2]))
    for frame, index in zip(frames, [3, 0, 4, 1, 2], strict=True):
        assert frame.position == pytest.approx([float(value) for value in position(some_affine(), index)])
    assert replace(frames[0], number=1, instance=2, position=frames[1].position) == frames[1]
