"""Series are found, parted where they hold several volumes, and refused with the reason where they hold none."""

import numpy as np
import pytest
from pydicom.dataset import Dataset
from tiny_dicom import SHAPE, enhanced, save, slices, some_affine, some_image, uid

from itermask.errors import InputError
from itermask.io.dicom.choice import choose_series
from itermask.io.dicom.series import find_series
from itermask.io.dicom.sources import check_sources


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


@pytest.mark.parametrize("backwards", [False, True])
def test_each_slice_has_its_instance_number(tmp_path, backwards):
    made = slices()
    for index, each in enumerate(made):
        each.InstanceNumber = 30 - index if backwards else 11 + index
    series = only(found_in(tmp_path, made))
    assert len(series.source.instances) == series.shape[2]
    assert series.source.instances == tuple(frame.instance for frame in series.frames)
    for frame, number in zip(series.frames, series.source.instances, strict=True):
        assert next(int(each.InstanceNumber) for each in made if each.SOPInstanceUID == frame.uid) == number


def test_frames_of_an_enhanced_image_count_from_1(tmp_path):
    series = only(found_in(tmp_path, [enhanced()]))
    assert sorted(series.source.instances) == list(range(1, series.shape[2] + 1))
    assert series.source.instances == tuple(frame.number + 1 for frame in series.frames)


def test_where_one_image_has_no_number_none_has(tmp_path):
    made = slices()
    made[1].InstanceNumber = None
    assert only(found_in(tmp_path, made)).source.instances == ()


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
    "one twice": (lambda: slices() + same_places(slices())[:1], "1 of its 5 slice positions"),
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


def test_a_slice_whose_echo_time_cannot_be_read_stays_in_its_volume(tmp_path):
    other = same_places(slices(), EchoTime="20")
    paths = save(tmp_path / "a", slices()) + save(tmp_path / "b", other)
    paths[0].write_bytes(paths[0].read_bytes().replace(b"2.98", b"ab.c"))
    found = find_series(tmp_path)
    assert [(series.label, len(series.frames), series.problem) for series in found.series] == [
        ("5a", 5, ""),
        ("5b", 5, ""),
    ]
    assert found.series[0].frames[0].dicom_file.path == paths[0]
    assert found.left_out == ()


def test_an_unusable_place_leaves_its_file_out(tmp_path):
    paths = save(tmp_path, slices(RescaleSlope="1.25", RescaleIntercept="0"))
    paths[0].write_bytes(paths[0].read_bytes().replace(b"1.25", b"ab.c"))
    found = find_series(tmp_path)
    series = only(found)
    assert len(series.frames) == 4
    assert found.left_out[0].reason == "an unusable value in its header (RescaleSlope)"
    assert any(note.startswith("1 file or folder beside its images cannot be used") for note in series.notes)


GAPS = {
    "numbers in steps": ({}, ("1, 3, 5", "6 mm apart and 3 mm thick")),
    "a stated distance": ({"InstanceNumber": None, "SpacingBetweenSlices": 3}, ("states a distance of 3 mm",)),
    "a whole volume": ({"InstanceNumber": None}, ("acquired at once (3D)",)),
}


@pytest.mark.parametrize("name", GAPS)
def test_every_second_slice_missing_is_noticed(tmp_path, name):
    changes, says = GAPS[name]
    made = slices(some_image((7, 6, 9)), MRAcquisitionType="2D" if name != "a whole volume" else "3D")[::2]
    for dataset in made:
        for keyword, value in changes.items():
            if value is None:
                delattr(dataset, keyword)
            else:
                setattr(dataset, keyword, value)
    series = only(found_in(tmp_path, made))
    assert series.problem.startswith("slices are missing: ")
    assert all(text in series.problem for text in says)


@pytest.mark.parametrize("thick", [2.0, 1.5])
def test_slices_with_gaps_as_they_are_usual_are_taken(tmp_path, thick):
    series = only(found_in(tmp_path, slices(SliceThickness=thick, SpacingBetweenSlices=3, MRAcquisitionType="2D")))
    assert series.problem == ""
    assert [note.startswith("Slices are 3 mm apart and 1.5 mm thick") for note in series.notes] == [True] * (thick < 2)


def test_numbers_that_do_not_start_at_1_are_noted(tmp_path):
    series = only(found_in(tmp_path, slices()[2:]))
    assert series.notes == ("Its images are numbered 3 to 5: the first 2 may be missing.",)


@pytest.mark.parametrize("count", [2, 5])
def test_images_that_share_a_uid_are_told_apart_and_named(tmp_path, count):
    made = slices()
    for dataset in made[:count]:
        dataset.SOPInstanceUID = uid("one for all")
    found = found_in(tmp_path, made)
    series = only(found)
    share = "shares" if count == 2 else "share"
    assert (len(series.frames), series.problem, found.left_out) == (5, "", ())
    assert series.notes == (f"{count - 1} of 5 files {share} the SOP instance UID of another file, but not its image.",)
    with pytest.raises(InputError, match=f"{count - 1} of 5 files {share} the SOP instance UID"):
        check_sources(series)


def test_empty_slices_that_share_a_uid_are_no_copies(tmp_path):
    image = some_image()
    image[:, :, :2] = 0
    made = slices(image)
    made[1].SOPInstanceUID = made[0].SOPInstanceUID
    series = only(found_in(tmp_path, made))
    assert (len(series.frames), series.problem) == (5, "")


def test_two_images_at_one_place_with_one_uid_are_refused(tmp_path):
    other = slices(some_image(seed=1))[:1]
    series = only(found_in(tmp_path, slices(), other))
    assert series.problem == (
        "1 of its 5 slice positions hold more than one image; 1 of 6 files shares the SOP instance UID of "
        "another file, but not its image"
    )


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"PatientID": "other"}, "ID"),
        ({"PatientName": "Other^One"}, "name"),
        ({"PatientBirthDate": "19800102"}, "birth date"),
    ],
)
@pytest.mark.parametrize("every", [slice(3, None), slice(1, None, 2)])
def test_two_patients_in_a_series_are_refused(tmp_path, changes, what, every):
    made = slices()
    for dataset in made[every]:
        dataset.update(dataset_of(changes))
    series = only(found_in(tmp_path, made))
    assert series.problem == f"a series with 2 patients: the {what} is not the same in all of its images"


def dataset_of(values):
    dataset = Dataset()
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return dataset


def test_a_name_spelled_otherwise_is_the_same_patient(tmp_path):
    made = slices()
    for dataset in made[3:]:
        dataset.PatientName = "MÜLLER ANNA^"
    assert only(found_in(tmp_path, made)).problem == ""


def test_two_studies_that_only_together_make_a_volume_are_refused(tmp_path):
    made = slices()
    for dataset in made[3:]:
        dataset.StudyInstanceUID = uid("other study")
    found = found_in(tmp_path, made)
    assert {series.problem for series in found.series} == {
        "its images are of 2 studies (3, 2), which only together make a volume"
    }
    with pytest.raises(InputError, match="2 studies"):
        choose_series(found)


def test_two_studies_with_a_volume_each_are_parted(tmp_path):
    found = found_in(tmp_path, slices(), same_places(slices(), StudyInstanceUID=uid("other study")))
    assert [(series.label, len(series.frames), series.problem) for series in found.series] == [
        ("5a", 5, ""),
        ("5b", 5, ""),
    ]
    assert found.series[0].part.startswith("study ")
    assert found.series[0].study != found.series[1].study


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"BodyPartExamined": "KNEE"}, "not a head: its body part is 'KNEE'"),
        ({"SeriesDescription": "T1 TSE SAG KNEE"}, "not a head: its description is 'T1 TSE SAG KNEE'"),
        ({"StudyDescription": "MR lumbar spine"}, "not a head: its study is 'MR lumbar spine'"),
        ({"StudyDescription": "MR lumbar spine", "BodyPartExamined": "BRAIN"}, ""),
        ({"SeriesDescription": "MPRAGE head and neck", "BodyPartExamined": "NECK"}, ""),
    ],
)
def test_other_parts_of_the_body_are_not_looked_at(tmp_path, changes, says):
    found = found_in(tmp_path, slices(**changes))
    assert only(found).problem == says
    if says:
        with pytest.raises(InputError, match="not a head"):
            choose_series(found, "5")


def test_a_mosaic_without_its_word_is_told_by_its_size_or_its_number_of_slices(tmp_path):
    wide = only(found_in(tmp_path / "a", slices(some_image((40, 40, 1)), PixelSpacing=[30, 30])))
    assert wide.problem.startswith("it spans 1200×1200×3 mm, more than any head: many slices are in one image")
    made = slices(Manufacturer="SIEMENS")
    for dataset in made:
        dataset.private_block(0x0019, "SIEMENS MR HEADER", create=True).add_new(0x0A, "US", 36)
    assert only(found_in(tmp_path / "b", made)).problem.startswith("a Siemens mosaic")
