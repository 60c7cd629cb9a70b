"""A real run on a bundled scan, from reading the file to writing the report."""

import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from itermask.apps.cohort.memory import usable_cores

DATA = Path(__file__).parents[2] / "demo_data"
SCAN, BRAIN = DATA / "healthy_T1w.nii.gz", DATA / "healthy_brain.nii.gz"  # of a healthy person


@dataclass(frozen=True)
class DemoRun:
    """How it went.

    Attributes:
        scan: file that was processed.
        seconds: from reading to the last file written, with loading the model.
        model: name; None if it did not come so far, as below.
        computed_with: runtime and number format.
        verdict: of the finding.
        score: of the finding; None also where it is not finite.
        problem: why it failed; None if it did not.
    """

    scan: str
    seconds: float
    model: str | None = None
    computed_with: str | None = None
    verdict: str | None = None
    score: float | None = None
    problem: str | None = None


def run_demo(device: str = "auto") -> DemoRun:
    """Process the bundled healthy scan as `itermask run` does; results go to a temporary folder and are removed.

    Whatever goes wrong is told in `problem`.
    """
    started = time.perf_counter()
    try:
        return _run(device, started)
    except Exception as error:  # whatever it is, it is what the examination is for
        said = " ".join(str(error).split())[:300] or type(error).__name__
        return DemoRun(SCAN.name, round(time.perf_counter() - started, 2), problem=said)


def _run(device: str, started: float) -> DemoRun:
    import numpy as np
    from torch import get_num_threads

    from itermask.io.nifti import read_scan
    from itermask.io.outputs import OUTPUTS, write_finding
    from itermask.models.folder import load_model
    from itermask.pipeline import analyze

    scan = read_scan(SCAN, brain_mask=BRAIN)
    threads = min(usable_cores(), get_num_threads())
    model = load_model(sequence=scan.sequence, scan=scan, device=device, threads=threads)
    finding = analyze(scan, model)
    with TemporaryDirectory(prefix="itermask-doctor-") as folder:
        out = write_finding(scan, finding, folder)
        missing = [name for name in OUTPUTS if not (out / name).is_file()]
    finite = bool(np.isfinite(finding.score) and np.isfinite(finding.error).all())
    problem = None
    if missing:
        problem = f"{', '.join(missing)} not written"
    elif not finite:
        problem = "the score or the error map is not finite; try --device cpu"
    return DemoRun(
        SCAN.name,
        round(time.perf_counter() - started, 2),
        model.name,
        model.runtime.description,
        finding.verdict,
        float(finding.score) if np.isfinite(finding.score) else None,
        problem,
    )
