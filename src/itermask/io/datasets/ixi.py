r"""IXI: healthy adults, three London hospitals.

As downloaded from brain-development.org: `IXI002-Guys-0828-T1.nii.gz`, likewise T2 and PD, in one or several folders;
angiograms (MRA) and diffusion series (DTI) are passed over. The middle part is the hospital: Guys and HH (Hammersmith)
have Philips scanners of 1.5 and 3 T, IOP a GE scanner of 1.5 T. This project's own folder has BIDS endings
(`IXI013-HH-1212_T1w.nii.gz`) and a `participants.tsv`; `_brain` and `_lesion` are read as in the flat layout.

Learnt from the names of the files themselves, and from public loaders of the archives (IXI-T1.tar and so on).
"""

import re
from dataclasses import replace

from itermask.io.datasets.about import read_participants
from itermask.io.datasets.adapter import BRAIN, LESION, Adapter, Gathering
from itermask.io.datasets.case import Case
from itermask.io.datasets.tree import Tree

_NAME = re.compile(r"(IXI\d{3}-([A-Za-z]+)-\d+)[-_](T1|T1w|T2|T2w|PD|PDw|brain|brain_mask|lesion)")
_WHAT = {
    "T1": "T1w", "T1w": "T1w", "T2": "T2w", "T2w": "T2w", "PD": "PDw", "PDw": "PDw",
    "brain": BRAIN, "brain_mask": BRAIN, "lesion": LESION,
}  # fmt: skip


def collect(tree: Tree) -> list[Case]:
    """Return the IXI cases of a folder; `group` has the `site` and the columns of `participants.tsv`, if there is one.

    Example:
        >>> from itermask.io.datasets.tree import walk
        >>> (folder / "IXI002-Guys-0828-T1.nii.gz").touch()
        >>> collect(walk(folder))[0].subject
        'IXI002-Guys-0828'
    """
    gathering = Gathering(tree.root)
    for file in tree.files:
        if match := _NAME.fullmatch(file.stem):
            gathering.add(match[1], "", _WHAT[match[3]], file.path)
    cases = gathering.cases(healthy=True, about=read_participants(tree.root))
    return [replace(case, group={"site": case.subject.split("-")[1], **case.group}) for case in cases]


IXI = Adapter("ixi", "IXI002-Guys-0828-T1.nii.gz", collect)
