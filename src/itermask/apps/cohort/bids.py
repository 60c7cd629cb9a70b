"""The scans of a BIDS tree as jobs.

`sub-01/[ses-1/]anat/sub-01[_ses-1][_acq-…][_run-…]_T1w.nii.gz`, found by name alone; no image is opened, so a
scan that cannot be read becomes a row with its reason. A T1w scan with a `ce-` entity counts as T1ce. Images below
`derivatives` and `sourcedata` are passed over, and so are parts other than the magnitude (`part-phase`) and what the
tree's `.bidsignore` names.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from itermask.apps.cohort.ignored import ignored_in
from itermask.apps.cohort.job import Job
from itermask.apps.cohort.lists import age_and_sex
from itermask.apps.cohort.manifest import Record
from itermask.errors import InputError
from itermask.io.datasets.about import MISSING, read_rows
from itermask.io.datasets.tree import File, walk
from itermask.io.names import SEQUENCES, canonical_sequence, shown
from itermask.models.card import read_card
from itermask.models.choice import bundled_models, find, taken_sequences

ENTITIES = {
    "subject": "sub", "session": "ses", "acquisition": "acq", "ceagent": "ce", "reconstruction": "rec", "run": "run",
    "echo": "echo", "inv": "inv", "part": "part", "chunk": "chunk", "task": "task",
}  # fmt: skip
NO_MAGNITUDE = ("phase", "real", "imag")
OWN_SPACES = ("", "orig", "native", "individual", "scanner")


@dataclass(frozen=True)
class Selection:
    """Which scans of a tree are wanted.

    Attributes:
        sequences: canonical names; empty for all of `itermask.io.names.SEQUENCES`.
        participants: labels with or without `sub-`; empty for all.
        sessions: labels with or without `ses-`; empty for all.
        filters: by sequence in lower case, conditions on entities, see `read_filters`.
    """

    sequences: tuple[str, ...] = ()
    participants: tuple[str, ...] = ()
    sessions: tuple[str, ...] = ()
    filters: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def read_filters(path: Path) -> dict[str, dict[str, Any]]:
    """Return a BIDS filter file: `{"t1w": {"session": "02", "acquisition": null, "run": [1, 2]}}`.

    Keys are sequences in lower case; each names entities by their long (`acquisition`) or short (`acq`) name, and
    perhaps `suffix`, `datatype` and `extension`. A value is a label, a list of labels, null for an entity that must be
    absent, or `*` for one that must be there.

    Raises:
        InputError: unreadable, or an entity that is not known.

    Example:
        >>> _ = (folder / "filter.json").write_text('{"t1w": {"session": "02"}}')
        >>> read_filters(folder / "filter.json")
        {'t1w': {'session': '02'}}
    """
    try:
        filters = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not a readable BIDS filter file ({error}); it must be JSON") from error
    if not (isinstance(filters, dict) and all(isinstance(one, dict) for one in filters.values())):
        raise InputError(f'{path}: a BIDS filter file looks like {{"t1w": {{"session": "02"}}}}')
    known = {*ENTITIES, *ENTITIES.values(), "suffix", "datatype", "extension"}
    for name in (key for one in filters.values() for key in one):
        if name not in known:
            raise InputError(
                f"{path}: {name!r} is not an entity of anatomical scans; known are {', '.join(sorted(known))}"
            )
    return {name.lower(): one for name, one in filters.items()}


def find_jobs(root: Path, selection: Selection, masks: Path | None = None, out: Path | None = None) -> list[Job]:
    """Return the wanted scans of a BIDS tree, sorted by name.

    Args:
        root: the tree.
        selection: which scans.
        masks: derivative with brain masks (`desc-brain_mask`); a mask belongs to the scan whose entities it shares.
            A scan without one, or whose mask fits another scan of its sequence too, is a job with a problem.
        out: results folder; what lies below it is no scan.

    Raises:
        InputError: no such folder; no scan; a participant or session that is asked for and not there; or two files
            of one name.

    Example:
        >>> (folder / "sub-01" / "anat").mkdir(parents=True)
        >>> (folder / "sub-01" / "anat" / "sub-01_T1w.nii.gz").touch()
        >>> [job.name for job in find_jobs(folder, Selection(sequences=("T1w",)))]
        ['sub-01_T1w']
    """
    ignored = ignored_in(root)
    tree = [file for file in walk(root).files if not ignored(file.path.relative_to(root).as_posix())]
    files = [file for file in tree if _is_raw(file, root, out)]
    for wanted, prefix in ((selection.participants, "sub-"), (selection.sessions, "ses-")):
        present = {part for file in files for part in file.path.relative_to(root).parts if part.startswith(prefix)}
        for label in wanted:
            if f"{prefix}{label.removeprefix(prefix)}" not in present:
                what = {"sub-": "participant", "ses-": "session"}[prefix]
                raise InputError(f"{root}: no {what} {label.removeprefix(prefix)} with scans; check --{what}-label")
    known = _masks(masks) if masks is not None else {}
    everything = [_job(root, file, known) for file in files]
    if masks is not None:
        everything = list(_with_own_masks(everything, masks))
    wanted_files = {file.path for file in files if _wanted(file, selection)}
    jobs = [job for job in everything if job.scan in wanted_files]
    if not jobs:
        what = " or ".join(selection.sequences) or "anatomical"
        where = "looked for sub-01/[ses-1/]anat/sub-01[_ses-1]_T1w.nii.gz"
        raise InputError(f"{root}: no {what} scan found; {where}{_uniform(tree)}")
    return sorted(jobs, key=lambda job: job.name)


def _uniform(files: Iterable[File]) -> str:
    """Return what to say where there are MP2RAGE images, of which no bundled model takes any as it is; else ""."""
    count = sum(parts_of(file.stem)[1] in ("UNIT1", "MP2RAGE") for file in files)
    if not count:
        return ""
    return f"; there are {count} images of MP2RAGE (UNIT1, MP2RAGE), whose background is noise: strip them, save as T1w"


def keeps(selection: Selection, records: Sequence[Record]) -> Callable[[Record], bool] | None:
    """Return what tells whether a record is among those asked for; None where all are.

    Args:
        selection: participants, sessions and filters; its sequences count too.
        records: of the results folder.

    Raises:
        InputError: a participant or session that is asked for and has no record.

    Example:
        >>> keeps(Selection(), []) is None
        True
    """
    for wanted, prefix, present in (
        (selection.participants, "sub-", {record.subject for record in records}),
        (selection.sessions, "ses-", {record.session for record in records}),
    ):
        for label in wanted:
            if f"{prefix}{label.removeprefix(prefix)}" not in present:
                what = {"sub-": "participant", "ses-": "session"}[prefix]
                raise InputError(f"no {what} {label.removeprefix(prefix)} among the results; check --{what}-label")
    if selection == Selection():
        return None
    return lambda record: _chosen(parts_of(record.name)[0], *_told(record), selection)


def _told(record: Record) -> tuple[str, str, str]:
    """Return suffix, sequence and ending of a record's scan."""
    return parts_of(record.name)[1], record.sequence or "", ".nii.gz" if record.scan.endswith(".gz") else ".nii"


def _is_raw(file: File, root: Path, out: Path | None) -> bool:
    """Return whether a file is a scan of the tree itself."""
    folders = file.path.relative_to(root).parts[:-1]
    inside = out is not None and file.path.resolve().is_relative_to(out.resolve())
    entities, suffix = parts_of(file.stem)
    in_anat = len(folders) in (2, 3) and folders[0].startswith("sub-") and folders[-1] == "anat"
    return (
        not inside
        and in_anat
        and folders[0] == f"sub-{entities.get('sub')}"
        and _sequence(entities, suffix) in SEQUENCES
        and entities.get("part") not in NO_MAGNITUDE
        and all("-" in part for part in file.stem.split("_")[:-1])
        and file.path.name.lower().endswith((".nii", ".nii.gz"))
    )


def parts_of(stem: str) -> tuple[dict[str, str], str]:
    """Return entities by short name, and suffix, of a BIDS name without ending.

    Example:
        >>> parts_of("sub-01_ses-02_T1w")
        ({'sub': '01', 'ses': '02'}, 'T1w')
    """
    *parts, suffix = stem.split("_")
    return dict(part.split("-", 1) for part in parts if "-" in part), suffix


def _sequence(entities: Mapping[str, str], suffix: str) -> str:
    sequence = canonical_sequence(suffix)
    return "T1ce" if sequence == "T1w" and "ce" in entities else sequence


def _wanted(file: File, selection: Selection) -> bool:
    """Return whether a scan is among those asked for."""
    entities, suffix = parts_of(file.stem)
    ending = file.path.name[len(file.stem) :]
    return _chosen(entities, suffix, _sequence(entities, suffix), ending, selection)


def _chosen(entities: Mapping[str, str], suffix: str, sequence: str, ending: str, selection: Selection) -> bool:
    """Return whether a scan with these entities is among those asked for."""
    participants = {label.removeprefix("sub-") for label in selection.participants}
    sessions = {label.removeprefix("ses-") for label in selection.sessions}
    if selection.sequences and sequence not in selection.sequences:
        return False
    if participants and entities.get("sub") not in participants:
        return False
    if sessions and entities.get("ses") not in sessions:
        return False
    values = dict(entities) | {"suffix": suffix, "datatype": "anat", "extension": ending}
    conditions = selection.filters.get(sequence.lower(), {})
    return all(_fits(values.get(ENTITIES.get(name, name)), wanted) for name, wanted in conditions.items())


def _fits(value: str | None, wanted: Any) -> bool:
    """Return whether an entity's label is what a filter asks for; numbers fit with and without leading zeros."""
    if wanted is None or wanted == "Query.NONE":
        return value is None
    if wanted in ("*", "Query.ANY"):
        return value is not None
    if isinstance(wanted, list):
        return any(_fits(value, one) for one in wanted)
    if value is None:
        return False
    text = str(wanted)
    return value == text or (value.isdigit() and text.isdigit() and int(value) == int(text))


def _job(root: Path, file: File, masks: Mapping[str, list[tuple[dict[str, str], Path]]]) -> Job:
    entities, suffix = parts_of(file.stem)
    sequence = _sequence(entities, suffix)
    return Job(
        name=shown(file.stem),
        scan=file.path,
        sequence=sequence,
        brain_mask=_mask_of(entities, sequence, masks),
        subject=f"sub-{entities['sub']}",
        session=f"ses-{entities['ses']}" if "ses" in entities else "",
        source=shown(file.path.relative_to(root).as_posix()),
    )


def _masks(root: Path) -> dict[str, list[tuple[dict[str, str], Path]]]:
    """Return the brain masks of a derivative by subject, with their entities."""
    found: dict[str, list[tuple[dict[str, str], Path]]] = {}
    for file in walk(root).files:
        entities, suffix = parts_of(file.stem)
        if suffix == "mask" and entities.get("desc") == "brain" and "sub" in entities:
            found.setdefault(entities["sub"], []).append((entities, file.path))
    if not found:
        raise InputError(f"{root}: no brain mask in it; looked for sub-01/…/sub-01_desc-brain_mask.nii.gz")
    return found


def _mask_of(
    entities: Mapping[str, str], sequence: str, masks: Mapping[str, list[tuple[dict[str, str], Path]]]
) -> Path | None:
    """Return the brain mask that shares most entities with a scan and contradicts none."""
    fitting = []
    for own, path in masks.get(entities["sub"], ()):
        told = {key: label for key, label in own.items() if key not in ("space", "desc", "label", "res", "den")}
        fits = own.get("space", "") in OWN_SPACES or canonical_sequence(own["space"]) == sequence
        same_visit = own.get("ses") == entities.get("ses")
        if fits and same_visit and all(entities.get(key) == label for key, label in told.items()):
            fitting.append((-len(told), str(path)))
    return Path(min(fitting)[1]) if fitting else None


def _with_own_masks(jobs: Iterable[Job], masks: Path) -> Iterator[Job]:
    """Yield jobs as they are, or with a problem where the promised mask is missing or is another scan's too."""
    jobs = list(jobs)
    users: dict[tuple[Path | None, str | None], list[Job]] = {}
    for job in jobs:
        users.setdefault((job.brain_mask, job.sequence), []).append(job)
    for job in jobs:
        sharing = users[job.brain_mask, job.sequence]
        if job.brain_mask is None:
            problem = f"{masks}: holds no brain mask for {job.source}; add one, or leave --brain-masks out"
        elif len({_of_one_grid(other.name) for other in sharing}) > 1:
            others = ", ".join(sorted(other.name for other in sharing))
            problem = f"{job.brain_mask}: would be the brain mask of {others}; give each its own, named after its scan"
        else:
            yield job
            continue
        yield replace(job, brain_mask=None, problem=problem)


def _of_one_grid(name: str) -> str:
    """Return a scan's name without what differs within one acquisition: echoes, inversions, parts of one grid."""
    return "_".join(part for part in name.split("_") if part.split("-")[0] not in ("echo", "inv", "part"))


def participants(root: Path) -> dict[str, dict[str, str]]:
    r"""Return the age and sex by participant (`sub-01`) from `participants.tsv`; empty without one.

    Raises:
        InputError: it cannot be read as a table.

    Example:
        >>> _ = (folder / "participants.tsv").write_text("participant_id\tage\tsex\nsub-01\t41\tF\n")
        >>> participants(folder)
        {'sub-01': {'age': '41', 'sex': 'F'}}
    """
    path = next(
        (one for one in (root / "participants.tsv", root / "rawdata" / "participants.tsv") if one.is_file()), None
    )
    if path is None:
        return {}
    known = {}
    for row in read_rows(path):
        name = row.get("participant_id", "")
        told = {key: cell for key, cell in row.items() if cell.lower() not in MISSING}
        known[f"sub-{name.removeprefix('sub-')}"] = age_and_sex(told)
    return known


def sequences_wanted(asked: Iterable[str], model: str | None) -> tuple[str, ...]:
    """Return which sequences to process: those asked for, else the model's, else those of the bundled models.

    Raises:
        InputError: no such model.

    Example:
        >>> sequences_wanted(["t1w"], None)
        ('T1w',)
    """
    named = tuple(dict.fromkeys(canonical_sequence(name) for name in asked))
    if named:
        return named
    folders = [find(model).folder] if model is not None else list(bundled_models().values())
    return tuple(sorted({name for folder in folders for name in taken_sequences(read_card(folder))}))
