"""Series are found, parted where they hold several volumes, and refused with the reason where they hold none."""

import numpy as np
import pytest
from tiny_dicom import SHAPE, enhanced, save, slices, some_affine, some_image, uid

from itermask.errors import InputError
from itermask.io.dicom.choice import choose_series
from itermask.io.dicom.series import find_series


def found_in(folder, *groups):
    for number, group in enumerate(groups):
        save(folder, group, f"{number}-{{:03d}}.dcm")
    return find_series(folder)


def only(found):
    assert len(found.series) == 1
    return found.series[0]


@pytest.mark.parametrize("make", [slices, enhanced])
def test_one_series(tmp_path, make):
    series = only(found_in(tmp_path, make()))
    assert (series.label, series.number, series.part, series.problem) == ("5", 5, "", "")
    assert series.title == "series 5 'MPRAGE sag'"
    assert series.shape == SHAPE
    assert series.spacing == pytest.approx((1.5, 2.0, 3.0))
    assert np.allclose(series.affine, some_affine(), atol=1e-6)
    assert series.plane == "axial"
    assert series.guess.sequence == "T1w"
    assert not series.derived


def test_slices_in_any_order_and_any_name(tmp_path):
    made = slices()
    series = only(found_in(tmp_path, [made[index] for index in (3, 0, 4, 1, 2)]))
    assert [frame.uid for frame in series.frames] == [dataset.SOPInstanceUID for dataset in made]
    assert np.allclose(series.affine, some_affine(), atol=1e-6)


def test_several_series_have_labels_of_their_own(tmp_path):
    found = found_in(
        tmp_path,
        slices(series=12, SeriesDescription="T2 ax", ScanningSequence="SE", InversionTime=None, EchoTime=100),
        slices(series=3),
        slices(series=4, SeriesInstanceUID=uid("a"), SeriesNumber=3, SeriesDescription="other"),
        slices(series=7, SeriesNumber=None),
    )
    assert [series.label for series in found.series] == ["3a", "3b", "12", "x"]
    assert [series.guess.sequence for series in found.series] == ["T1w", "T1w", "T2w", "T1w"]


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"EchoTime": 20}, ["echo time 2.98 ms", "echo time 20 ms"]),
        ({"DiffusionBValue": 1000.0}, ["", "b 1000"]),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "P"]}, ["magnitude, ORIGINAL\\PRIMARY\\M\\ND", "phase"]),
        ({"image": some_image((7, 8, 5))}, ["7×6", "7×8"]),
        ({"affine": some_affine((90.0, 0.0, 0.0))}, ["axial", "coronal"]),
    ],
)
def test_a_series_of_several_volumes_is_parted(tmp_path, changes, parts):
    other = slices(**changes)
    for number, dataset in enumerate(other):
        dataset.SOPInstanceUID = uid("other", number)
    found = found_in(tmp_path, slices(), other)
    assert [series.label for series in found.series] == ["5a", "5b"]
    assert all(series.part.startswith(part) for series, part in zip(found.series, parts, strict=True))
    assert found.series[0].part != found.series[1].part
    assert [len(series.frames) for series in found.series] == [5, 5]


def same_places(datasets, **changes):
    """The same slices again under other UIDs."""
    for number, dataset in enumerate(datasets):
        dataset.SOPInstanceUID = uid("again", number)
        for keyword, value in changes.items():
            setattr(dataset, keyword, value)
    return datasets


def without(index):
    made = slices()
    del made[index]
    return made


PROBLEMS = {
    "mosaic": (lambda: slices(ImageType=["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"])[:1], "a Siemens mosaic, many"),
    "localiser by name": (lambda: slices(SeriesDescription="3-plane localizer"), "a localiser"),
    "localiser by type": (lambda: slices(ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]), "a localiser"),
    "projection": (lambda: slices(ImageType=["DERIVED", "PRIMARY", "PROJECTION IMAGE"]), "a projection"),
    "phase": (lambda: slices(ImageType=["ORIGINAL", "PRIMARY", "P"]), "phase images, not magnitude"),
    "inverted": (lambda: slices(PhotometricInterpretation="MONOCHROME1"), "colour or inverted"),
    "nowhere": (lambda: slices(ImagePositionPatient=None), "its images have no position"),
    "without direction": (lambda: slices(ImageOrientationPatient=None), "no orientation"),
    "without pixel size": (lambda: slices(PixelSpacing=None), "no pixel size"),
    "missing slice": (lambda: without(2), "1 slice is missing among 4"),
    "time points": (lambda: slices() + same_places(slices(), TemporalPositionIdentifier=2), "2 images at each of 5"),
    "one twice": (lambda: slices() + same_places(slices())[:1], "1 of its 5 slice places"),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_what_makes_no_scan_is_listed_with_the_reason(tmp_path, name):
    make, says = PROBLEMS[name]
    found = found_in(tmp_path, make())
    series = only(found)
    assert series.problem.startswith(says) or says in series.problem
    assert series.affine is None
    with pytest.raises(InputError, match=r"none of 1 series can be read") as caught:
        choose_series(found)
    assert series.problem in str(caught.value)
    with pytest.raises(InputError, match=r"^--series 5: .* cannot be read: "):
        choose_series(found, "5")


def test_copies_of_a_file_do_not_disturb(tmp_path):
    save(tmp_path / "a", slices())
    save(tmp_path / "b", slices())
    found = find_series(tmp_path)
    assert only(found).problem == ""
    assert len(found.left_out) == 5


def test_the_localiser_in_the_same_folder_is_not_taken(tmp_path):
    found = found_in(tmp_path, slices(series=1, SeriesDescription="localizer"), slices(series=2))
    assert [series.label for series in choose_series(found)] == ["2"]


@pytest.fixture
def study(tmp_path):
    """A usual study: localiser, T1w, T2w, a reformat."""
    spin = {"ScanningSequence": "SE", "InversionTime": None}
    return found_in(
        tmp_path,
        slices(series=1, SeriesDescription="localizer"),
        slices(series=2),
        slices(series=3, SeriesDescription="T2 tse", EchoTime=100, RepetitionTime=5000, **spin),
        slices(series=4, SeriesDescription="MPRAGE cor", ImageType=["DERIVED", "SECONDARY", "MPR"]),
    )


@pytest.mark.parametrize(
    ("wanted", "label"),
    [("2", "2"), ("T2", "3"), ("tse", "3"), (" 4 ", "4"), (uid("series", 3), "3"), ("mprage cor", "4"), ("sag", "2")],
)
def test_a_series_is_chosen_by_number_uid_or_description(study, wanted, label):
    assert [series.label for series in choose_series(study, wanted)] == [label]


def test_all_are_those_that_can_be_read(study):
    assert [series.label for series in choose_series(study, "all")] == ["2", "3", "4"]


def test_the_sequence_decides_where_several_fit(study):
    assert [series.label for series in choose_series(study, sequence="T2w")] == ["3"]
    assert [series.label for series in choose_series(study, sequence="T1w")] == ["2"]  # the reformat is derived
    with pytest.raises(InputError, match=r"2 series fit; choose one with --series: 2 \(MPRAGE sag\), 3 \(T2 tse\)"):
        choose_series(study)
    with pytest.raises(InputError, match="2 series fit"):
        choose_series(study, sequence="FLAIR")


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        ("9", r"--series 9: there is none; there are 1 \(localizer\), 2 "),
        ("mprage", "--series mprage: 2 series fit; choose one of 2"),
        ("localizer", "series 1 'localizer' cannot be read: a localiser"),
    ],
)
def test_a_choice_that_is_none_is_refused(study, wanted, says):
    with pytest.raises(InputError, match=says):
        choose_series(study, wanted)


def test_a_folder_without_images_says_what_it_holds(tmp_path):
    with pytest.raises(InputError, match=r"holds no MR series in DICOM \(it is empty\)"):
        choose_series(find_series(tmp_path))
    (tmp_path / "notes.txt").write_text("no image")
    for wanted in (None, "all"):
        with pytest.raises(InputError, match=r"\(1 file: not a DICOM file\)"):
            choose_series(find_series(tmp_path), wanted)


def test_an_unusable_header_leaves_its_file_out(tmp_path):
    paths = save(tmp_path, slices())
    paths[0].write_bytes(paths[0].read_bytes().replace(b"2.98", b"ab.c"))
    found = find_series(tmp_path)
    assert len(only(found).frames) == 4
    assert found.left_out[0].reason.startswith("an unusable value")
