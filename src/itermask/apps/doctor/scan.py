"""What would happen to one scan: it is read, and nothing is computed."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nibabel as nib
import numpy as np

from itermask.errors import InputError, MissingExtraError

if TYPE_CHECKING:
    from itermask.io.scans import Source
    from itermask.models.folder import Model
    from itermask.types import Scan


@dataclass(frozen=True)
class Forecast:
    """What would happen to a scan.

    Attributes:
        scan: what messages call it.
        refusal: why it would not run; empty if it would. What comes after the refusal is not known, and empty here.
        about: label and text of study, day, scanner and series, as far as they are known.
        sequence: that it would be taken for.
        evidence: how the sequence is known.
        shape: of the array.
        spacing_mm: voxel size.
        axes: where the array's axes lead, such as `RAS`.
        tilt: degrees between an array axis and the scanner axis nearest to it.
        model: that would process it.
        why: this model.
        voxel_mm: what the model resamples to; 0 for the scan's own slices.
        brain: how the brain would be found: `given`, `stripped`, or a tool's name.
        notes: what a reader of the results would be told beforehand.
        aside: a line for everything else that the path holds and why it is not processed.
    """

    scan: str
    refusal: str = ""
    about: tuple[tuple[str, str], ...] = ()
    sequence: str = ""
    evidence: str = ""
    shape: tuple[int, ...] = ()
    spacing_mm: tuple[float, ...] = ()
    axes: str = ""
    tilt: float = 0.0
    model: str = ""
    why: str = ""
    voxel_mm: tuple[float, ...] = ()
    brain: str = ""
    notes: tuple[str, ...] = ()
    aside: tuple[str, ...] = ()

    @property
    def would_run(self) -> bool:
        """Whether nothing that is known beforehand speaks against it."""
        return not self.refusal

    def as_dict(self) -> dict[str, Any]:
        """Return everything, as JSON holds it; `would_run` comes first."""
        return {"would_run": self.would_run, **asdict(self), "about": dict(self.about)}


def foresee(
    path: Path | str,
    *,
    series: str | None = None,
    sequence: str | None = None,
    brain_mask: Path | str | None = None,
    model: str | None = None,
) -> Forecast:
    """Read a scan and say what `itermask run` would do with it; no brain is extracted and no model runs.

    Whatever would be refused is told in `refusal`. Only a run can tell whether a brain can be judged.

    Args:
        path: of the scan, as for `itermask run`.
        series: of DICOM: which one.
        sequence: of the scan; None takes what the file says.
        brain_mask: NIfTI mask on the scan's grid.
        model: folder or bundled name; None for the bundled one that suits.
    """
    from itermask.io.scans import read_scans

    known: dict[str, Any] = {"scan": str(path)}
    try:
        found = read_scans(path, sequence, brain_mask, series)
        if len(found) > 1:
            raise InputError(f"{path}: holds {len(found)} series; choose one with --series")
        for part in _steps(found[0], model, "said" if sequence else ""):
            known |= part
    except (InputError, MissingExtraError) as error:
        return Forecast(**known, refusal=" ".join(str(error).split()))
    return Forecast(**known)


def _steps(source: "Source", wanted: str | None, said: str) -> Iterator[dict[str, Any]]:
    """Yield what is known, in the order in which `run` finds it out; each step may refuse."""
    from itermask.io.dicom.sources import why_no_results
    from itermask.models.folder import load_model
    from itermask.models.suits import check_alignment, check_sequence, check_thickness, known_sequence
    from itermask.prepare.brain import planned_brain
    from itermask.results.report.pictures import tilt
    from itermask.results.whose import facts_of

    scan, series = source.scan, source.series
    notes = list(scan.notes)
    if series is not None and (why := why_no_results(series)):
        notes.append(f"There would be no DICOM results, as {why}; give --no-dicom.")
    yield {
        "scan": scan.name,
        "about": tuple(facts_of(scan.source)),
        "shape": scan.image.shape,
        "spacing_mm": tuple(round(step, 4) for step in scan.spacing),
        "axes": "".join(nib.orientations.aff2axcodes(scan.affine)),
        "tilt": round(tilt(scan.affine), 1),
        "notes": tuple(notes),
        "aside": source.aside,
    }
    evidence = said or ("the file's name or sidecar" if series is None else series.guess.evidence)
    yield {"sequence": known_sequence(scan), "evidence": evidence}
    model = load_model(wanted, sequence=known_sequence(scan), scan=scan, device="cpu")
    yield {"model": model.name, "why": model.why or "asked for", "voxel_mm": model.grid.spacing}
    check_sequence(scan, model.name, model.card)
    check_alignment(scan, model, model.grid.align)
    check_thickness(scan, model.name, model.card)
    found, _ = planned_brain(scan)
    yield {"brain": found, "notes": (*notes, *_more_notes(scan, model))}


def _more_notes(scan: "Scan", model: "Model") -> Iterator[str]:
    """Yield what is odd about a mask that was given, and an age that the model has not learned."""
    from itermask.prepare.brain import stripped_brain
    from itermask.prepare.given_mask import check_given
    from itermask.prepare.plausibility import Population, age_reasons

    if scan.brain_mask is not None:
        yield from check_given(scan, stripped_brain(scan.image, float(np.prod(scan.spacing))))
    for reason in age_reasons(scan.source.age if scan.source else None, Population.of(model.card)):
        yield f"There would be no verdict: {reason[:1].lower()}{reason[1:]}"
