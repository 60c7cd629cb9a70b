"""What headers and sidecars say of person, scanner and study; and which part of the body they speak of."""

import json

import pytest
from pydicom.dataset import Dataset
from tiny_dicom import enhanced, group, save, slices
from tiny_model import tiny_scan, write_nifti

from itermask.errors import InputError
from itermask.io.body import doubts, not_a_head
from itermask.io.dicom.read import read_dicom
from itermask.io.nifti import read_scan
from itermask.io.sidecar import source_beside
from itermask.types import Source

SAID = {
    "PatientAge": "034Y",
    "BodyPartExamined": "BRAIN",
    "StudyDescription": "MR head",
    "ProtocolName": "t1_mprage",
    "ManufacturerModelName": "Skyra",
    "MagneticFieldStrength": "3",
    "InstitutionName": "Hospital",
    "SeriesDate": "20200103",
}


@pytest.mark.parametrize("make", [slices, enhanced])
def test_a_scan_carries_what_its_header_says(tmp_path, make):
    save(tmp_path, make(**SAID))
    (found,) = read_dicom(tmp_path)
    source = found.scan.source
    assert (source.study_uid, source.series_uid) == (found.series.study, found.series.uid)
    assert source.study_time == "101112"
    assert source.series_number == found.series.number
    assert source == Source(
        age=34.0, body_part="BRAIN", study_description="MR head", series_description="MPRAGE sag", protocol="t1_mprage",
        manufacturer="Maker", model="Skyra", field_strength=3.0, site="Hospital", study_date="20200102",
        series_date="20200103", accession_number="A1", study_uid=source.study_uid, series_uid=source.series_uid,
        study_time=source.study_time, series_number=source.series_number,
        instances=tuple(range(1, found.scan.image.shape[2] + 1)),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("age", "born", "years"),
    [
        ("034Y", "19700102", 34),
        ("018M", None, 1.5),
        ("000Y", "20200102", None),  # what is left of a header without birth date
        (None, "19700102", 50),
        ("", "2020", None),
        ("old", "19700102", 50),
        ("999Y", None, None),
        (None, None, None),
    ],
)
def test_age(tmp_path, age, born, years):
    save(tmp_path, slices(PatientAge=age, PatientBirthDate=born))
    found = read_dicom(tmp_path)[0].scan.source.age
    assert found == (None if years is None else pytest.approx(years, abs=0.01))


def test_the_region_of_an_enhanced_image(tmp_path):
    dataset = enhanced()
    region = Dataset()
    region.CodeMeaning = "Knee"
    dataset.SharedFunctionalGroupsSequence[0].update(group(FrameAnatomySequence={"AnatomicRegionSequence": [region]}))
    save(tmp_path, dataset)
    with pytest.raises(InputError, match="not a head: its body part is 'Knee'"):
        read_dicom(tmp_path)


HEADS = [
    {}, {"body_part": "HEAD"}, {"body_part": "HEADNECK"}, {"body_part": "UNKNOWN"},
    {"series_description": "t1 hippocampus"},
    {"series_description": "T1 head-foot"}, {"series_description": "Kopf t1", "body_part": "SPINE"},
    {"body_part": "BRAIN", "study_description": "Shoulder"}, {"study_description": "Brain and whole spine"},
    {"series_description": "MPRAGE", "protocol": "handmade"}, {"series_description": "SAG T1 shipped armour"},
]  # fmt: skip
OTHERS = [
    {"body_part": "KNEE"}, {"body_part": "CSPINE"}, {"body_part": "NECKCHEST"}, {"body_part": "ABDOMENPELVIS"},
    {"series_description": "T1 TSE SAG KNEE", "body_part": "BRAIN"}, {"series_description": "t2_tse_sag_LWS"},
    {"protocol": "C-Spine routine"}, {"study_description": "MRI Hip left"}, {"series_description": "T1 Knie re"},
    {"series_description": "épaule T1"}, {"body_part": "PHANTOM"}, {"body_part": "Wrist"},
    {"series_description": "T1_FEMUR"},
]  # fmt: skip


@pytest.mark.parametrize("said", HEADS)
def test_heads(said):
    assert not_a_head(Source(**said)) == ""


@pytest.mark.parametrize("said", OTHERS)
def test_other_parts(said):
    assert not_a_head(Source(**said)).startswith("not a head: its ")


def test_a_contradiction_is_said():
    assert doubts(Source(series_description="Brain T1", body_part="KNEE"))
    assert not doubts(Source(series_description="Brain T1", body_part="HEAD"))


@pytest.fixture
def scan(tmp_path):
    folder = tmp_path / "sub-01" / "anat"
    folder.mkdir(parents=True)
    return write_nifti(folder / "sub-01_T1w.nii.gz", tiny_scan(given=False))


def test_a_nifti_scan_carries_what_its_sidecar_says(scan):
    assert read_scan(scan).source is None
    fields = {"Manufacturer": "GE", "MagneticFieldStrength": 1.5, "BodyPartExamined": "BRAIN", "PatientAge": "034Y"}
    scan.with_name("sub-01_T1w.json").write_text(json.dumps(fields))
    found = read_scan(scan)
    assert found.source == Source(age=34.0, body_part="BRAIN", manufacturer="GE", field_strength=1.5)
    assert found.notes == ()


@pytest.mark.parametrize(("age", "years"), [("3", 3), ("89+", 89), ("n/a", None), ("", None), ("-1", None)])
def test_the_age_is_in_the_table_of_participants(scan, age, years):
    (scan.parents[2] / "participants.tsv").write_text(f"participant_id\tAge\nsub-02\t50\nsub-01\t{age}\n")
    source, notes = source_beside(scan)
    assert (source.age if source else None) == years
    assert notes == ()


def test_a_sidecar_of_a_knee_is_refused_before_the_voxels_are_read(scan):
    scan.with_name("sub-01_T1w.json").write_text('{"BodyPartExamined": "KNEE"}')
    scan.write_bytes(b"no image")
    with pytest.raises(InputError, match=r"sub-01_T1w\.nii\.gz: not a head: its body part is 'KNEE', as its sidecar"):
        read_scan(scan)


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe", b"[" * 100_000])
def test_what_cannot_be_read_is_noted(scan, content):
    scan.with_name("sub-01_T1w.json").write_bytes(content)
    (scan.parents[2] / "participants.tsv").write_bytes(b"participant_id\tage\n\xff\xfe")
    assert len(read_scan(scan).notes) == 2


@pytest.mark.parametrize(
    "content", ["[]", "1", '{"MagneticFieldStrength": "x", "Manufacturer": [1], "PatientAge": {}}']
)
def test_odd_sidecars_say_nothing(scan, content):
    scan.with_name("sub-01_T1w.json").write_text(content)
    assert read_scan(scan).source is None
