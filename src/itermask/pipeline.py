"""The one way from a scan to a finding; every other part of the package comes through here.

It takes a scan that was read and a model that was loaded, and knows no files; `itermask.run_scans` calls it.
"""

import platform
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from itermask.errors import InputError
from itermask.methods.calibration import OperatingPoint
from itermask.models.folder import Model
from itermask.models.suits import check_alignment, check_sequence, check_thickness
from itermask.prepare.align import align, align_name
from itermask.prepare.bias import bias_field, n4_name
from itermask.prepare.brain import with_brain
from itermask.prepare.plausibility import Plausibility, Population, assess
from itermask.prepare.prepare import prepare
from itermask.prepare.restore import half_or_more, restore_maps, restore_passes
from itermask.results.quality import Quality, with_residual
from itermask.results.quality import assess as assess_quality
from itermask.results.quality.model_faults import with_model_faults
from itermask.results.regions import find_regions
from itermask.results.scoring import compare_scores, verdict
from itermask.results.verdict import answer_focal, answer_judged, answer_quality, combine, plain_answers
from itermask.runtime.beside import beside
from itermask.types import Detection, Finding, Prepared, Progress, Scan

MOST_COMPARED = 20  # largest regions, of which the one that stands out most is named
LARGE_MASK = 0.2  # share of the brain above which a mask is not a localisation any more


@dataclass(frozen=True)
class RunSettings:
    """How a scan is analysed; what is None is taken from the model.

    Attributes:
        gamma: slope at which the threshold curve leaves the normal tissue; smaller flags more. It replaces the whole of
            the model's operating point: no calibrated limit of the threshold is left, as published.
        sensitivity: divides the model's operating point; 2 flags more, 0.5 less. Not together with `gamma`.
        seed: of the noise fill.
        n4: whether slow brightness changes are taken out first, see `itermask.prepare.bias`.
        align: whether the model works along MNI axes, see `itermask.prepare.align`; a model that was trained or
            calibrated so always does.
    """

    gamma: float | None = None
    sensitivity: float | None = None
    seed: int = 0
    n4: bool = False
    align: bool = False

    def __post_init__(self) -> None:
        if self.gamma is not None and self.sensitivity is not None:
            raise InputError("give gamma or sensitivity, not both")
        for name in ("gamma", "sensitivity"):
            value = getattr(self, name)
            if value is not None and not (np.isfinite(value) and value > 0):
                raise InputError(f"{name} must be a positive number, not {value}")
        if self.seed < 0:
            raise InputError(f"the seed must not be negative, but is {self.seed}")

    def point_for(self, model: Model) -> OperatingPoint:
        """Return the operating point to use with a model: its calibration's, or the published one, as changed here.

        Raises:
            InputError: gamma is given and the model's method has none.
        """
        point = model.calibration.get("operating_point") or model.method.published_point()
        if self.gamma is not None:
            if "gamma" not in point:
                raise InputError(f"{model.name}: a {model.method.name} model has no gamma; give --sensitivity instead")
            point = {"gamma": self.gamma}
        return {name: value / (self.sensitivity or 1.0) for name, value in point.items()}


def analyze(scan: Scan, model: Model, settings: RunSettings | None = None, progress: Progress | None = None) -> Finding:
    """Analyse one scan.

    Args:
        scan: as it was read.
        model: as it was loaded.
        settings: sensitivity, seed, bias correction, alignment.
        progress: called with (stage, share done).

    Returns:
        the finding, on the scan's own grid.

    Raises:
        InputError: the scan, its sequence or its brain cannot be used; one line begins with the scan's name and says
            why. Or settings that the model does not have.

    Example:
        >>> finding = analyze(scan, model, RunSettings(seed=1))
        >>> finding.anomaly.shape == scan.image.shape
        True
    """
    settings = settings or RunSettings()
    correction = n4_name() if settings.n4 else "none"
    point = settings.point_for(model)
    population = Population.of(model.card)
    timings: dict[str, float] = {}
    with refused_by_name(scan):
        check_sequence(scan, model.name, model.card)
        wanted = settings.align or model.grid.align
        check_alignment(scan, model, wanted)
        check_thickness(scan, model.name, model.card)
        aligned_with = align_name() if wanted else "none"
        with timed(timings, "find brain"):
            scan, brain_found = with_brain(scan)
        measured = beside(assess_quality, scan) if population.name == "adult" else None
        with timed(timings, "plausibility"):
            plausible = assess(scan, population, slices=model.grid.slices)
        even, field = scan, None
        if settings.n4:
            with timed(timings, "correct bias"):
                field = bias_field(scan)
                even = replace(scan, image=scan.image / field)
        alignment = None
        if wanted:
            with timed(timings, "align"):
                alignment = align(even)
        with timed(timings, "prepare"):
            prepared = prepare(even, model.grid, alignment)
        with timed(timings, "detect"):
            rng = np.random.default_rng(settings.seed)
            detection = model.method.detect(prepared, model.runtime, rng, point, progress)
    with timed(timings, "restore"):
        finding = restore(scan, model, prepared, detection)
        if field is not None:  # what the model expects, under the scan's own bias
            finding = replace(finding, reconstruction=finding.reconstruction * field)
    with timed(timings, "quality"):
        quality = None if measured is None else awaited_quality(measured, scan, finding)
    finding = judge(finding, model, plausible, quality)
    used = {
        "scan": scan.name,
        "sequence": scan.sequence,
        "model": model.name,
        "model_choice": model.why or "asked for",
        "method": model.card["method"],
        "operating_point": point,
        "seed": settings.seed,
        "brain_mask": brain_found,
        "bias_correction": correction,
        "alignment": aligned_with,
        **({} if alignment is None else {"aligned": alignment.summary()}),
        **({} if plausible.registration is None else {"registered": plausible.registration.summary()}),
        **({"trust": model.card["trust"]} if model.card.get("trust") else {}),
        "computed_with": model.runtime.description,
        "voxel_size_mm": list(scan.spacing),
        "model_voxel_size_mm": list(prepared.spacing),
    }
    return replace(finding, timings=timings, settings=used, versions=_versions(model), scan=scan)


@contextmanager
def refused_by_name(scan: Scan) -> Iterator[None]:
    """Turn whatever a step refuses into an `InputError` that begins with the scan's name.

    >>> scan = Scan(np.zeros((2, 2, 2), np.float32), np.eye(4), "T1w", name="sub-01")
    >>> with refused_by_name(scan):
    ...     raise ValueError("the brain is empty")
    Traceback (most recent call last):
        ...
    itermask.errors.InputError: sub-01: the brain is empty; check the scan and its brain mask
    """
    try:
        yield
    except ValueError as error:
        known = isinstance(error, InputError)  # it says what to do
        said = str(error) if known else f"{error}; check the scan and its brain mask"
        if said.startswith(f"{scan.name}: "):
            if known:
                raise
            raise InputError(said) from error
        raise (type(error) if known else InputError)(f"{scan.name}: {said}") from error


def restore(scan: Scan, model: Model, prepared: Prepared, detection: Detection) -> Finding:
    """Bring a detection back to the scan's grid and compare its scores with the model's healthy range.

    Args:
        scan: with the brain mask that was used; its notes stand first among the warnings.
        model: whose calibration gives the healthy range.
        prepared: what was processed.
        detection: what was found.

    Returns:
        the finding, with empty timings, settings and versions.
    """
    brain = scan.brain_mask
    assert brain is not None  # `with_brain` came before
    expected = model.grid.scale.undo(detection.reconstruction, prepared.limits)
    flagged, error, reconstruction = restore_maps([detection.mask, detection.error, expected], prepared, brain)
    anomaly = half_or_more(flagged)
    revealed = None if detection.revealed is None else restore_passes(detection.revealed, prepared, brain)
    share = float(anomaly.sum() / brain.sum())  # one number for one thing: that of the scan's own grid
    detection = replace(detection, scores=detection.scores | {"mask_size": share})
    compared, standardised, default = compare_scores(detection, model.calibration, prepared.spacing)
    word, reasons = verdict(compared, model.calibration)
    return Finding(
        anomaly=anomaly,
        error=error,
        reconstruction=reconstruction,
        brain=brain,
        affine=scan.affine,
        score=compared[default]["value"],
        anomaly_fraction=share,
        mean_error=detection.scores["mean_error"],
        percentile=compared[default].get("percentile", float("nan")),
        verdict=word,
        threshold=detection.threshold,
        scores=compared,
        search=detection.trace | {"default_score": default, "verdict_reasons": reasons},
        profile=standardised,
        warnings=(*scan.notes, *_slice_warnings(model, prepared), *_warnings(detection)),
        timings={},
        settings={},
        versions={},
        revealed=revealed,
    )


def awaited_quality(measured: "Future[Quality]", scan: Scan, finding: Finding) -> Quality | None:
    """Return a scan's image quality; None where its brain holds nothing that could be measured.

    Args:
        measured: what is being measured beside the rest.
        scan: with the brain mask that was used.
        finding: whose reconstruction says what the model expects.

    Example:
        >>> type(awaited_quality(beside(assess_quality, scan), scan, finding)).__name__
        'Quality'
    """
    try:
        quality = measured.result()
    except ValueError:
        return None
    residual = np.where(finding.brain, scan.image - finding.reconstruction, 0).astype(np.float32)
    return with_residual(quality, scan, residual)


def judge(finding: Finding, model: Model, plausible: Plausibility, quality: Quality | None) -> Finding:
    """Return a finding with its verdict from three questions, see `itermask.results.verdict`, and with missing tissue.

    Args:
        finding: from `restore`.
        model: whose healthy scans the scores are compared with.
        plausible: whether the scan can be judged.
        quality: of the image; None where it was not measured.
    """
    voxel_ml = float(abs(np.linalg.det(finding.affine[:3, :3]))) / 1000
    healthy = model.calibration.get("healthy", {})
    if quality is not None:
        scores = {name: placed["value"] for name, placed in finding.scores.items()}
        quality = with_model_faults(for_scanner(quality, model), scores, healthy)
    to_mni = None if plausible.registration is None else plausible.registration.to_mni
    regions, _ = find_regions(finding.anomaly, finding.error, finding.affine, to_template=to_mni, most=MOST_COMPARED)
    largest = max(regions, key=lambda region: region.mean_error * region.volume_ml, default=None)
    missing_ml = plausible.numbers.get("missing_ml", 0.0)
    verdict = combine(
        answer_judged(plausible),
        answer_quality(quality, finding.scores, healthy),
        answer_focal(
            finding.scores,
            healthy,
            float(finding.anomaly.sum()) * voxel_ml,
            largest.volume_ml if largest else 0.0,
            largest.place if largest else "",
            missing_ml,
            plausible.missing_part,
        ),
    )
    brain, anomaly = finding.brain, finding.anomaly
    if plausible.missing is not None:
        brain, anomaly = brain | plausible.missing, anomaly | plausible.missing
    return replace(
        finding,
        verdict=verdict.word,
        headline=verdict.headline,
        decided_by=verdict.decided_by,
        questions=tuple(plain_answers(verdict.answers)),
        stands_out=verdict.stands_out,
        quality={} if quality is None else quality_summary(quality),
        plausibility=plausible.numbers,
        warnings=(*plausible.reasons, *plausible.notes, *finding.warnings),
        brain=brain,
        anomaly=anomaly,
        anomaly_fraction=float(anomaly.sum() / brain.sum()),
        missing=plausible.missing,
    )


def for_scanner(quality: Quality, model: Model) -> Quality:
    """Return a quality whose limits are those of the scanner that a model was calibrated for, if it was."""
    shift = float(model.calibration.get("quality", {}).get("shift", 0.0))
    if not shift:
        return quality
    low, high = (limit + shift for limit in quality.limits)
    level = int(quality.score >= low) + int(quality.score >= high)
    return replace(
        quality,
        limits=(low, high),
        range=("within", "borderline", "outside")[level],
        likely=quality.likely if level else None,
    )


def quality_summary(quality: Quality) -> dict[str, Any]:
    """Return image quality as `finding.json` holds it."""
    return {
        "score": quality.score,
        "limits": list(quality.limits),
        "range": quality.range,
        "likely": quality.likely,
        "numbers": {name: {"value": one.value, "unit": one.unit} for name, one in quality.numbers.items()},
        "left_out": quality.left_out,
    }


def _slice_warnings(model: Model, prepared: Prepared) -> Iterator[str]:
    """Yield what a reader must know of a scan whose own slices were processed."""
    learned = model.calibration.get("planes", [prepared.plane])
    if prepared.plane not in learned:
        yield f"The slices are {prepared.plane}, but the model has learned {' and '.join(learned)} ones."
    if prepared.left_out:
        one = prepared.left_out == 1
        yield (
            f"{prepared.left_out} slice{'' if one else 's'} with less than {model.grid.slice_area:g} cm² of brain "
            f"{'was' if one else 'were'} not processed."
        )


def _warnings(detection: Detection) -> Iterator[str]:
    """Yield sentences that a reader must know."""
    trace = detection.trace
    if trace.get("crossed") is False:
        yield "No part of the brain stands apart from the rest, so the mask holds only what exceeds the model’s limit."
    if trace.get("settled") is False:
        yield f"Refinement was stopped after {trace.get('passes')} passes without settling."
    if detection.scores.get("mask_size", 0) > LARGE_MASK:
        yield (
            f"{100 * detection.scores['mask_size']:.0f} % of the brain is flagged: a very large lesion, or a scan that "
            "is unlike the training scans as a whole; then the mask does not localise anything."
        )


@contextmanager
def timed(timings: dict[str, float], stage: str) -> Iterator[None]:
    """Record how many seconds a stage took, under its name.

    Example:
        >>> timings = {}
        >>> with timed(timings, "prepare"):
        ...     pass
        ...
        >>> list(timings)
        ['prepare']
    """
    started = time.perf_counter()
    yield
    timings[stage] = round(time.perf_counter() - started, 3)


def _versions(model: Model) -> dict[str, str]:
    """Return what computed this finding."""
    found: dict[str, Any] = {"python": platform.python_version(), "model": model.card["version"]}
    for package in ("itermask", "numpy", "scipy", "nibabel", "torch"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found
