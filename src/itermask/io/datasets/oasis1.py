r"""OASIS-1: T1w scans of 416 people of 18 to 96 years, a hundred of them with dementia; twenty came twice.

`disc1/OAS1_0001_MR1/PROCESSED/MPRAGE/SUBJ_111/OAS1_0001_MR1_mpr_n4_anon_sbj_111.img` (with its `.hdr`) is the average
of the visit's repeats at 1 mm, in the subject's own space: it is taken where there is one, else each repeat from `RAW`
(`OAS1_0001_MR1_mpr-1_anon.img`) is a session. A NIfTI file of the same name goes before the Analyze pair. Images in
Talairach space and the tissue maps (`T88_111`, `FSL_SEG`) are passed over.

A table `oasis_cross-sectional*.csv` in the root folder gives `age`, `sex` and `cdr`; a clinical dementia rating of 0 is
healthy, above 0 not, and an empty one (the young) says nothing.

Learnt from descriptions and public readers of the discs (oasis-brains.org); data: Marcus et al. 2007. OASIS-3 is
BIDS-like: see `bids`.
"""

import re
from pathlib import Path

from itermask.errors import InputError
from itermask.io.datasets.about import MISSING, About, read_rows
from itermask.io.datasets.adapter import Adapter, Gathering, describe
from itermask.io.datasets.case import Case
from itermask.io.datasets.tree import Tree

_NAME = re.compile(r"(OAS1_\d{4})_(MR\d+)_mpr(?:_n[\di]_anon_sbj_111|-(\d)_anon)", re.IGNORECASE)
_COLUMNS = {"Age": "age", "M/F": "sex", "CDR": "cdr"}


def collect(tree: Tree) -> list[Case]:
    """Return the OASIS-1 cases of a folder.

    Example:
        >>> from itermask.io.datasets.tree import walk
        >>> collect(walk(folder))
        []
    """
    matches = [(match, file) for file in tree.files if (match := _NAME.fullmatch(file.stem))]
    averaged = {(match[1], match[2]) for match, _ in matches if not match[3]}
    nifti = {file.stem for _, file in matches if file.path.suffix.lower() != ".img"}
    gathering = Gathering(tree.root)
    for match, file in matches:
        subject, visit, repeat = match.groups()
        if file.path.suffix.lower() == ".img" and file.stem in nifti:
            continue
        if not repeat:
            gathering.add(subject, visit, "T1w", file.path)
        elif (subject, visit) not in averaged:
            gathering.add(subject, f"{visit}_mpr-{repeat}", "T1w", file.path)
    cases = gathering.cases()
    about = _read_table(tree.root) if cases else {}
    return [describe(case, about.get(f"{case.subject}_{case.session.split('_')[0]}")) for case in cases]


def _read_table(root: Path) -> dict[str, About]:
    """Return what `oasis_cross-sectional*.csv` says by visit (`OAS1_0001_MR1`)."""
    about = {}
    for table in sorted(root.glob("oasis_cross-sectional*.csv"))[:1]:
        for number, row in enumerate(read_rows(table), start=2):
            group = {
                name: row[column] for column, name in _COLUMNS.items() if row.get(column, "").lower() not in MISSING
            }
            try:
                healthy = float(group["cdr"]) == 0 if "cdr" in group else None
            except ValueError:
                raise InputError(f"{table}: line {number}: CDR is {group['cdr']!r}, not a number; fix it") from None
            about[row.get("ID", "")] = About(healthy=healthy, group=group)
    return about


OASIS1 = Adapter("oasis1", "OAS1_0001_MR1_mpr_n4_anon_sbj_111.img or OAS1_0001_MR1_mpr-1_anon.img", collect)
