"""The anomaly mask taken apart for DICOM: a number for each region, as segmentation and report both name them."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from itermask.results.regions import Region, find_regions, mni_transform, template_transform
from itermask.types import Finding

MOST = 50  # regions with a segment of their own; what is left shares a last one


@dataclass(frozen=True)
class Part:
    """One segment.

    Attributes:
        number: from 1.
        name: by which it is tracked, such as `anomaly 1`.
        label: for readers.
        volume_ml: of its voxels, to a hundredth.
        excess: mean of the error above the mask's threshold, three digits.
        place: where it lies, as text; "" where that is not known.
    """

    number: int
    name: str
    label: str
    volume_ml: float
    excess: float
    place: str


def parts_of(finding: Finding) -> tuple[np.ndarray, list[Part]]:
    """Return the mask with a number for each region, and what is known of them, the largest first.

    Regions are those of `itermask.results.regions.find_regions`, in its order. Of an empty mask there are none.

    Returns:
        uint8 of the mask's shape, 0 outside it; and the parts.

    Example:
        >>> numbered, parts = parts_of(finding)
        >>> numbered.shape == finding.anomaly.shape
        True
    """
    numbers = np.zeros(finding.anomaly.shape, np.uint8)
    described, count = find_regions(
        finding.anomaly, finding.error, finding.affine,
        to_mni=mni_transform(finding), to_template=template_transform(finding), missing=finding.missing, most=MOST,
    )  # fmt: skip
    if not count:
        return numbers, []
    labels, _ = ndimage.label(finding.anomaly, np.ones((3, 3, 3)))
    sizes = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    order = np.argsort(-sizes, kind="stable")
    place = np.full(count + 1, MOST + 1, np.uint8)
    place[0] = 0
    place[order[:MOST] + 1] = np.arange(1, min(count, MOST) + 1)
    numbers[:] = place[labels]
    parts = [_part(number, finding, region) for number, region in enumerate(described, 1)]
    if count > MOST:
        left = numbers == MOST + 1
        volume = float(left.sum() * abs(np.linalg.det(finding.affine[:3, :3])) / 1000)
        excess = rounded(float(finding.error[left].mean()) - finding.threshold)
        text = f"{count - MOST} further regions"
        parts.append(Part(MOST + 1, "further anomalies", text.capitalize(), round(volume, 2), excess, ""))
    return numbers, parts


def rounded(value: float) -> float:
    """Return a number with three digits, which is more than it means already.

    >>> rounded(0.123456), rounded(1234.5)
    (0.123, 1230.0)
    """
    return float(f"{value:.3g}")


def _part(number: int, finding: Finding, region: Region) -> Part:
    side = "" if region.side in (None, "middle") or str(region.side) in region.place else str(region.side)
    place = " ".join(filter(None, (side, region.place)))
    label = f"Anomaly {number}" + (f": {place}" if place else "")
    excess = rounded(region.mean_error - finding.threshold)
    return Part(number, f"anomaly {number}", label[:64], round(region.volume_ml, 2), excess, place)
