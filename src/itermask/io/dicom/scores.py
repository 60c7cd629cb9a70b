"""The finding's numbers as a structured report (measurement report, template TID 1500)."""

from collections.abc import Iterator, Sequence
from math import isfinite
from typing import Any

from itermask import __version__
from itermask.io.dicom.extras import highdicom
from itermask.io.dicom.identity import MAKER, NOTICE, Identity, device_uid
from itermask.io.dicom.parts import Part, parts_of, rounded
from itermask.io.dicom.series import Series
from itermask.types import NOT_JUDGED, UNKNOWN, VERDICTS, Finding

SCHEME = "99ITERMASK"  # private codes, for what no public one exists
CODES = ("within", "borderline", "outside", "not judged", "unknown")
VERDICT_CODES = dict(zip((*VERDICTS, NOT_JUDGED, UNKNOWN), CODES, strict=True))


def score_report(
    series: Series, headers: Sequence[Any], finding: Finding, segmentation: Any, identity: Identity
) -> Any:
    """Build a report of a group for each region, which points to its segment, and of one for the scan's scores.

    Scores that are not finite are left out. What a reader must know of the scan (the finding's warnings) stands beside
    them as comments. The report is marked as unverified.

    Args:
        series: that was processed.
        headers: of its images, see `itermask.io.dicom.sources.source_headers`.
        finding: on the series' grid.
        segmentation: of its mask.
        identity: of the finding.

    Returns:
        a `highdicom.sr.ComprehensiveSR`.

    Raises:
        MissingExtraError: highdicom is not installed.
    """
    hd = highdicom()
    from pydicom.sr.codedict import codes

    sr = hd.sr
    algorithm = sr.AlgorithmIdentification(
        name=MAKER, version=__version__, parameters=[f"{key}: {value}" for key, value in identity.parameters.items()]
    )
    observer = sr.ObserverContext(
        observer_type=codes.DCM.Device,
        observer_identifying_attributes=sr.DeviceObserverIdentifyingAttributes(
            uid=device_uid(), name=MAKER, manufacturer_name=MAKER, model_name=identity.model
        ),
    )
    frames = [frame.number + 1 for frame in series.frames] if series.frames[0].multiframe else None
    marked = [_of_part(part, series, segmentation, identity, algorithm) for part in parts_of(finding)[1]]
    whole = sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(identity.uid("scan"), "scan"),
        finding_sites=[sr.FindingSite(codes.SCT.Brain)],
        algorithm_id=algorithm,
        measurements=list(_measurements(finding)),
        qualitative_evaluations=[
            sr.QualitativeEvaluation(
                sr.CodedConcept("verdict", SCHEME, "Verdict against healthy scans"),
                sr.CodedConcept(VERDICT_CODES[finding.verdict], SCHEME, finding.verdict),
            ),
            sr.QualitativeEvaluation(
                sr.CodedConcept("notice", SCHEME, "Notice"), sr.CodedConcept("research", SCHEME, NOTICE)
            ),
        ],
        source_images=[
            sr.SourceImageForMeasurementGroup(header.SOPClassUID, header.SOPInstanceUID, frames) for header in headers
        ],
    )
    whole[0].ContentSequence.extend(
        sr.TextContentItem(codes.DCM.Comment, sentence, sr.RelationshipTypeValues.CONTAINS)
        for sentence in (*said(finding), *finding.warnings)
    )
    report = sr.MeasurementReport(
        observation_context=sr.ObservationContext(observer_device_context=observer),
        procedure_reported=sr.CodedConcept("24590-2", "LN", "MR Brain"),
        imaging_measurements=[*marked, whole],
        title=codes.DCM.ImagingMeasurementReport,
    )
    return sr.ComprehensiveSR(
        evidence=[*headers, segmentation],
        content=report,
        series_instance_uid=identity.uid("report series"),
        series_number=identity.series_number(3),
        sop_instance_uid=identity.uid(" ".join(("report", *finding.warnings))),
        instance_number=1,
        manufacturer=MAKER,
        manufacturer_model_name=identity.model,
        software_versions=__version__,
        is_complete=True,
        is_verified=False,
        series_description=f"{MAKER} scores ({NOTICE})",
        coding_schemes=[hd.coding_schemes.CodingSchemeIdentificationItem(SCHEME, name=f"{MAKER} codes")],
    )


def _of_part(part: Part, series: Series, segmentation: Any, identity: Identity, algorithm: Any) -> Any:
    """Return the group of one region: volume, mean excess and place."""
    sr = highdicom().sr
    from pydicom.sr.codedict import codes

    excess = sr.CodedConcept("excess", SCHEME, "Mean excess of the error over the threshold")
    millilitre, one = sr.CodedConcept("mL", "UCUM", "milliliter"), sr.CodedConcept("1", "UCUM", "no units")
    measured = [sr.Measurement(codes.SCT.Volume, part.volume_ml, millilitre)]
    if isfinite(part.excess):
        measured.append(sr.Measurement(excess, part.excess, one))
    group = sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(identity.uid(part.name), part.name),
        referenced_segment=sr.ReferencedSegment(
            sop_class_uid=segmentation.SOPClassUID,
            sop_instance_uid=segmentation.SOPInstanceUID,
            segment_number=part.number,
            source_series=sr.SourceSeriesForSegmentation(series.uid),
        ),
        finding_type=codes.SCT.MorphologicallyAbnormalStructure,
        finding_sites=[sr.FindingSite(codes.SCT.Brain)],
        algorithm_id=algorithm,
        measurements=measured,
    )
    if part.place:
        where = sr.TextContentItem(codes.DCM.Comment, f"Place: {part.place}", sr.RelationshipTypeValues.CONTAINS)
        group[0].ContentSequence.append(where)
    return group


def said(finding: Finding) -> Iterator[str]:
    """Yield the headline and the answers to the three questions, as comments."""
    if finding.headline:
        yield f"{finding.headline}."
    for answer in finding.questions:
        yield f"{answer['asks']} {answer['sentence']}"


def _measurements(finding: Finding) -> Iterator[Any]:
    """Yield every finite number of a finding that a report can hold."""
    sr = highdicom().sr
    one, percent = (sr.CodedConcept(value, "UCUM", name) for value, name in (("1", "no units"), ("%", "percent")))
    numbers = [
        ("score", "Anomaly score", finding.score, one),
        ("percentile", "Healthy scans with a lower score", finding.percentile, percent),
        ("fraction", "Anomaly's share of the brain", 100 * finding.anomaly_fraction, percent),
    ]
    for name, values in finding.scores.items():
        said = name.replace("_", " ")
        numbers.append((name, f"Score: {said}", values["value"], one))
        numbers.append(
            (f"{name}%", f"Healthy scans with a lower {said}", values.get("percentile", float("nan")), percent)
        )
    quality = finding.quality.get("numbers") or {}
    numbers.append(("quality", "Image-quality score", finding.quality.get("score", float("nan")), one))
    for name, number in quality.items():
        unit = percent if number.get("unit") == "%" else one
        of = "" if number.get("unit") in ("%", "ratio", "", None) else f" ({number['unit']})"
        numbers.append((f"q:{name}"[:16], f"Image quality: {name.replace('_', ' ')}{of}", number.get("value"), unit))
    for code, meaning, value, unit in numbers:
        if value is not None and isfinite(value):
            number = round(float(value), 1) if unit is percent else rounded(float(value))
            yield sr.Measurement(sr.CodedConcept(code, SCHEME, meaning[:64]), number, unit)
