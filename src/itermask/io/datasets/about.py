"""What the tables of a data set say about its subjects: split, groups, healthy or not."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from itermask.errors import InputError

SPLITS = ("train", "val", "test")
MISSING = frozenset({"", "n/a", "na", "nan", "none", "."})
CONTROLS = frozenset({"control", "controls", "healthy", "healthy control", "hc", "cn", "normal"})
_YES, _NO = ("1", "true", "yes"), ("0", "false", "no")
_NOT_GROUPS = frozenset({"participant_id", "subject", "session", "session_id", "split", "healthy"})


@dataclass(frozen=True)
class About:
    """Split, healthiness and groups of a subject, as in `Case`."""

    split: str = ""
    healthy: bool | None = None
    group: Mapping[str, str] = field(default_factory=dict)


def read_rows(table: Path) -> list[dict[str, str]]:
    r"""Return rows of a `.csv` (commas) or other (tabs) table by column name; cells are stripped, missing cells are "".

    Raises:
        InputError: unreadable, not text, or a column named twice.

    Example:
        >>> _ = (folder / "table.csv").write_text("name,age\na,41\n")
        >>> read_rows(folder / "table.csv")
        [{'name': 'a', 'age': '41'}]
    """
    try:
        with open(table, newline="", encoding="utf-8-sig") as source:
            lines = csv.reader(source, delimiter="," if table.suffix.lower() == ".csv" else "\t")
            header = [name.strip() for name in next(lines, [])]
            body = [[cell.strip() for cell in line] for line in lines]
        while body and not body[-1]:  # empty lines at the end
            body.pop()
    except (OSError, UnicodeError, csv.Error) as error:
        raise InputError(f"{table}: not a readable table ({error}); save it as UTF-8 text") from error
    twice = sorted({name for name in header if name and header.count(name) > 1})
    if twice:
        raise InputError(f"{table}: the column {twice[0]} appears twice; remove one")
    rows = []
    for cells in body:
        filled = [*cells, *[""] * (len(header) - len(cells))]
        rows.append({name: cell for name, cell in zip(header, filled, strict=False) if name})
    return rows


def about_row(row: Mapping[str, str], where: str, not_groups: frozenset[str] = frozenset()) -> About:
    """Return what one row says.

    The columns `split` and `healthy` are taken as they are. Without `healthy`, a column `group` or `diagnosis`
    that says control (`control`, `healthy`, `HC`, `CN`, `normal`) makes the subject healthy. Every other
    column is a group, named in lower case.

    Args:
        row: cells by column.
        where: file and line, for messages.
        not_groups: further columns that are no groups.

    Raises:
        InputError: a split that is none, or a `healthy` that is neither yes nor no.

    Example:
        >>> about_row({"group": "control", "site": "Guys"}, "participants.tsv")
        About(split='', healthy=True, group={'group': 'control', 'site': 'Guys'})
    """
    cells = {name.lower(): cell for name, cell in row.items() if cell.lower() not in MISSING}
    split = cells.get("split", "")
    if split and split not in SPLITS:
        raise InputError(f"{where}: split is {split!r}, not one of {', '.join(SPLITS)}; fix it or leave it empty")
    said = cells.get("healthy", "").lower()
    if said and said not in _YES + _NO:
        raise InputError(f"{where}: healthy is {said!r}, neither yes nor no; fix it or leave it empty")
    healthy = said in _YES if said else None
    if healthy is None and any(cells.get(column, "").lower() in CONTROLS for column in ("group", "diagnosis")):
        healthy = True
    group = {name: cell for name, cell in cells.items() if name not in _NOT_GROUPS | not_groups}
    return About(split, healthy, group)


def read_participants(*folders: Path) -> dict[str, About]:
    r"""Return what the first `participants.tsv` among the folders says by participant, without a leading `sub-`.

    Returns:
        an empty mapping if none of the folders holds one.

    Raises:
        InputError: unreadable, without the column `participant_id`, or a participant with two different rows.

    Example:
        >>> _ = (folder / "participants.tsv").write_text("participant_id\tgroup\nsub-01\tcontrol\n")
        >>> read_participants(folder)["01"]
        About(split='', healthy=True, group={'group': 'control'})
    """
    table = next((folder / "participants.tsv" for folder in folders if (folder / "participants.tsv").is_file()), None)
    if table is None:
        return {}
    rows = read_rows(table)
    if rows and "participant_id" not in rows[0]:
        raise InputError(f"{table}: the column participant_id is missing; name the subjects in it")
    participants: dict[str, About] = {}
    for number, row in enumerate(rows, start=2):
        about = about_row(row, f"{table}: line {number}")
        name = row["participant_id"].removeprefix("sub-")
        if participants.setdefault(name, about) != about:
            raise InputError(f"{table}: line {number}: {row['participant_id']} has an earlier, different row; keep one")
    return participants
