"""The scan's own slices with findings as a key object selection, which archives show as key images."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from itermask import __version__
from itermask.io.dicom.extras import highdicom
from itermask.io.dicom.identity import MAKER, NOTICE, Identity, device_uid
from itermask.io.dicom.series import Series
from itermask.types import Finding


def key_images(series: Series, headers: Sequence[Any], finding: Finding, identity: Identity) -> Any:
    """Return a key object selection of the slices in which anything is marked; None where nothing is.

    Args:
        series: that was processed.
        headers: of its images, see `itermask.io.dicom.sources.source_headers`.
        finding: on the series' grid.
        identity: of the finding.

    Returns:
        a `highdicom.ko.KeyObjectSelectionDocument` that names the images; of an enhanced image the one that holds all.

    Raises:
        MissingExtraError: highdicom is not installed.
    """
    marked = np.flatnonzero(finding.anomaly.any(axis=(0, 1)))
    if not marked.size:
        return None
    hd = highdicom()
    from pydicom.sr.codedict import codes

    chosen = [headers[0]] if series.frames[0].multiframe else [headers[int(index)] for index in marked]
    observer = hd.sr.ObserverContext(
        observer_type=codes.DCM.Device,
        observer_identifying_attributes=hd.sr.DeviceObserverIdentifyingAttributes(
            uid=device_uid(), name=MAKER, manufacturer_name=MAKER, model_name=identity.model
        ),
    )
    content = hd.ko.KeyObjectSelection(
        document_title=codes.DCM.OfInterest,
        referenced_objects=chosen,
        observer_device_context=observer,
        description=f"{finding.headline or finding.verdict}. {NOTICE}.",
    )
    made = hd.ko.KeyObjectSelectionDocument(
        evidence=chosen,
        content=content,
        series_instance_uid=identity.uid("key images series"),
        series_number=identity.series_number(4),
        sop_instance_uid=identity.uid("key images"),
        instance_number=1,
        manufacturer=MAKER,
    )
    made.SeriesDescription = f"{MAKER} key images ({NOTICE})"
    made.ManufacturerModelName, made.SoftwareVersions = identity.model, __version__
    return made
