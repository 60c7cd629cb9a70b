"""Presets: settings for training that have a name. Each is a TOML file here; its first line says what it is."""

from importlib.resources import files
from pathlib import Path

from itermask.errors import InputError

FOLDER = Path(str(files(__name__)))


def presets() -> dict[str, str]:
    """Return the name → what it is, the first line of its file.

    >>> "itermask3d-published" in presets()
    True
    """
    return {path.stem: path.read_text(encoding="utf-8").partition("\n")[0].lstrip("# ") for path in _files()}


def preset_path(name: str) -> Path:
    """Return the file of a preset.

    Raises:
        InputError: there is none of this name.

    Example:
        >>> preset_path("t1w-2mm").name
        't1w-2mm.toml'
    """
    found = {path.stem: path for path in _files()}
    if name not in found:
        raise InputError(f"--preset {name}: unknown; there are {', '.join(found)}")
    return found[name]


def _files() -> list[Path]:
    return sorted(FOLDER.glob("*.toml"))
