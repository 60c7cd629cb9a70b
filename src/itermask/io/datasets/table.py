"""A table that names the files of every case: for any layout that no other adapter knows."""

from pathlib import Path

from itermask.errors import InputError
from itermask.io.datasets.about import About, about_row, read_rows
from itermask.io.datasets.adapter import BRAIN, LESION, Gathering, describe
from itermask.io.datasets.case import Case
from itermask.io.names import SEQUENCES, canonical_sequence, is_file, sequence_of

_SEQUENCES = (*SEQUENCES, "ADC")
_FILES = {"lesion": LESION, "brain_mask": BRAIN}
_OWN = frozenset({"path", "sequence", *_FILES})
EXPECTED = "a .tsv or .csv file with the columns participant_id and T1w, FLAIR, … or path"


def read_table(table: Path) -> list[Case]:
    r"""Return cases of a `.tsv` (tabs) or `.csv` (commas) file, sorted by subject and session.

    Either a row is a case, with a column for each sequence (`T1w`, `FLAIR`, …; an empty cell is a missing image); or
    a row is an image, in the column `path`, with its `sequence` in a column or told by the file's name. Rows of one
    `participant_id` and `session` are one case. Further columns: `lesion`, `brain_mask`, `split`, `healthy` (yes,
    no); every other column is a group. Paths are relative to the table or absolute. Without `participant_id` the
    file's name is the subject.

    Args:
        table: the file.

    Raises:
        InputError: no such file, no needed column, a named file that does not exist, a sequence that is not
            known, two files for one role, rows that disagree about a case, or a subject in two splits.

    Example:
        >>> (folder / "sub-01_T1w.nii.gz").touch()
        >>> _ = (folder / "cases.tsv").write_text("participant_id\tT1w\n01\tsub-01_T1w.nii.gz\n")
        >>> read_table(folder / "cases.tsv")[0].subject
        '01'
    """
    table = Path(table)
    if not table.is_file():
        raise InputError(f"{table}: not a table; looked for {EXPECTED}")
    rows = read_rows(table)
    header = list(rows[0]) if rows else []
    sequences = {name: sequence for name in header if (sequence := _sequence(name)) in _SEQUENCES}
    for name, sequence in sequences.items():
        if (other := next(twin for twin in sequences if sequences[twin] == sequence)) != name:
            raise InputError(f"{table}: the columns {other} and {name} are both {sequence}; keep one")
    if not ("path" in header or (sequences and "participant_id" in header)):
        raise InputError(f"{table}: no case in it; looked for {EXPECTED}")
    gathering = Gathering(table)
    known: dict[tuple[str, str], About] = {}
    splits: dict[str, str] = {}
    for number, row in enumerate(rows, start=2):
        where = f"{table}: line {number}"
        files = [(sequence, row[name]) for name, sequence in sequences.items()]
        if row.get("path"):
            files.append((_sequence_of_row(table, row, where), row["path"]))
        files += [(what, row.get(column, "")) for column, what in _FILES.items()]
        subject = row.get("participant_id") or Path(row.get("path", "")).name
        if not subject:
            raise InputError(f"{where}: neither participant_id nor path is filled; fill one")
        session = row.get("session") or row.get("session_id", "")
        for what, name in files:
            if not name:
                continue
            path = table.parent / name
            if not is_file(path):
                raise InputError(f"{where}: no such file {path}; paths are relative to the table")
            gathering.add(subject, session, what, path)
        about = about_row(row, where, _OWN | {name.lower() for name in sequences})
        first = known.setdefault((subject, session), about)
        if (first.split, first.healthy) != (about.split, about.healthy):
            raise InputError(f"{where}: split or healthy differs from an earlier row of {subject}; make them agree")
        if splits.setdefault(subject, about.split) != about.split:
            raise InputError(f"{where}: subject {subject} is in two splits; put it in one")
    cases = [describe(case, known[case.subject, case.session]) for case in gathering.cases()]
    if not cases:
        raise InputError(f"{table}: no row names an image; looked for {EXPECTED}")
    return cases


def _sequence(name: str) -> str:
    return "ADC" if name.lower() == "adc" else canonical_sequence(name)


def _sequence_of_row(table: Path, row: dict[str, str], where: str) -> str:
    if row.get("sequence"):
        return _sequence(row["sequence"])
    sequence = sequence_of(table.parent / row["path"])
    if sequence is None:
        raise InputError(f"{where}: which sequence is {row['path']}? name it in a column sequence")
    return sequence
