"""Which prediction goes with which label, told by their names."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from itermask.errors import InputError
from itermask.io.names import SEQUENCES, stem
from itermask.io.nifti import NIFTI_ENDINGS

LEVELS, VERY_NAME = 6, 2  # ways to compare names, from strict to loose; the first of them compare the very name
RUN_MASK = "anomaly.nii.gz"  # the file that tells a folder written by `itermask run`
_LABEL_WORDS = r"labels?|lesions?|segmentation|d?seg|roi|gt|truth|manual"
_OTHER_WORDS = r"mask|pred|predictions?|predicted|anomaly|anomalies|error|map|prob|probseg|score|brain|brainmask|image"
_WORD = rf"(?:{_LABEL_WORDS}|{_OTHER_WORDS}|(?:desc|label|space|res)-[a-z0-9]+)"
_SEQUENCE = rf"(?:{'|'.join(SEQUENCES)})"
_SAYS = {
    "label": re.compile(rf"(?:^|[_.\- ])(?:{_LABEL_WORDS})(?:[_.\- ]mask)?$", re.IGNORECASE),
    "brain": re.compile(r"(?:^|[_.\- ])brain(?:[_.\- ]?mask)?$", re.IGNORECASE),
    "mask": re.compile(r"(?:^|[_.\- ])mask$", re.IGNORECASE),
    "image": re.compile(rf"(?:^|[_.\- ])(?:image|{_SEQUENCE})$", re.IGNORECASE),
}
# What a file's name must say to be tried first, and what it may say to be tried after that, for each role.
_FIRST = {"label": ("label", "mask"), "brain": ("brain",), "image": ("image",)}
_THEN = {"label": ("", "image"), "brain": ("", "mask", "image"), "image": ("",)}
_WORDS = {"label": "label", "brain": "brain mask", "image": "image"}


@dataclass(frozen=True)
class Item:
    """A file, or a folder written by `itermask run`.

    Attributes:
        path: where it is.
        parts: folders below the one that was searched, then the name without ending.
    """

    path: Path
    parts: tuple[str, ...]

    @property
    def name(self) -> str:
        """What reports call it; unlike any other's of the same search."""
        return "/".join(self.parts)


def find_items(root: Path) -> list[Item]:
    """Return the NIfTI files and `itermask run` folders at or below `root`, sorted; run folders count as one.

    Raises:
        InputError: nothing there, or nothing in it.

    Example:
        >>> (folder / "sub-01.nii.gz").touch()
        >>> len(find_items(folder))
        1
    """
    if not root.exists():
        raise InputError(f"{root}: no such file or folder")
    if root.is_file():
        return [Item(root, (stem(root),))]
    items = []
    runs = {path.parent for path in root.rglob(RUN_MASK) if not _hidden(path, root)}
    for path in sorted([root, *root.rglob("*")]):
        if _hidden(path, root) or (path.parent in runs and path not in runs):
            continue
        if path in runs:
            items.append(Item(path, path.relative_to(root).parts or (root.resolve().name,)))
        elif path.name.lower().endswith(NIFTI_ENDINGS) and not path.is_dir():
            items.append(Item(path, (*path.relative_to(root).parts[:-1], stem(path))))
    if not items:
        raise InputError(f"{root}: no NIfTI file (.nii or .nii.gz) in it")
    return items


def pair(items: Sequence[Item], others: Sequence[Item], role: str) -> tuple[dict[Item, Item], dict[Item, str]]:
    """Find each item's partner.

    Names are compared from strict to loose: whole path below the searched folder; file name; folder (a label may
    lie alone in its subject's folder); name without words such as `_label` or `_pred`; without the sequence
    too; `sub-…` and `ses-…`. A partner is taken from the first of these under which the two fit each
    other and nothing else. Others whose name says their role are tried first; if there are such, the rest must
    have an item's very name. Others whose name says another role are never taken.

    Args:
        items: predictions.
        others: what to pair them with.
        role: `label`, `brain` or `image`.

    Returns:
        item → partner, and for every item without one the reason, as text.

    Example:
        >>> for name in ("a/sub-01_pred.nii.gz", "b/sub-01_label.nii.gz"):
        ...     (folder / name).parent.mkdir()
        ...     (folder / name).touch()
        ...
        >>> pairs, reasons = pair(find_items(folder / "a"), find_items(folder / "b"), "label")
        >>> len(pairs), len(reasons)
        (1, 0)
    """
    named = [other for other in others if _says(other) in _FIRST[role]]
    rest = [other for other in others if _says(other) in _THEN[role]]
    word = _WORDS[role]
    partners: dict[Item, Item] = {}
    taken: set[Item] = set()
    reasons = dict.fromkeys(items, f"no {word} has its name")
    for pool, levels in ((named, LEVELS), (rest, VERY_NAME if named else LEVELS)):
        for level in range(levels):
            by_key, others_by_key = _by_key(items, level), _by_key(pool, level)
            for item in items:
                fits = _sharing(item, level, others_by_key)
                if item in partners or not fits:
                    continue
                rivals = _sharing(fits[0], level, by_key)
                if len(fits) > 1:
                    reasons[item] = f"more than one {word} fits: {_listed(fits)}"
                elif len(rivals) > 1:
                    reasons[item] = f"{word} {fits[0].name} fits more than one: {_listed(rivals)}"
                elif fits[0] not in taken:
                    partners[item] = fits[0]
                    taken.add(fits[0])
    return partners, {item: reason for item, reason in reasons.items() if item not in partners}


def _says(item: Item) -> str:
    """Return what a name says of its role: `label`, `brain`, `mask` (of something), `image`, or nothing."""
    return next((role for role, pattern in _SAYS.items() if pattern.search(item.parts[-1])), "")


def _by_key(items: Sequence[Item], level: int) -> dict[str, list[Item]]:
    """Return the items of each name at a level."""
    found: dict[str, list[Item]] = {}
    for item in items:
        for key in _keys(item.parts)[level] - {""}:
            found.setdefault(key, []).append(item)
    return found


def _sharing(item: Item, level: int, by_key: dict[str, list[Item]]) -> list[Item]:
    """Return those that share a name with an item, each once."""
    return list(dict.fromkeys(one for key in sorted(_keys(item.parts)[level] - {""}) for one in by_key.get(key, [])))


def _keys(parts: tuple[str, ...]) -> list[set[str]]:
    """Return names under which an item can be known, `LEVELS` sets from strict to loose."""
    whole, parents, last = "_".join(parts), "_".join(parts[:-1]), parts[-1]
    bare = _strip(last, _WORD)
    entities = re.findall(r"(?:sub|ses)-[A-Za-z0-9]+", whole)
    return [
        {whole},
        {last},
        {whole, parents},
        {bare or parents, parents},
        {_strip(bare, rf"(?:{_WORD}|{_SEQUENCE})") or parents, parents},
        {"_".join(dict.fromkeys(sorted(entities, key=lambda entity: entity[:3] != "sub")))},
    ]


def _strip(name: str, word: str) -> str:
    """Return a name without the words it starts or ends with."""
    pattern = re.compile(rf"^{word}(?:[_.\- ]+|$)|(?:^|[_.\- ]+){word}$", re.IGNORECASE)
    while (shorter := pattern.sub("", name)) != name:
        name = shorter
    return name


def _listed(items: Sequence[Item]) -> str:
    names = [item.name for item in items]
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _hidden(path: Path, root: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(root).parts)
