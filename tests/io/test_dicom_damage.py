"""Files of a series whose bytes or values are damaged are left out with the reason, or noted."""

from tiny_dicom import save, slices

from itermask.io.dicom.series import find_series


def changed(folder, name, change):
    """A series of which one file's bytes are changed."""
    save(folder, slices(RescaleSlope=1, RescaleIntercept=0))
    path = folder / name
    path.write_bytes(change(path.read_bytes()))
    return find_series(folder)


def pixels_in(content):
    """Where the pixels' element begins; its length follows after eight bytes."""
    return content.rfind(b"\xe0\x7f\x10\x00")


def test_fewer_pixels_than_stated_are_refused(tmp_path):
    def longer(content):
        at = pixels_in(content) + 8
        return (
            content[:at]
            + (int.from_bytes(content[at : at + 4], "little") + 4).to_bytes(4, "little")
            + content[at + 4 :]
        )

    found = changed(tmp_path, "0002.dcm", longer)
    assert "truncated" in found.left_out[0].reason
    assert found.left_out[0].lost


def test_zeros_behind_the_pixels_of_some_images_are_said(tmp_path):
    """As when bytes were added before them, which moves the image."""

    def moved(content):
        at = pixels_in(content) + 12
        return content[:at] + b"\x05\x00" + content[at:-2] + bytes(2)

    note = "1 of 5 images has more bytes than pixels"
    assert any(each.startswith(note) for each in changed(tmp_path / "moved", "0002.dcm", moved).series[0].notes)
    odd = changed(tmp_path / "odd", "0002.dcm", lambda content: content + bytes(1))
    assert "something else follows its pixels" in odd.left_out[0].reason
    save(tmp_path / "all", slices())
    padded = find_series(tmp_path / "all")
    for path in (tmp_path / "all").iterdir():
        path.write_bytes(path.read_bytes() + bytes(8))
    assert (
        find_series(tmp_path / "all").series[0].notes == padded.series[0].notes
    )  # all alike: so the program wrote them


def test_a_scale_that_no_scanner_states_is_refused(tmp_path):
    save(tmp_path, slices(RescaleSlope="1e21", RescaleIntercept=0))
    found = find_series(tmp_path)
    assert not found.series
    assert "intensities are scaled by 1e+21" in found.left_out[0].reason
