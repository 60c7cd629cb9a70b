r"""One folder a case, with files named after what they are: this project's own layout for a few collected cases.

`brats2013-0001/FLAIR.nii.gz`, likewise `T1w`, `T2w`, `PDw`, `T1ce`, `T2starw`, `DWI`, with `lesion.nii.gz` and
`brain.nii.gz` where there are any; capitals do not matter. A case within further folders is called after all of them,
joined by `-`. A `participants.tsv` in the root folder may say more.
"""

from itermask.io.datasets.about import read_participants
from itermask.io.datasets.adapter import BRAIN, LESION, MASKS, Adapter, Gathering
from itermask.io.datasets.case import Case
from itermask.io.datasets.tree import Tree
from itermask.io.names import SEQUENCES, canonical_sequence


def collect(tree: Tree) -> list[Case]:
    """Return the cases of a folder of case folders; the root may be a case itself.

    Example:
        >>> from itermask.io.datasets.tree import walk
        >>> (folder / "case1").mkdir()
        >>> (folder / "case1" / "T1w.nii.gz").touch()
        >>> collect(walk(folder))[0].subject
        'case1'
    """
    gathering = Gathering(tree.root)
    for file in tree.files:
        what = MASKS.get(file.stem.lower()) or canonical_sequence(file.stem)
        if what in (*SEQUENCES, LESION, BRAIN):
            gathering.add("-".join(file.folders[1:]) or file.folders[0], "", what, file.path)
    return gathering.cases(about=read_participants(tree.root))


FOLDERS = Adapter("folders", "<case>/T1w.nii.gz or <case>/FLAIR.nii.gz, with lesion.nii.gz and brain.nii.gz", collect)
