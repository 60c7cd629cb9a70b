r"""BraTS: glioma and other brain tumours (T1w, T1ce, T2w, FLAIR), stripped, on one 1 mm grid.

Releases: 2017 to 2020 (`BraTS20_Training_001/BraTS20_Training_001_flair.nii.gz`), 2021
(`BraTS2021_00000/BraTS2021_00000_t1ce.nii.gz`), and 2023 on (`BraTS-GLI-00000-000/BraTS-GLI-00000-000-t1c.nii.gz`;
the last number is the visit, `t1n` T1w, `t1c` T1ce, `t2w` T2w, `t2f` FLAIR). Labels end in `seg`; tumour is all
above 0. In the 2020 release one label map bears another name, `BraTS20_Training_355/W39_1998.09.19_Segm.nii`.

Learnt from the folder listings in public loaders of the downloads (synapse.org, Kaggle); data: Menze et al. 2015, Baid
et al. 2021.
"""

import re
from dataclasses import replace

from itermask.io.datasets.adapter import LESION, Adapter, Gathering
from itermask.io.datasets.case import Case
from itermask.io.datasets.tree import Tree

_WHAT = {
    "t1": "T1w", "t1n": "T1w", "t1ce": "T1ce", "t1c": "T1ce", "t2": "T2w", "t2w": "T2w", "t2f": "FLAIR",
    "flair": "FLAIR", "seg": LESION,
}  # fmt: skip
_UNTIL_2021 = re.compile(r"(BraTS(?:1[7-9]|20|2021)_\w+)_(t1|t1ce|t2|flair|seg)", re.IGNORECASE)
_SINCE_2023 = re.compile(r"(BraTS-([A-Z]+)-\d+)-(\d+)-(t1|t1n|t1c|t1ce|t2|t2w|t2f|flair|seg)", re.IGNORECASE)
_FOLDER = re.compile(r"BraTS20_\w+_\d+", re.IGNORECASE)


def collect(tree: Tree) -> list[Case]:
    """Return the BraTS cases of a folder; `group` has the `cohort` (GLI, MEN, …) since 2023.

    Example:
        >>> from itermask.io.datasets.tree import walk
        >>> (folder / "BraTS2021_00000").mkdir()
        >>> (folder / "BraTS2021_00000" / "BraTS2021_00000_t1.nii.gz").touch()
        >>> collect(walk(folder))[0].subject
        'BraTS2021_00000'
    """
    gathering = Gathering(tree.root)
    cohorts = {}
    for file in tree.files:
        if match := _UNTIL_2021.fullmatch(file.stem):
            gathering.add(match[1], "", _WHAT[match[2].lower()], file.path)
        elif match := _SINCE_2023.fullmatch(file.stem):
            gathering.add(match[1], match[3], _WHAT[match[4].lower()], file.path)
            cohorts[match[1]] = {"cohort": match[2]}
        elif file.stem.endswith("_Segm") and _FOLDER.fullmatch(file.folders[-1]):
            gathering.add(file.folders[-1], "", LESION, file.path)
    cases = gathering.cases(healthy=False)
    return [replace(case, group=cohorts.get(case.subject, {})) for case in cases]


BRATS = Adapter("brats", "BraTS20_Training_001_flair.nii.gz or BraTS-GLI-00000-000-t2f.nii.gz", collect)
