"""Intensities of a series: every number in its place, from every transfer syntax that an encoder is at hand for."""

import numpy as np
import pydicom
import pytest
from pydicom.pixels import get_decoder
from pydicom.uid import (
    ExplicitVRBigEndian,
    HTJ2KLossless,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)
from tiny_dicom import SHAPE, enhanced, save, slices, some_image

from itermask.errors import InputError, MissingExtraError
from itermask.io.dicom.decode import decode
from itermask.io.dicom.pixels import read_pixels
from itermask.io.dicom.series import find_series

LARGER = (64, 48, 3)  # JPEG 2000 needs some pixels


def only(folder):
    found = find_series(folder)
    assert len(found.series) == 1
    assert found.series[0].problem == ""
    return found.series[0]


@pytest.mark.parametrize("make", [slices, enhanced])
def test_every_intensity_is_in_its_place(tmp_path, make):
    save(tmp_path, make())
    volume = read_pixels(only(tmp_path))
    assert volume.dtype == np.float32
    assert np.array_equal(volume, some_image())


def test_frames_stored_in_another_order_are_put_in_their_places(tmp_path):
    save(tmp_path, enhanced(order=[4, 1, 3, 0, 2]))
    assert np.array_equal(read_pixels(only(tmp_path)), some_image())


def test_each_slice_has_its_own_scale(tmp_path):
    made = slices()
    for index, dataset in enumerate(made):
        dataset.RescaleSlope, dataset.RescaleIntercept = 0.5 + index, -index
    save(tmp_path, made)
    wanted = some_image() * (0.5 + np.arange(5)) - np.arange(5)
    assert np.allclose(read_pixels(only(tmp_path)), wanted)


@pytest.mark.parametrize("signed", [0, 1])
@pytest.mark.parametrize("stored", [8, 12, 16])
def test_stored_bits_and_signs(tmp_path, stored, signed):
    allocated = 8 if stored == 8 else 16
    low = -(2 ** (stored - 1)) if signed else 0
    image = (np.arange(np.prod(SHAPE)) % 2**stored + low).reshape(SHAPE)
    kind = np.dtype(f"{'i' if signed else 'u'}{allocated // 8}")
    bits = {"BitsAllocated": allocated, "BitsStored": stored, "HighBit": stored - 1, "PixelRepresentation": signed}
    save(tmp_path, slices(image.astype(kind), **bits))
    assert np.array_equal(read_pixels(only(tmp_path)), image)


@pytest.mark.parametrize("make", [slices, enhanced])
def test_no_header_is_read_twice(tmp_path, monkeypatch, make):
    paths, reads, read = save(tmp_path, make()), [], pydicom.dcmread
    monkeypatch.setattr(pydicom, "dcmread", lambda *given, **options: reads.append(given) or read(*given, **options))
    assert np.array_equal(read_pixels(only(tmp_path)), some_image())
    assert len(reads) == len(paths)


@pytest.mark.shared
@pytest.mark.parametrize("name", ["ge-implicit", "mprage-siemens"])
def test_pixels_are_those_that_the_whole_file_gives(shared_data, name):
    for series in find_series(shared_data / "dicom" / name).series:
        assert all(frame.stored for frame in series.frames)
        for frame in series.frames[::17]:
            assert np.array_equal(decode(frame.dicom_file, frame.stored), decode(frame.dicom_file))


def compressed(dataset, syntax):
    dataset.compress(syntax, encoding_plugin={RLELossless: "pydicom"}.get(syntax, ""), generate_instance_uid=False)
    return dataset


def to_jpeg_lossless(path):
    """The older lossless JPEG, for which only gdcm has an encoder."""
    gdcm = pytest.importorskip("gdcm")
    reader, change, writer = gdcm.ImageReader(), gdcm.ImageChangeTransferSyntax(), gdcm.ImageWriter()
    reader.SetFileName(str(path))
    assert reader.Read()
    change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.JPEGLosslessProcess14_1))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer.SetFileName(str(path))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless, JPEG2000Lossless], ids=lambda u: u.name)
def test_compressed_images_are_decoded_exactly(tmp_path, syntax):
    image = some_image(LARGER)
    save(tmp_path, [compressed(dataset, syntax) for dataset in slices(image)])
    assert np.array_equal(read_pixels(only(tmp_path)), image)


def test_lossless_jpeg_is_decoded_exactly(tmp_path):
    for path in save(tmp_path, slices(some_image(LARGER))):
        to_jpeg_lossless(path)
        assert pydicom.dcmread(path).file_meta.TransferSyntaxUID == JPEGLosslessSV1
    assert np.array_equal(read_pixels(only(tmp_path)), some_image(LARGER))


def test_a_compressed_enhanced_image_is_decoded_exactly(tmp_path):
    save(tmp_path, compressed(enhanced(), RLELossless))
    assert np.array_equal(read_pixels(only(tmp_path)), some_image())


def test_jpeg_2000_of_high_throughput_has_a_decoder():
    assert get_decoder(HTJ2KLossless).is_available


def test_implicit_and_big_endian_files_are_read(tmp_path):
    for number, syntax in enumerate((ImplicitVRLittleEndian, ExplicitVRBigEndian)):
        made = slices()
        for dataset in made:
            dataset.file_meta.TransferSyntaxUID = syntax
            if syntax == ExplicitVRBigEndian:
                dataset.PixelData = np.frombuffer(dataset.PixelData, "<i2").astype(">i2").tobytes()
        save(tmp_path / str(number), made)
        assert np.array_equal(read_pixels(only(tmp_path / str(number))), some_image())


def test_a_missing_decoder_names_the_extra(tmp_path):
    save(tmp_path, [compressed(dataset, JPEGLSLossless) for dataset in slices()])
    series = only(tmp_path)
    decoder = get_decoder(JPEGLSLossless)
    known = dict(decoder._available)
    try:
        decoder._available.clear()
        with pytest.raises(MissingExtraError, match=r"0000\.dcm: compressed as JPEG-LS Lossless .*'itermask\[dicom\]'"):
            read_pixels(series)
    finally:
        decoder._available.update(known)
    assert np.array_equal(read_pixels(series), some_image())


def test_a_compressed_image_that_is_cut_off_is_refused(tmp_path):
    paths = save(tmp_path, [compressed(dataset, JPEG2000Lossless) for dataset in slices(some_image(LARGER))])
    series = only(tmp_path)
    paths[2].write_bytes(paths[2].read_bytes()[:-60])
    with pytest.raises(InputError, match=r"0002\.dcm: its pixels cannot be read \(.*\); copy or export it again$"):
        read_pixels(series)


def test_a_file_that_is_gone_is_refused(tmp_path):
    paths = save(tmp_path, slices())
    series = only(tmp_path)
    paths[1].unlink()
    with pytest.raises(InputError, match=r"0001\.dcm: its pixels cannot be read"):
        read_pixels(series)
