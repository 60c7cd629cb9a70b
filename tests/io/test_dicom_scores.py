"""The report: each number once with its unit, the segmentation it belongs to, and what it is not."""

import numpy as np
import pytest
from tiny_dicom import enhanced, save, slices, some_finding

from itermask.io.dicom.extras import highdicom
from itermask.io.dicom.identity import identify
from itermask.io.dicom.read import read_dicom
from itermask.io.dicom.scores import SCHEME, score_report
from itermask.io.dicom.segmentation import anomaly_segmentation
from itermask.io.dicom.sources import source_headers
from itermask.types import UNKNOWN, VERDICTS

hd = highdicom()


def report(folder, make=slices, **changes):
    """Scan, finding, segmentation and report (written and read back)."""
    save(folder / "source", make())
    found = read_dicom(folder / "source")[0]
    finding = some_finding(found.scan, **changes)
    identity, headers = identify(found.series, finding), source_headers(found.series)
    segmentation = anomaly_segmentation(found.series, headers, finding, identity)
    made = score_report(found.series, headers, finding, segmentation, identity)
    made.save_as(folder / "report.dcm", enforce_file_format=True)
    return found, finding, segmentation, hd.sr.srread(folder / "report.dcm")


def numbers(group):
    """Value and unit of each measurement, by name."""
    return {each.name.meaning: (each.value, each.unit.value) for each in group.get_measurements()}


@pytest.mark.parametrize("make", [slices, enhanced])
def test_the_volume_belongs_to_the_segment(tmp_path, make):
    found, finding, segmentation, made = report(tmp_path, make)
    (group,) = made.content.get_volumetric_roi_measurement_groups()
    assert numbers(group)["Volume"] == (round(finding.anomaly.sum() * 9 / 1000, 2), "mL")
    excess = finding.error[finding.anomaly].mean() - finding.threshold
    assert numbers(group)["Mean excess of the error over the threshold"] == (pytest.approx(excess, rel=5e-3), "1")
    assert group.tracking_uid == segmentation.SegmentSequence[0].TrackingUID
    items = {item.ConceptNameCodeSequence[0].CodeMeaning: item for item in group[0].ContentSequence}
    reference = items["Referenced Segment"].ReferencedSOPSequence[0]
    assert reference.ReferencedSOPInstanceUID == segmentation.SOPInstanceUID
    assert reference.ReferencedSegmentNumber == 1
    assert found.series.uid == items["Source Series for Segmentation"].UID


def test_all_scores_are_there_with_their_units(tmp_path):
    found, _, _, made = report(tmp_path)
    (group,) = made.content.get_image_measurement_groups()
    assert numbers(group) == {
        "Anomaly score": (1.5, "1"),
        "Healthy scans with a lower score": (97.5, "%"),
        "Anomaly's share of the brain": (25.0, "%"),
        "Score: mask size": (0.25, "1"),
        "Healthy scans with a lower mask size": (97.5, "%"),
        "Score: mean error": (0.5, "1"),
    }
    sources = [source.referenced_sop_instance_uid for source in group.source_images]
    assert sources == [frame.uid for frame in found.series.frames]


@pytest.mark.parametrize("verdict", [*VERDICTS, UNKNOWN])
def test_the_verdict_and_the_notice(tmp_path, verdict):
    _, _, _, made = report(tmp_path, verdict=verdict)
    (group,) = made.content.get_image_measurement_groups()
    said = {each.name.value: each.value for each in group.get_qualitative_evaluations()}
    assert said["verdict"].meaning == verdict
    assert said["verdict"].scheme_designator == SCHEME
    assert said["notice"].meaning == "Research use, not a diagnosis"


def test_numbers_that_are_not_finite_are_left_out(tmp_path):
    scores = {"mask_size": {"value": np.inf, "percentile": np.nan}, "a_score_with_a_long_name": {"value": 1 / 3}}
    _, _, _, made = report(tmp_path, percentile=np.nan, score=np.nan, scores=scores)
    (group,) = made.content.get_image_measurement_groups()
    found = numbers(group)
    assert set(found) == {"Anomaly's share of the brain", "Score: a score with a long name"}
    assert found["Score: a score with a long name"][0] == 0.333


def test_who_speaks_of_whom(tmp_path):
    _, _, segmentation, made = report(tmp_path)
    assert (made.Modality, made.SeriesNumber, made.VerificationFlag) == ("SR", 503, "UNVERIFIED")
    assert str(made.PatientName) == "Müller^Anna"
    assert made.StudyInstanceUID == segmentation.StudyInstanceUID
    assert made.ContentTemplateSequence[0].TemplateIdentifier == "1500"
    evidence = {
        item.ReferencedSOPInstanceUID
        for study in made.CurrentRequestedProcedureEvidenceSequence
        for series in study.ReferencedSeriesSequence
        for item in series.ReferencedSOPSequence
    }
    assert segmentation.SOPInstanceUID in evidence
    assert len(evidence) == 6
    items = made.ContentSequence[-1].ContentSequence[0].ContentSequence
    texts = [item.TextValue for item in items if item.ValueType == "TEXT"]
    assert "itermask" in texts
    assert "model: tiny 3" in texts


def test_what_a_reader_must_know_is_a_comment_and_part_of_the_name(tmp_path):
    sentences = (
        "The connection was cut while the series was sent, so it may be incomplete; 5 images came.",
        "2 cm² more.",
    )
    _, _, segmentation, made = report(tmp_path / "doubtful", warnings=sentences)
    (group,) = made.content.get_image_measurement_groups()
    items = [item for item in group[0].ContentSequence if item.ValueType == "TEXT"]
    said = [item.TextValue for item in items if item.ConceptNameCodeSequence[0].CodeMeaning == "Comment"]
    assert said == list(sentences)
    _, _, same, other = report(tmp_path / "whole")
    assert other.SOPInstanceUID != made.SOPInstanceUID, "an archive would keep the first and drop the second"
    assert same.SOPInstanceUID == segmentation.SOPInstanceUID
