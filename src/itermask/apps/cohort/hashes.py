"""Content hashes of scans and models, each file read once.

The hashes of scans are remembered with size and modification time in `logs/hashes-*.jsonl` of the results folder, so
that a run which goes on need not read thousands of unchanged scans again.
"""

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import TextIO

from itermask.errors import InputError
from itermask.models.card import CARD, read_card
from itermask.models.choice import bundled_models, find, taken_sequences
from itermask.models.folder import WEIGHTS

Stamp = tuple[int, int]  # size in bytes, modification time in ns


def sha256(path: Path) -> str:
    """Return SHA-256 of a file's content, in hexadecimal.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "empty"
        ...     path.touch()
        ...     sha256(path)[:8]
        ...
        'e3b0c442'
    """
    with open(path, "rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()


class Hashes:
    """Hashes of files, remembered between runs.

    Args:
        logs: folder of the memory; all `hashes-*.jsonl` there are read.
        shard: names the file of this process, so that no two write to the same; None to remember nothing new.
    """

    def __init__(self, logs: Path, shard: str | None = None) -> None:
        self._known: dict[str, tuple[Stamp, str]] = {}
        for path in sorted(logs.glob("hashes-*.jsonl")):
            for line in path.read_text(encoding="utf-8").splitlines():
                try:
                    entry = json.loads(line)
                    self._known[entry["path"]] = ((entry["size"], entry["mtime_ns"]), entry["sha256"])
                except (ValueError, TypeError, KeyError):  # a line that was cut off
                    continue
        self._file: TextIO | None = None
        if shard is not None:
            logs.mkdir(parents=True, exist_ok=True)
            self._file = open(logs / f"hashes-{shard}.jsonl", "a", encoding="utf-8")  # noqa: SIM115
            self._file.write("\n")  # ends a line that was cut off

    def of(self, path: Path | None) -> str | None:
        """Return a file's hash; None for no file, and for one that cannot be read."""
        if path is None:
            return None
        try:
            state = path.stat()
            stamp = (state.st_size, state.st_mtime_ns)
            known = self._known.get(str(path))
            if known is not None and known[0] == stamp:
                return known[1]
            found = sha256(path)
        except OSError:
            return None
        self._known[str(path)] = (stamp, found)
        if self._file is not None:
            entry = {"path": str(path), "size": stamp[0], "mtime_ns": stamp[1], "sha256": found}
            self._file.write(json.dumps(entry) + "\n")
            self._file.flush()
        return found

    def close(self) -> None:
        """Close the memory's file."""
        if self._file is not None:
            self._file.close()


@cache
def model_hash(model: str | None, sequence: str | None) -> str:
    """Return which model a job gets: a hash of weights and card.

    Without a name the model is chosen by sequence and by the scan's slices; the hash is then of all bundled models
    for the sequence, so that no scan has to be opened for it.

    Returns:
        hexadecimal; "" if there is no model, which is refused when the job's turn comes.

    Example:
        >>> model_hash("any-2mm", None) == model_hash("any-2mm", "FLAIR") != ""
        True
    """
    try:
        if model is not None:
            folders = [find(model).folder]
        else:
            folders = [folder for folder in bundled_models().values() if sequence in taken_sequences(read_card(folder))]
        content = hashlib.sha256()
        for folder in folders:
            for name in (WEIGHTS, CARD):
                content.update(bytes.fromhex(sha256(folder / name)))
    except (InputError, OSError):
        return ""
    return content.hexdigest() if folders else ""
