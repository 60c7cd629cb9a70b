r"""BIDS trees with lesion maps among the derivatives; OASIS-3 too.

Images: `sub-01/[ses-1/]anat/sub-01[_ses-1][_acq-…][_run-…]_T1w.nii.gz`, likewise the other anatomical suffixes; T1w
with a `ce-` entity is T1ce. Only the name counts, so the folders of an OASIS-3 download (`OAS30001_MR_d0129/anat1/
sub-OAS30001_ses-d0129_run-01_T1w.nii.gz`) do as well. Diffusion series, which are 4D, are passed over, and so are
images below `derivatives` and `sourcedata`. Where a session holds a sequence several times, each is a session of its
own, named after the entities: `1_run-02`.

Lesion maps: names with the suffix `mask`, `roi`, `dseg` or `lesion` and lesion in them (`label-lesion_mask`,
`desc-lesion_mask`, `T1w_label-lesion_roi`, `label-L_desc-T1lesion_mask`), or one of those suffixes below a derivative
whose name speaks of lesions (`derivatives/manual_lesions/sub-01/anat/sub-01_dseg.nii.gz`); beside the image or in
`derivatives`. Brain masks: `desc-brain_mask`. A mask must share the session and the entities it names (acq, run, …)
with an image; one in another space (`space-MNI…`) is passed over, one in the space of an image of the case
(`space-T1w`, `space-orig`) is taken. Of several lesion maps that remain the one called plainly `lesion` is taken; of
several brain masks the first.

`participants.tsv`, in the root folder or in `rawdata`, gives `split`, `healthy` and any groups; a `group` or
`diagnosis` of controls (`control`, `healthy`, `HC`, `CN`) is healthy.

Learnt from the BIDS specification (imaging derivatives), the fMRIPrep documentation (lesion masks), and the
download scripts of OASIS-3 (NrgXnat/oasis-scripts).
"""

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from itermask.errors import InputError
from itermask.io.datasets.about import read_participants
from itermask.io.datasets.adapter import Adapter, Found, Gathering, describe, part_runs
from itermask.io.datasets.case import Case
from itermask.io.datasets.tree import File, Tree
from itermask.io.names import SEQUENCES, canonical_sequence

_SEQUENCES = tuple(name for name in SEQUENCES if name != "DWI")
_MASK_SUFFIXES = ("mask", "roi", "dseg", "lesion")
_NOT_MATCHED = frozenset({"sub", "ses", "space", "res", "den", "label", "desc", "atlas", "seg", "ce"})
_OWN_SPACES = frozenset({"orig", "native", "individual", "scanner"})
_PLAIN = re.compile(r"lesions?", re.IGNORECASE)


@dataclass(frozen=True)
class _Name:
    """A BIDS file name in its parts: entities, words that are none, suffix."""

    path: Path
    entities: dict[str, str]
    labels: tuple[str, ...]
    suffix: str


def collect(tree: Tree) -> list[Case]:
    """Return the cases of a BIDS tree.

    Example:
        >>> from itermask.io.datasets.tree import walk
        >>> (folder / "sub-01" / "anat").mkdir(parents=True)
        >>> (folder / "sub-01" / "anat" / "sub-01_T1w.nii.gz").touch()
        >>> collect(walk(folder))[0].subject
        '01'
    """
    images: dict[Path, _Name] = {}
    lesions: dict[str, list[_Name]] = defaultdict(list)
    brains: dict[str, list[_Name]] = defaultdict(list)
    for file in tree.files:
        if not file.stem.startswith("sub-") or "sourcedata" in file.folders[1:]:
            continue
        name = _parse(file)
        subject = name.entities["sub"]
        if _is_lesion(name, file.folders):
            lesions[subject].append(name)
        elif name.suffix == "mask" and "brain" in (name.entities.get("desc"), name.entities.get("label")):
            brains[subject].append(name)
        elif (
            canonical_sequence(name.suffix) in _SEQUENCES and not name.labels and "derivatives" not in file.folders[1:]
        ):
            images[file.path] = name
    gathering = Gathering(tree.root)
    for image in part_runs(_found(name) for name in images.values()):
        gathering.add(image.subject, image.session, image.sequence, image.path)
    sessions: dict[str, set[str]] = defaultdict(set)
    for name in images.values():
        sessions[name.entities["sub"]].add(name.entities.get("ses", ""))
    participants = read_participants(tree.root, tree.root / "rawdata") if images else {}
    cases = []
    for case in gathering.cases():
        alone = len(sessions[case.subject]) == 1
        own = [images[path] for path in case.paths.values()]
        lesion = _one_lesion(tree.root, case, _fitting(lesions[case.subject], case, own, alone))
        masks = _fitting(brains[case.subject], case, own, alone)
        case = replace(case, lesion=lesion, brain_mask=masks[0].path if masks else None)
        cases.append(describe(case, participants.get(case.subject)))
    return cases


def _parse(file: File) -> _Name:
    *parts, suffix = file.stem.split("_")
    if not parts:  # `sub-01.nii.gz`
        parts, suffix = [suffix], ""
    entities = dict(part.split("-", 1) for part in parts if "-" in part)
    return _Name(file.path, entities, tuple(part for part in parts if "-" not in part), suffix)


def _found(name: _Name) -> Found:
    """Return an image with its sequence and, for repeats, the entities that tell it apart."""
    sequence = canonical_sequence(name.suffix)
    contrast = sequence == "T1w" and "ce" in name.entities
    apart = [f"{key}-{value}" for key, value in name.entities.items() if key not in ("sub", "ses")]
    return Found(
        name.entities["sub"],
        name.entities.get("ses", ""),
        "T1ce" if contrast else sequence,
        "_".join(apart),
        name.path,
    )


def _is_lesion(name: _Name, folders: tuple[str, ...]) -> bool:
    if name.suffix.lower() not in _MASK_SUFFIXES:
        return False
    said = [name.entities.get("label", ""), name.entities.get("desc", ""), name.suffix, *name.labels]
    if any("lesion" in word.lower() for word in said):
        return True
    below = folders[folders.index("derivatives") + 1 :] if "derivatives" in folders else ()
    return "brain" not in said and any("lesion" in folder.lower() for folder in below)


def _fitting(masks: Iterable[_Name], case: Case, images: list[_Name], alone: bool) -> list[_Name]:
    """Return the masks of a subject that are of this case and on the grid of one of its images."""
    session = images[0].entities.get("ses", "")
    fitting = []
    for mask in masks:
        entities = mask.entities
        of_visit = entities.get("ses", "") == session or (alone and "ses" not in entities)
        of_image = any(
            all(image.entities.get(key) == value for key, value in entities.items() if key not in _NOT_MATCHED)
            for image in images
        )
        space = entities.get("space", "")
        fits = (
            space in {image.entities.get("space", "") for image in images}
            or space in _OWN_SPACES
            or canonical_sequence(space) in case.paths
        )
        if of_visit and of_image and fits:
            fitting.append(mask)
    return fitting


def _one_lesion(root: Path, case: Case, masks: list[_Name]) -> Path | None:
    if len(masks) > 1:
        plain = [
            mask
            for mask in masks
            if all(_PLAIN.fullmatch(mask.entities[key]) for key in ("label", "desc") if key in mask.entities)
        ]
        masks = plain or masks
    if len(masks) > 1:
        raise InputError(
            f"{root}: two files are the lesion map of {case.subject}: {masks[0].path} and {masks[1].path}; "
            "keep one, or name it in a table"
        )
    return masks[0].path if masks else None


BIDS = Adapter("bids", "sub-01/anat/sub-01_T1w.nii.gz", collect)
