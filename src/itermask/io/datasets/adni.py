r"""ADNI as the LONI archive delivers it, in NIfTI or converted to it.

`ADNI/002_S_0295/MPRAGE/2006-04-18_08_20_30.0/I40966/ADNI_002_S_0295_MR_…_I40966.nii`: subject, description of the
series, date, image number (in some deliveries the series number, S13408). The sequence is told by the description:
MPRAGE, MPR, SPGR or T1 is T1w, FLAIR, T2 and T2* are themselves; masks, segmentations, functional, diffusion and
perfusion series are passed over. The session is the date. The archive often holds a scan in several states of
correction: each is a session of its own, `2006-04-18_I40966`. Files without those folders are read by their name, with
the image number for a session. The first three digits of a subject are the `site`.

Tables (`*.csv`) in the root folder with a column `Image Data ID`, as delivered with a collection, give `group`, `sex`,
`age` and `visit`: CN is healthy; MCI (EMCI, LMCI) and AD are not; SMC says nothing.

Learnt from paths and tables that public projects quote (adni.loni.usc.edu). A BIDS conversion is read by `bids`.
"""

import re
from dataclasses import replace
from pathlib import Path

from itermask.io.datasets.about import MISSING, About, read_rows
from itermask.io.datasets.adapter import Adapter, Found, Gathering, describe, part_runs
from itermask.io.datasets.case import Case
from itermask.io.datasets.tree import File, Tree

_SUBJECT = re.compile(r"\d{3}_S_\d{4,5}")
_DATE = re.compile(r"(\d{4}-\d{2}-\d{2})(?:_.*)?")
_NUMBER = re.compile(r"[IS]\d+")
_NAME = re.compile(r"ADNI_(\d{3}_S_\d{4,5})_MR_(.*)_(I\d+)")
_OTHER = (
    "mask", "freesurfer", "hippocamp", "fmri", "resting", "dti", "dwi", "diffusion", "asl", "perfusion",
    "field", "calibration", "localizer", "scout", "survey", "segment", "pdt2", "dual",
)  # fmt: skip
_HEALTHY = {"CN": True, "MCI": False, "EMCI": False, "LMCI": False, "AD": False}
_COLUMNS = {"Group": "group", "Sex": "sex", "Age": "age", "Visit": "visit"}


def collect(tree: Tree) -> list[Case]:
    """Return the ADNI cases of a folder.

    Example:
        >>> from itermask.io.datasets.tree import walk
        >>> collect(walk(folder))
        []
    """
    found, numbers = [], {}
    for file in tree.files:
        if image := _read(file):
            found.append(image)
            numbers[image.path] = image.run
    gathering = Gathering(tree.root)
    for image in part_runs(found):
        gathering.add(image.subject, image.session, image.sequence, image.path)
    about = _read_tables(tree.root) if found else {}
    cases = []
    for case in gathering.cases():
        known = (about[numbers[path]] for path in case.paths.values() if numbers[path] in about)
        cases.append(describe(replace(case, group={"site": case.subject[:3]}), next(known, None)))
    return cases


def _read(file: File) -> Found | None:
    """Return what a file's folders and name say; None if it is not an ADNI image of a known sequence."""
    name = _NAME.fullmatch(file.stem)
    depth = next((index for index, folder in enumerate(file.folders) if _SUBJECT.fullmatch(folder)), None)
    below = () if depth is None else file.folders[depth + 1 :]
    date = next((match[1] for folder in below if (match := _DATE.fullmatch(folder))), "")
    if name is None and not date:
        return None
    number = name[3] if name else next((folder for folder in reversed(below) if _NUMBER.fullmatch(folder)), file.stem)
    description = below[0] if date and not _DATE.fullmatch(below[0]) else (name[2] if name else file.stem)
    sequence = sequence_described(description)
    if sequence is None:
        return None
    subject = name[1] if name else file.folders[depth or 0]
    return Found(subject, date or number, sequence, number, file.path)


def sequence_described(description: str) -> str | None:
    """Return the sequence that a series description tells (`Axial_T2-FLAIR`, `MPR__GradWarp`); None if unknown.

    Example:
        >>> sequence_described("Axial_T2-FLAIR"), sequence_described("localizer")
        ('FLAIR', None)
    """
    text = re.sub(r"[^a-z0-9*]", "", description.lower())
    if any(word in text for word in _OTHER):
        return None
    if "flair" in text:
        return "FLAIR"
    if "t2star" in text or "t2*" in text:
        return "T2starw"
    if any(word in text for word in ("mprage", "mpr", "spgr", "t1")):
        return "T1w"
    return "T2w" if "t2" in text else None


def _read_tables(root: Path) -> dict[str, About]:
    """Return what the collection tables say by image number (`I40966`)."""
    about = {}
    for table in sorted(root.glob("*.csv")):
        for row in read_rows(table):
            number = row.get("Image Data ID", "")
            if number:
                group = {
                    name: row[column] for column, name in _COLUMNS.items() if row.get(column, "").lower() not in MISSING
                }
                about["I" + number.removeprefix("I")] = About(
                    healthy=_HEALTHY.get(group.get("group", "").upper()), group=group
                )
    return about


ADNI = Adapter("adni", "002_S_0295/MPRAGE/2006-04-18_08_20_30.0/I40966/ADNI_002_S_0295_MR_…_I40966.nii", collect)
