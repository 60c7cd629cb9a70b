r"""ISLES: ischaemic stroke, the 2015 (SISS) and 2022 releases.

2022 (zenodo.org/record/7960856), BIDS-like, images not registered to each other, labels drawn on the DWI:
`sub-strokecase0001/ses-0001/anat/sub-strokecase0001_ses-0001_FLAIR.nii.gz`, `…/dwi/…_dwi.nii.gz`, `…/dwi/…_adc.nii.gz`,
`derivatives/sub-strokecase0001/ses-0001/…_msk.nii.gz`; an earlier download has them in `rawdata/…/ses-0001/` with
`_flair` in small letters. Only names count, so both are read.

2015 (isles-challenge.org/ISLES2015), stripped and on one grid, folders within folders:
`SISS2015_Training/1/VSD.Brain.XX.O.MR_Flair.70614/VSD.Brain.XX.O.MR_Flair.70614.nii`, likewise `MR_T1`, `MR_T2`,
`MR_DWI`, and the label with `.OT.`. Case numbers start anew in each part of the release, so a subject is named after
the part: `siss-training-1`. The perfusion maps of the other 2015 task (SPES) are passed over.

Learnt from public projects that list the folders of both downloads; data: Maier et al. 2017, Hernandez Petzsche et al.
2022.
"""

import re

from itermask.io.datasets.adapter import LESION, Adapter, Gathering, nearest
from itermask.io.datasets.case import Case
from itermask.io.datasets.tree import Tree

_2022 = re.compile(r"(sub-strokecase\d+)_ses-(\d+)_(dwi|adc|flair|msk)", re.IGNORECASE)
_WHAT_2022 = {"dwi": "DWI", "adc": "ADC", "flair": "FLAIR", "msk": LESION}
_2015 = re.compile(r"VSD\.[\w.]+\.(?:MR_(flair|t1|t1c|t2|dwi|adc)|(ot))(?:\.\d+)?", re.IGNORECASE)
_WHAT_2015 = {"flair": "FLAIR", "t1": "T1w", "t1c": "T1ce", "t2": "T2w", "dwi": "DWI", "adc": "ADC"}


def collect(tree: Tree) -> list[Case]:
    """Return the ISLES cases of a folder.

    Example:
        >>> from itermask.io.datasets.tree import walk
        >>> collect(walk(folder))
        []
    """
    gathering = Gathering(tree.root)
    for file in tree.files:
        if match := _2022.fullmatch(file.stem):
            gathering.add(match[1], match[2], _WHAT_2022[match[3].lower()], file.path)
        elif match := _2015.fullmatch(file.stem):
            *above, case = [name for name in file.folders if not name.upper().startswith("VSD.")] or [""]
            names = (nearest(("siss", "spes"), above), nearest(("training", "testing"), above), case)
            what = LESION if match[2] else _WHAT_2015[match[1].lower()]
            gathering.add("-".join(name for name in names if name), "", what, file.path)
    return gathering.cases(healthy=False)


ISLES = Adapter("isles", "sub-strokecase0001_ses-0001_dwi.nii.gz or 1/VSD.Brain.XX.O.MR_Flair.70614.nii", collect)
