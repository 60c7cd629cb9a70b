r"""Files named `<case>_<what>`: this project's own layout for larger collections.

`TCGA_CS_4941_FLAIR.nii.gz`, likewise the other sequences, with `TCGA_CS_4941_lesion.nii.gz` and
`TCGA_CS_4941_brain.nii.gz` (masks; `_lesion_mask` and `_brain_mask` too), in one or several folders, and a
`participants.tsv` in the root folder with `split`, `healthy` and any groups.
"""

import re

from itermask.io.datasets.about import read_participants
from itermask.io.datasets.adapter import MASKS, Adapter, Gathering
from itermask.io.datasets.case import Case
from itermask.io.datasets.tree import Tree
from itermask.io.names import SEQUENCES, canonical_sequence

_NAME = re.compile(rf"(.+?)_({'|'.join((*SEQUENCES, *MASKS))})", re.IGNORECASE)


def collect(tree: Tree) -> list[Case]:
    """Return the cases of a folder of files named after case and sequence.

    Example:
        >>> from itermask.io.datasets.tree import walk
        >>> (folder / "case1_T1w.nii.gz").touch()
        >>> collect(walk(folder))[0].subject
        'case1'
    """
    gathering = Gathering(tree.root)
    for file in tree.files:
        if match := _NAME.fullmatch(file.stem):
            what = MASKS.get(match[2].lower()) or canonical_sequence(match[2])
            gathering.add(match[1], "", what, file.path)
    return gathering.cases(about=read_participants(tree.root))


FLAT = Adapter("flat", "<case>_T1w.nii.gz or <case>_FLAIR.nii.gz, with <case>_lesion.nii.gz", collect)
