"""The findings of a scan one by one: each connected region of the anomaly mask, with its place, size and error."""

from dataclasses import asdict, dataclass, replace
from typing import Any

import nibabel as nib
import numpy as np
from scipy import ndimage

from itermask.core.boxes import box_of
from itermask.prepare.atlas import part_name
from itermask.results.whose import as_json
from itermask.types import Finding, Scan

MOST = 500  # regions that are described; the mask of a corrupted scan may fall into thousands
REGISTERED = (3, 4)  # NIfTI codes of coordinates in Talairach or MNI space
MOST_SAMPLED = 2000  # voxels of a region that are asked for the part of the brain they lie in
MISSING = "missing tissue"
MIDDLE = 2.0  # mm from the middle of an aligned head within which an alignment does not tell left from right


@dataclass(frozen=True)
class Region:
    """One connected region of an anomaly mask; voxels are connected where they share a face, an edge or a corner.

    Attributes:
        position_mm: of the region's voxel nearest to its centre of mass, in the scan's coordinates (RAS+).
        voxel: the indices of that voxel in the scan's array, from 0.
        voxels: how many voxels it has.
        volume_ml: its volume.
        mean_error: mean of the error map over it, squared scaled intensity.
        peak_error: largest error in it.
        side: `left` or `right` of the patient, `middle` on the line between, within 2 mm of it where the scan was
            aligned; None where it was not and its coordinates are not those of a standard head, so that its middle is
            not known.
        position_mni_mm: the position in MNI millimetres of a scan whose brain was registered to the template. Of one
            that was only aligned, distances in this head along MNI axes. Else None.
        place: the part of the brain that most of it lies in, such as `left frontal white matter`; empty where that is
            not known.
        kind: `anomaly`, or `missing tissue`.
        instance: instance number of the DICOM image that the voxel lies in, or the frame of an enhanced one, from 1;
            None where the scan was no DICOM series.
    """

    position_mm: tuple[float, float, float]
    voxel: tuple[int, int, int]
    voxels: int
    volume_ml: float
    mean_error: float
    peak_error: float
    side: str | None = None
    position_mni_mm: tuple[float, float, float] | None = None
    place: str = ""
    kind: str = "anomaly"
    instance: int | None = None


def is_registered(header: nib.Nifti1Header | None) -> bool:
    """Return whether a scan's coordinates are those of Talairach or MNI space, as far as its header tells.

    Example:
        >>> is_registered(None)
        False
    """
    if header is None:
        return False
    return int(header["sform_code"] or header["qform_code"]) in REGISTERED


def find_regions(
    anomaly: np.ndarray,
    error: np.ndarray,
    affine: np.ndarray,
    *,
    registered: bool = False,
    to_mni: np.ndarray | None = None,
    to_template: np.ndarray | None = None,
    missing: np.ndarray | None = None,
    most: int = MOST,
) -> tuple[list[Region], int]:
    """Return the connected regions of a mask, the largest first.

    Args:
        anomaly: boolean, 3D.
        error: error map of the same shape.
        affine: 4×4, voxel indices → mm (RAS+).
        registered: whether these are the coordinates of a standard head, so that left and right can be told.
        to_mni: 4×4, these mm → mm along MNI axes, of a scan that was aligned.
        to_template: 4×4, these mm → MNI mm, of a scan whose brain was registered to the template; goes before `to_mni`.
        missing: boolean of the mask's shape, where tissue is missing.
        most: how many are described at most.

    Returns:
        the regions by falling volume, equal ones in the array's order; and how many there are in all.

    Raises:
        ValueError: the shapes differ.

    Example:
        >>> anomaly = np.zeros((10, 10, 10), bool)
        >>> anomaly[2:5, 2:5, 2:5] = True
        >>> regions, count = find_regions(anomaly, anomaly.astype(float), np.eye(4))
        >>> count, regions[0].volume_ml
        (1, 0.027)
    """
    if anomaly.shape != error.shape:
        raise ValueError(f"the mask {anomaly.shape} and the error map {error.shape} differ in shape")
    if not anomaly.any():
        return [], 0
    box = box_of(anomaly)
    labels, count = ndimage.label(anomaly[box], np.ones((3, 3, 3)))
    sizes = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    chosen = np.argsort(-sizes, kind="stable")[:most]
    parts = ndimage.find_objects(labels)
    corner = np.array([part.start for part in box])
    described = []
    for number in chosen:
        part = parts[number]
        inside = labels[part] == number + 1
        first = corner + [cut.start for cut in part]
        region = _describe(inside, error[box][part][inside], first, affine, registered, to_mni, to_template)
        if missing is not None and 2 * missing[box][part][inside].sum() > region.voxels:
            region = replace(region, kind=MISSING)
        described.append(region)
    return described, int(count)


def _describe(
    inside: np.ndarray,
    errors: np.ndarray,
    first: np.ndarray,
    affine: np.ndarray,
    registered: bool,
    to_mni: np.ndarray | None,
    to_template: np.ndarray | None,
) -> Region:
    """Return one region: its voxels within a box whose lowest voxel is `first`, and their errors."""
    voxels = np.argwhere(inside)
    away = (voxels - voxels.mean(axis=0)) @ affine[:3, :3].T
    voxel = first + voxels[np.argmin((away**2).sum(axis=1))]
    x, y, z = (affine[:3, :3] @ voxel + affine[:3, 3]).round(2).tolist()
    side, mni, name = None, None, ""
    to_mni = to_mni if to_template is None else to_template
    if to_mni is not None:
        right, front, top = (to_mni[:3, :3] @ (x, y, z) + to_mni[:3, 3]).round(2).tolist()
        mni = (right + 0.0, front + 0.0, top + 0.0)
        side = _side(right, MIDDLE)
    elif registered:
        side = _side(x, 0.0)
    if to_template is not None:
        some = first + voxels[:: max(1, len(voxels) // MOST_SAMPLED)]
        name = part_name(some @ (to_template @ affine)[:3, :3].T + (to_template @ affine)[:3, 3])
    i, j, k = voxel.tolist()
    return Region(
        position_mm=(x + 0.0, y + 0.0, z + 0.0),  # no minus before a zero
        voxel=(i, j, k),
        voxels=len(voxels),
        volume_ml=len(voxels) * voxel_ml(affine),
        mean_error=float(errors.mean(dtype=np.float64)),
        peak_error=float(errors.max()),
        side=side,
        position_mni_mm=mni,
        place=name,
    )


def _side(right: float, middle: float) -> str:
    """Return which side of a head lies `right` mm to the right of its middle, which reaches `middle` mm either way."""
    return "middle" if abs(right) <= middle else "left" if right < 0 else "right"


def voxel_ml(affine: np.ndarray) -> float:
    """Return the volume of a voxel in ml.

    Example:
        >>> round(voxel_ml(np.diag([2.0, 2.0, 5.0, 1.0])), 3)
        0.02
    """
    return float(abs(np.linalg.det(affine[:3, :3]))) / 1000


def mni_transform(finding: Finding) -> np.ndarray | None:
    """Return 4×4, scanner mm → mm along MNI axes; None where the scan was not aligned.

    Example:
        >>> mni_transform(finding) is None
        True
    """
    aligned = finding.settings.get("aligned")
    return None if aligned is None else np.array(aligned["scanner_to_mni"], dtype=float)


def template_transform(finding: Finding) -> np.ndarray | None:
    """Return 4×4, scanner mm → MNI mm; None where the brain was not registered to the template.

    Example:
        >>> template_transform(finding) is None
        True
    """
    registered = finding.settings.get("registered")
    return None if registered is None else np.array(registered["scanner_to_mni"], dtype=float)


def tells_sides(scan: Scan, finding: Finding) -> bool:
    """Return whether left and right of the head are known: by a registration, or by the scan's own coordinates.

    Example:
        >>> tells_sides(scan, finding)
        False
    """
    known = (mni_transform(finding), template_transform(finding))
    return any(transform is not None for transform in known) or is_registered(scan.header)


def regions_of(scan: Scan, finding: Finding, most: int = MOST) -> tuple[list[Region], int]:
    """Return the regions of a finding's mask, see `find_regions`.

    Example:
        >>> regions, count = regions_of(scan, finding, most=5)
        >>> len(regions) <= min(5, count)
        True
    """
    regions, count = find_regions(
        finding.anomaly,
        finding.error,
        finding.affine,
        registered=is_registered(scan.header),
        to_mni=mni_transform(finding),
        to_template=template_transform(finding),
        missing=finding.missing,
        most=most,
    )
    named = scan.source.instances if scan.source is not None else ()
    if len(named) != scan.image.shape[2]:
        return regions, count
    return [replace(region, instance=named[region.voxel[2]]) for region in regions], count


def with_regions(scan: Scan, finding: Finding) -> dict[str, Any]:
    """Return a finding's summary, with its source, how many regions its mask has (`count`) and the largest (`listed`).

    Example:
        >>> "regions" in with_regions(scan, finding)
        True
    """
    regions, count = regions_of(scan, finding)
    listed = {"count": count, "connected": "faces, edges and corners", "listed": [asdict(one) for one in regions]}
    return finding.summary() | {"source": as_json(scan.source), "regions": listed}
