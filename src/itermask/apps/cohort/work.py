"""One job from scan to files: what every worker does, here, in another process or on another machine.

The files are written to a folder of their own and moved in place by the process that was started, see `manifest`. A
finding's timings are left out of them and stand in the log, so that the same scan gives the same bytes.
"""

import errno
import os
import secrets
import shutil
import socket
import threading
import time
import traceback
from dataclasses import replace
from typing import Any

import numpy as np

from itermask.apps.cohort import layouts
from itermask.apps.cohort.job import Job, Outcome, Plan, Task
from itermask.apps.cohort.memory import peak_bytes
from itermask.errors import InputError
from itermask.io.names import shown
from itermask.io.nifti import read_scan
from itermask.models.choice import find
from itermask.models.folder import Model, load_model
from itermask.models.suits import check_sequence, known_sequence
from itermask.pipeline import analyze
from itermask.results.report.page import write_report
from itermask.results.verdict import Answer, extent
from itermask.types import Finding, Scan, Source

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
_one_at_a_time = threading.Lock()  # a Dask worker may have several threads; libraries below do not expect that
_loaded: dict[tuple[str, str], Model] = {}


def carry_out(task: Task, plan: Plan) -> Outcome:
    """Process one scan and write its files; the outcome says where, or why not. Nothing is raised.

    Args:
        task: the job, and the folder for its files.
        plan: of the whole run.
    """
    with _one_at_a_time:
        started = time.perf_counter()
        outcome, log = _tried(task, plan)
        seconds = round(time.perf_counter() - started, 3)
        about = {"seconds": seconds, "peak_bytes": peak_bytes(), "process": os.getpid(), "host": socket.gethostname()}
        return replace(outcome, log=about | log)


def _tried(task: Task, plan: Plan) -> tuple[Outcome, dict[str, Any]]:
    """Return the outcome, and what the log should know of it."""
    # Each attempt has a folder of its own: a worker that was taken for dead may still write to another.
    own = f"{task.part}-{secrets.token_hex(4)}"
    part = plan.out / own
    try:
        _single_thread()
        part.mkdir(parents=True)
        outcome, log = (_redraw if plan.reports_only else _process)(task.job, plan, own)
    except Exception as error:  # whatever is wrong with one scan must not end the run
        shutil.rmtree(part, ignore_errors=True)
        if isinstance(error, InputError):
            said = str(error).replace(str(task.job.scan), task.job.source or str(task.job.scan))
            return Outcome(task.job, reason=one_line(said)), {}
        fatal = isinstance(error, OSError) and error.errno in NO_ROOM
        reason = f"{plan.out}: {error.strerror}" if isinstance(error, OSError) and fatal else _unexpected(error)
        return Outcome(task.job, reason=reason, fatal=fatal), {"traceback": traceback.format_exc()}
    return outcome, log


def _process(job: Job, plan: Plan, part: str) -> tuple[Outcome, dict[str, Any]]:
    """Process the scan and write everything."""
    if job.problem:
        raise InputError(job.problem)
    scan = read_scan(job.scan, job.sequence, job.brain_mask)
    known_sequence(scan)
    model = loaded(plan, scan)
    check_sequence(scan, model.name, model.card)
    finding = analyze(scan, model, plan.settings)
    outputs = layouts.write(scan, replace(finding, timings={}), job, plan.layout, plan.out / part)
    outcome = Outcome(job, part, outputs, figures_of(finding, scan.source))
    return outcome, {"timings": finding.timings, "computed_with": model.runtime.description}


def _redraw(job: Job, plan: Plan, part: str) -> tuple[Outcome, dict[str, Any]]:
    """Draw the report of an earlier finding again."""
    folder = plan.out / part
    scan = read_scan(job.scan, job.sequence, job.brain_mask)
    finding = layouts.read(scan, job, plan.layout, plan.out)
    name = layouts.names_of(job, plan.layout)["report"]
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    write_report(scan, finding, folder / name)
    return Outcome(job, part, layouts.sizes(folder, [name])), {}


def loaded(plan: Plan, scan: Scan) -> Model:
    """Return the model for a scan; each is loaded once in a process, and why it was chosen is told for each scan."""
    choice = find(plan.model, scan.sequence, scan)
    key = (str(choice.folder), plan.device)
    if key not in _loaded:
        _loaded[key] = load_model(choice.folder, device=plan.device)
    return replace(_loaded[key], why=choice.why)


def figures_of(finding: Finding, source: Source | None = None) -> dict[str, Any]:
    """Return what a cohort's tables show of a finding, in values that JSON can hold; None where there is no number.

    Args:
        finding: of the scan.
        source: what the scan's header or sidecar says of the scanner.
    """
    source = source or Source()
    default = str(finding.search.get("default_score", ""))
    healthy = finding.scores.get(default, {})
    voxel = abs(float(np.linalg.det(finding.affine[:3, :3]))) / 1000
    figures = {
        "verdict": finding.verdict,
        "headline": finding.headline,
        "decided_by": finding.decided_by,
        "stands_out": finding.stands_out,
        "quality_score": finding.quality.get("score"),
        "quality_extent": quality_extent(finding),
        "likely_fault": finding.quality.get("likely"),
        "score": finding.score,
        "percentile": finding.percentile,
        "anomaly_fraction": finding.anomaly_fraction,
        "anomaly_ml": float(finding.anomaly.sum()) * voxel,
        "brain_ml": float(finding.brain.sum()) * voxel,
        "mean_error": finding.mean_error,
        "threshold": finding.threshold,
        "default_score": default,
        "healthy_median": healthy.get("healthy_median"),
        "healthy_p95": healthy.get("healthy_p95"),
        "scores": {name: score.get("value") for name, score in finding.scores.items()},
        "warnings": list(finding.warnings),
        "model": finding.settings.get("model"),
        "study_date": source.study_date or source.series_date,
        "manufacturer": source.manufacturer,
        "scanner_model": source.model,
        "field_strength": source.field_strength,
        "site": source.site,
        "protocol": source.protocol,
        "brain_mask": finding.settings.get("brain_mask"),
        "bias_correction": finding.settings.get("bias_correction"),
        "alignment": finding.settings.get("alignment"),
        "method": finding.settings.get("method"),
        "operating_point": finding.settings.get("operating_point"),
        "seed": finding.settings.get("seed"),
        "versions": finding.versions,
    }
    return dict(layouts.plain(figures))


def quality_extent(finding: Finding) -> float | None:
    """Return how far a scan's image quality lies out: 1 at its borderline, 2 where outside begins."""
    answers = {answer["question"]: answer for answer in finding.questions}
    quality = answers.get("quality")
    return None if quality is None or quality["value"] is None else extent(Answer(**quality))


def _single_thread() -> None:
    """Compute with one thread, so that sums are the same wherever a scan is processed."""
    import torch

    if torch.get_num_threads() != 1:
        torch.set_num_threads(1)


def _unexpected(error: Exception) -> str:
    if isinstance(error, MemoryError):
        return "not enough memory for this scan"
    return one_line(f"unexpected {type(error).__name__}: {error}; the log has more")


def one_line(text: str) -> str:
    r"""Return a message without line breaks, and without bytes of names that are no text, for tables.

    Example:
        >>> one_line("first line\nsecond line")
        'first line second line'
    """
    return shown(" ".join(text.split()))
