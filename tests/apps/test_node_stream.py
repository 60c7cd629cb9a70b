"""A day's mixed stream, ten studies through the real model into a real archive, and what is read back from there."""

import socket
import time
from collections import Counter

import highdicom as hd
import nibabel as nib
import numpy as np
import pydicom
import pytest
from test_node_servers import Orthanc, program
from test_node_steps import begin, goes_on
from tiny_dicom import MR, slices, uid
from tiny_node import HERE, associate, send, some_config, until

from itermask.apps.node.config import PARTS, Complete, Destination
from itermask.apps.node.rules import Rule
from itermask.apps.node.serve import Node
from itermask.apps.node.steps import PERFORMED_STEP

pytestmark = [pytest.mark.servers, pytest.mark.shared]
LIMIT = 600.0  # seconds; a free machine needs less than 120
CHILDREN = Rule(process=False, name="children", age=(0.0, 18.0))
SC, PDF = "1.2.840.10008.5.1.4.1.1.7", "1.2.840.10008.5.1.4.1.1.104.1"
RLE = "1.2.840.10008.1.2.5"
SEG, SR, KO = "1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.88.33", "1.2.840.10008.5.1.4.1.1.88.59"


def images_of(image, affine, study, number, description="MPRAGE", **says):
    """An image as the classic DICOM series of a study."""
    told = {
        "StudyInstanceUID": uid("stream", study), "SeriesInstanceUID": uid("stream", study, number),
        "AccessionNumber": study, "StudyDescription": "MR", "SeriesDescription": description, "PatientAge": "040Y",
        "PatientBirthDate": "", "PatientID": study, "FrameOfReferenceUID": uid("frame", study),
    }  # fmt: skip
    made = slices(np.rint(image).astype(np.int16), affine, number, **(told | says))
    for index, each in enumerate(made):
        each.SOPInstanceUID = uid("stream", study, number, index)
        each.file_meta.MediaStorageSOPClassUID, each.file_meta.MediaStorageSOPInstanceUID = MR, each.SOPInstanceUID
    return made


def scan(path):
    found = nib.load(path)
    return np.asarray(found.dataobj, float), found.affine


def with_lesion(image, labels):
    """A dark ball with a radius of 18 mm in the white matter's middle of one side."""
    inside = np.argwhere(labels > 0)
    centre = inside.mean(axis=0) + np.array([11, 0, 8])
    far = np.linalg.norm(np.indices(image.shape).T - centre, axis=-1).T
    return np.where((far < 9) & (labels > 0), np.percentile(image[labels > 0], 3), image)


def ball():
    """A phantom: a bright sphere with nothing in it."""
    far = np.linalg.norm(np.indices((96, 96, 90)).T - (48, 48, 45), axis=-1).T
    return 10 + 400.0 * (far < 38) + np.random.default_rng(0).normal(0, 4, far.shape).clip(-9), np.diag([2.0, 2, 2, 1])


def ten_studies(data):
    """The series of each study by its accession number."""
    healthy, lesion, cut, twice = sorted((data / "ixi-t1").glob("*_T1w.nii.gz"))[:4]
    labels, _ = scan(str(lesion).replace("_T1w", "_labels"))
    second = min((data / "novosibirsk-t1").glob("*_T1w.nii.gz"))
    third = min((data / "oasis-t1").glob("*_T1w.nii.gz"))
    small = (np.random.default_rng(1).integers(1, 200, (64, 64, 12)).astype(float), np.diag([3.0, 3, 5, 1]))
    image, affine = scan(lesion)
    philips, siemens = {"Manufacturer": "Philips", "ManufacturerModelName": "Intera"}, {"Manufacturer": "SIEMENS"}
    localiser = images_of(*small, "HEALTHY", 1, "3-plane localizer")
    return {
        "HEALTHY": [*localiser, *images_of(*scan(healthy), "HEALTHY", 2, **philips)],
        "SECOND": images_of(*scan(second), "SECOND", 3, **siemens),
        "THIRD": images_of(*scan(third), "THIRD", 3, Manufacturer="GE"),
        "LESION": images_of(with_lesion(image, labels), affine, "LESION", 4, **philips),
        "CHILD": images_of(*scan(healthy), "CHILD", 2, PatientAge="007Y"),
        "KNEE": images_of(*small, "KNEE", 2, "PD sag", BodyPartExamined="KNEE"),
        "SPINE": images_of(*small, "SPINE", 2, "T2 sag", BodyPartExamined="LSPINE"),
        "PHANTOM": images_of(*ball(), "PHANTOM", 2, "MPRAGE"),
        "CUT": images_of(*scan(cut), "CUT", 2, **philips),
        "TWICE": images_of(*scan(twice), "TWICE", 2, **philips),
    }  # fmt: skip


def send_some(port, images):
    """Send the larger part of a series, and cut the connection."""
    association = associate(port)
    for image in images[: 9 * len(images) // 10]:
        assert association.send_c_store(image).Status == 0
    association.dul.socket.socket.shutdown(socket.SHUT_RDWR)
    association.abort()


def say_it_is_complete(port, study, series):
    """MPPS: the examination has begun, and is complete."""
    association = associate(port, (PERFORMED_STEP,))
    assert association.send_n_create(begin(study), PERFORMED_STEP, uid("step"))[0].Status == 0
    told = goes_on(**{f"s{series}": MR})
    assert association.send_n_set(told, PERFORMED_STEP, uid("step"))[0].Status == 0
    association.release()


@pytest.fixture(scope="module")
def stream(shared_data, tmp_path_factory):
    """The studies that were sent, the page's state at the end, and all that the archive has, by study."""
    program("Orthanc", "orthanc")
    folder = tmp_path_factory.mktemp("stream")
    orthanc, studies = Orthanc(folder / "orthanc"), ten_studies(shared_data)
    config = some_config(
        folder / "node",
        destinations=(Destination("ORTHANC", HERE, orthanc.dicom, PARTS),),
        complete=Complete(quiet=300.0, released=0.5, patience=2.0, study=3.0),
        rules=(CHILDREN,),
    )
    with Node(config) as node:
        orthanc.start(node.receiver.port)
        try:
            began = time.monotonic()
            for name, images in studies.items():
                if name == "CUT":
                    send_some(node.receiver.port, images)
                else:
                    send(node.receiver.port, images)
                if name == "LESION":
                    say_it_is_complete(node.receiver.port, images[0].StudyInstanceUID, images[0].SeriesInstanceUID)
                if name == "TWICE":
                    send(node.receiver.port, images)

            def settled():
                state = node.state()
                waits = [each for part in ("studies", "rows") for row in state[part] for each in row["deliveries"]]
                over = len(state["studies"]) == 10 and all(each["over"] for each in state["studies"])
                return over and not state["receiving"] and all(each["state"] == "sent" for each in waits) and state

            state = until(settled, LIMIT)
            print(f"\nten studies in {time.monotonic() - began:.0f} s")
            for row in state["rows"]:
                print(*(row[name] for name in ("code", "label", "verdict", "headline", "alert", "notes")), sep=" | ")
            kept = {str(pydicom.dcmread(path).SOPInstanceUID) for path in node.store.results.rglob("*.dcm")}
            got = [orthanc.read(each) for each in orthanc.get("/instances")]
            yield studies, state, kept, got
        finally:
            orthanc.end()


def of(got, study, kind):
    return [each for each in got if study == each.AccessionNumber and each.SOPClassUID == kind]


def test_the_rows_and_alarms_are_the_right_ones(stream):
    _, state, _, _ = stream
    rows = {}
    for row in state["rows"]:
        rows.setdefault(row["code"], []).append(row)
    assert Counter(row["code"] for row in state["rows"]) == Counter(
        ["HEALTHY", "HEALTHY", "SECOND", "THIRD", "LESION", "CHILD", "KNEE", "SPINE", "PHANTOM", "CUT", "TWICE"]
    )
    assert all(row["state"] == "finished" for row in state["rows"])
    for code, words in (("CHILD", "rule 1 (children)"), ("KNEE", "not a head"), ("SPINE", "not a head")):
        (row,) = rows[code]
        assert row["tone"] == "failed"
        assert words in row["notes"][0]
        assert not row["alert"]
    localiser, brain = sorted(rows["HEALTHY"], key=lambda row: row["label"])
    assert localiser["notes"] == ["a localiser"]
    assert brain["tone"] != "failed"
    assert rows["LESION"][0]["tone"] == "red"
    assert rows["CUT"][0]["verdict"].endswith("perhaps incomplete")
    assert (rows["PHANTOM"][0]["tone"], brain["tone"], rows["TWICE"][0]["tone"]) == ("failed", "green", "green")
    alarms = {row["code"] for row in state["rows"] if row["alert"]}
    assert alarms == {"LESION", "CUT", "PHANTOM"}
    for code in ("SECOND", "THIRD"):  # of scanners that the model has not learned, or whose scans it has not seen
        assert rows[code][0]["tone"] != "red"


def test_the_archive_has_what_the_node_has_and_nothing_else(stream):
    _, state, kept, got = stream
    assert Counter(str(each.SOPInstanceUID) for each in got) == Counter(kept), "each object once"
    looked = {row["code"] for row in state["rows"] if row["report"]}
    assert {each.AccessionNumber for each in got} - looked == {
        row["code"] for row in state["rows"] if row["alert"] and not row["report"]
    }
    for study in state["studies"]:
        summaries = [each for each in of(got, study["code"], SC) if "summary" in each.SeriesDescription]
        assert len(summaries) == len(of(got, study["code"], PDF)) == bool(study["judged"]), study["code"]
    for code in looked:
        assert (len(of(got, code, SEG)), len(of(got, code, SR))) == (1, 1)


def test_segments_measurements_and_key_images_name_the_same_slices_and_regions(stream):
    studies, _, _, got = stream
    sources = {str(each.SOPInstanceUID) for each in studies["LESION"]}
    (segmentation,) = of(got, "LESION", SEG)
    (report,) = of(got, "LESION", SR)
    (keys,) = of(got, "LESION", KO)
    written = hd.seg.Segmentation.from_dataset(segmentation)
    named = {
        str(item.ReferencedSOPInstanceUID)
        for frame in segmentation.PerFrameFunctionalGroupsSequence
        for derived in frame.DerivationImageSequence
        for item in derived.SourceImageSequence
    }
    assert named <= sources
    assert written.ReferencedSeriesSequence[0].SeriesInstanceUID == studies["LESION"][0].SeriesInstanceUID
    groups = hd.sr.ComprehensiveSR.from_dataset(report).content.get_volumetric_roi_measurement_groups()
    segments = {str(item.TrackingUID) for item in written.SegmentSequence}
    assert written.number_of_segments == len(segments) == len(groups) > 0
    assert {str(group.tracking_uid) for group in groups} == segments
    for group in groups:
        (volume,) = [each for each in group.get_measurements() if each.name.meaning == "Volume"]
        assert volume.value > 0
        assert volume.unit.value == "mL"
    voxels = int(written.pixel_array.astype(bool).sum())
    volumes = sum(each.value for group in groups for each in group.get_measurements() if each.name.meaning == "Volume")
    assert volumes == pytest.approx(voxels * 8 / 1000, abs=0.005 * len(groups)), "voxels of 2 mm"
    chosen = {
        str(item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID)
        for item in keys.ContentSequence
        if item.ValueType == "IMAGE"
    }
    assert chosen == named
    outlines = [each for each in of(got, "LESION", SC) if "overlay" in each.SeriesDescription]
    assert {str(each.SourceImageSequence[0].ReferencedSOPInstanceUID) for each in outlines} == named
    assert {str(each.file_meta.TransferSyntaxUID) for each in outlines} == {RLE}, "compressed without loss"


def test_the_summary_names_all_images_of_its_study(stream):
    studies, _, _, got = stream
    for code in ("HEALTHY", "TWICE"):
        sources = {str(each.SOPInstanceUID) for each in studies[code]}
        (document,) = of(got, code, PDF)
        (page,) = [each for each in of(got, code, SC) if "summary" in each.SeriesDescription]
        assert {str(each.ReferencedSOPInstanceUID) for each in document.SourceInstanceSequence} == sources
        assert {str(each.ReferencedSOPInstanceUID) for each in page.SourceImageSequence} == sources
        assert document.EncapsulatedDocument.startswith(b"%PDF")
        assert page.pixel_array.shape[2] == 3
        assert {document.PatientID, page.PatientID} == {code}
        assert {document.StudyInstanceUID, page.StudyInstanceUID} == {studies[code][0].StudyInstanceUID}
