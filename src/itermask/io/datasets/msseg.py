r"""MSSEG-2016: multiple sclerosis, four scanners, seven experts and their consensus.

`Training/Center_01/Patient_01/` holds `Raw_Data/FLAIR.nii.gz` (and T1, T2, DP, GADO), `Preprocessed_Data/` with
`FLAIR_preprocessed.nii.gz` and so on (on the FLAIR's grid, denoised, stripped, bias corrected), and `Masks/` with
`Consensus.nii.gz` and `Brain_Mask.nii.gz` on that grid. The preprocessed images are taken where there are any, else
the raw ones, of which only the FLAIR shares the grid of the masks. Patients are counted anew in each centre and part
of the release: `training-Center_01-Patient_01`. The experts' single maps are passed over.

Learnt from public projects that read the download from Shanoir; data: Commowick et al. 2021, NeuroImage.
"""

import re
from collections import defaultdict
from dataclasses import replace

from itermask.io.datasets.adapter import BRAIN, LESION, Adapter, Gathering, nearest
from itermask.io.datasets.case import Case
from itermask.io.datasets.tree import File, Tree

_IMAGE = re.compile(r"(?:3D)?(FLAIR|T1|T2|DP|GADO|T1GADO)(?:_preprocessed)?", re.IGNORECASE)
_SEQUENCES = {"FLAIR": "FLAIR", "T1": "T1w", "T2": "T2w", "DP": "PDw", "GADO": "T1ce", "T1GADO": "T1ce"}
_MASKS = {"consensus": LESION, "brain_mask": BRAIN}
_CENTRE, _PATIENT = re.compile(r"Center_\d+"), re.compile(r"Patient_\d+")


def collect(tree: Tree) -> list[Case]:
    """Return the MSSEG cases of a folder; `group` has the `site` (Center_01, …).

    Example:
        >>> from itermask.io.datasets.tree import walk
        >>> collect(walk(folder))
        []
    """
    gathering = Gathering(tree.root)
    images: dict[tuple[str, str], list[tuple[str, File]]] = defaultdict(list)
    for file in tree.files:
        *above, centre, patient, kind = ("", "", "", *file.folders)
        if not (_CENTRE.fullmatch(centre) and _PATIENT.fullmatch(patient)):
            continue
        names = (nearest(("training", "testing"), above), centre, patient)
        subject = "-".join(name for name in names if name)
        if kind == "Masks" and file.stem.lower() in _MASKS:
            gathering.add(subject, "", _MASKS[file.stem.lower()], file.path)
        elif match := _IMAGE.fullmatch(file.stem):
            images[subject, kind].append((_SEQUENCES[match[1].upper()], file))
    for (subject, kind), found in images.items():
        if kind == "Preprocessed_Data" or (kind == "Raw_Data" and (subject, "Preprocessed_Data") not in images):
            for sequence, file in found:
                gathering.add(subject, "", sequence, file.path)
    cases = gathering.cases(healthy=False)
    return [replace(case, group={"site": "Center_" + case.subject.split("Center_")[1].split("-")[0]}) for case in cases]


MSSEG = Adapter("msseg", "Center_01/Patient_01/Preprocessed_Data/FLAIR_preprocessed.nii.gz", collect)
