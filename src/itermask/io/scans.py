"""Scans from whatever a path holds: a NIfTI file, or DICOM series in a folder, a zip or a file."""

from dataclasses import dataclass
from pathlib import Path

from itermask.errors import InputError
from itermask.io.dicom.aside import left_aside
from itermask.io.dicom.files import is_dicom
from itermask.io.dicom.read import read_dicom
from itermask.io.dicom.series import Found, Series
from itermask.io.nifti import NIFTI_ENDINGS, read_scan
from itermask.types import Scan


@dataclass(frozen=True)
class Source:
    """A scan and where it comes from.

    Attributes:
        scan: the scan.
        series: the DICOM series that it was read from; None for NIfTI.
        aside: a line for everything else that the path holds and why it is not processed, as `itermask series` says it.
    """

    scan: Scan
    series: Series | None = None
    aside: tuple[str, ...] = ()


def read_scans(
    path: Path | str,
    sequence: str | None = None,
    brain_mask: Path | str | None = None,
    series: str | None = None,
    found: Found | None = None,
) -> list[Source]:
    """Read the scan that a path holds.

    Args:
        path: a NIfTI file; or a folder, zip or file of DICOM images, recognised by what is in it.
        sequence: of the scan; if None, taken from the file's name, its sidecar or the DICOM header.
        brain_mask: NIfTI mask on the scan's own grid.
        series: of DICOM: which one, see `itermask.io.dicom.read.read_dicom`; `all` gives several scans.
        found: of DICOM: its series, where `itermask.io.dicom.series.find_series` has been called before.

    Returns:
        one scan, or for `all` every series that can be read.

    Raises:
        InputError: what is there cannot be used; one line says why.

    Example:
        >>> import nibabel as nib
        >>> nib.save(nib.Nifti1Image(scan.image, scan.affine), folder / "sub-01_T1w.nii.gz")
        >>> len(read_scans(folder / "sub-01_T1w.nii.gz"))
        1
    """
    path = Path(path)
    if not path.name.lower().endswith(NIFTI_ENDINGS) and is_dicom(path):
        read = read_dicom(path, series, sequence, brain_mask, found)
        taken = [each.series.label for each in read]
        return [Source(each.scan, each.series, left_aside(each.found, taken)) for each in read]
    if series is not None:
        raise InputError(f"--series {series}: {path} is no DICOM folder, zip or file; leave the option out")
    return [Source(read_scan(path, sequence, brain_mask))]
