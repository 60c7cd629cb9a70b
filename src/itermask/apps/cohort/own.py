"""Results folders of cohorts: nothing that is read, and nothing of somebody else's, is ever replaced in them."""

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from itermask.apps.cohort.derivative import is_derivative_of_ours
from itermask.apps.cohort.exports import EXPORTS
from itermask.apps.cohort.job import Job, Plan
from itermask.apps.cohort.layouts import missing_name, names_of, passes_name
from itermask.apps.cohort.manifest import LOGS, MANIFEST, PARTS
from itermask.errors import InputError
from itermask.io.result_folder import check_inputs, check_writable

OF_BIDS = ("dataset_description.json", ".bidsignore", "README.md")


def check_results(jobs: Sequence[Job], plan: Plan, inputs: Iterable[Path | None] = ()) -> None:
    """Refuse a results folder in which a run would replace what it reads, or what other programs or people wrote.

    A folder that a run has used before holds a manifest and logs; what has a job's name in it is an earlier result.

    Args:
        jobs: the scans.
        plan: how they are processed, and where results go.
        inputs: tables and other files that are read beside the scans and masks.

    Raises:
        InputError: the folder cannot be one or cannot be written to; or it says which file would be replaced.
    """
    check_writable(plan.out)
    if not plan.out.is_dir():
        return
    read = [path for job in jobs for path in (job.scan, job.brain_mask)]
    names = [name for job in jobs for name in _names(job, plan.layout)]
    sequences = {job.sequence for job in jobs if job.sequence}
    tables = [f"group_{sequence}.{ending}" for sequence in sequences for ending in ("tsv", "json", "html")]
    tables += [f"group_{sequence}_{name}" for sequence in sequences for name in EXPORTS] + ["methods.md"]
    check_inputs([plan.out / name for name in (*names, *tables, *OF_BIDS)], [*read, *inputs])
    if plan.layout == "bids" and (plan.out / OF_BIDS[0]).exists() and not is_derivative_of_ours(plan.out):
        raise InputError(f"{plan.out}: holds another data set (dataset_description.json); choose another folder")
    if (plan.out / LOGS / ".lock").exists() and (plan.out / MANIFEST).is_dir():
        return
    common = OF_BIDS[1:] if plan.layout == "bids" and not is_derivative_of_ours(plan.out) else ()
    for name in (*names, *tables, *common, MANIFEST, LOGS, PARTS):
        if os.path.lexists(plan.out / name):
            raise InputError(
                f"{plan.out / name}: was not written by itermask, and would be replaced; move it away or choose "
                "another folder"
            )


def _names(job: Job, layout: str) -> Iterator[str]:
    """Yield all files that a job's results may have, below the results folder."""
    names = names_of(job, layout)
    sometimes = [passes_name(job, layout), missing_name(job, layout)]
    images = [*(name for name in names.values() if name.endswith(".nii.gz")), *sometimes]
    yield from names.values()
    yield from sometimes
    if layout == "bids":
        yield from (image.removesuffix(".nii.gz") + ".json" for image in images)
