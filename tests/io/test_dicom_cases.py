"""Faulty folders made from a real series: each is named for what it is, or refused."""

import importlib.util
import sys

import pytest

from itermask.errors import InputError
from itermask.io.dicom.read import read_dicom
from itermask.io.dicom.series import find_series
from itermask.io.dicom.sources import why_no_results
from itermask.io.scans import read_scans

pytestmark = pytest.mark.shared


@pytest.fixture(scope="module")
def cases(shared_data, tmp_path_factory):
    """The folders, by name."""
    program = shared_data.parent / "cases" / "make.py"
    if not program.is_file():
        pytest.skip("the program that makes faulty inputs is not beside this checkout")
    out = tmp_path_factory.mktemp("cases")
    arguments, sys.argv = sys.argv, [str(program), str(out), str(shared_data)]
    try:
        spec = importlib.util.spec_from_file_location("make_cases", program)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        module.dicom()
    finally:
        sys.argv = arguments
    return {folder.name: folder for folder in (out / "dicom").iterdir()}


def only(folder):
    (series,) = find_series(folder).series
    return series


def test_the_series_without_fault_is_read_without_a_note(cases):
    (source,) = read_scans(cases["clean"])
    assert (source.scan.image.shape, source.scan.notes, source.aside) == ((128, 128, 96), (), ())
    assert source.scan.source.body_part == "BRAIN"
    assert source.scan.source.field_strength == 3.0


@pytest.mark.parametrize(
    ("name", "says"),
    [
        (
            "every-second-slice",
            "slices are missing: they are 3.6 mm apart and 1.8 mm thick, and their numbers are 1, 3, 5",
        ),
        ("two-patients", "a series with 2 patients"),
        ("two-studies", "its images are of 2 studies (48, 48), which only together make a volume"),
        ("knee", "not a head: its description is 'T1 TSE SAG KNEE'"),
    ],
)
def test_what_cannot_be_looked_at_is_refused_with_the_reason(cases, name, says):
    found = find_series(cases[name])
    assert found.series
    assert all(says in series.problem for series in found.series)
    for wanted in (None, "all", "5a" if len(found.series) > 1 else "5"):
        with pytest.raises(InputError) as caught:
            read_dicom(cases[name], wanted)
        assert says in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("name", "count"), [("pairs-share-uid", 48), ("one-uid", 95)])
def test_images_under_one_uid_are_looked_at_and_named(cases, name, count):
    series = only(cases[name])
    says = f"{count} of 96 files share the SOP instance UID of another file, but not its image"
    assert (len(series.frames), series.problem, series.notes) == (96, "", (f"{says}.",))
    assert why_no_results(series) == says


def test_the_age_of_a_child_is_read(cases):
    (source,) = read_scans(cases["child"])
    assert source.scan.source.age == 3.0


def test_broken_links_are_named_in_the_list_and_beside_the_scan(cases):
    found = find_series(cases["broken-links"])
    assert {(left.reason, left.lost) for left in found.left_out} == {("a broken link", True)}
    assert len(found.left_out) == 36
    (source,) = read_scans(cases["broken-links"])
    assert source.aside == ("left out: 0060.dcm, 0061.dcm, 0062.dcm and 33 more: a broken link",)
    assert source.scan.notes[0].startswith("36 files or folders beside its images cannot be used (a broken link)")


def test_a_linked_folder_is_followed(cases):
    assert len(only(cases["linked-folder"]).frames) == 96


def test_private_values_cost_no_image(shared_data):
    found = find_series(shared_data / "dicom" / "ge-implicit")
    (series,) = found.series
    assert (len(series.frames), series.problem, found.left_out) == (4, "", ())
    assert {frame.header.b_value for frame in series.frames} == {0.0}
    assert series.notes == ("Its images are numbered 112 to 115: the first 111 may be missing.",)
