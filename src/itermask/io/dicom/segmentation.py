"""The anomaly mask as a DICOM segmentation (SEG) on the source images' own slices."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from itermask import __version__
from itermask.io.dicom.extras import highdicom
from itermask.io.dicom.identity import MAKER, NOTICE, Identity
from itermask.io.dicom.parts import parts_of
from itermask.io.dicom.series import Series
from itermask.types import Finding

LABEL = "Anomaly"
RED = (53.2, 80.1, 67.2)  # CIELab


def anomaly_segmentation(series: Series, headers: Sequence[Any], finding: Finding, identity: Identity) -> Any:
    """Build a binary segmentation with a segment for each region, see `itermask.io.dicom.parts`.

    Each of its frames lies on one source slice and names it. Slices without anomaly have no frame; of an empty mask
    all slices are kept, all zero, since a segmentation needs a frame.

    Args:
        series: that was processed.
        headers: of its images, see `itermask.io.dicom.sources.source_headers`.
        finding: on the series' grid.
        identity: of the finding.

    Returns:
        a `highdicom.seg.Segmentation`.

    Raises:
        MissingExtraError: highdicom is not installed.
    """
    hd = highdicom()
    from pydicom.sr.codedict import codes

    algorithm = hd.AlgorithmIdentificationSequence(
        name=MAKER,
        family=codes.cid7162.ArtificialIntelligence,
        version=__version__,
        parameters=identity.parameters,
    )
    numbers, parts = parts_of(finding)
    segments = [
        hd.seg.SegmentDescription(
            segment_number=number,
            segment_label=label,
            segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
            segmented_property_type=codes.SCT.Abnormal,
            algorithm_type=hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
            algorithm_identification=algorithm,
            tracking_uid=identity.uid(name),
            tracking_id=name,
            anatomic_regions=[codes.SCT.Brain],
            display_color=hd.color.CIELabColor(*RED),
        )
        for number, name, label in [(each.number, each.name, each.label) for each in parts] or [(1, "anomaly", LABEL)]
    ]
    result = hd.seg.Segmentation(
        source_images=[_of_these_frames(headers[0], series)] if series.frames[0].multiframe else headers,
        pixel_array=np.ascontiguousarray(np.moveaxis(numbers, (0, 1, 2), (2, 1, 0))),
        segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=segments,
        series_instance_uid=identity.uid("segmentation series"),
        series_number=identity.series_number(1),
        sop_instance_uid=identity.uid("segmentation"),
        instance_number=1,
        manufacturer=MAKER,
        manufacturer_model_name=identity.model,
        software_versions=__version__,
        device_serial_number="0",
        content_label="ANOMALY",
        content_description=f"Departs from normal. {NOTICE}",
        series_description=f"{MAKER} anomaly ({NOTICE})",
        omit_empty_frames=bool(finding.anomaly.any()),
    )
    organisation = identity.uid("dimensions")
    for item in (*result.DimensionOrganizationSequence, *result.DimensionIndexSequence):
        item.DimensionOrganizationUID = organisation
    if series.frames[0].multiframe:
        _number_as_in_file(result, series)
    return result


def _of_these_frames(header: Any, series: Series) -> Any:
    """Return the header of an enhanced image as if it held a series' frames only, in their order."""
    from pydicom.dataset import Dataset

    reduced = Dataset()
    reduced.update(header)
    reduced.NumberOfFrames = len(series.frames)
    reduced.PerFrameFunctionalGroupsSequence = [
        header.PerFrameFunctionalGroupsSequence[frame.number] for frame in series.frames
    ]
    return reduced


def _number_as_in_file(result: Any, series: Series) -> None:
    """Let a segmentation of `_of_these_frames` name the frames by their numbers in the file."""
    for groups in result.PerFrameFunctionalGroupsSequence:
        for derivation in groups.DerivationImageSequence:
            for source in derivation.SourceImageSequence:
                source.ReferencedFrameNumber = series.frames[int(source.ReferencedFrameNumber) - 1].number + 1
