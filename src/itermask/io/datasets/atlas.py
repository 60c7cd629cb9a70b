r"""ATLAS R2.0: stroke lesions on T1w scans of many sites, in MNI space, with skull.

`ATLAS_2/Training/R001/sub-r001s001/ses-1/anat/sub-r001s001_ses-1_space-MNI152NLin2009aSym_T1w.nii.gz` and, beside it,
`sub-r001s001_ses-1_space-MNI152NLin2009aSym_label-L_desc-T1lesion_mask.nii.gz`; the test part has no labels. Only
names count, so images and masks may have been sorted into other folders.

Learnt from public projects that list the release as INDI hands it out; data: Liew et al. 2022, Scientific Data.
"""

import re
from dataclasses import replace

from itermask.io.datasets.adapter import LESION, Adapter, Gathering
from itermask.io.datasets.case import Case
from itermask.io.datasets.tree import Tree

_NAME = re.compile(r"sub-((r\d{3})s\d{3})_ses-(\d+)(?:_space-[^_]+)?_(T1w|label-L_desc-T1lesion_mask)")


def collect(tree: Tree) -> list[Case]:
    """Return the ATLAS cases of a folder; `group` has the `site` (R001, …).

    Example:
        >>> from itermask.io.datasets.tree import walk
        >>> collect(walk(folder))
        []
    """
    gathering = Gathering(tree.root)
    for file in tree.files:
        if match := _NAME.fullmatch(file.stem):
            gathering.add(match[1], match[3], "T1w" if match[4] == "T1w" else LESION, file.path)
    return [replace(case, group={"site": case.subject[:4].upper()}) for case in gathering.cases(healthy=False)]


ATLAS = Adapter("atlas", "sub-r001s001_ses-1_space-MNI152NLin2009aSym_T1w.nii.gz", collect)
