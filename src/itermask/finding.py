"""What the program has to say about one scan, on the scan's own grid."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from itermask.scan import Scan

if TYPE_CHECKING:
    import nibabel as nib
    from matplotlib.figure import Figure

VERDICTS = ("within the healthy range", "borderline", "outside the healthy range")
UNKNOWN = "unknown, as the model has no healthy range"
NOT_JUDGED = "not judged"  # the scan is none that the model can judge
FORMAT = 2  # of `finding.json`; 1 had neither `questions` nor what follows them

WORST_FIRST = (VERDICTS[2], VERDICTS[1], NOT_JUDGED, VERDICTS[0], UNKNOWN)  # how lists are sorted


@dataclass(frozen=True, repr=False)
class Finding:
    """Maps on the scan's grid, and numbers placed against the model's healthy validation scans.

    Attributes:
        anomaly: boolean, True where the scan departs from normal.
        error: float32, squared error in the model's scaled intensities; 0 outside the brain.
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
        questions: the three questions with their answers, numbers and healthy ranges, see `itermask.verdict.Answer`.
        stands_out: how far the scan is from healthy ones, for sorting, see `itermask.verdict.Verdict`.
        quality: image-quality score, range, likely fault and numbers; empty where they were not measured.
        plausibility: numbers behind the first question, such as `brain_ml`.
        missing: boolean, tissue that is missing, which is part of `anomaly` and of `brain`; None if none is.
        scan: the scan that was looked at, for pictures and images; None in a finding that was read from files.
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
        """Everything but the arrays, as `finding.json` holds it."""
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
