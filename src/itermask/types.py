"""What flows through the program: a scan, the scan prepared for a model, a detection, a finding.

Small frozen dataclasses without behaviour beyond their own data.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    import nibabel as nib
    from matplotlib.figure import Figure

VERDICTS = ("within the healthy range", "borderline", "outside the healthy range")
UNKNOWN = "unknown, as the model has no healthy range"
NOT_JUDGED = "not judged"  # the scan is none that the model can judge
FORMAT = 2  # of `finding.json`; 1 had neither `questions` nor what follows them
WORST_FIRST = (VERDICTS[2], VERDICTS[1], NOT_JUDGED, VERDICTS[0], UNKNOWN)  # how lists are sorted

Progress = Callable[[str, float], None]  # (what is being done, share done from 0 to 1)


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
        instances: what DICOM users call each slice of the scan's third axis: the instance number of its image, or the
            frame of an enhanced image, from 1; empty where one of them has none.

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
    instances: tuple[int, ...] = ()


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
    header: "nib.Nifti1Header | None" = None
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
    """Return the array axis that runs along the head; with +1 if its top has high indices, −1 if low ones.

    Example:
        >>> top_axis(Scan(np.zeros((2, 2, 2)), np.eye(4), "T1w"))
        (2, 1)
    """
    from nibabel.orientations import aff2axcodes

    codes = aff2axcodes(scan.affine)
    axis = next(index for index, code in enumerate(codes) if code in "SI")
    return axis, 1 if codes[axis] == "S" else -1


@dataclass(frozen=True, repr=False)
class Finding:
    """Maps on the scan's grid, and numbers placed against the model's healthy validation scans.

    Attributes:
        anomaly: boolean, True where the scan departs from normal.
        error: float32, departure from what the model expects (of most methods the squared error in the model's scaled
            intensities); 0 outside the brain.
        reconstruction: float32, what the model expects, in the scan's own intensities; 0 outside the brain.
        brain: boolean, the brain mask that was used.
        affine: 4×4 affine of the scan.
        score: the model's default scan-level score; higher is less normal.
        anomaly_fraction: share of the brain's voxels in `anomaly`, 0 to 1.
        mean_error: mean of `error` over the brain on the model's grid.
        percentile: share (0 to 100) of healthy validation scans with a lower `score`.
        verdict: one of `VERDICTS`, `NOT_JUDGED`, or `UNKNOWN`.
        threshold: error level of the anomaly mask.
        scores: every score of the method: value, percentile, the healthy scans' median and 95th percentile.
        search: how the threshold and the mask were found (curve, chosen step, mask size per pass, …).
        profile: features behind the healthy-profile distance with their standardised values; may be empty.
        warnings: sentences that a reader must know, such as a threshold that was never reached.
        timings: seconds by stage.
        settings: what the run used (model, sequence, seed, operating point, device, brain mask, …).
        versions: versions of this package, the model and the libraries that compute.
        revealed: uint8, the pass that revealed each voxel of the brain for good, from 1; in `anomaly` one more than
            there were passes, 0 outside the brain. None where the method makes no passes.
        headline: one sentence that says what decided the verdict; empty in findings of format 1.
        decided_by: the question that decided: `judged`, `quality` or `focal`; empty if all is within the range.
        questions: the three questions with their answers, numbers and healthy ranges, see
        `itermask.results.verdict.Answer`.
        stands_out: how far the scan is from healthy ones, for sorting, see `itermask.results.verdict.Verdict`.
        quality: image-quality score, range, likely fault and numbers; empty where they were not measured.
        plausibility: numbers behind the first question, such as `brain_ml`.
        missing: boolean, tissue that is missing, which is part of `anomaly` and of `brain`; None if none is.
        scan: the scan that was processed, for pictures and images; None in a finding that was read from files.
    """

    anomaly: np.ndarray
    error: np.ndarray
    reconstruction: np.ndarray
    brain: np.ndarray
    affine: np.ndarray
    score: float
    anomaly_fraction: float
    mean_error: float
    percentile: float
    verdict: str
    threshold: float
    scores: dict[str, dict[str, float]]
    search: dict[str, Any]
    profile: dict[str, dict[str, float]]
    warnings: tuple[str, ...]
    timings: dict[str, float]
    settings: dict[str, Any]
    versions: dict[str, str]
    revealed: np.ndarray | None = None
    headline: str = ""
    decided_by: str = ""
    questions: tuple[dict[str, Any], ...] = ()
    stands_out: float = float("nan")
    quality: dict[str, Any] = field(default_factory=dict)
    plausibility: dict[str, float] = field(default_factory=dict)
    missing: np.ndarray | None = None
    scan: Scan | None = field(default=None, compare=False)

    def __repr__(self) -> str:
        from itermask.showing import one_line

        return one_line(self)

    def _repr_html_(self) -> str:
        """Return a card for a notebook, see `itermask.showing.as_html`."""
        from itermask.showing import as_html

        return as_html(self)

    def plot(self, slices: int = 1) -> "Figure":
        """Draw scan, expectation and error with Matplotlib, see `itermask.showing.plot`."""
        from itermask.showing import plot

        return plot(self, slices)

    def to_nifti(self, which: str = "anomaly") -> "nib.Nifti1Image":
        """Return one of the maps as a NIfTI image on the scan's grid, see `itermask.showing.to_nifti`."""
        from itermask.showing import to_nifti

        return to_nifti(self, which)

    @property
    def regions(self) -> Any:
        """The mask's connected regions, the largest first: a pandas table, or a list of dictionaries without pandas.

        Its columns are those of `itermask.showing.region_rows`.
        """
        from itermask.showing import region_table

        return region_table(self)

    def summary(self) -> dict[str, Any]:
        """Return everything but the arrays, as `finding.json` holds it."""
        return {
            "format": FORMAT,
            "headline": self.headline,
            "decided_by": self.decided_by,
            "questions": list(self.questions),
            "stands_out": self.stands_out,
            "quality": self.quality,
            "plausibility": self.plausibility,
            "score": self.score,
            "anomaly_fraction": self.anomaly_fraction,
            "mean_error": self.mean_error,
            "percentile": self.percentile,
            "verdict": self.verdict,
            "threshold": self.threshold,
            "scores": self.scores,
            "search": self.search,
            "profile": self.profile,
            "warnings": list(self.warnings),
            "timings": self.timings,
            "settings": self.settings,
            "versions": self.versions,
            "notice": "For research use only; not a medical device and not a diagnosis.",
        }


@dataclass(frozen=True)
class TrainingVolume:
    """A normal subject on the model's grid.

    Attributes:
        images: float32 (sequences, X, Y, Z), scaled intensities; background value outside the brain.
        brain: boolean (X, Y, Z).
        spacing: voxel size in mm.
        plane: `axial`, `coronal` or `sagittal` where the last axis counts the scan's own slices, else empty.
        groups: uint8 tissue groups, see `itermask.synth.tissues`; None where they are not known.
    """

    images: np.ndarray
    brain: np.ndarray
    spacing: tuple[float, ...]
    plane: str = ""
    groups: np.ndarray | None = None


@dataclass(frozen=True)
class Detection:
    """What a method finds in one scan, on the model's grid.

    Attributes:
        mask: boolean, True where the scan departs from normal; inside the brain.
        error: float32, departure from what the model expects (of most methods the squared error in scaled
            intensities); 0 outside the brain.
        reconstruction: float32, what the model expects, scaled intensities.
        scores: number for each of the method's scan-level scores; higher is less normal.
        profile: features of the scan that are compared with healthy scans', by name; may be empty.
        threshold: error level of the final mask.
        trace: how the threshold and the mask were found: plain numbers and lists, for the report.
        revealed: uint8, the pass that revealed each voxel of the brain for good, from 1; in `mask` one more than there
            were passes, 0 outside the brain. None where a method makes no passes.
    """

    mask: np.ndarray
    error: np.ndarray
    reconstruction: np.ndarray
    scores: dict[str, float]
    profile: dict[str, float]
    threshold: float
    trace: dict[str, Any] = field(default_factory=dict)
    revealed: np.ndarray | None = None


class Placement(Protocol):
    """The way from a scan's grid to a model's box and back, see `itermask.prepare.placement`."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the box."""

    def to_box(self, image: np.ndarray) -> np.ndarray:
        """Resample an array of the scan's shape to the box: float32."""

    def to_native(self, values: np.ndarray, window: Sequence[slice] | None = None) -> np.ndarray:
        """Resample an array on the box to the scan's grid, or to a part of it: float32."""


@dataclass(frozen=True)
class Prepared:
    """A scan on a model's grid.

    Attributes:
        image: float32 box, RAS or along MNI axes, scaled intensities; the scale's background value outside the brain.
        brain: boolean box, True in the brain.
        spacing: voxel size in mm; of the scan's own slices, the last is their distance.
        placement: the way back to the scan's grid.
        limits: the scan's intensities at the scale's two percentiles.
        plane: `axial`, `coronal` or `sagittal` where the last axis counts the scan's own slices, else empty.
        left_out: how many of these hold brain, but too little to be processed.
        divisor: sizes that the model's networks take are multiples of this; 0 if that is not known.
        sequence: as the scan's; empty if it is not known.
    """

    image: np.ndarray
    brain: np.ndarray
    spacing: tuple[float, ...]
    placement: Placement
    limits: tuple[float, float]
    plane: str = ""
    left_out: int = 0
    divisor: int = 0
    sequence: str = ""
