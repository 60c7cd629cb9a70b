"""Scans that are no BIDS tree, as jobs: a data set's folder, a table, or files."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from itermask.apps.cohort.job import Job
from itermask.errors import InputError
from itermask.io.datasets import GENERIC, SPECIFIC, Case, read_dataset
from itermask.io.datasets.tree import walk
from itermask.io.names import canonical_sequence, sequence_of, shown, stem
from itermask.io.nifti import NIFTI_ENDINGS

TABLES = (".tsv", ".csv")


def list_jobs(
    data: Sequence[Path], sequences: Sequence[str], out: Path, given: str | None = None
) -> tuple[list[Job], dict[str, dict[str, str]]]:
    """Return the scans to process, and what is known of the people.

    A folder is read as a data set (see `itermask.io.datasets`), with its brain masks; one that is not recognised is
    taken
    as a folder of scans. A table names scans as `itermask.io.datasets.table` says. A file is a scan.

    Args:
        data: folders, tables and NIfTI files.
        sequences: those that are processed; other sequences of a data set are passed over. A file that is named is
            never passed over: if its sequence does not suit, it is refused when its turn comes.
        out: results folder.
        given: sequence of files and loose folders, where it is said; else told by each name or sidecar.

    Returns:
        jobs sorted by name; and by job name the groups of its subject, such as age and sex.

    Raises:
        InputError: nothing there, a results folder inside the data, or a table that cannot be used.

    Example:
        >>> (folder / "scans").mkdir()
        >>> (folder / "scans" / "a_T1w.nii.gz").touch()
        >>> jobs, *_ = list_jobs([folder / "scans"], ("T1w",), folder / "out")
        >>> len(jobs)
        1
    """
    jobs: dict[str, Job] = {}
    about: dict[str, dict[str, str]] = {}
    for source in data:
        if source.is_dir() and out.resolve().is_relative_to(source.resolve()):
            raise InputError(f"--out {out}: lies inside {source}, whose images are scans; choose a folder outside")
        for job, groups in _of(source, sequences, given):
            if (other := jobs.setdefault(job.name, job)) != job:
                raise InputError(f"{other.scan} and {job.scan} would have the same name, {job.name}; rename one")
            about[job.name] = groups
    if not jobs:
        raise InputError(f"{', '.join(map(str, data))}: no {' or '.join(sequences) or 'NIfTI'} scan found")
    return [jobs[name] for name in sorted(jobs)], about


def _of(source: Path, sequences: Sequence[str], given: str | None) -> list[tuple[Job, dict[str, str]]]:
    """Return the jobs of one folder, table or file."""
    if source.is_dir():
        tree = walk(source)
        if any(adapter.collect(tree) for adapter in (*SPECIFIC, *GENERIC)):
            return _of_cases(read_dataset(source), sequences)
        files = [file.path for file in tree.files if file.path.name.lower().endswith(NIFTI_ENDINGS)]
        return _of_files(files, source, given)
    if source.suffix.lower() in TABLES and source.is_file():
        return _of_cases(read_dataset(source, "table"), sequences)
    return _of_files([source], source.parent, given)


def _of_cases(cases: Iterable[Case], sequences: Sequence[str]) -> list[tuple[Job, dict[str, str]]]:
    """Return a job for each wanted sequence of each case."""
    found = []
    for case in cases:
        for sequence, path in case.paths.items():
            if sequences and sequence not in sequences:
                continue
            name = safe("_".join(filter(None, (stem(Path(case.subject)), case.session, sequence))))
            job = Job(name, path, sequence, case.brain_mask, shown(case.subject), shown(case.session), shown(path))
            found.append((job, dict(case.group)))
    return found


def _of_files(paths: Sequence[Path], root: Path, given: str | None) -> list[tuple[Job, dict[str, str]]]:
    """Return a job for each file, named after its path below `root`."""
    found: list[tuple[Job, dict[str, str]]] = []
    for path in paths:
        if not path.exists():
            raise InputError(f"{path}: no such folder, table or scan")
        try:
            sequence = canonical_sequence(given) if given else sequence_of(path)
        except InputError:  # a broken sidecar: said again when the scan's turn comes
            sequence = None
        below = path.relative_to(root).with_name(stem(path)) if path != root else Path(stem(path))
        name = safe("-".join(below.parts))
        found.append((Job(name, path, sequence, None, shown(stem(path)), "", shown(path)), {}))
    return found


def safe(name: str) -> str:
    """Return a name as it can be a folder's: letters, digits, `.`, `_` and `-`, not with a dot in front.

    Example:
        >>> safe("scan 1/a")
        'scan-1-a'
    """
    return re.sub(r"[^\w.-]+", "-", name).lstrip(".-") or "scan"


def age_and_sex(groups: Mapping[str, str]) -> dict[str, str]:
    """Return the age and sex as tables call them, of what a data set says of a person.

    Example:
        >>> age_and_sex({"age": "41", "sex": "F"})
        {'age': '41', 'sex': 'F'}
    """
    lower = {name.lower(): value for name, value in groups.items()}
    age = next((lower[name] for name in ("age", "age_years", "age_at_scan") if name in lower), "")
    sex = next((lower[name] for name in ("sex", "gender") if name in lower), "")
    return {"age": age, "sex": {"m": "M", "male": "M", "f": "F", "female": "F"}.get(sex.lower(), sex)}
