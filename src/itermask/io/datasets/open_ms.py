r"""Open MS data of the University of Ljubljana: multiple sclerosis, 30 patients once and 20 patients twice.

The archive (lit.fe.uni-lj.si/tools) has `patient01/patient01_FLAIR.nii.gz`, likewise `T1W`, `T1WKS` (after contrast)
and `T2W`, `patient01_consensus_gt.nii.gz` and `patient01_brainmask.nii.gz`, all on the FLAIR's grid, and unregistered
images in `patient01/raw/`. The GitHub copy (muschellij2/open_ms_data) leaves the patient out of the names,
`patient01/FLAIR.nii.gz`, below `cross_sectional/coregistered`, `…/coregistered_resampled` and `…/raw`. Of each patient
one folder is taken: registered before resampled before raw. In a raw folder only the FLAIR is on the lesion map's grid.

The two visits of the longitudinal set (`study1_FLAIR.nii.gz`, `study2_FLAIR.nii.gz`) are other people with the same
numbers: their subjects are called `longitudinal-patient01`. Their `gt.nii.gz` marks lesions that *changed*, so it is
not taken for a lesion map.

Learnt from the README files of that repository; data: Lesjak et al. 2017, Neuroinformatics.
"""

import re
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from itermask.io.datasets.adapter import BRAIN, LESION, Adapter, Gathering
from itermask.io.datasets.case import Case
from itermask.io.datasets.tree import Tree

_NAME = re.compile(r"(?:patient\d+_)?(?:(study[12])_)?(FLAIR|T1W|T1WKS|T2W|consensus_gt|gt|brainmask)", re.IGNORECASE)
_WHAT = {
    "flair": "FLAIR", "t1w": "T1w", "t1wks": "T1ce", "t2w": "T2w", "consensus_gt": LESION, "brainmask": BRAIN,
}  # fmt: skip
_PARTICULAR = frozenset({"consensus_gt", "gt", "t1wks"})  # names that no other layout has
_PATIENT = re.compile(r"patient\d+", re.IGNORECASE)
_ORDER = ("coregistered", "", "coregistered_resampled", "raw")


@dataclass
class _Folder:
    """The files of one patient in one state of processing: (study, what, path)."""

    patient: str
    state: str
    files: list[tuple[str, str, Path]] = field(default_factory=list)

    @property
    def studies(self) -> list[str]:
        return sorted({study for study, _, _ in self.files if study})

    @property
    def subject(self) -> str:
        return f"longitudinal-{self.patient}" if self.studies else self.patient


def collect(tree: Tree) -> list[Case]:
    """Return the open MS cases of a folder; none without a file name that is particular to them.

    Example:
        >>> from itermask.io.datasets.tree import walk
        >>> (folder / "patient01").mkdir()
        >>> for name in ("patient01_FLAIR.nii.gz", "patient01_consensus_gt.nii.gz"):
        ...     (folder / "patient01" / name).touch()
        ...
        >>> collect(walk(folder))[0].subject
        'patient01'
    """
    folders: dict[Path, _Folder] = {}
    particular = False
    for file in tree.files:
        match = _NAME.fullmatch(file.stem)
        patient = next((name for name in reversed(file.folders) if _PATIENT.fullmatch(name)), None)
        if match and patient:
            state = next((name for name in reversed(file.folders) if name in _ORDER), "")
            study, what = (match[1] or "").lower(), match[2].lower()
            folder = folders.setdefault(file.path.parent, _Folder(patient.lower(), state))
            folder.files.append((study, what, file.path))
            particular |= bool(study) or what in _PARTICULAR
    gathering = Gathering(tree.root)
    if particular:
        states = defaultdict(list)
        for folder in folders.values():
            states[folder.subject].append(_ORDER.index(folder.state))
        for folder in folders.values():
            if _ORDER.index(folder.state) == min(states[folder.subject]):
                _gather(folder, gathering)
    return gathering.cases(healthy=False)


def _gather(folder: _Folder, gathering: Gathering) -> None:
    """Gather the images of each visit; a mask without a study is of both visits."""
    for study, what, path in folder.files:
        for session in [study] if study else folder.studies or [""]:
            if what in _WHAT:
                gathering.add(folder.subject, session, _WHAT[what], path)


OPEN_MS = Adapter("open-ms", "patient01/patient01_FLAIR.nii.gz with patient01_consensus_gt.nii.gz", collect)
