"""A scan as it was acquired: its image, where its voxels lie, and what is known about it."""

from dataclasses import dataclass, replace

import nibabel as nib
import numpy as np


@dataclass(frozen=True)
class Source:
    """What a scan's DICOM header or BIDS sidecar says of it; empty or None where it says nothing.

    Attributes:
        age: of the person at the scan, years.
        body_part: as the header spells it, such as `BRAIN`.
        study_description: as typed at the scanner.
        series_description: as typed at the scanner.
        protocol: name of the protocol.
        manufacturer: of the scanner, as the header spells it.
        model: the manufacturer's name for the scanner.
        field_strength: tesla.
        site: institution, else the scanner's own name there.
        study_date: `YYYYMMDD`.
        series_date: `YYYYMMDD`, of the series or else of its acquisition.
        accession_number: of the request.
        study_uid: StudyInstanceUID.
        series_uid: SeriesInstanceUID.
        study_time: `HHMMSS`, when the study began.
        series_number: as the scanner counts.

    Example:
        >>> Source(age=34.0, manufacturer="SIEMENS").age
        34.0
    """

    age: float | None = None
    body_part: str = ""
    study_description: str = ""
    series_description: str = ""
    protocol: str = ""
    manufacturer: str = ""
    model: str = ""
    field_strength: float | None = None
    site: str = ""
    study_date: str = ""
    series_date: str = ""
    accession_number: str = ""
    study_uid: str = ""
    series_uid: str = ""
    study_time: str = ""
    series_number: int | None = None


@dataclass(frozen=True)
class Scan:
    """One 3D scan on its native grid.

    Attributes:
        image: float32 intensities, 3D; the only array axis order is the file's own.
        affine: 4×4, voxel indices → scanner millimetres (RAS+), as in NIfTI.
        sequence: BIDS suffix of the sequence (`T1w`, `FLAIR`, …), or None if unknown.
        brain_mask: boolean, shape of `image`, True in the brain; None if not known yet.
        name: what messages and reports call the scan, usually its file name.
        header: the NIfTI header it was read with, so that outputs repeat its geometry exactly; None if made.
        notes: sentences on the file and its brain that a reader must know, such as units that were converted; they
            stand first among the finding's warnings.
        source: what its DICOM header or BIDS sidecar says of person, scanner and study; None without either.
    """

    image: np.ndarray
    affine: np.ndarray
    sequence: str | None = None
    brain_mask: np.ndarray | None = None
    name: str = "scan"
    header: nib.Nifti1Header | None = None
    notes: tuple[str, ...] = ()
    source: Source | None = None

    def __post_init__(self) -> None:
        if self.image.ndim != 3:
            raise ValueError(f"{self.name}: a scan has 3 axes, not {self.image.ndim}")
        if self.affine.shape != (4, 4):
            raise ValueError(f"{self.name}: the affine must be 4×4, not {self.affine.shape}")
        if self.brain_mask is not None and self.brain_mask.shape != self.image.shape:
            raise ValueError(f"{self.name}: brain mask {self.brain_mask.shape} does not fit scan {self.image.shape}")

    def noted(self, *sentences: str) -> "Scan":
        """Return the scan with further notes behind those it has.

        >>> scan = Scan(np.zeros((2, 2, 2)), np.eye(4))
        >>> scan.noted("No voxel is bright.").notes
        ('No voxel is bright.',)
        """
        return replace(self, notes=(*self.notes, *sentences))

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Voxel size in mm along each array axis."""
        x, y, z = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(x), float(y), float(z)


def top_axis(scan: Scan) -> tuple[int, int]:
    """Array axis that runs along the head, and +1 if its top lies towards high indices, −1 if towards low ones."""
    codes = nib.aff2axcodes(scan.affine)
    axis = next(index for index, code in enumerate(codes) if code in "SI")
    return axis, 1 if codes[axis] == "S" else -1
