"""What a file's name and sidecar say about a scan, after the BIDS conventions."""

import json
import os
import re
from pathlib import Path

from itermask.errors import InputError

SEQUENCES = ("T1w", "T2w", "FLAIR", "PDw", "T1ce", "T2starw", "DWI")
_BY_LOWER = {name.lower(): name for name in (*SEQUENCES, "dwi")} | {"dwi": "DWI", "t1gd": "T1ce"}


def stem(path: Path) -> str:
    """Return the file name without `.nii` or `.nii.gz`.

    Example:
        >>> from pathlib import Path
        >>> stem(Path("sub-01_T1w.nii.gz"))
        'sub-01_T1w'
    """
    name = path.name
    for ending in (".nii.gz", ".nii"):
        if name.lower().endswith(ending):
            return name[: -len(ending)]
    return path.stem


def shown(name: str | os.PathLike[str]) -> str:
    r"""Return a file's name as it can be written anywhere: bytes that are not UTF-8 as `\xff`, no control characters.

    >>> shown("sub-01_T1w.nii.gz")
    'sub-01_T1w.nii.gz'
    """
    try:
        text = os.fsencode(name).decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # half a character that is of no file's name
        text = os.fspath(name).encode("utf-8", "backslashreplace").decode("utf-8")
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def subject_of(path: Path | str) -> str:
    """Return whose a file is, as its BIDS name or folder says (`sub-01`); empty where neither does.

    >>> subject_of("study/sub-01/ses-2/anat/sub-01_ses-2_T1w.nii.gz")
    'sub-01'
    >>> subject_of("study/T1w.nii.gz")
    ''
    """
    for part in reversed(Path(path).parts):
        found = re.search(r"(?:^|[_.\- ])(sub-[A-Za-z0-9]+)", part)
        if found:
            return found[1]
    return ""


def is_file(path: Path) -> bool:
    """Return whether a path is a file; one whose name is too long, or whose folder may not be read, is none.

    Example:
        >>> is_file(folder), is_file(folder / ("a" * 5000))
        (False, False)
    """
    try:
        return path.is_file()
    except OSError:
        return False


def canonical_sequence(name: str) -> str:
    """Return the spelling used in model cards for a sequence a user typed; unknown names are kept as typed.

    Example:
        >>> canonical_sequence("t1"), canonical_sequence("flair"), canonical_sequence("SWI")
        ('t1', 'FLAIR', 'SWI')
    """
    return _BY_LOWER.get(name.strip().lower(), name.strip())


def sequence_of(path: Path) -> str | None:
    """Return the sequence of a scan file: its BIDS-style ending (`sub-01_T1w.nii.gz`, `FLAIR.nii`), else its sidecar.

    The sidecar is the JSON file of the same stem; its key `itermask_sequence` or `SuffixBIDS` is taken as it
    is, else a `ProtocolName` or `SeriesDescription` that holds exactly one sequence name.

    Example:
        >>> from pathlib import Path
        >>> sequence_of(Path("sub-01_T1w.nii.gz"))
        'T1w'
    """
    ending = stem(path).rsplit("_", 1)[-1]
    if ending.lower() in _BY_LOWER:
        return _BY_LOWER[ending.lower()]
    sidecar = path.with_name(stem(path) + ".json")
    if not is_file(sidecar):
        return None
    try:
        fields = json.loads(sidecar.read_text(encoding="utf-8-sig"))
    except (OSError, RecursionError, ValueError) as error:
        raise InputError(f"{sidecar}: not a readable JSON sidecar ({error}); fix it or remove it") from error
    if not isinstance(fields, dict):
        return None
    for key in ("itermask_sequence", "SuffixBIDS"):
        if isinstance(fields.get(key), str):
            return canonical_sequence(fields[key])
    for key in ("ProtocolName", "SeriesDescription"):
        text = str(fields.get(key, "")).lower()
        found = {name for lower, name in _BY_LOWER.items() if lower in text}
        found |= {"T1w"} if "mprage" in text else set()
        if len(found) == 1:
            return found.pop()
    return None
