"""Paths that a tree's `.bidsignore` leaves out; its lines are patterns as in `.gitignore`."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

NAME = ".bidsignore"


def ignored_in(root: Path) -> Callable[[str], bool]:
    r"""Return what tells of a path below a tree, with `/`, whether its `.bidsignore` leaves it out.

    Args:
        root: the tree; without such a file nothing is left out.

    Example:
        >>> _ = (folder / ".bidsignore").write_text("extra/\n")
        >>> ignored = ignored_in(folder)
        >>> ignored("extra/sub-01_T1w.nii.gz"), ignored("sub-01/anat/sub-01_T1w.nii.gz")
        (True, False)
    """
    try:
        lines = (root / NAME).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    return matcher(lines)


def matcher(lines: Sequence[str]) -> Callable[[str], bool]:
    """Return what tells whether a path fits patterns; of several that fit, the last decides.

    Example:
        >>> ignored = matcher(["extra/", "*_T2w.nii.gz", "!sub-01_T2w.nii.gz"])
        >>> [ignored(path) for path in ("extra/a.nii", "sub-02/sub-02_T2w.nii.gz", "sub-01/sub-01_T2w.nii.gz")]
        [True, True, False]
    """
    rules = []
    for line in lines:
        text = re.sub(r"(?<!\\)\s+$", "", line)
        if not text or text.startswith("#"):
            continue
        again = text.startswith("!")
        rules.append((re.compile(_pattern(text[again:])), not again))

    def ignored(path: str) -> bool:
        decided = False
        for rule, out in rules:
            if rule.fullmatch(path):
                decided = out
        return decided

    return ignored


def _pattern(text: str) -> str:
    """Return a regular expression for one line; what lies below a folder that fits, fits too."""
    folder = text.endswith("/")
    text = text.rstrip("/")
    anchored = "/" in text
    text = text.removeprefix("/")
    found, index = "" if anchored else "(?:.*/)?", 0
    while index < len(text):
        letter = text[index]
        if text.startswith("**/", index):
            found, index = found + "(?:.*/)?", index + 3
            continue
        if text.startswith("**", index):
            found, index = found + ".*", index + 2
            continue
        closing = text.find("]", index + 2) if letter == "[" else -1
        if closing > 0:
            inside = text[index + 1 : closing].replace("\\", "\\\\")
            inside = f"^{inside[1:]}" if inside.startswith("!") else inside
            found, index = f"{found}[{inside}]", closing + 1
            continue
        if letter == "\\" and index + 1 < len(text):
            index += 1
            letter = text[index]
            found += re.escape(letter)
        else:
            found += {"*": "[^/]*", "?": "[^/]"}.get(letter, re.escape(letter))
        index += 1
    return found + ("/.*" if folder else "(?:/.*)?")
