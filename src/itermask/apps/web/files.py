"""Which files of a folder a page may show, and of what kind they are."""

from pathlib import Path

KINDS = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".css": "text/css",
    ".tsv": "text/tab-separated-values",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".gz": "application/gzip",
    ".nii": "application/octet-stream",
    ".dcm": "application/dicom",
    ".pdf": "application/pdf",
}


def kind_of(path: Path) -> str:
    """Return the media type of a file, told by its ending.

    Example:
        >>> from pathlib import Path
        >>> kind_of(Path("report.html"))
        'text/html'
    """
    return KINDS.get(path.suffix.lower(), "application/octet-stream")


def inside(folder: Path, name: str) -> Path | None:
    """Return a file below a folder.

    Args:
        folder: any folder.
        name: path relative to it, with `/`; perhaps made to lead elsewhere.

    Returns:
        the file, with all links followed; None if there is none, or if it lies elsewhere, such as behind a link.

    Example:
        >>> from pathlib import Path
        >>> inside(Path("/results"), "../secret") is None
        True
    """
    try:
        root = folder.resolve()
        found = (root / name).resolve()
        return found if found.is_relative_to(root) and found.is_file() else None
    except (OSError, RuntimeError, ValueError):  # too long, links in a circle, a zero byte
        return None
