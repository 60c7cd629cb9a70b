"""What a cohort run is made of: a job for each scan, a plan for all of them, and what became of a job."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from itermask.pipeline import RunSettings

LAYOUTS = ("folders", "bids")


@dataclass(frozen=True)
class Job:
    """One scan to process.

    Attributes:
        name: unique in its results folder; a file name without ending.
        scan: NIfTI file.
        sequence: of the scan; None if nothing tells it, which is refused when its turn comes.
        brain_mask: NIfTI file on the scan's grid; None if the brain is to be found.
        subject: who was scanned.
        session: which visit; "" where there is one.
        source: how results refer to the scan: below a BIDS tree its path there, else the path as given.
        problem: why it cannot be processed, known before its turn comes; "" if nothing is wrong.
    """

    name: str
    scan: Path
    sequence: str | None
    brain_mask: Path | None = None
    subject: str = ""
    session: str = ""
    source: str = ""
    problem: str = ""


@dataclass(frozen=True)
class Plan:
    """What is the same for all jobs of a run; workers get a copy.

    Attributes:
        out: results folder.
        layout: how results are laid out, one of `LAYOUTS`, see `itermask.apps.cohort.layouts`.
        settings: how each scan is processed.
        model: model folder or bundled name; None to choose a bundled one for each scan.
        device: `cpu`, `cuda`, `mps` or `auto`.
        reports_only: draw the reports of finished scans again, and process nothing.
    """

    out: Path
    layout: str = "folders"
    settings: RunSettings = field(default_factory=RunSettings)
    model: str | None = None
    device: str = "cpu"
    reports_only: bool = False


@dataclass(frozen=True)
class Outcome:
    """What became of one job.

    Attributes:
        job: which.
        part: folder below the results folder in which its files wait to be moved in place; "" after a failure.
        outputs: files by path below the results folder, with their size in bytes; they lie below `part` until then.
        figures: what tables show of the finding, see `itermask.apps.cohort.work.figures_of`; the same in every run.
        reason: one line, why it failed; "" if it did not.
        fatal: no further job can succeed, such as when the disk is full.
        log: seconds, memory and the like; differs from run to run.
    """

    job: Job
    part: str = ""
    outputs: Mapping[str, int] = field(default_factory=dict)
    figures: Mapping[str, Any] = field(default_factory=dict)
    reason: str = ""
    fatal: bool = False
    log: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Task:
    """A job on its way to a worker.

    Attributes:
        job: which.
        part: beginning of the names, below the results folder, of folders for its files; each attempt has its own.
    """

    job: Job
    part: str
