"""Data sets as they are downloaded, each turned into the same list of cases; one adapter a file.

Only names and small tables are read, never an image. A new adapter is a file with an `Adapter`, and a place in
`SPECIFIC` (its names cannot be mistaken) or `GENERIC` (asked in this order about what is left).
"""

from collections.abc import Callable
from pathlib import Path

from itermask.errors import InputError
from itermask.io.datasets.adapter import Adapter
from itermask.io.datasets.adni import ADNI
from itermask.io.datasets.atlas import ATLAS
from itermask.io.datasets.bids import BIDS
from itermask.io.datasets.brats import BRATS
from itermask.io.datasets.case import Case
from itermask.io.datasets.flat import FLAT
from itermask.io.datasets.folders import FOLDERS
from itermask.io.datasets.isles import ISLES
from itermask.io.datasets.ixi import IXI
from itermask.io.datasets.msseg import MSSEG
from itermask.io.datasets.oasis1 import OASIS1
from itermask.io.datasets.open_ms import OPEN_MS
from itermask.io.datasets.table import EXPECTED, read_table
from itermask.io.datasets.tree import Tree, walk

SPECIFIC = (BRATS, ISLES, ATLAS, MSSEG, OPEN_MS, IXI, OASIS1, ADNI)
GENERIC = (BIDS, FOLDERS, FLAT)
_BESIDE = frozenset({"derivatives", "sourcedata", "code"})  # folders that belong to a BIDS tree
ADAPTERS: dict[str, Callable[[Path], list[Case]]] = {
    **{adapter.name: adapter for adapter in (*SPECIFIC, *GENERIC)},
    "table": read_table,
}

__all__ = ["ADAPTERS", "Adapter", "Case", "read_dataset"]


def read_dataset(root: Path | str, kind: str = "auto") -> list[Case]:
    """Return the cases of a data set, sorted by subject and session.

    Cases without a lesion map, or without some of the sequences, are kept. No image is opened.

    Args:
        root: the folder that the data set was unpacked to, at any level of it; or a table, see `read_table`.
        kind: a key of `ADAPTERS`, or `auto` to recognise the layout by the names of the files.

    Raises:
        InputError: an unknown kind; nothing there; no layout recognised, or several; or two files that claim the
            same place in a case.

    Example:
        >>> (folder / "IXI002-Guys-0828-T1.nii.gz").touch()
        >>> [(case.subject, case.group["site"]) for case in read_dataset(folder, "ixi")]
        [('IXI002-Guys-0828', 'Guys')]
    """
    root = Path(root)
    if kind != "auto":
        if kind not in ADAPTERS:
            raise InputError(f"{kind!r} is no kind of data set; known are auto, {', '.join(ADAPTERS)}")
        return ADAPTERS[kind](root)
    if root.is_file():
        return read_table(root)
    tree = walk(root)
    found = _recognise(tree)
    if len(found) > 1:
        raise InputError(f"{root}: holds several data sets ({', '.join(found)}); name the folder of one, or its kind")
    if found:
        return next(iter(found.values()))
    names = "; ".join(f"{adapter.name}: {adapter.expected}" for adapter in (*SPECIFIC, *GENERIC))
    count = len(tree.files)
    raise InputError(f"{root}: no data set recognised among its {count} images; looked for {names}; {EXPECTED}")


def _recognise(tree: Tree) -> dict[str, list[Case]]:
    """Return cases by adapter. A generic adapter only sees top folders of which no earlier adapter has taken a file."""
    found = {adapter.name: cases for adapter in SPECIFIC if (cases := adapter.collect(tree))}
    taken = {path for cases in found.values() for case in cases for path in case.paths.values()}
    for adapter in GENERIC:
        tops = {file.folders[1:2] for file in tree.files if file.path in taken}
        if taken:
            tops |= {(name,) for name in _BESIDE}
        rest = Tree(tree.root, tuple(file for file in tree.files if file.folders[1:2] not in tops))
        if cases := adapter.collect(rest):
            found[adapter.name] = cases
            taken |= {path for case in cases for path in case.paths.values()}
    return found
