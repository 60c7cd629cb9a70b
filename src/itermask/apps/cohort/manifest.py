"""What is done: one record a scan in `manifest/` of the results folder.

A record is written last, under a temporary name that is then renamed, by the process that was started, never by a
worker. So where a record says `done`, its files are complete and in place. A record holds nothing that differs from
run to run: no date, no time taken. Each scan belongs to one shard, so shards never write to the same record.
"""

import json
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from itermask import __version__
from itermask.apps.cohort.hashes import Hashes, model_hash
from itermask.apps.cohort.job import Job, Outcome, Plan
from itermask.errors import InputError

MANIFEST, LOGS, PARTS = "manifest", "logs", ".part"
DONE, FAILED = "done", "failed"
STATES = ("new", "changed", "done", "failed", "retry")  # what a run sees in a job


@dataclass(frozen=True)
class Record:
    """What a results folder knows of one scan.

    Attributes:
        name: of the job.
        state: `DONE` or `FAILED`.
        work: what the result depends on: hashes of scan, brain mask and model, sequence, settings, version.
        subject: as in `Job`.
        session: as in `Job`.
        sequence: as in `Job`.
        scan: the job's `source`.
        reason: why it failed.
        outputs: files below the results folder, with their size in bytes.
        figures: as in `Outcome`.
    """

    name: str
    state: str
    work: Mapping[str, Any]
    subject: str = ""
    session: str = ""
    sequence: str | None = None
    scan: str = ""
    reason: str = ""
    outputs: Mapping[str, int] = field(default_factory=dict)
    figures: Mapping[str, Any] = field(default_factory=dict)


def work_of(job: Job, plan: Plan, hashes: Hashes) -> dict[str, Any]:
    """Return all that a job's result depends on; where two are equal, so are the results."""
    work = {
        "scan": hashes.of(job.scan),
        "brain_mask": hashes.of(job.brain_mask),
        "sequence": job.sequence,
        "model": model_hash(plan.model, job.sequence),
        "settings": asdict(plan.settings),
        "version": __version__,
    }
    return work | {"problem": job.problem} if job.problem else work


def record_path(out: Path, name: str) -> Path:
    """Return the file of a record.

    Example:
        >>> record_path(Path("out"), "sub-01_T1w").name
        'sub-01_T1w.json'
    """
    return out / MANIFEST / f"{name}.json"


def read_record(out: Path, name: str) -> Record | None:
    """Return the record of a job; None if there is none that can be read.

    Example:
        >>> read_record(folder, "sub-01_T1w") is None
        True
    """
    try:
        return Record(**json.loads(record_path(out, name).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def read_records(out: Path) -> list[Record]:
    """Return all records of a results folder, of all shards, sorted by name.

    Example:
        >>> read_records(folder)
        []
    """
    names = sorted(path.stem for path in (out / MANIFEST).glob("*.json"))
    return [record for name in names if (record := read_record(out, name)) is not None]


def known_jobs(out: Path) -> list[Job]:
    """Return the jobs of a results folder's records, for work that needs no scan.

    Raises:
        InputError: there is no record.
    """
    records = read_records(out)
    if not records:
        raise InputError(f"{out}: holds no results; run the participant level first")
    return [Job(one.name, Path(one.scan), one.sequence, None, one.subject, one.session, one.scan) for one in records]


def state_of(job: Job, plan: Plan, work: Mapping[str, Any], retry_failed: bool = False) -> str:
    """Return what is to be done about a job, one of `STATES`: `new`, `changed` and `retry` are to be processed."""
    record = read_record(plan.out, job.name)
    if record is None:
        return "new"
    if record.work != work:
        return "changed"
    if record.state == FAILED:
        return "retry" if retry_failed else "failed"
    return "done" if _complete(plan.out, record) else "changed"


def _complete(out: Path, record: Record) -> bool:
    """Return whether all files of a record are there and have their size."""
    try:
        return all((out / name).stat().st_size == size for name, size in record.outputs.items())
    except OSError:
        return False


def commit(plan: Plan, outcome: Outcome, work: Mapping[str, Any]) -> Record:
    """Move a job's files in place, remove those of an earlier run, and write the record last.

    Raises:
        InputError: the results folder cannot be written to.
    """
    job, out = outcome.job, plan.out
    state = FAILED if outcome.reason else DONE
    record = Record(
        name=job.name, state=state, work=work, subject=job.subject, session=job.session, sequence=job.sequence,
        scan=job.source or str(job.scan), reason=outcome.reason, outputs=outcome.outputs, figures=outcome.figures,
    )  # fmt: skip
    try:
        earlier = read_record(out, job.name)
        record_path(out, job.name).unlink(missing_ok=True)
        for name in sorted(set(earlier.outputs if earlier else ()) - set(outcome.outputs)):
            (out / name).unlink(missing_ok=True)
        if outcome.part:
            _move(out / outcome.part, out, outcome.outputs)
        write_record(out, record)
    except OSError as error:
        raise InputError(f"{out}: cannot be written to ({error.strerror or error}); fix it and run again") from error
    return record


def commit_report(plan: Plan, outcome: Outcome, record: Record) -> Record:
    """Replace a report by the one that was drawn again, and write its size into the record."""
    record = replace(record, outputs={**record.outputs, **outcome.outputs})
    try:
        _move(plan.out / outcome.part, plan.out, outcome.outputs)
        write_record(plan.out, record)
    except OSError as error:
        raise InputError(f"{plan.out}: cannot be written to ({error.strerror or error})") from error
    return record


def _move(part: Path, out: Path, names: Mapping[str, int]) -> None:
    """Move files in place: a whole folder at once where none of its name is there yet."""
    for top in sorted({Path(name).parts[0] for name in names}):
        if (part / top).is_dir():
            with suppress(OSError):  # it is there; another shard may have made it just now
                (part / top).rename(out / top)
    for name in names:
        if (part / name).exists():
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            os.replace(part / name, out / name)
    shutil.rmtree(part, ignore_errors=True)


def write_record(out: Path, record: Record) -> None:
    """Write a record to a temporary name, then rename it.

    Example:
        >>> write_record(folder, Record("sub-01_T1w", "done", {}))
        >>> read_record(folder, "sub-01_T1w").state
        'done'
    """
    path = record_path(out, record.name)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.part")
    partial.write_text(json.dumps(asdict(record), indent=1, sort_keys=True) + "\n", encoding="utf-8")
    os.replace(partial, path)
